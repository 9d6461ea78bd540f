"""Submodules of a new tree, cloned from those of the checkout that it was made for, without network."""

from __future__ import annotations

import os

from agentq_cli.git.runner import WRITE_SECONDS, GitFailed, first_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.git.runner import Git


def initialise(git: Git, source: str, config: Sequence[str] = ()) -> list[str]:
    """Initialise the submodules of the tree that git is in, as far as they are initialised in the checkout `source`,
    and theirs in turn. Returns what could not be done, a sentence each; the tree works without. Raises GitFailed.

    `config` holds for the checkout of each.
    """
    trouble: list[str] = []
    for path, name in _submodules(git).items():
        original, own = f"{source}/{path}", git.at(f"{git.directory}/{path}")
        try:
            if not _is_checkout(git.at(original)):
                continue  # The checkout does without this submodule, and so does the tree.
            _clone(git, original, path, name, config)
            trouble += initialise(own, original, config)
        except GitFailed as error:
            trouble.append(f"submodule '{path}' was not initialised: {first_line(error.stderr)}")
    return trouble


def _submodules(git: Git) -> dict[str, str]:
    """The names of the submodules by their paths."""
    if not os.path.isfile(f"{git.directory}/.gitmodules"):
        return {}
    told = git.run(
        *("config", "-z", "--file", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$"), ok=(0, 1)
    ).records()
    named = {}
    for record in told:
        key, _, path = os.fsdecode(record).partition("\n")
        named[path] = key.removeprefix("submodule.").removesuffix(".path")
    links = git.run("ls-files", "-z", "--stage", "--", *named).records() if named else []
    found = [os.fsdecode(link.partition(b"\t")[2]) for link in links if link.startswith(b"160000 ")]
    return {path: named[path] for path in found if path in named}


def _is_checkout(git: Git) -> bool:
    """Whether a submodule is initialised in its directory, rather than that being an empty directory of the outer
    repository."""
    if not os.path.lexists(f"{git.directory}/.git"):
        return False
    return git.line("rev-parse", "--show-toplevel") == os.path.realpath(git.directory)


def _clone(git: Git, original: str, path: str, name: str, config: Sequence[str]) -> None:
    there = git.at(original)
    modules = there.line("rev-parse", "--path-format=absolute", "--git-common-dir")
    git.run(
        *("submodule", "--quiet", "update", "--init", "--checkout", "--no-fetch", "--", path),
        config=(*config, f"submodule.{name}.url={modules}", "protocol.file.allow=always"),
        seconds=WRITE_SECONDS,
    )
    url = there.run("config", "--get", "remote.origin.url", ok=(0, 1)).line()
    if url:  # The agent fetches from where everybody does.
        git.at(f"{git.directory}/{path}").run("config", "remote.origin.url", url)
