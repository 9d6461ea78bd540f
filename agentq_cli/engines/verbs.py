"""The verbs of the queue: what each takes, returns and means (see `door`). Only type checkers load this."""

from __future__ import annotations

from typing import Protocol

from agentq_cli.model import Actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self, TypeAlias

    from agentq_cli.engines.nouns import Calls, Candidate, Claim, Plan
    from agentq_cli.engines.subdoors import Figures, Heads, Hooks, Upkeep, Voice
    from agentq_cli.host.bells import Bell
    from agentq_cli.host.output import OutputReader as Output
    from agentq_cli.host.place import Place
    from agentq_cli.model import (
        Address,
        Event,
        Identity,
        LastStart,
        Message,
        NewTask,
        Outcome,
        Run,
        RunId,
        SessionInfo,
        Status,
        Supervisor,
        Task,
        Undone,
        WaitingFor,
        Worker,
    )
    from agentq_cli.policy import order, waiting
    from agentq_cli.policy.admission import Gate
    from agentq_cli.policy.dependencies import Looked

    Parallel: TypeAlias = Callable[[str], int | None]
    """How wide a session is; None is up to the cap."""

    Edit: TypeAlias = Callable[[Task], Task]
    """A change of a task, made under its lock."""


class Queue(Protocol):
    """An open queue; a context manager, for one thread and one process."""

    here: Place

    @property
    def hooks(self) -> Hooks:
        """The hooks that events call for."""

    @property
    def voice(self) -> Voice:
        """What agents ask for."""

    @property
    def figures(self) -> Figures:
        """What screens and reports show."""

    @property
    def upkeep(self) -> Upkeep:
        """What the engine needs to stay in order: one pass of it."""

    def rehearsal(self) -> AbstractContextManager[Queue]:
        """The same queue as copies: what is done to it leaves everything as it is. One at a time."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    # What it is

    @property
    def exists(self) -> bool:
        """Whether anything is stored; what was opened before it was reads as empty for ever."""

    def check(self) -> None:
        """Raises Unreadable where what it works on is not there any more."""

    def rest(self) -> None:
        """Let go of what can be had again: there is nothing to be done for now."""

    def close(self) -> None:
        """Close everything."""

    @property
    def now(self) -> int:
        """The queue's wall clock."""

    def bell(self) -> Bell:
        """This process's doorbell, rung by what others commit; by it, too, they know that the process lives."""

    def session_names(self) -> list[str]:
        """The names of all sessions."""

    def known(self, session: str) -> None:
        """Raises NotFound, with the nearest name, where there is no such session, and Usage where it can be none."""

    # Tasks

    def submit(
        self, tasks: Sequence[NewTask], *, max_queued: int, owner: Identity | None = None, actor: Actor = Actor.USER
    ) -> list[tuple[Address, bool]]:
        """Store tasks, all or none, on disk when this returns. Each with whether it is new: False is the live task
        that holds its key. `owner` is who stores them, by default this process. Raises LimitReached, WrongState, and
        NotFound for a dependency that does not exist."""

    def task(self, address: Address, *, background: bool = False) -> Task:
        """One task. Raises NotFound, with the nearest session's name; with `background` Busy after a short wait."""

    def task_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        """Many tasks, each session's file opened once for hundreds of them; of each as it is, or why it is not seen."""

    def tasks(
        self,
        *,
        session: str | None = None,
        statuses: Collection[Status] = (),
        label: str | None = None,
        ended: bool = False,
        limit: int | None = None,
    ) -> Iterator[Task]:
        """Live tasks, soonest first; with `ended`, or where an ended status is asked for, then those that ended."""

    def live(self, address: Address) -> Task:
        """The task, or of a series its live occurrence. Raises NotFound."""

    def cancel_each(self, targets: Sequence[Address | RunId]) -> list[Task | Undone]:
        """`cancel` of many, of each as it is then, or why that could not be; of a run only while it is the live one.

        Here as in `pause_each` and the others those of a session are done in one commit.
        """

    def pause_each(self, addresses: Sequence[Address], *, reason: str | None) -> list[Task | Undone]:
        """`pause` of many."""

    def resume_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        """`resume` of many."""

    def edit(self, address: Address, edit: Edit) -> Task:
        """Change a waiting task by a function of it. Raises NotFound, WrongState."""

    def retry_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        """`retry` of many."""

    def trigger(self, address: Address) -> Task:
        """An extra occurrence of a series, due now. Raises NotFound, WrongState."""

    def prune_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        """`prune` of many."""

    def known_status(self, target: Address | RunId) -> Status | None:
        """The shown status of a task as the index has it, whatever its session's file; None where it has none."""

    def stopped_behind(self, task: Task) -> list[Task]:
        """The tasks of its session that its end, or what it was stopped by itself, has stopped in the same commit."""

    def depends(self, task: Task) -> list[Looked]:
        """How the tasks stand that a blocked one waits for."""

    def depended_on(self, address: Address) -> Address | None:
        """A live task that waits for this one, which is not pruned therefore."""

    def spent(self, task: Task) -> float:
        """Dollars that the runs of a task that have ended cost, as far as their agent said."""

    # Pauses, holds, and what comes to pass with time

    def arriving(self) -> list[tuple[Address, str]]:
        """Occurrences that are due and whose missed policy is still to be applied, each with its agent."""

    def arrive(self, address: Address, *, actor: Actor) -> None:
        """Apply that policy: the occurrence stays due, moves to another slot, or ends with its series."""

    def expired(self) -> list[Address]:
        """Waiting tasks whose time to start has passed."""

    def expire(self, address: Address, *, actor: Actor) -> Task | None:
        """End such a task; None where it is none any more."""

    def settle_dependents(self, *, actor: Actor) -> Iterator[Task]:
        """Finish what an end, or a retry, in one session means for tasks of others that wait for it; yields those.

        Within a session that is done in the very commit. Cheap where there is nothing to do.
        """

    def settle_dependents_in(self, session: str, *, actor: Actor) -> list[Task]:
        """The same of one session, as much as one short transaction can take; what has changed. Raises Busy."""

    def unsettled_sessions(self) -> list[str]:
        """The sessions of tasks that `settle_dependents` could not get at."""

    def ended_before(self, moment: int, *, session: str | None = None) -> list[Address]:
        """Tasks that ended before a time, oldest end first."""

    def pause_session(self, session: str, *, reason: str | None, paused: bool, actor: Actor = Actor.USER) -> bool:
        """Pause or resume a session. Returns whether that changed anything. Raises NotFound."""

    def reset_conversation(self, session: str, agent: str | None, *, actor: Actor = Actor.USER) -> list[str]:
        """Have a session's next task begin anew. Returns the agents of which a conversation was given up. Raises
        NotFound."""

    def pause_agent(self, agent: str | None, *, reason: str | None) -> None:
        """Start no task of an agent (None: of nobody, the whole queue) until `resume_agent`."""

    def resume_agent(self, agent: str | None) -> None:
        """Lift every hold of an agent (None: of the queue)."""

    def holds(self) -> list[waiting.Hold]:
        """What keeps an agent's tasks, or all, from starting."""

    # Runs

    def run(self, run_id: RunId) -> Run:
        """One attempt. Raises NotFound."""

    def runs(
        self,
        *,
        address: Address | None = None,
        session: str | None = None,
        statuses: Collection[str] = (),
        since: int | None = None,
        limit: int | None = None,
    ) -> Iterator[Run]:
        """The audit log, newest first."""

    def output(self, run: RunId, stream: str, offset: int = 0) -> Output:
        """What an attempt wrote on a stream (`stdout` or `stderr`) from the logical `offset` on, also while it runs."""

    def workers(self) -> list[Worker]:
        """Every live run."""

    def worker(self, address: Address) -> Worker | None:
        """The live run of a task, if there is one."""

    def look(self, sessions: Collection[str] = ()) -> order.Look:
        """What may be started, and what stands in the way, at this moment."""

    def heads(self, sessions: Collection[str] = ()) -> Heads:
        """What `look` finds to be started, kept from one start to the next; of some sessions only where given."""

    def around(self) -> order.Look:
        """What stands in the way of starts at this moment, without the heads and the retries that wait."""

    def calls(self, supervisor: Identity) -> Calls:
        """What there is to do for a supervisor besides starting and settling, in one question."""

    def next_due(self) -> int | None:
        """The earliest due time that is still to come."""

    def next_lift(self) -> int | None:
        """When the next hold on an agent ends by itself."""

    def limited_until(self) -> dict[str, int]:
        """The sessions with work that is due and held by a usage limit, each with when the first such limit ends."""

    def unfinished(self) -> set[tuple[str, str]]:
        """Session and agent of the tasks that are due or `retrying`, for `--drain` to wait for."""

    def candidate(self, head: order.Head) -> Candidate | None:
        """The task that a head stands for and what its run may build on, to make a plan of; None where it is gone."""

    def claim(
        self,
        candidate: Candidate,
        plan: Plan,
        *,
        supervisor: Identity,
        jobs: int,
        parallel: Parallel,
        host: str,
        newest: LastStart | None = None,
        monotonic: int = 0,
    ) -> Claim | None:
        """Take a task to run it by this plan; None where it may no longer be, or is not what the plan was made of.

        Tests again, locked, all that allowed the pick; with `newest` also that this is still the newest start, of
        whatever supervisor. `monotonic` is when this one is, in milliseconds of the supervisor's boot, for
        `last_start`.
        """

    def last_start(self) -> LastStart:
        """The newest claim of the state dir, whether it still runs or not."""

    def undo_claim(self, run: RunId, *, actor: Actor, reason: str, background: bool = False) -> bool:
        """Put a claimed task back that was never started, without using an attempt. False: it was no longer claimed.
        With `background` a busy file raises Busy after a short wait."""

    def finish(self, run: RunId, outcome: Outcome, *, actor: Actor, background: bool = False) -> Task | None:
        """Record how a run ended; None where somebody else did before. With `background` a busy session file raises
        Busy after a short wait, to be tried again later."""

    def why_unposted(self, run: RunId | str) -> str | None:
        """Why the result row of a run that was finished here is not in outbound.db; None where it is. Told once."""

    def seen_conversation(self, run: RunId, agent: str, conversation: str) -> None:
        """Store a conversation's id as soon as the agent names it."""

    def adopt(self, worker: Worker, supervisor: Identity) -> bool:
        """Take over the watch of a run whose supervisor is gone. False: another one was faster."""

    def request_stop(
        self,
        run: RunId,
        *,
        reason: str,
        cancel: bool,
        actor: Actor,
        run_only: bool = False,
        background: bool = False,
    ) -> bool:
        """Record, once, that a run is to end; with `cancel` its task counts as cancelled, and with `run_only` its
        series goes on. False: it runs no longer. With `background` a busy file raises Busy after a short wait."""

    # Supervisors

    def join(self, supervisor: Supervisor) -> None:
        """Go on duty: make a supervisor known, from which on this process goes on working here."""

    def renew(self, identity: Identity, *, jobs: int, renewed_at: int) -> None:
        """Say that a supervisor is there; `renewed_at` is monotonic milliseconds."""

    def set_gates(self, identity: Identity, gates: Sequence[Gate]) -> None:
        """Record the gates of a supervisor of which one holds its starts back; none where none does any more."""

    def leave(self, identity: Identity) -> None:
        """Go off duty, or have somebody who is gone be so; what ran under it is anybody's then."""

    def supervisors(self) -> list[Supervisor]:
        """Every supervisor that is on record, dead ones that nobody has cleared yet too."""

    def living(self) -> list[Supervisor]:
        """The supervisors that can be counted on: alive, and not stopped while they had runs to watch."""

    def serving(self, session: str) -> list[Supervisor]:
        """The supervisors that serve a session and are alive."""

    def orphaned(self) -> list[Worker]:
        """The live runs whose supervisor is gone, or has not renewed its row within the lease."""

    def watched(self, worker: Worker) -> bool:
        """Whether a run's supervisor is there to settle it: alive, and not stopped for longer than its lease."""

    def lives(self, owner: Identity) -> bool:
        """Whether a process that has a doorbell here, a supervisor's or an owner's, still runs, in whichever realm."""

    def last_sweep(self) -> int | None:
        """When somebody last swept."""

    # Readings

    def sessions(self) -> Iterator[SessionInfo]:
        """Every session by name. One that cannot be read has no conversations, and is raised at the end."""

    def pause_reason(self, session: str) -> str | None:
        """Why a session is paused; None where no reason was given, or it is not."""

    def events(
        self, *, address: Address | None = None, since: int | None = None, limit: int | None = None
    ) -> Iterator[Event]:
        """Every change of state, newest first."""

    def events_after(self, after: int, *, address: Address | None = None) -> list[Event]:
        """What has happened since the event of that id, oldest first, a page at a time."""

    def last_event(self) -> int:
        """The id of the newest event."""

    def messages(self, session: str, *, since: int | None = None, limit: int | None = None) -> Iterator[Message]:
        """What a session's agents said, newest first. Raises NotFound."""

    def messages_after(self, session: str, after: int) -> tuple[list[Message], int]:
        """What was said since position `after`, oldest first, and the position to ask from next."""

    def last_message(self, session: str) -> int:
        """The position of a session's newest message. Raises NotFound."""

    def waiting_for(
        self, task: Task, *, jobs: int, parallel: int | None, gate: Gate | None = None
    ) -> WaitingFor | None:
        """Why a task is not running. `jobs` is the widest live supervisor's, 0 where none lives; `gate` the first that
        holds one of theirs."""
