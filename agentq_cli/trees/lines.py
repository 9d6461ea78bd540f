"""Which tree an address or a session means, with git where its objects are. The tree itself may be gone."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import NotFound, WrongState
from agentq_cli.git.registrations import registration
from agentq_cli.git.runner import Git
from agentq_cli.git.tree_state import away, is_away
from agentq_cli.git.trees import lfs_config
from agentq_cli.model.addresses import Address
from agentq_cli.trees import register
from agentq_cli.trees.records import TreeRecord, tree_of
from agentq_cli.trees.removed import Removed, removed_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentq_cli.engines.door import Queue
    from agentq_cli.policy.placement import Bound


@dataclass(frozen=True, slots=True)
class Line:
    """A line of work that has, or had, a tree. `removed` is what is known of a tree that was removed."""

    record: TreeRecord
    removed: Removed | None = None


def line_of(queue: Queue, trees: str, target: Address | str) -> Line:
    """The line of work that a task or a session with this name belongs to. Raises NotFound, WrongState if there is no
    tree here, BadRecord, OSError."""
    try:
        return _line_of(queue, trees, target)
    except (NotFound, WrongState):
        host = _elsewhere(queue, target)
        if host is None:
            raise
        what = f"session '{target}'" if isinstance(target, str) else f"task '{target}'"
        raise WrongState(f"{what}: it ran on host '{host}', so its tree is there and not here") from None


def _elsewhere(queue: Queue, target: Address | str) -> str | None:
    """The host of the last run of a task or a session, if that is another one than this."""
    try:
        runs = queue.runs(session=target, limit=1) if isinstance(target, str) else queue.runs(address=target, limit=1)
        last = next(runs, None)
        bound = None if last is None else queue.placing.ran_on(last.id.address)
    except NotFound:
        return None
    return bound.name if bound is not None and not bound.here else None


def _line_of(queue: Queue, trees: str, target: Address | str) -> Line:
    if isinstance(target, str):
        return _of_session(queue, trees, target)
    try:
        task = queue.task(target)
    except NotFound:
        found = _found(trees, target.session, target.seq)
        if found is None:
            raise
        return found
    path = None if task.work.launch.repository is None else tree_of(trees, task.work, target)
    record = None if path is None else register.read(path)
    if record is not None:
        return Line(record)
    found = _found(trees, target.session, target.seq)
    if found is None and path is not None:
        gone = removed_of(trees, lambda each: each.path == path)
        found = Line(gone.record, gone) if gone is not None else None
    if found is not None:
        return found
    if path is None:
        raise WrongState(f"task '{target}': it has no tree; it was submitted without --worktree")
    _refuse_elsewhere(queue.placing.ran_on(target), f"task '{target}'")
    raise WrongState(f"task '{target}': its tree is not made yet; that is done when it first runs")


def _of_session(queue: Queue, trees: str, session: str) -> Line:
    found = _found(trees, session, None)
    if found is not None:
        return found
    queue.known(session)
    _refuse_elsewhere(queue.placing.bound(session), f"session '{session}'")
    of_tasks = [each.line for each in register.records(trees) if each.session == session]
    also = f"; its tasks have, such as {of_tasks[0]}" if of_tasks else ""
    raise NotFound(f"session '{session}': it has no tree{also}")


def _refuse_elsewhere(bound: Bound | None, what: str) -> None:
    """Raises WrongState if the tree is on another host."""
    if bound is not None and not bound.here:
        raise WrongState(f"{what}: its tree, if there is one, is on host '{bound.name}'; this is another machine")


def _found(trees: str, session: str, seq: int | None) -> Line | None:
    for record in register.records(trees):
        if (record.session, record.seq) == (session, seq):
            return Line(record)
    gone = removed_of(trees, lambda each: (each.session, each.seq) == (session, seq))
    return None if gone is None else Line(gone.record, gone)


def git_of(record: TreeRecord, environ: Mapping[str, str]) -> Git:
    """git in the checkout that the tree was made for, whose attributes hold, or in the git directory if that is gone.

    Raises NotFound if the repository is away.
    """
    if is_away(record.repository):
        raise NotFound(f"'{record.line}': {away(record.repository)}")
    git = Git(record.repository, environ)
    if os.path.lexists(f"{record.checkout}/.git"):
        there = git.at(record.checkout)
        common = there.run("rev-parse", "--path-format=absolute", "--git-common-dir", ok=(0, 128)).line()
        if common and os.path.realpath(common) == record.repository:
            return there
    return git


def is_there(record: TreeRecord) -> bool:
    """Whether the tree is made and in its place."""
    known = registration(record.repository, record.path)
    return known is not None and known.made and os.path.isdir(record.path) and not os.path.islink(record.path)


def copied_into(record: TreeRecord) -> frozenset[str]:
    """The files that agentq copied into the tree."""
    known = registration(record.repository, record.path)
    return frozenset() if known is None else frozenset(map(os.fsdecode, known.copied()))


def made_again(record: TreeRecord) -> frozenset[str]:
    """The files that agentq copied into the tree and that are as they were copied: the checkout has them too."""
    known = registration(record.repository, record.path)
    return frozenset() if known is None or not known.made else frozenset(map(os.fsdecode, known.untouched()))


def config_of(git: Git) -> Sequence[str]:
    """The settings with which git looks at a tree: Git LFS is optional there."""
    return lfs_config(git)
