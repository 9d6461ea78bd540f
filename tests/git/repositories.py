"""A repository of a test's own, made with the real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from agentq_cli.git.runner import Git


class Repository:
    """A repository of a test's own. `git("commit", …)` runs git as a person would, and fails the test if git fails."""

    def __init__(self, path: Path, environ: dict[str, str]) -> None:
        self.path = path
        self.environ = environ

    def git(self, *words: str, stdin: bytes = b"", at: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *words], cwd=at or self.path, env=self.environ, input=stdin, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return os.fsdecode(done.stdout).rstrip("\n")

    def write(self, name: str, content: str = "") -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content or f"{name}\n")
        return file

    def commit(self, *names: str) -> str:
        """Commit new files of these names; return the commit's id."""
        for name in names:
            self.write(name)
        self.git("add", "--all", "--", *(names or ["."]))
        self.git("commit", "--quiet", "--allow-empty", "--message", f"Add {', '.join(names) or 'nothing'}")
        return self.git("rev-parse", "HEAD")

    def ours(self, directory: Path | None = None) -> Git:
        """agentq's git in it."""
        return Git(str(directory or self.path), self.environ)
