"""Stores what is uncommitted in a tree as a commit under a ref of agentq, at the end of every run."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.git.hidden import find_hidden
from agentq_cli.git.runner import GitFailed, GitTimedOut
from agentq_cli.git.status import ABSENT, SUBMODULE, Entry, Status, find_status
from agentq_cli.git.stored_files import Change, Changed, Wanted, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentq_cli.git.runner import Git

MOST_BYTES = 1 << 30
MOST_SECONDS = 60
"""How large the files of a snapshot may be together, and how long it may take."""

UNCOMMITTED = "What was uncommitted on "
"""The subject of a snapshot's commit before the branch that HEAD was on."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a tree held: `commit` has `head` as its parent, or is `head` if nothing was uncommitted (`dirty` False).

    `branch` is the branch that HEAD was on, empty for none. `missing` are paths that the commit does not hold. If
    nothing was stored, `commit` is empty and `why` says why.
    """

    head: str
    branch: str
    commit: str
    dirty: bool
    missing: tuple[str, ...] = ()
    why: str = ""


def take_snapshot(
    git: Git,
    ref: str,
    *,
    base: str,
    now_ms: int,
    copied: frozenset[str] = frozenset(),
    config: Sequence[str] = (),
    most_bytes: int = MOST_BYTES,
    seconds: float = MOST_SECONDS,
) -> Snapshot:
    """Store what is uncommitted or untracked and not ignored in git's tree under `ref`; its index and its files stay.

    `base` is the parent if HEAD names no commit any more and never did as far as git remembers. `copied` are files that
    agentq brought. `config` switches filters off. Taken again, it replaces the earlier one.
    """
    from agentq_cli.base.clock import awake_ms

    deadline = awake_ms() + seconds * 1000
    head = branch = ""
    try:
        status = find_status(git, config=config, seconds=seconds).without(copied)
        branch = status.branch
        head = status.head or _last_head(git) or base
        hidden = tuple(each for each in find_hidden(git, config, seconds) if each not in copied)
        left = (deadline - awake_ms()) / 1000
        return _stored(git, ref, status, hidden, head, now_ms, most_bytes, left)
    except GitTimedOut:
        return Snapshot(head, branch, "", True, why=f"not done within {seconds:g} s")
    except GitFailed as failure:
        return Snapshot(head, branch, "", True, why=failure.message)
    except Changed as changed:
        return Snapshot(head, branch, "", True, why=f"'{changed}' changed while it was read")


def branch_in(subject: str) -> str:
    """The branch that a snapshot was taken on, by the subject of its commit; empty for another commit."""
    return subject.removeprefix(UNCOMMITTED) if subject.startswith(UNCOMMITTED) else ""


def _stored(
    git: Git,
    ref: str,
    status: Status,
    hidden: Sequence[str],
    head: str,
    now_ms: int,
    most_bytes: int,
    seconds: float,
) -> Snapshot:
    missing = (*status.nested, *(each.path for each in status.entries if each.edited))
    changes = (*_changes(git, status), *(Change(each, gone=not _is_there(git, each)) for each in hidden))
    if not changes and status.head:
        git.run("update-ref", ref, head)
        return Snapshot(head, status.branch, head, bool(missing), missing)
    size = sum(_size(git, each.path) for each in changes if not each.gone and not each.blob)
    if size > most_bytes:
        return Snapshot(head, status.branch, "", True, why=f"{size} bytes; at most {most_bytes} are stored")
    whole = not status.head
    when = now_ms // 1000
    commits = []
    parents = [head]
    staged = tuple(_staged(status))
    if staged:
        # As `git stash` keeps it: what was staged and then changed again is in no file and no commit.
        commits.append(Wanted(ref, f"The index on {status.branch or 'no branch'}\n", [head], staged, when))
        parents.append(":1")
    message = f"{UNCOMMITTED}{status.branch or 'no branch'}\n"
    commits.append(Wanted(ref, message, parents, changes, when, whole))
    ids, unread = store(git, commits, seconds)
    return Snapshot(head, status.branch, ids[-1], True, (*missing, *unread))


def _changes(git: Git, status: Status) -> Iterator[Change]:
    for entry in status.entries:
        change = _change(git, entry)
        if change is not None:
            yield change
    for path in status.untracked:
        yield Change(path)


def _change(git: Git, entry: Entry) -> Change | None:
    """What the snapshot has at this path; None if only the files within a submodule differ."""
    if entry.mode == ABSENT:
        return Change(entry.path, gone=True)
    unstaged = entry.changed == "."
    if entry.mode == SUBMODULE:
        return Change(entry.path, blob=entry.blob, mode=SUBMODULE) if unstaged else _submodule(git, entry)
    if unstaged and not _is_there(git, entry.path):
        # A sparse checkout does not have the file.
        return Change(entry.path, blob=entry.blob, mode=entry.index_mode)
    return Change(entry.path)


def _submodule(git: Git, entry: Entry) -> Change | None:
    if entry.staged == "." and not entry.commit_moved and entry.index_mode == SUBMODULE:
        return None
    directory = os.path.join(git.directory, entry.path)
    if not os.path.lexists(os.path.join(directory, ".git")):
        return None  # git would look above it
    at = git.at(directory)
    answer = at.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", ok=(0, 1, 128))
    return Change(entry.path, blob=answer.line(), mode=SUBMODULE) if answer.code == 0 else None


def _staged(status: Status) -> Iterator[Change]:
    """What the index has that is neither in HEAD nor in the files."""
    for entry in status.entries:
        if entry.staged in "MAT" and entry.changed not in ".U" and entry.blob.strip("0"):
            yield Change(entry.path, blob=entry.blob, mode=entry.index_mode)


def _is_there(git: Git, path: str) -> bool:
    return os.path.lexists(os.path.join(git.directory, path))


def _size(git: Git, path: str) -> int:
    try:
        return os.lstat(os.path.join(git.directory, path)).st_size
    except OSError:
        return 0


def _last_head(git: Git) -> str:
    """The commit that HEAD named before its branch was deleted, from HEAD's log; empty if git kept none."""
    path = os.path.join(git.directory, git.line("rev-parse", "--git-path", "logs/HEAD"))
    try:
        with open(path, "rb") as log:
            lines = log.readlines()
    except OSError:
        return ""
    for line in reversed(lines):
        for name in (line.split(b" ", 2)[1:2] or [b""])[0], line.partition(b" ")[0]:
            commit = name.decode(errors="replace")
            if commit.strip("0") and git.run("cat-file", "-e", f"{commit}^{{commit}}", ok=(0, 1, 128)).code == 0:
                return commit
    return ""
