"""Repositories for tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from repositories import Repository


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with a name, a home of its own, and nothing of the machine's git configuration."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ann Other\n\temail = ann@example.com\n[init]\n\tdefaultBranch = main\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "XDG_CONFIG_HOME": str(home / ".config")}


@pytest.fixture
def empty(tmp_path: Path, environ: dict[str, str]) -> Repository:
    """A repository without a commit."""
    path = tmp_path / "repository"
    path.mkdir()
    made = Repository(path, environ)
    made.git("init", "--quiet")
    return made


@pytest.fixture
def repository(empty: Repository) -> Repository:
    """A repository with one commit on `main`: the files `README` and `src/a`."""
    empty.commit("README", "src/a")
    return empty
