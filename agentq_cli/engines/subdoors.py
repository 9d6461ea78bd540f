"""The sub-doors of the queue: files of runs, hooks, agents' requests, figures, upkeep; and a supervisor's heads (see
`door`)."""

from __future__ import annotations

from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self, TypeAlias, Unpack

    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.nouns import (
        Answer,
        Calls,
        Candidate,
        Claim,
        Claiming,
        Fault,
        FoundRun,
        Leftovers,
        Plan,
        Trouble,
        WhichRuns,
    )
    from agentq_cli.engines.shared.cargo import Cargo
    from agentq_cli.engines.transaction import Snapshots
    from agentq_cli.model.actions import Actor, SweepAction
    from agentq_cli.model.addresses import Address, RunId
    from agentq_cli.model.checkpoints import Checkpoint
    from agentq_cli.model.runs import PastRun
    from agentq_cli.model.statuses import RunStatus, Status
    from agentq_cli.model.tasks import NewTask, Task
    from agentq_cli.model.trees import Made
    from agentq_cli.options.requests import Refusal, Request
    from agentq_cli.policy import figures as numbers
    from agentq_cli.policy import hooks as hook_policy
    from agentq_cli.policy import order
    from agentq_cli.policy.placement import Bound, PassedOver
    from agentq_cli.policy.pool import Pool
    from agentq_cli.policy.schedule import Schedule

    Template: TypeAlias = Callable[[Request, Task | None], NewTask]
    """The task that a session's agent requests, from the session's last prompt. Raises Usage."""

    Reschedule: TypeAlias = Callable[[Request, Schedule | None], Schedule]
    """The schedule that the agent requests, from what it was before. Raises Usage."""

    FindRun: TypeAlias = Callable[[Task, RunId, tuple[RunStatus, int] | None], FoundRun | None]
    """What the files of a run report about it, together with its result row (how it ended, and when)."""

    Step: TypeAlias = Iterator[SweepAction | Trouble]


class RunFiles(Protocol):
    """What is known of a run from its files, beside its row and what it printed; None for what they do not have."""

    @property
    def path(self) -> str | None:
        """Their directory on this machine; None if they are on another one."""

    def prompt(self) -> str | None:
        """What the agent read as its prompt on stdin."""

    def checkpoint(self) -> Checkpoint | None:
        """Where the run found a repository and how it left that."""

    def made(self) -> Made | None:
        """The run's tree."""

    def stage(self) -> str | None:
        """The stage that a live run is in, by its name in `policy.stages`; None for its agent."""

    def pid(self) -> int | None:
        """The agent's own process."""


class Hooks(Protocol):
    """The hooks that events call; each call belongs to one process."""

    def wait(self, names: Collection[str], *, after: int, configured_at: int) -> bool:
        """Whether an event after `after`, up to which the caller has already checked, calls one of these hooks."""

    def begun(self) -> bool:
        """Whether any process has checked for hooks before."""

    def collect(self, names: Collection[str], owner: Identity, *, configured_at: int) -> None:
        """Assign the calls of the new events to `owner`, each call to one process only. `configured_at` is when the
        hooks were configured; it matters for events from before the first check."""

    def inherit(self, owner: Identity) -> None:
        """Take over the hooks of dead processes."""

    def own(self, owner: Identity, *, limit: int) -> list[hook_policy.Call]:
        """The next hooks that `owner` has to run, including those that it is running."""

    def record(self, ran: Sequence[hook_policy.Ran], owner: Identity, *, actor: Actor) -> None:
        """Remove hooks that have run, and record their failures."""

    def failures(self) -> list[hook_policy.Failure]:
        """The hooks whose last run failed."""


class Voice(Protocol):
    """What agents request in the outbound files of their sessions."""

    def stamp(self, session: str) -> str | None:
        """A stamp that changes when the session's outbound.db does; None if there is no such file."""

    def may_ask(self, session: str) -> bool:
        """Whether a session's outbound.db has changed since this process last found all its requests answered."""

    def remember(self, session: str, seen: str | None) -> None:
        """Note that the requests of an outbound.db with this stamp have been answered."""

    def asked(self, session: str, most: int) -> Iterator[tuple[str, object]]:
        """The unanswered requests of a session's agents, at most `most`: id and content, in their order."""

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
        """Carry out a request, once, and record the answer in the same commit; None if it was answered before."""


class Figures(Protocol):
    """What screens and reports show: many tasks or runs at once."""

    def live_counts(self) -> dict[str, dict[Status, int]]:
        """The live tasks of each session that has any, by shown status."""

    def ended_counts(self, since: int = 0) -> dict[Status, int]:
        """The tasks that have ended since a time, by status."""

    def last_failed(self, since: int) -> Address | None:
        """The task that failed last since a time, or None."""

    def anything(self) -> bool:
        """Whether there is any task."""

    def glance(self, limit: int) -> list[Task]:
        """Some of the waiting tasks, up to `limit` of each kind: due, due later, and paused or blocked; each kind
        soonest first. Tasks that cannot be read at once are left out."""

    def recent_ends(self, limit: int) -> list[PastRun]:
        """The runs that ended last, newest first."""

    def series(self, limit: int) -> list[tuple[Task, PastRun | None]]:
        """The live occurrences of up to `limit` series, soonest first, each with the newest run of its series that has
        ended: None if it is not among the last runs of its session. Those that cannot be read at once are left out."""

    def history(self, **which: Unpack[WhichRuns]) -> Iterator[PastRun]:
        """Every run that these filters select, newest first."""

    def session_tasks(self, session: str | None = None) -> Iterator[numbers.SessionTasks]:
        """The tasks of every session, or of one, in numbers."""

    def of_runs(self, *groups: str, **which: Unpack[WhichRuns]) -> list[dict[numbers.FiguresKey, numbers.Figures]]:
        """These runs in numbers, by the key of each group: all, session, agent, both. They are read bit by bit, so that
        nobody waits for long; a run that ends meanwhile is counted once, as running or as ended."""

    def run_counters(self, session: str | None = None) -> dict[numbers.FiguresKey, numbers.Figures]:
        """Figures by session and agent that never decrease."""


class Moving(Protocol):
    """Sessions that leave for another queue, and those that come from one. A session that left stays here to be read;
    whoever would change it is told where it is."""

    def sessions(self) -> list[str]:
        """The sessions that are here."""

    def left(self) -> dict[str, str]:
        """Where those are that have left, by session."""

    def running(self, sessions: Collection[str]) -> list[RunId]:
        """What of these sessions runs now."""

    def torn(self, sessions: Collection[str]) -> list[tuple[str, str]]:
        """The dependencies between these sessions and others: the task that waits, and the one that it waits for."""

    def leave(self, sessions: Collection[str], to: str, *, all_of_them: bool) -> None:
        """Close sessions for everybody, who is told where they are: `to`. With `all_of_them` no new one is made here.
        May be repeated. Raises WrongState if something runs."""

    def cargo(self, sessions: Collection[str], *, all_of_them: bool, log_bytes: int | None) -> Cargo:
        """What these sessions consist of; with `all_of_them` also what belongs to no session. `log_bytes` is the most
        of a run's stream, None leaves out what runs printed."""

    def take_in(self, cargo: Cargo, *, source: str, all_of_them: bool) -> None:
        """Store sessions that come from elsewhere, in place of what they had been here before they left."""


class Upkeep(Protocol):
    """What an engine needs to stay in order: a sweep calls `begin`, `asking`, `end`, a supervisor `recall`."""

    def begin(
        self,
        find_run: FindRun,
        *,
        host: str,
        session: str | None = None,
        rebuild: bool = False,
        config: str | None = None,
    ) -> Step:
        """The first part of a sweep, limited to one session if one is given; with `rebuild` the index is rebuilt.
        `find_run` returns what the files of a run report about it, `config` what to remember of the configuration."""

    def asking(self) -> list[str]:
        """The sessions in this sweep's turn in which agents may have requested something."""

    def end(self, session: str | None = None) -> Step:
        """The last part of a sweep, after everything has been settled."""

    def recall(self, find_run: FindRun, *, host: str, wanted: Callable[[str], bool]) -> Iterator[str]:
        """Add to the index what the files of the `wanted` sessions contain and the index lacks, as after it was
        restored from an older copy; yields what was repaired."""

    def give_up(self, run: RunId) -> None:
        """Remove a live run whose session's file cannot be read, so that it does not hold a slot for ever.

        Its task is still running in that file: a rebuilt index finds it there once the file is readable again.
        """

    def faults(self) -> Iterator[tuple[str, Fault]]:
        """What is wrong with the files of each session, as far as that can be known now."""

    def leftovers(self) -> Leftovers:
        """What a sweep has to clean up."""


class Bell(Protocol):
    """A process's bell; a context manager. It is rung by commits, though not by this process's own."""

    slow: str | None
    """Why it rings each second and not when something happens; None: it need not."""

    def fileno(self) -> int:
        """A descriptor to poll for reading. Raises Refused if there is no bell."""

    def empty(self) -> None:
        """Take all rings; call this before the check that answers them."""

    def rung(self) -> bool:
        """Whether what made the descriptor readable is a ring."""

    def wait(self, seconds: float) -> bool:
        """Wait for a ring, for at most this many seconds; returns whether there was one. The bell is emptied."""

    def tried(self) -> str | None:
        """Wait until it is known whether rings arrive; why they do not, None if they do."""

    def close(self) -> None:
        """Remove the bell."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Placing(Protocol):
    """Which host runs what, if there are several."""

    def expected(self, key: str) -> bool:
        """Whether the host whose place has this key is to be waited for: it has not left for longer than a lease, and
        is not lost."""

    def bound(self, session: str) -> Bound | None:
        """The host that a session is bound to; None: to none, or there is only one host."""

    def ran_on(self, address: Address) -> Bound | None:
        """The host of the task's last run; None if it has never run, or if there is only one host."""

    def note(self, passed: Sequence[PassedOver]) -> None:
        """Note for everybody what this host has passed over, and what it has not any more."""

    def passed_over(self, session: str) -> list[PassedOver]:
        """What the hosts that are there have passed over in a session, and still do."""


class Turn(Protocol):
    """One commit of a session: runs of it end, and its next tasks are claimed, each in a `step` of its own."""

    @property
    def reading(self) -> Snapshots:
        """What the queue is in this turn, of all sessions."""

    @property
    def awaited(self) -> Collection[RunId]:
        """Those of the runs that it has ended whose tasks other tasks waited for."""

    def step(self) -> AbstractContextManager[None]:
        """What is done within is undone if it raises; the other steps stay, unless all is `lost`."""

    @property
    def lost(self) -> bool:
        """Whether a failure has undone the whole turn."""

    @property
    def now(self) -> int:
        """The time of all that it does."""

    def calls(self, supervisor: Identity) -> Calls:
        """As the queue's, in this turn."""

    def around(self) -> order.Snapshot:
        """As the queue's, in this turn."""

    def finish(self, run: RunId) -> Task | None:
        """Record how one of the turn's runs ended; None if another process did so before. Raises NotFound."""

    def candidate(self, head: order.Head, pool: Pool | None = ...) -> Candidate | None:
        """As the queue's, in this turn, for a head of its session."""

    def claim(self, candidate: Candidate, plan: Plan, **options: Unpack[Claiming]) -> Claim | None:
        """As the queue's, in this turn."""


class Heads(Protocol):
    """What may be started, kept up to date from one start to the next."""

    def doubt(self, session: str) -> None:
        """Have a session checked again, even if no event mentions it."""

    def forget(self) -> None:
        """Read everything again at the next pick: a turn that it picked in was undone."""

    def only(self, session: str) -> bool:
        """Whether no other session has a waiting task, as of the last pick."""

    def foresee(self, turn: Turn, session: str) -> None:
        """Have what a pick in a turn of a session will ask be asked with the turn's next question."""

    def pick(
        self,
        *,
        now: int,
        jobs: int,
        ageing_ms: int | None,
        parallel: Callable[[str], int | None],
        place: order.Place = ...,
        without: Collection[str] = (),
        fleet_jobs: int | None = None,
        fits: order.Fits = ...,
        turn: Turn | None = None,
    ) -> order.Head | None:
        """The task to start next, from no session in `without`; None if no slot is free or no task may start. `jobs` is
        the cap of this host, `fleet_jobs` that of all hosts together, None if there is none. With `turn` it is picked
        from what that turn has made of the queue.

        `place` finds the directory in which a task's agent would edit; by default no agent edits.
        """
