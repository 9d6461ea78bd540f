"""Which tree an address or a session means, with git where its objects are. The tree itself may be gone."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import NotFound, Usage, WrongState
from agentq_cli.git.registrations import registration
from agentq_cli.git.runner import Git
from agentq_cli.git.tree_state import away, is_away
from agentq_cli.git.trees import lfs_config
from agentq_cli.model.addresses import Address
from agentq_cli.model.branches import is_own
from agentq_cli.trees import register
from agentq_cli.trees.records import TreeRecord, tree_of
from agentq_cli.trees.removed import Removed, all_removed, removed_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentq_cli.engines.door import Queue
    from agentq_cli.model.tasks import Task
    from agentq_cli.policy.placement import Bound


@dataclass(frozen=True, slots=True)
class Line:
    """A line of work that has, or had, a tree. `removed` is what is known of a tree that was removed."""

    record: TreeRecord
    removed: Removed | None = None


def line_of(
    queue: Queue, trees: str, target: Address | str, key: str | None = None, *, also_gone: bool = False
) -> Line:
    """The line of work that a task belongs to, or that a session with this name is, or with `key` its conversation of
    that key. A session may have several trees: then only one is meant if the others are gone, and `also_gone` counts
    those too. Raises NotFound, WrongState if there is no tree here, Usage if it is not clear which is meant, BadRecord,
    OSError."""
    try:
        return (
            _of_session(queue, trees, target, key, also_gone) if isinstance(target, str) else _of(queue, trees, target)
        )
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


def _of(queue: Queue, trees: str, target: Address) -> Line:
    try:
        task = queue.task(target)
    except NotFound:
        found = _found(trees, target.session, target.seq)
        if found is None:
            raise
        return found
    path = None if task.work.launch.repository is None else _path(trees, task)
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


def _path(trees: str, task: Task) -> str:
    """The path of the tree of a task, which has one. Raises WrongState if that depends on the conversation that is
    chosen for it once it starts."""
    key = task.conversation_key
    if key is None and not task.runs and not is_own(task.work):
        keys = {each.key for each in register.records(trees) if each.session == task.session and each.seq is None}
        if len(keys) > 1:
            raise WrongState(f"task '{task.address}': which tree it runs in is chosen when it starts")
        key = next(iter(keys), None)
    return tree_of(trees, task.work, task.address, key)


def _of_session(queue: Queue, trees: str, session: str, key: str | None, also_gone: bool) -> Line:
    found: dict[str | None, Line] = {}
    for record in register.records(trees):
        if _is_of(record, session, key):
            found.setdefault(record.key, Line(record))
    if also_gone or not found:
        for gone in all_removed(trees):
            if _is_of(gone.record, session, key):
                found.setdefault(gone.record.key, Line(gone.record, gone))
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        keys = ", ".join(sorted(str(each) for each in found))
        raise Usage(f"session '{session}': several of its conversations have a tree; name one: --conversation {keys}")
    queue.known(session)
    _refuse_elsewhere(queue.placing.bound(session), f"session '{session}'")
    mine = [each for each in register.records(trees) if each.session == session]
    also = f"; its tasks have, such as {mine[0].line}" if mine else ""
    what = f"session '{session}'" if key is None else f"conversation '{key}' of session '{session}'"
    raise NotFound(f"{what}: it has no tree{also}")


def _is_of(record: TreeRecord, session: str, key: str | None) -> bool:
    return (record.session, record.seq) == (session, None) and key in (None, record.key)


def _refuse_elsewhere(bound: Bound | None, what: str) -> None:
    """Raises WrongState if the tree is on another host."""
    if bound is not None and not bound.here:
        raise WrongState(f"{what}: its tree, if there is one, is on host '{bound.name}'; this is another machine")


def _found(trees: str, session: str, seq: int) -> Line | None:
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
