"""What a run leaves in its tree: a snapshot of what is uncommitted there, and how much was changed since the base."""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError
from agentq_cli.git.branches import find_branch, snapshot_ref
from agentq_cli.git.changes import find_changes
from agentq_cli.git.registrations import registration
from agentq_cli.git.snapshot import take_snapshot
from agentq_cli.git.trees import check_own, lfs_config, mend_link
from agentq_cli.git.visit import go_home
from agentq_cli.model.trees import Left
from agentq_cli.trees import register

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentq_cli.git.changes import Changes
    from agentq_cli.git.runner import Git
    from agentq_cli.git.snapshot import Snapshot
    from agentq_cli.model.trees import Asked
    from agentq_cli.trees.records import TreeRecord

SHOWN = 3
"""How many paths are named that a snapshot lacks."""


def leave(git: Git, asked: Asked, now_ms: int, notes: Iterable[str] = ()) -> Left:
    """Take the snapshot of a run, and say what the run left. What cannot be found out is None, and `why` says why.
    `notes` are what there was to say when the tree was made ready."""
    left = Left(asked.checkout, asked.path, asked.branch)
    try:
        record = register.read(asked.path)
        if record is None:
            left = left._replace(why="nothing is known of the tree")
        else:
            left = _leave(git, asked, record, left._replace(base=record.start), now_ms)
    except AgentqError as error:
        left = left._replace(why=error.message)
    except OSError as error:
        where = asked.path if error.filename is None else os.fsdecode(error.filename)
        left = left._replace(why=f"'{where}': {error.strerror}")
    return left._replace(why="; ".join((*notes, *filter(None, [left.why]))) or None)


def tree_left(git: Git, left: Left) -> str | None:
    """The tree that holds exactly what the run left, for a check that runs there; None if there is none."""
    if left.snapshot is None:
        return None
    try:
        return git.line("rev-parse", "--verify", f"{left.snapshot}^{{tree}}")
    except AgentqError:
        return None


def _leave(git: Git, asked: Asked, record: TreeRecord, left: Left, now_ms: int) -> Left:
    common = git.at(asked.repository)
    known = registration(asked.repository, asked.path)
    if known is None or not os.path.isdir(asked.path):
        head = find_branch(common, asked.branch) or record.head
        changes = find_changes(common, record.start, head)
        return _counted(left._replace(head=head, why="the tree is gone"), changes)
    mend_link(known, asked.path)
    check_own(git, known)
    config = lfs_config(git)
    held = go_home(git, config)
    ref = snapshot_ref(asked.session, asked.number, asked.attempt)
    copied = frozenset(os.fsdecode(each) for each in known.copied())
    taken = take_snapshot(git, ref, base=record.start, now_ms=now_ms, copied=copied, config=config)
    left = left._replace(head=taken.head or None, dirty=taken.dirty, snapshot=taken.commit or None)
    why = "; ".join(_sentences(taken, asked, None if held is None else held.why))
    left = left._replace(why=why or None)
    with contextlib.suppress(AgentqError):  # A damaged object: the snapshot is taken all the same.
        left = _counted(left, find_changes(common, record.start, taken.head, taken.commit))
    branch_head = find_branch(common, asked.branch) or taken.head or record.head
    register.write(replace(record, head=branch_head, snapshot=ref if taken.commit else record.snapshot))
    return left


def _counted(left: Left, changes: Changes) -> Left:
    return left._replace(
        commits=changes.commits,
        files_changed=len(changes.files),
        insertions=changes.insertions,
        deletions=changes.deletions,
    )


def _sentences(taken: Snapshot, asked: Asked, held: str | None) -> list[str]:
    found = []
    if taken.why:
        found.append(f"no snapshot: {taken.why}")
    if taken.missing:
        more = f" and {len(taken.missing) - SHOWN} more" if len(taken.missing) > SHOWN else ""
        found.append(f"the snapshot lacks {', '.join(map(repr, taken.missing[:SHOWN]))}{more}")
    if taken.branch and taken.branch != asked.branch:
        found.append(f"HEAD is on '{taken.branch}'")
    elif not taken.branch and taken.head:
        found.append("HEAD is on no branch")
    if held is not None:
        found.append(held)
    return found
