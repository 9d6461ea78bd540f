"""Removes the tree of a line of work with its branch, after a snapshot, and brings it back.

The snapshot is there, and written down, before anything goes, so whoever was killed removes it again or brings it back.
"""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass, replace
from agentq_cli.base.errors import NotFound, WrongState
from agentq_cli.git import put_back, tree_lock
from agentq_cli.git import trees as git_trees
from agentq_cli.git.advance import HEAD, commit_at
from agentq_cli.git.branches import find_branch, snapshot_ref
from agentq_cli.git.checkouts import find_checkouts
from agentq_cli.git.holds import find_holds
from agentq_cli.git.merge import is_ancestor
from agentq_cli.git.repository import HEADS, Repository
from agentq_cli.git.runner import GitFailed
from agentq_cli.git.snapshot import Snapshot, take_snapshot
from agentq_cli.git.tree_state import away, is_away
from agentq_cli.git.visit import go_home
from agentq_cli.trees import lines, register, removed, teardown
from agentq_cli.trees.lines import config_of, copied_into, git_of, is_there, made_again
from agentq_cli.trees.making import reason_of
from agentq_cli.trees.removed import Removed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from agentq_cli.git.runner import Git
    from agentq_cli.git.trees import Made
    from agentq_cli.model.addresses import RunId
    from agentq_cli.trees.records import TreeRecord


@dataclass(frozen=True, slots=True)
class Lost:
    """What goes with a tree for good: why no snapshot holds it, and its path (empty for all that is uncommitted)."""

    what: str
    path: str


def find_lost(record: TreeRecord, environ: Mapping[str, str], caches: Collection[str]) -> list[Lost]:
    """What a removal of the tree would lose. Raises GitFailed, OSError."""
    if is_away(record.repository):
        files = [Lost("all of its files", record.path)] if os.path.lexists(record.path) else []
        return [Lost(f"{away(record.repository)}, so no snapshot can be taken", ""), *files]
    git = git_of(record, environ)
    if not is_there(record):
        return []
    there, copied, config = git.at(record.path), copied_into(record), config_of(git)
    ref = f"{removed.Removed(record, 0).ref}.look"
    snapshot = take_snapshot(there, ref, base=record.start, now_ms=0, copied=copied, config=config)
    git.run("update-ref", "-d", ref)
    holding = find_holds(there, record.branch, record.start, made_again(record), caches, config)
    holds = [Lost(each.what, each.path) for each in holding]
    known = {each.path.rstrip("/") for each in holds}
    missing = [Lost("not stored by a snapshot", each) for each in snapshot.missing if each.rstrip("/") not in known]
    whole = [Lost(f"everything uncommitted: {snapshot.why}", "")] if snapshot.why else []
    return [*whole, *holds, *missing]


def remove(
    record: TreeRecord,
    environ: Mapping[str, str],
    *,
    now: int,
    tell: Callable[[str], None],
    still: Callable[[], bool] = lambda: True,
    at_any_price: bool = False,
) -> Removed | None:
    """Remove a tree and its branch; None if `still`, which is asked once nobody else can make the tree, says no.

    `tell` gets a sentence about what did not go as it should: the teardown failed, the branch stays. Unless
    `at_any_price`, a tree of which the snapshot would not hold everything stays. Raises Busy, WrongState, NotFound if
    the repository is away, GitFailed, OSError.
    """
    git = git_of(record, environ)
    with tree_lock.held(record.path) as lock:
        git = git.holding(lock)
        if not still():
            return None
        gone = Removed(replace(record, head=_head(git, record)), now)
        _store(git, gone, at_any_price)
        register.write(gone.record, gone.file)
        if record.teardown is not None:
            failure = teardown.run(record, environ, inherit=(lock,))
            if failure:
                tell(f"{record.line}: its teardown {failure}")
        git_trees.remove_held(git, repository_of(record), record.path)
        _remove_branch(git, gone.record, tell)
        register.remove(record.path)
    return gone


def remove_rest(
    record: TreeRecord, environ: Mapping[str, str], *, tell: Callable[[str], None], still: Callable[[], bool]
) -> None:
    """Remove the files and the record of a tree whose repository is away, for good; `tell` and `still` as for `remove`.
    If the repository comes back, it has the branch and the snapshots. Raises Busy, OSError, and what `still` does."""
    with tree_lock.held(record.path) as lock:
        if not still():
            return
        if record.teardown is not None:
            failure = teardown.run(record, environ, inherit=(lock,))
            if failure:
                tell(f"{record.line}: its teardown {failure}")
        git_trees.remove_files(record.path)
        register.remove(record.path)


def complete(record: TreeRecord, environ: Mapping[str, str], tell: Callable[[str], None]) -> bool:
    """Complete the removal of a tree whose remover was killed; whether there was one. Raises as `remove` does."""
    gone = removed.removed_of(os.path.dirname(record.path), lambda each: each.path == record.path)
    if gone is None or gone.at < record.made_at or is_there(record):
        return False
    git = git_of(record, environ)
    git_trees.remove(git, repository_of(record), record.path)
    _remove_branch(git, gone.record, tell)
    register.remove(record.path)
    return True


def restore(
    line: lines.Line, environ: Mapping[str, str], *, now: int, run: RunId | None = None
) -> tuple[TreeRecord, tuple[str, ...]]:
    """Bring a tree back from its branch, if that is there, and a snapshot: that of `run`, else of its removal, else of
    the last run in it. Returns its record, and sentences about what is not as it was.

    Raises WrongState if the tree is there, NotFound, Busy, GitFailed, OSError.
    """
    record = line.record
    git = git_of(record, environ)
    if line.removed is None and is_there(record):
        raise WrongState(f"'{record.line}': its tree is there, in '{record.path}'")
    snapshot = _snapshot(git, line, run)
    start = record.head
    if run is not None or not commit_at(git, start):
        start = put_back.snapshot_head(git, snapshot) if snapshot else record.start
    odd: list[str] = []

    def overlay(tree: Git) -> None:
        if snapshot:
            odd.extend(put_back.put_back(tree, snapshot))

    def made(number: int) -> TreeRecord:
        return replace(record, number=number, head=start, made_at=now, set_up=False)

    plan = git_trees.Plan(record.path, record.branch, start, reason_of(record))
    # The record comes first: a tree without one is nobody's.
    back = register.add(os.path.dirname(record.path), made) if line.removed is not None else made(record.number)
    register.write(back)
    try:
        done: Made = git_trees.make(git, repository_of(record), plan, overlay)
    except BaseException:
        if line.removed is not None:
            register.remove(record.path)
        raise
    paths = [f"not as it was: {path}" for path in odd]
    return back, (*done.notes, *paths)


def repository_of(record: TreeRecord) -> Repository:
    """The repository of a tree, as far as making and removing trees asks for it."""
    return Repository(record.checkout, "", record.repository, "", "")


def _snapshot(git: Git, line: lines.Line, run: RunId | None) -> str:
    if run is not None:
        found = commit_at(git, snapshot_ref(*run))
        if not found:
            raise NotFound(f"run '{run}': there is no snapshot of it")
        return found
    found = "" if line.removed is None else commit_at(git, line.removed.ref)
    if found:
        return found
    return _last_snapshot(git, line.record)


def _last_snapshot(git: Git, record: TreeRecord) -> str:
    """The commit of what the last run left; empty if that is nowhere."""
    return "" if record.snapshot is None else commit_at(git, record.snapshot)


def _head(git: Git, record: TreeRecord) -> str:
    """The commit of the branch; if that is gone, the last one that is known."""
    found = find_branch(git, record.branch)
    if found is None and is_there(record):
        found = commit_at(git.at(record.path), HEAD)
    return found or record.head


def _store(git: Git, gone: Removed, at_any_price: bool) -> None:
    """Store what the tree holds and where its branch is, under refs of the removal."""
    record = gone.record
    snapshot = Snapshot(record.head, record.branch, "", False)
    if is_there(record):
        there, config = git.at(record.path), config_of(git)
        held = go_home(there, config)
        if held is None:
            copied = copied_into(record)
            snapshot = take_snapshot(there, gone.ref, base=record.start, now_ms=gone.at, copied=copied, config=config)
        elif not at_any_price:
            raise WrongState(f"'{record.line}': {held.why}")
        if (snapshot.why or snapshot.missing) and not at_any_price:
            raise WrongState(f"'{record.line}': no snapshot holds it: {snapshot.why or ', '.join(snapshot.missing)}")
    if not snapshot.commit:
        git.run("update-ref", gone.ref, _last_snapshot(git, record) or record.head)
    if not is_ancestor(git, record.head, gone.ref):
        git.run("update-ref", gone.branch_ref, record.head)


def _remove_branch(git: Git, record: TreeRecord, tell: Callable[[str], None]) -> None:
    ref = HEADS + record.branch
    elsewhere = [each.path for each in find_checkouts(git) if each.branch == ref and each.path != record.path]
    if elsewhere:
        tell(f"the branch '{record.branch}' stays: it is checked out in '{elsewhere[0]}'")
        return
    if find_branch(git, record.branch) is None:
        return
    try:
        git_trees.delete_branch(git, record.branch, record.head)
    except GitFailed as failure:
        tell(f"the branch '{record.branch}' stays: {failure.message}")
