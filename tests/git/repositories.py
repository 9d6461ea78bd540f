"""A repository of a test's own, made with the real git."""

from __future__ import annotations

import hashlib
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
        file.write_text(content or f"{name}\n", errors="surrogateescape")
        return file

    def commit(self, *names: str) -> str:
        """Commit new files of these names; return the commit's id."""
        for name in names:
            self.write(name)
        self.git("add", "--all", "--", *(names or ["."]))
        self.git("commit", "--quiet", "--allow-empty", "--message", f"Add {', '.join(names) or 'nothing'}")
        return self.git("rev-parse", "HEAD")

    def commit_file(self, name: str, content: str) -> str:
        """Commit one file; return the commit's id."""
        self.write(name, content)
        self.git("add", "--", name)
        self.git("commit", "--quiet", "--message", f"Change {name}")
        return self.git("rev-parse", "HEAD")

    def ours(self, directory: Path | None = None) -> Git:
        """agentq's git in it."""
        return Git(str(directory or self.path), self.environ)

    def fingerprint(self) -> dict[str, str]:
        """Everything of the checkout, and of its git directory what is the caller's: HEAD, index, stash, settings and
        all branches but agentq's; contents, times and modes."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            parts = name.split("/")
            if parts[0] == ".git" and (len(parts) == 1 or parts[1] in ("objects", "worktrees") or "agentq" in parts):
                continue
            status = path.lstat()
            if path.is_dir() and not path.is_symlink():
                found[name] = f"{status.st_mode:o}"
                continue
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            # git touches a shared index whenever it reads it.
            when = 0 if path.name.startswith("sharedindex") else status.st_mtime_ns
            found[name] = f"{status.st_mode:o} {when} {hashlib.sha256(content).hexdigest()}"
        return found
