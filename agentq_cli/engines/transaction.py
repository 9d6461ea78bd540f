"""What a step of the queue (`steps`) works with: an open transaction of some engine, which knows named statements.

The engine owns the SQL of a statement; its name, the names of its values and the columns of its rows are the same in
every engine. Values are numbers, texts and None; what has a structure is the JSON text that `steps.rows` makes of it.
Nothing here is committed: a step that raises leaves that to the code that opened the transaction. Only type checkers
load this.
"""

from __future__ import annotations

from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, TypeAlias

    from agentq_cli.engines.steps.entering import Entering
    from agentq_cli.model.actions import Actor
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Run
    from agentq_cli.model.statuses import Status
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.workers import SupervisorState

    Row: TypeAlias = tuple[Any, ...]
    Values: TypeAlias = Mapping[str, object]


class Reading(Protocol):
    """What can be asked, with or without a transaction."""

    def ask(self, statement: str, values: Values = ..., /) -> list[Row]:
        """The rows of a statement, `FILE.NAME`."""

    def ask_each(self, *asked: tuple[str, Values]) -> list[list[Row]]:
        """The rows of several statements whose columns have names, asked at once."""

    def environment(self, number: int) -> str | None:
        """An environment that `keep_environment` has kept; None if that was on another host."""


class Snapshots(Reading, Protocol):
    """What can be asked several questions of one moment."""

    def snapshot(self) -> AbstractContextManager[None]:
        """All that is asked within sees one state. Writers may wait meanwhile, so it must do nothing slow."""

    def foresee(self, now: int, *, after: int | None, sessions: Collection[str]) -> None:
        """Said before a pick, which asks what prevents starts, what has changed since the event `after`, and for the
        heads of `sessions`. If each question takes its time, an engine asks them at once with the next one."""

    def marks(self) -> tuple[int, object]:
        """The id of the newest event, even if it has been pruned since, and how often the index was rebuilt."""

    def heads(self, now: int, sessions: Collection[str] | None = None) -> list[Row]:
        """The earliest waiting task of every group of tasks that may start under the same conditions (`order.Head`), by
        session; or only those of some sessions."""


class Writing(Snapshots, Protocol):
    """A transaction over what belongs to no session: holds, hooks, supervisors."""

    now: int
    """The time that its events carry."""

    actor: Actor

    @property
    def session(self) -> str | None:
        """The session of its events, if it is over one."""

    def tell(self, statement: str, values: Values = ..., /) -> object:
        """Change something, at the latest before the next question or the commit."""

    def change(self, statement: str, values: Values = ..., /) -> int:
        """Change something now; how many rows were changed."""

    def record(
        self,
        event: str,
        seq: int | None = None,
        *,
        run: RunId | None = None,
        before: Status | SupervisorState | None = None,
        after: Status | SupervisorState | None = None,
        reason: str | None = None,
        hook: str | None = None,
        agent: str | None = None,
    ) -> None:
        """Record an event in the same commit. `hook` is the hook that it calls, of `agent`, if its statuses do not
        imply it."""

    def holds_changed(self) -> None:
        """Called after each change of the holds on agents and on the queue."""


class Transaction(Writing, Protocol):
    """A transaction over one session: the only place where a task changes."""

    @property
    def session(self) -> str:
        """The session."""

    unsettled: list[int]
    """Tasks that have ended or been reopened, and whose dependents are still to be settled."""

    dependents: int
    """How many tasks have been found that waited for one that has ended or been reopened."""

    def task(self, seq: int) -> Task:
        """The task as it is now, locked. Raises NotFound."""

    def run(self, run: RunId) -> Run:
        """One attempt. Raises NotFound."""

    def keep_environment(self, text: str) -> int:
        """Keep the environment of a submitting shell (`base.environment.text`); equal ones have one number."""

    def next_seq(self) -> int:
        """The N of the next new task."""

    def insert(self, new: Sequence[Entering], batch: str | None = None) -> None:
        """Insert new tasks under the seqs that they have; invisible to others if they belong to a batch.

        `publish` or `mirror` follows. What a task waits for is stored by `dependencies.enter`, once all of those tasks
        have their addresses.
        """

    def publish(self, first: int, batch: str | None = None) -> None:
        """Show the new tasks from `first` on (only those of `batch`, if given), and record the submit of each."""

    def mirror(self, seq: int) -> None:
        """Bring what is known of a task outside its session in line with the task."""

    def put(self, before: Task, after: Task) -> bool:
        """Take a task from one state to the next, and nothing else. False: it was no longer as `before`; nothing
        changed."""

    def remove(self, seq: int) -> None:
        """Forget a task; its address is not used again."""

    def settle_elsewhere(self, session: str, seq: int) -> None:
        """Have a task of another session settled, which waits for one that has ended or been reopened."""

    def save(
        self,
        before: Task,
        after: Task,
        *,
        event: str | None,
        run: RunId | None = None,
        reason: str | None = None,
        rearm: bool = True,
        finished: int | None = None,
    ) -> bool:
        """`put` with all that follows from it (`steps.saving`), which every engine calls here."""

    def step(self) -> AbstractContextManager[None]:
        """Undo what is done within if it raises; what was done before in this transaction stays."""

    @property
    def lost(self) -> bool:
        """Whether a failure has undone the whole transaction."""

    def move_aside(self, task: Task) -> None:
        """Put the files of a task's runs where they are removed after the commit that forgets the task. Raises
        Refused."""
