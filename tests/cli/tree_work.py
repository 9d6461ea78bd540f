"""A repository with trees of tasks in it, made by the real git as the first run of each task makes them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from driven import Driven

from agentq_cli.base.dataclass import replace
from agentq_cli.git.branches import snapshot_ref
from agentq_cli.git.repository import find_repository
from agentq_cli.git.runner import Git
from agentq_cli.git.snapshot import take_snapshot
from agentq_cli.git.trees import Plan, make, tree_path
from agentq_cli.model.branches import conversation_branch, task_branch
from agentq_cli.trees import register
from agentq_cli.trees.records import TreeRecord, tree_name

CONFIG = """
[user]
    name = Ann Other
    email = ann@example.com
[init]
    defaultBranch = main
"""


class TreeWork:
    """A repository beside a state dir. `git("commit", …)` runs git there as a person would, or at another place."""

    def __init__(self, aq: Driven) -> None:
        self.aq = aq
        self.path = aq.home / "repository"
        self.trees = aq.state_dir / "trees"
        (aq.home / ".gitconfig").write_text(CONFIG)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.environ = kept | {"HOME": str(aq.home), "GIT_CONFIG_NOSYSTEM": "1", "XDG_CONFIG_HOME": str(aq.home)}
        self.path.mkdir()
        self.git("init", "--quiet")
        self.commit(self.path, "file", "one\ntwo\nthree\n")

    def git(self, *words: str, at: Path | None = None) -> str:
        """What git prints; it must succeed."""
        done = subprocess.run(
            ["git", *words], cwd=at or self.path, env=self.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def commit(self, at: Path, name: str, content: str) -> str:
        """Commit one file; returns the commit."""
        (at / name).write_text(content)
        self.git("add", "--", name, at=at)
        self.git("commit", "--quiet", "--message", f"Change {name}", at=at)
        return self.git("rev-parse", "HEAD", at=at)

    def task(self, session: str, *more: str) -> str:
        """A task that waits, with a tree that is not made."""
        return self.aq.exec("true", given=["--worktree", "--hold", "-C", str(self.path), "-s", session, *more])

    def tree(self, session: str, seq: int | None, base: str = "refs/heads/main", **fields: str) -> Path:
        """Make a tree with its record."""
        git = Git(str(self.path), self.environ)
        repository = find_repository(git)
        key = fields.get("conversation")
        branch = conversation_branch(session, key) if seq is None else task_branch(session, seq)
        path = tree_path(str(self.trees), tree_name(repository.common, branch))
        start = self.git("rev-parse", base)
        register.add(
            str(self.trees),
            lambda number: TreeRecord(
                number=number,
                path=path,
                session=session,
                seq=seq,
                repository=repository.common,
                checkout=repository.toplevel,
                branch=branch,
                base=base,
                start=start,
                head=start,
                made_at=0,
                **fields,
            ),
        )
        make(git, repository, Plan(path, branch, start, f"agentq {session}"))
        return Path(path)

    def snapshot(self, tree: Path, session: str, seq: int, run: int) -> str:
        """What the end of a run stores; returns the commit."""
        head = self.git("rev-parse", "HEAD", at=tree)
        ref = snapshot_ref(session, seq, run)
        record = register.read(str(tree))
        assert record is not None
        register.write(replace(record, head=head, snapshot=ref))
        return take_snapshot(Git(str(tree), self.environ), ref, base=head, now_ms=0).commit

    def refs(self) -> set[str]:
        """The names of all refs."""
        return set(self.git("for-each-ref", "--format=%(refname)").splitlines())
