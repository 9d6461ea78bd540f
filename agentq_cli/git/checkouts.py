"""The checkouts of a repository: which of them have a branch, and what somebody has begun and not finished there."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.git.runner import Git

UNFINISHED = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "BISECT_LOG": "a bisect",
    "sequencer": "a cherry-pick",
}
"""What lies in the directory of a checkout meanwhile."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree of a repository. `branch` is a full ref name, empty if HEAD is detached; `missing` if its
    directory is gone, which is for good unless it is `locked`."""

    path: str
    branch: str
    locked: bool
    missing: bool

    def git_dir(self) -> str:
        """Its own directory in the repository. Raises OSError."""
        link = os.path.join(self.path, ".git")
        if os.path.isdir(link):
            return link
        with open(link, "rb") as file:
            target = os.fsdecode(file.read().removeprefix(b"gitdir: ").rstrip(b"\n"))
        return os.path.join(self.path, target)

    def unfinished(self) -> str:
        """What was begun here and not finished, such as `a merge`; empty for nothing. Raises OSError."""
        own = self.git_dir()
        return next((what for name, what in UNFINISHED.items() if os.path.lexists(os.path.join(own, name))), "")

    def returns_to(self, branch: str) -> bool:
        """Whether HEAD is detached for a rebase or a bisect that began on this branch and will go back to it."""
        if self.branch or self.missing:
            return False
        try:
            own = self.git_dir()
        except OSError:
            return False  # a spoiled tree is nobody else's trouble
        names = {branch, branch.removeprefix("refs/heads/")}
        return any(_content(own, name) in names for name in BEGUN_ON)


BEGUN_ON = ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START")
"""Files in the directory of a checkout that name the branch it will go back to."""


def find_checkouts(git: Git) -> tuple[Checkout, ...]:
    """All checkouts of the repository, the main one first; none for the directory of a bare one. Raises GitFailed."""
    found = []
    fields: dict[str, str] = {}
    for record in map(os.fsdecode, git.run("worktree", "list", "--porcelain", "-z").records()):
        if record:
            name, _, value = record.partition(" ")
            fields[name] = value
            continue
        if "bare" not in fields:
            path = fields["worktree"]
            missing = not os.path.lexists(os.path.join(path, ".git"))
            found.append(Checkout(path, fields.get("branch", ""), "locked" in fields, missing))
        fields = {}
    return tuple(found)


def _content(directory: str, name: str) -> str:
    try:
        with open(os.path.join(directory, name), "rb") as file:
            return os.fsdecode(file.read().rstrip(b"\n"))
    except OSError:
        return ""
