"""The verbs of the queue: what each takes, returns and means (see `door`). Only type checkers load this.

It is long because it is one protocol: what an engine has to do stands here and nowhere else.
"""

from __future__ import annotations

from typing import Protocol

from agentq_cli.model.actions import Actor, Undone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self, TypeAlias, Unpack

    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.nouns import Ahead, Calls, Candidate, Claim, Claiming, Plan, Renewal, Rescued, WhichRuns
    from agentq_cli.engines.subdoors import Bell, Figures, Heads, Hooks, Moving, Placing, RunFiles, Turn, Upkeep, Voice
    from agentq_cli.host.output import Output
    from agentq_cli.host.place import Place
    from agentq_cli.host.run_directory import RunDirectory
    from agentq_cli.model.addresses import Address, RunId
    from agentq_cli.model.fleet import FleetSettings
    from agentq_cli.model.hosts import Host
    from agentq_cli.model.runs import Outcome, Run
    from agentq_cli.model.sessions import Conversation, Event, Message, SessionInfo
    from agentq_cli.model.statuses import Status
    from agentq_cli.model.tasks import NewTask, Task, WaitingFor
    from agentq_cli.model.workers import LastStart, Sign, Supervisor, SupervisorState, Worker
    from agentq_cli.policy import order, waiting
    from agentq_cli.policy.admission import Gate
    from agentq_cli.policy.dependencies import Found
    from agentq_cli.policy.pool import Pool

    Parallel: TypeAlias = Callable[[str], int | None]
    """The width of a session; None is up to the cap."""

    Edit: TypeAlias = Callable[[Task], Task]
    """A change of a task, made under its lock."""


class Queue(Protocol):
    """An open queue; a context manager, for one thread and one process."""

    here: Place

    @property
    def hooks(self) -> Hooks:
        """The hooks that events call."""

    @property
    def voice(self) -> Voice:
        """What agents request."""

    @property
    def figures(self) -> Figures:
        """What screens and reports show."""

    @property
    def placing(self) -> Placing:
        """Which host runs what."""

    @property
    def moving(self) -> Moving:
        """Sessions that leave or come."""

    @property
    def upkeep(self) -> Upkeep:
        """What the engine needs to stay in order: one pass."""

    def rehearsal(self) -> AbstractContextManager[Queue]:
        """The same queue as copies: changes to it leave the real files untouched. One at a time."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    # What it is

    @property
    def exists(self) -> bool:
        """Whether anything is stored. A queue that was opened before anything was stored reads as empty for ever."""

    def check(self) -> None:
        """Raises Unreadable if the index that was opened has been removed or replaced."""

    def mark(self) -> str | None:
        """A text that is another one after every commit of any process, found without asking for anything; None if this
        engine has none. Taken before something is read, it tells later whether what was read has changed since."""

    def rest(self) -> None:
        """Release what can be reopened, such as connections: there is nothing to do for now."""

    def close(self) -> None:
        """Close everything."""

    @property
    def now(self) -> int:
        """The queue's wall clock."""

    def bell(self) -> Bell:
        """This process's doorbell, rung by others' commits. Others also use it to tell that this process is alive."""

    def session_names(self) -> list[str]:
        """The names of all sessions."""

    def known(self, session: str) -> None:
        """Raises NotFound, with the nearest name, if there is no such session, and Usage if the name is not valid."""

    # Tasks

    def submit(
        self, tasks: Sequence[NewTask], *, max_queued: int, owner: Identity | None = None, actor: Actor = Actor.USER
    ) -> list[tuple[Address, bool]]:
        """Store tasks, all or none; they are on disk when this returns. Each is returned with whether it is new: if
        not, the address is that of the live task that holds its key. `owner` is who stores them, by default this
        process. Raises LimitReached, WrongState, and NotFound for a dependency that does not exist."""

    def task(self, address: Address, *, background: bool = False) -> Task:
        """One task. Raises NotFound, with the nearest session's name; with `background` Busy after a short wait."""

    def task_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        """Many tasks, opening each session's file once for hundreds of them; each is the task as it is, or why it
        cannot be read."""

    def readable(self, addresses: Collection[Address]) -> dict[Address, Task]:
        """Those of these tasks that are there and can be read at once, for what is shown beside them."""

    def tasks(
        self,
        *,
        session: str | None = None,
        statuses: Collection[Status] = (),
        label: str | None = None,
        ended: bool = False,
        limit: int | None = None,
        seq: int | None = None,
        series: int | None = None,
        agent: str | None = None,
        since: int | None = None,
        until: int | None = None,
        recurring: bool | None = None,
    ) -> Iterator[Task]:
        """Live tasks, soonest first; with `ended`, or if an ended status is requested, then the ended ones, newest end
        first. `since` and `until` are about when a task is due, or ended; `recurring`: only those of a series."""

    def environment(self, task: Task) -> Mapping[str, str] | None:
        """What is stored of the environment of the shell that submitted a task; None if an older version stored the
        task. Raises NotFound."""

    def series_of(self, address: Address) -> Address:
        """The series that an address belongs to, also if that occurrence was pruned. Raises NotFound."""

    def live(self, address: Address) -> Task:
        """The task, or for a series its live occurrence. Raises NotFound."""

    def cancel_each(self, targets: Sequence[Address | RunId]) -> list[Task | Undone]:
        """`cancel` for many targets. Each is returned as it is then, or why it could not be cancelled; a run only while
        it is the live one.

        Here, as in `pause_each` and the others, the targets of one session are changed in one commit.
        """

    def pause_each(self, addresses: Sequence[Address], *, reason: str | None) -> list[Task | Undone]:
        """`pause` for many tasks."""

    def resume_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        """`resume` for many tasks."""

    def edit(self, address: Address, edit: Edit) -> Task:
        """Change a waiting task with a function of it. Raises NotFound, WrongState."""

    def retry_each(self, addresses: Sequence[Address], edit: Edit | None = None) -> list[Task | Undone]:
        """`retry` for many tasks, each first changed by `edit`."""

    def reply(self, address: Address, prompt: str) -> Task:
        """Queue an ended task again, with another prompt, in the conversation of its last run. Raises NotFound, and
        WrongState if there is no such conversation."""

    def trigger(self, address: Address) -> Task:
        """An extra occurrence of a series, due now. Raises NotFound, WrongState."""

    def prune_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        """`prune` for many tasks."""

    def known_status(self, target: Address | RunId) -> Status | None:
        """The shown status of a task as the index has it, whatever the state of its session's file; None if the index
        lacks it."""

    def stopped_behind(self, task: Task) -> list[Task]:
        """The tasks of its session that were stopped in the same commit, by its end or by what stopped it."""

    def depends(self, task: Task) -> list[Found]:
        """The status of each task that a blocked task waits for."""

    def depended_on(self, address: Address) -> Address | None:
        """A live task that waits for this one, so that this one cannot be pruned; None if there is none."""

    def spent(self, task: Task) -> float:
        """What the ended runs of a task have cost in dollars, as far as their agent reported it."""

    # Pauses, holds, and what happens as time passes

    def arriving(self) -> list[tuple[Address, str]]:
        """Occurrences that are due and whose missed policy has not been applied yet, each with its agent."""

    def arrive(self, address: Address, *, actor: Actor) -> None:
        """Apply that policy: the occurrence stays due, moves to another slot, or ends with its series."""

    def expired(self) -> list[Address]:
        """Waiting tasks whose time to start has passed."""

    def expire(self, address: Address, *, actor: Actor) -> Task | None:
        """End such a task; None if it has started or ended meanwhile."""

    def settle_dependents(self, *, actor: Actor) -> Iterator[Task]:
        """Finish what an end or a retry in one session means for tasks of other sessions that wait for it; yields those
        tasks.

        Within a session that is done in the same commit. Cheap if there is nothing to do.
        """

    def settle_dependents_in(self, session: str, *, actor: Actor) -> list[Task]:
        """The same for one session, as much as one short transaction can take; returns what has changed. Raises
        Busy."""

    def unsettled_sessions(self) -> list[str]:
        """The sessions with tasks that `settle_dependents` could not settle."""

    def ended_before(self, moment: int, *, session: str | None = None) -> list[Address]:
        """Tasks that ended before a time, oldest end first."""

    def pause_session(self, session: str, *, reason: str | None, paused: bool, actor: Actor = Actor.USER) -> bool:
        """Pause a session, which is made if it does not exist, or resume it. Returns whether that changed anything.
        Raises NotFound for a resume."""

    def reset_conversation(
        self, session: str, agent: str | None, key: str | None = None, *, actor: Actor = Actor.USER
    ) -> list[str]:
        """Make a session's next task begin a new conversation, or (with `key`) the next one of that line of work.
        Returns the agents whose conversation was dropped.
        Raises NotFound."""

    def pause_agent(self, agent: str | None, *, reason: str | None) -> None:
        """Start no task of an agent (None: no task of the whole queue) until `resume_agent`."""

    def resume_agent(self, agent: str | None) -> None:
        """Lift every hold on an agent (None: on the queue)."""

    def jobs(self) -> int | None:
        """How many tasks may run at once, as `set_jobs` said; None if it said nothing."""

    def set_jobs(self, jobs: int | None) -> None:
        """Let so many tasks run at once from now on, under every supervisor that was not told otherwise."""

    def holds(self) -> list[waiting.Hold]:
        """What keeps an agent's tasks, or all tasks, from starting."""

    # Runs

    def run(self, run_id: RunId) -> Run:
        """One attempt. Raises NotFound."""

    def runs(
        self,
        *,
        address: Address | None = None,
        limit: int | None = None,
        **which: Unpack[WhichRuns],
    ) -> Iterator[Run]:
        """The audit log, newest first, of one task or all. Raises NotFound for a task or session that is not there."""

    def output(self, run: RunId, stream: str, offset: int = 0) -> Output:
        """What an attempt wrote on a stream (`stdout` or `stderr`) from the logical `offset` on, also while it runs."""

    def files(self, run: RunId) -> RunFiles:
        """What is known of an attempt from its files, whichever machine has them. Raises Usage for a session's name."""

    def put_output(self, run: RunId, directory: RunDirectory, *, over: bool = False) -> int | None:
        """Store what a run of this machine has printed for those who read it elsewhere; with `over` all that is left.

        Returns in how many milliseconds to call this again; None: the files themselves are read everywhere.
        """

    def workers(self) -> list[Worker]:
        """Every live run."""

    def worker(self, address: Address) -> Worker | None:
        """The live run of a task, if there is one."""

    def snapshot(self, sessions: Collection[str] = ()) -> order.Snapshot:
        """A snapshot of what may be started, and what prevents starts, at this moment."""

    def heads(self, sessions: Collection[str] = ()) -> Heads:
        """The startable tasks of `snapshot`, kept up to date from one start to the next; only those of `sessions` if
        given."""

    def around(self) -> order.Snapshot:
        """What prevents starts at this moment, without the heads and the waiting retries."""

    def calls(self, supervisor: Identity) -> Calls:
        """What a supervisor has to do in addition to starting and settling, in one query."""

    def ahead(self, after: int | None = None) -> Ahead:
        """What comes with time alone, after now or an earlier moment."""

    def any_due(self) -> bool:
        """Whether a task is due and has not been started, for whatever reason."""

    def limited_until(self) -> dict[str, int]:
        """The sessions with due work that a usage limit holds, each with when the first such limit ends."""

    def unfinished(self) -> set[tuple[str, str]]:
        """Session and agent of the tasks that are due or `retrying`, for `--drain` to wait for."""

    def candidate(self, head: order.Head, pool: Pool | None = ...) -> Candidate | None:
        """The task of a head and what its run may build on, to make a plan from; None if the task has gone. `pool` is
        what its session keeps: one conversation if nothing is said."""

    def claim(self, candidate: Candidate, plan: Plan, **options: Unpack[Claiming]) -> Claim | None:
        """Take a task to run it by this plan; None if it may no longer be taken, or is not what the plan was made from.

        Checks again, under the lock, everything that allowed the pick.
        """

    def claimed(self, run: RunId) -> Claim | None:
        """The claim of a live run, for a shim that takes it over; None if the run has ended."""

    def last_start(self) -> LastStart:
        """The newest claim of the state dir, whether its run is still running or not."""

    def undo_claim(self, run: RunId, *, actor: Actor, reason: str, background: bool = False) -> bool:
        """Put back a claimed task that was never started, without using an attempt. False: it was no longer claimed.
        With `background` a busy file raises Busy after a short wait."""

    def turn(
        self, session: str, outcomes: Mapping[RunId, Outcome] = ..., *, actor: Actor, background: bool = False
    ) -> AbstractContextManager[Turn]:
        """One commit in which runs of a session end, of which `outcomes` says how, and its next tasks are claimed. What
        its caller does within must be fast and ask nothing else of the queue. With `background` a busy session file
        raises Busy after a short wait, to be retried later. Raises NotFound, Busy, Unreadable."""

    def finish(self, run: RunId, outcome: Outcome, *, actor: Actor, background: bool = False) -> Task | None:
        """A turn in which one run ends and nothing is claimed."""

    def why_unposted(self, run: RunId | str) -> str | None:
        """Why the result row of a run that was finished here is not in outbound.db; None if it is. Reported once."""

    def seen_conversation(self, run: RunId, agent: str, conversation: str) -> None:
        """Store a conversation's id as soon as the agent names it."""

    def adopt(self, worker: Worker, supervisor: Identity) -> bool:
        """Take over watching a run whose supervisor is gone. False: another supervisor was faster."""

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
        """Record, once, that a run is to end. With `cancel` its task counts as cancelled, and with `run_only` its
        series continues. False: the run has ended. With `background` a busy file raises Busy after a short wait."""

    # Supervisors

    def bring(self, settings: FleetSettings, agents: Sequence[str]) -> None:
        """Say what this machine brings to a fleet from its next join or renewal on; `agents` are those that it has."""

    def join(self, supervisor: Supervisor) -> Renewal:
        """Go on duty: put a supervisor on record, and in a fleet its host. From then on this process works here until
        `leave`. Raises Usage if another machine is this host."""

    def renew(self, identity: Identity, *, jobs: int, renewed_at: int, signs: Mapping[RunId, Sign] = ...) -> Renewal:
        """Confirm that a supervisor is there, and in a fleet its host, with what is known of its runs. `renewed_at` is
        milliseconds since boot, read before."""

    def rescue(self, *, actor: Actor) -> Iterator[Rescued]:
        """Take the runs of hosts over that have given no sign for as long as their leases, as far as this process has
        seen since it began to look: they end as crashed."""

    def hosts(self) -> list[Host]:
        """The machines that run tasks, by name; without a fleet this one."""

    def set_gates(self, identity: Identity, gates: Sequence[Gate]) -> None:
        """Record the gates of a supervisor while one of them holds back its starts; an empty list when none does any
        more."""

    def set_state(self, identity: Identity, state: SupervisorState, *, last_result: Status | None) -> bool:
        """Record what a supervisor does from now on, and how its last period of running ended. False: it is not on
        record. Raises WrongState if it may not change so (`policy.states`)."""

    def leave(
        self,
        identity: Identity,
        *,
        reason: str | None = None,
        last_result: Status | None = None,
        actor: Actor = Actor.SUPERVISOR,
    ) -> None:
        """Go off duty, for a `reason` and with the last result, or without one take a dead supervisor off duty; anybody
        may then take over its runs. It stays among those that have ended."""

    def supervisors(self) -> list[Supervisor]:
        """Every supervisor on record, including dead ones that nobody has removed yet."""

    def clear_dead(self, *, actor: Actor) -> list[Supervisor]:
        """Take the dead supervisors of this machine off duty; returns them."""

    def ended_supervisors(self) -> list[Supervisor]:
        """The last supervisors that have ended, newest end first; before them the dead ones of this machine that nobody
        has removed yet."""

    def forget_states(self, before: int) -> int:
        """Forget the events about the states of supervisors before a moment; how many there were."""

    def living(self) -> list[Supervisor]:
        """The supervisors that can be relied on: alive, and not stopped while they had runs to watch."""

    def serving(self, session: str) -> list[Supervisor]:
        """The supervisors that serve a session and are alive."""

    def orphaned(self) -> list[Worker]:
        """The live runs of this machine whose supervisor is gone, or has not renewed its row within the lease."""

    def watched(self, worker: Worker) -> bool:
        """Whether a run's supervisor is there to settle it: alive, and not stopped for longer than its lease. A run
        elsewhere counts as watched until its host is lost: nobody else can tell."""

    def lives(self, owner: Identity) -> bool:
        """Whether a process that has a doorbell here, a supervisor's or an owner's, is still running, in any realm."""

    def last_sweep(self) -> int | None:
        """When a sweep last ran, or None."""

    # Readings

    def sessions(self) -> Iterator[SessionInfo]:
        """Every session by name. A session that cannot be read has no conversations, and its error is raised at the
        end."""

    def pool(self, session: str) -> list[Conversation]:
        """The conversations of a session, of each of its lines of work and each agent. Raises NotFound, Busy,
        Unreadable."""

    def pause_reason(self, session: str) -> str | None:
        """Why a session is paused; None if no reason was given, or if it is not paused."""

    def events(
        self,
        *,
        address: Address | None = None,
        session: str | None = None,
        since: int | None = None,
        until: int | None = None,
        limit: int | None = None,
    ) -> Iterator[Event]:
        """Every change of state, newest first."""

    def events_after(self, after: int, *, address: Address | None = None, session: str | None = None) -> list[Event]:
        """The events after the event with that id, oldest first, a page at a time."""

    def last_event(self) -> int:
        """The id of the newest event."""

    def messages(
        self, session: str, *, since: int | None = None, until: int | None = None, limit: int | None = None
    ) -> Iterator[Message]:
        """The messages of a session's agents, newest first. Raises NotFound."""

    def messages_after(self, session: str, after: int) -> tuple[list[Message], int]:
        """The messages after position `after`, oldest first, and the position to continue from."""

    def last_message(self, session: str) -> int:
        """The position of a session's newest message. Raises NotFound."""

    def surroundings(
        self,
        session: str,
        *,
        workers: Sequence[Worker],
        holds: Sequence[waiting.Hold],
        jobs: int,
        parallel: int | None,
        gate: Gate | None,
        directory: str | None,
        hosts: Sequence[str] = (),
    ) -> waiting.Surroundings:
        """What else is going on while tasks of a session wait, for those that edit in one directory (its real path),
        or in none: what `waiting_for` considers, without the number of tasks that are due before, and
        without dependencies. `hosts` are the names of the hosts with a supervisor for the session, in a fleet."""

    def waiting_for(
        self,
        task: Task,
        *,
        jobs: int,
        parallel: int | None,
        gate: Gate | None = None,
        directory: str | None = None,
        hosts: Sequence[str] = (),
    ) -> WaitingFor | None:
        """Why a task is not running. `jobs` is that of the widest live supervisor, 0 if none is alive; `gate` is the
        first gate that holds one of their starts, `directory` the real path in which the task's agent would edit if no
        other may do so meanwhile, `hosts` the names of the hosts with a supervisor for the session, in a fleet."""
