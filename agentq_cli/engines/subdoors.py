"""The sub-doors of the queue: hooks, what agents ask for, figures, upkeep; and a supervisor's heads (see `door`)."""

from __future__ import annotations

from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import TypeAlias

    from agentq_cli.engines.nouns import Answer, Fault, FoundRun, Leftovers, Trouble
    from agentq_cli.model import (
        Actor,
        Address,
        Identity,
        NewTask,
        PastRun,
        RunId,
        RunStatus,
        Status,
        SweepAction,
        Task,
    )
    from agentq_cli.options.requests import Refusal, Request
    from agentq_cli.policy import figures as numbers
    from agentq_cli.policy import hooks as hook_policy
    from agentq_cli.policy import order
    from agentq_cli.policy.schedule import Schedule

    Template: TypeAlias = Callable[[Request, Task | None], NewTask]
    """The task that a session's agent asks for, from the session's last prompt. Raises Usage."""

    Reschedule: TypeAlias = Callable[[Request, Schedule | None], Schedule]
    """The schedule that it asks for, from what it was before. Raises Usage."""

    Told: TypeAlias = Callable[[Task, RunId, tuple[RunStatus, int] | None], FoundRun | None]
    """What the files of a run tell of it, beside what its result row says: how it ended, and when."""

    Step: TypeAlias = Iterator[SweepAction | Trouble]


class Hooks(Protocol):
    """The hooks that events call for; each is one process's to run."""

    def wait(self, names: Collection[str], *, after: int, configured_at: int) -> bool:
        """Whether an event after `after`, which the caller has looked at before, calls for one of these hooks."""

    def begun(self) -> bool:
        """Whether anybody has looked for hooks to run before."""

    def collect(self, names: Collection[str], owner: Identity, *, configured_at: int) -> None:
        """Hand what the new events call for to `owner`, each to one process only. `configured_at` is when the hooks
        were, for events from before anybody looked for any."""

    def inherit(self, owner: Identity) -> None:
        """Take over the hooks of processes that are gone."""

    def own(self, owner: Identity, *, limit: int) -> list[hook_policy.Call]:
        """The next hooks that are `owner`'s to run, those that it runs already too."""

    def record(self, ran: Sequence[hook_policy.Ran], owner: Identity, *, actor: Actor) -> None:
        """Forget hooks that have run, and record their failures."""

    def failures(self) -> list[hook_policy.Failure]:
        """The hooks whose last run failed."""


class Voice(Protocol):
    """What agents ask for in the outbound files of their sessions."""

    def stamp(self, session: str) -> str | None:
        """What changes when the session's outbound.db does; None where there is none."""

    def may_ask(self, session: str) -> bool:
        """Whether a session's outbound.db is not what it was when this process last found all of it answered."""

    def remember(self, session: str, seen: str | None) -> None:
        """Note that the requests of an outbound.db with this stamp have been answered."""

    def asked(self, session: str, most: int) -> Iterator[tuple[str, object]]:
        """What a session's agents ask for and was not answered, `most` of it: id and content, in their order."""

    def apply(
        self,
        session: str,
        message: str,
        request: Request | Refusal,
        *,
        template: Template,
        reschedule: Reschedule,
        max_queued: int,
    ) -> Answer | None:
        """Carry a request out, once, and record the answer in the same commit; None where it was answered before."""


class CopiedRuns(Protocol):
    """A copy of the audit log, to make figures of."""

    def figures(self, group: str, *, running: bool = True) -> dict[numbers.FiguresKey, numbers.Figures]:
        """The figures by the key of `group`: all, session, agent, both; without `running` of runs that have ended."""

    def grouped(self, *groups: str, running: bool = True) -> list[dict[numbers.FiguresKey, numbers.Figures]]:
        """The figures of several groups."""


class Figures(Protocol):
    """What screens and reports show: many tasks or runs at once."""

    def live_counts(self) -> dict[str, dict[Status, int]]:
        """The live tasks of each session that has some, by shown status."""

    def ended_counts(self, since: int = 0) -> dict[Status, int]:
        """The tasks that have ended from a time on, by status."""

    def last_failed(self, since: int) -> Address | None:
        """The task that failed last, from a time on."""

    def anything(self) -> bool:
        """Whether there is any task at all."""

    def glance(self, limit: int) -> list[Task]:
        """Some of the tasks that wait, up to `limit` of each kind: those that are due, those that come next, those that
        are paused or blocked; each soonest first. What cannot be read at once is left out."""

    def recent_ends(self, limit: int) -> list[PastRun]:
        """The runs that ended last, newest first."""

    def history(self, *, session: str | None = None, since: int | None = None) -> Iterator[PastRun]:
        """Every run, or those that began from a time on, newest first."""

    def session_tasks(self, session: str | None = None) -> Iterator[numbers.SessionTasks]:
        """The tasks of every session, or of one, in numbers."""

    def copied_runs(
        self, *, session: str | None = None, since: int | None = None
    ) -> contextlib.AbstractContextManager[CopiedRuns]:
        """A copy of the audit log to make figures of, so that nothing stays locked meanwhile."""

    def run_counters(self, copy: CopiedRuns, session: str | None = None) -> dict[numbers.FiguresKey, numbers.Figures]:
        """Figures by session and agent that only ever grow."""


class Upkeep(Protocol):
    """What an engine needs to stay in order: for a sweep `begin`, `asking`, `end`, for a supervisor `recall`."""

    def begin(
        self, told: Told, *, host: str, session: str | None = None, rebuild: bool = False, config: str | None = None
    ) -> Step:
        """What comes before everything else of a sweep, of one session where that is named; with `rebuild` the index
        is made anew. `told` is what the files of a run tell of it, `config` what to remember of the configuration."""

    def asking(self) -> list[str]:
        """The sessions in the turn of this sweep in which agents may ask for something."""

    def end(self, session: str | None = None) -> Step:
        """What comes once everything has been settled."""

    def recall(self, told: Told, *, host: str, wanted: Callable[[str], bool]) -> Iterator[str]:
        """Have the index know what the files of the sessions that are `wanted` hold and it does not know: put back
        from an older copy; says what was mended."""

    def give_up(self, run: RunId) -> None:
        """Forget a live run whose session's file cannot be read, so that it holds no slot for ever.

        Its task is still running in that file: a rebuilt index finds it there once the file is readable again.
        """

    def faults(self) -> Iterator[tuple[str, Fault]]:
        """What is wrong with the files of each session, as far as that can be told now."""

    def leftovers(self) -> Leftovers:
        """What there is for a sweep to bring in order."""


class Heads(Protocol):
    """What may be started, kept from one start to the next."""

    def doubt(self, session: str) -> None:
        """Have a session looked at again, whatever the events say."""

    def pick(
        self,
        *,
        now: int,
        jobs: int,
        ageing_ms: int | None,
        parallel: Callable[[str], int | None],
        without: Collection[str] = (),
    ) -> order.Head | None:
        """The task to start next, of no session in `without`; None where no slot is free or none may start."""
