"""The trees of this machine, each with its state. A tree that cannot be looked into, or whose repository is away, stops
nothing."""

from __future__ import annotations

import itertools
import os

from agentq_cli.base.dataclass import dataclass, replace
from agentq_cli.base.enumeration import StrEnum
from agentq_cli.base.errors import AgentqError
from agentq_cli.git.advance import commit_at
from agentq_cli.git.branches import find_branch
from agentq_cli.git.holds import LEFT, find_holds
from agentq_cli.git.merge import UNCHANGED, find_landed
from agentq_cli.git.repository import HEADS
from agentq_cli.git.runner import Git
from agentq_cli.git.status import find_status
from agentq_cli.git.tree_state import Condition, away, disk_usage, find_condition
from agentq_cli.model.branches import is_own
from agentq_cli.model.statuses import Status
from agentq_cli.trees import register
from agentq_cli.trees.lines import config_of, copied_into, made_again
from agentq_cli.trees.records import TreeRecord, tree_of
from agentq_cli.trees.stuck import find_stuck

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agentq_cli.engines.door import Queue
    from agentq_cli.git.holds import Hold

FIRST = 3
"""How many of the things that hold a tree are named."""


class State(StrEnum):
    """What becomes of a tree. USED: a run works in it. WAITING: a task of it is still to run, or its work has not
    landed. LANDED: merging its branch would change no file. UNCHANGED: nothing was done. HOLDS: nobody is to use it any
    more, and whether its work has landed or not, what no snapshot can hold keeps it: a person must look. VANISHED: it,
    or its repository, is not there."""

    USED = "used"
    WAITING = "waiting"
    LANDED = "landed"
    UNCHANGED = "unchanged"
    HOLDS = "holds"
    VANISHED = "vanished"


@dataclass(frozen=True, slots=True)
class Listed:
    """A tree as it is now. `ahead` and `behind` count the commits that its branch, or the branch it lands on, has and
    the other lacks. `holds` are the first things that no snapshot can hold, `note` says what else there is to
    say, as what could not be found out; what is not known is None."""

    record: TreeRecord
    state: State
    ahead: int | None = None
    behind: int | None = None
    dirty: bool | None = None
    size: int | None = None
    holds: tuple[Hold, ...] = ()
    note: str = ""

    @property
    def held_by(self) -> tuple[str, ...]:
        """The first things that no snapshot can hold, in words."""
        return tuple(f"HEAD on {each.path}" if each.what == LEFT else each.path for each in self.holds)

    @property
    def removable(self) -> bool:
        """Whether it may go without a person: nothing in it is missing elsewhere."""
        return self.state in (State.LANDED, State.UNCHANGED)


@dataclass(frozen=True, slots=True)
class Uses:
    """Which trees are in use: by a run now, or by a task that is still to end. Paths of trees."""

    running: frozenset[str]
    live: frozenset[str]


def find_uses(queue: Queue, trees: str) -> Uses:
    """The trees in use, by what the queue says: a task whose conversation is not chosen yet may use those of all of its
    session. Raises Unreadable, OSError."""
    having = [task for task in queue.tasks() if task.work.launch.repository is not None]
    paths = {task.address: tree_of(trees, task.work, task.address, task.conversation_key) for task in having}
    running = {task.address for task in having if task.status is Status.RUNNING}
    free = {task.session for task in having if task.conversation_key is None and not is_own(task.work)}
    any_of = (
        [each.path for each in register.records(trees) if each.seq is None and each.session in free] if free else []
    )
    return Uses(frozenset(paths[each] for each in running), frozenset((*paths.values(), *any_of)))


def listed(
    queue: Queue,
    trees: str,
    environ: Mapping[str, str],
    caches: Collection[str],
    *,
    session: str | None = None,
    key: str | None = None,
) -> Iterator[Listed | register.BadRecord]:
    """All trees, or those of a session, or of its conversation with this key, by number; before them the records that
    cannot be read. Raises OSError."""
    found = list(register.entries(trees))
    yield from (each for each in found if isinstance(each, register.BadRecord))
    of_session = [each for each in found if isinstance(each, TreeRecord) and session in (None, each.session)]
    records = [each for each in of_session if key in (None, each.key)]
    if not records:
        return
    uses = find_uses(queue, trees)
    from concurrent.futures import ThreadPoolExecutor

    # Each takes git a dozen processes.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        records.sort(key=lambda each: each.number)
        for each in threads.map(lambda record: look(record, uses, environ, caches), records):
            yield _with_landing(queue, each)


def _with_landing(queue: Queue, tree: Listed) -> Listed:
    """The same; its note says too why its work could not land."""
    stuck = find_stuck(queue, tree.record) if tree.state in (State.WAITING, State.HOLDS) else None
    if stuck is None:
        return tree
    return replace(tree, note="; ".join(filter(None, (tree.note, stuck.what, stuck.then))))


def look(record: TreeRecord, uses: Uses, environ: Mapping[str, str], caches: Collection[str]) -> Listed:
    """One tree as it is now; what goes wrong is its note."""
    in_use = State.USED if record.path in uses.running else State.WAITING if record.path in uses.live else None
    try:
        condition = find_condition(record.repository, record.path)
        if condition is not Condition.READY:
            state = in_use if in_use is State.USED else State.VANISHED
            return Listed(record, state, note=not_there(record, condition))
        return _look(record, in_use, Git(record.path, environ), caches)
    except (AgentqError, OSError) as error:
        note = error.message if isinstance(error, AgentqError) else f"'{error.filename}': {error.strerror}"
        return Listed(record, in_use or State.WAITING, note=note)


def not_there(record: TreeRecord, condition: Condition) -> str:
    """Why a tree in this condition is not ready, in words."""
    return NOT_THERE[condition].format(record=record) if condition in NOT_THERE else away(record.repository)


NOT_LANDED = "its work has not landed"

NOT_THERE = {
    Condition.UNMADE: "it is not made",
    Condition.VANISHED: "its directory is gone",
    Condition.UNKNOWN: "the repository '{record.repository}' does not know it any more",
}


def _look(record: TreeRecord, in_use: State | None, git: Git, caches: Collection[str]) -> Listed:
    copied, config = copied_into(record), config_of(git)
    status = find_status(git, config=config).without(copied)
    found = find_holds(git, record.branch, record.start, made_again(record), caches, config)
    holds = tuple(itertools.islice(found, FIRST))
    head = find_branch(git, record.branch) or status.head
    onto = find_onto(git, record)
    dirty = bool(status.paths())
    ahead = behind = None
    if head and onto:
        ahead, behind = map(int, git.line("rev-list", "--left-right", "--count", f"{head}...{onto}").split())
    became = _landed(git, record, head, onto, dirty) if head and not in_use else State.WAITING
    state = in_use or (State.HOLDS if holds else became)
    note = NOT_LANDED if state is State.HOLDS and became is State.WAITING else ""
    return Listed(record, state, ahead, behind, dirty, disk_usage(record.path), holds, note)


def _landed(git: Git, record: TreeRecord, head: str, onto: str, dirty: bool) -> State:
    if head == record.start and dirty:
        return State.WAITING  # all that was done is uncommitted
    found = find_landed(git, onto or record.start, head, record.start)
    if found is None:
        return State.WAITING
    return State.UNCHANGED if found == UNCHANGED else State.LANDED


def find_onto(git: Git, record: TreeRecord) -> str:
    """The commit that its work is to land on: that of the branch that was named, else of the branch that it began from,
    or of the upstream of that if it is ahead; empty if it began from no branch. Raises GitFailed."""
    if record.onto is not None:
        return commit_at(git, HEADS + record.onto)
    name = git.run("rev-parse", "--symbolic-full-name", "--verify", "--quiet", record.base, ok=(0, 1, 128)).line()
    if not name.startswith("refs/"):
        return ""
    own, upstream = commit_at(git, name), commit_at(git, f"{name}@{{upstream}}") if name.startswith(HEADS) else ""
    if not own or (upstream and git.line("rev-list", "--count", f"{own}..{upstream}") != "0"):
        return upstream
    return own
