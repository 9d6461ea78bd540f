"""The one door to state. Nothing outside `store/` and this module knows that it is SQLite.

Verbs take and return the model's values; times are milliseconds UTC and come from the clock that the queue was
opened with. Any verb may raise Busy (a lock was not free in time), Unreadable (a file is corrupt or newer) and
Refused (the disk or its permissions), besides what it names itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from itertools import islice

from agentq_cli.clock import Clock
from agentq_cli.dataclass import replace
from agentq_cli.errors import AgentqError, NotFound, nearest
from agentq_cli.later import Later
from agentq_cli.model import (
    Actor,
    Address,
    Event,
    Identity,
    LastStart,
    Message,
    NewTask,
    Outcome,
    PastRun,
    Run,
    RunId,
    RunStatus,
    SessionInfo,
    Status,
    Supervisor,
    Task,
    Undone,
    WaitingFor,
    Worker,
)
from agentq_cli.path import Path
from agentq_cli.store import connection, read, rows
from agentq_cli.store.kept import PAGES, Kept, most_kept
from agentq_cli.store.queries import statements
from agentq_cli.store.state_dir import StateDir, holds_something

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self, TypeAlias

    from agentq_cli.policy import figures, order, waiting
    from agentq_cli.policy import hooks as hook_policy
    from agentq_cli.policy.admission import Gate
    from agentq_cli.policy.dependencies import Looked
    from agentq_cli.policy.requests import Refusal, Request
    from agentq_cli.store import (
        aside,
        change,
        condition,
        dependencies,
        dispatch,
        finish,
        heads,
        history,
        pruned,
        reindex,
        seen,
        series,
        session_write,
        stats,
        submit,
        upkeep,
    )
    from agentq_cli.store import requests as asking
    from agentq_cli.store.condition import Fault as Fault
    from agentq_cli.store.dispatch import Claim as Claim
    from agentq_cli.store.dispatch import Past as Past
    from agentq_cli.store.dispatch import Plan as Plan
    from agentq_cli.store.dispatch import Planner as Planner
    from agentq_cli.store.history import FoundRun as FoundRun
    from agentq_cli.store.history import Lacking
    from agentq_cli.store.requests import Answer as Answer
    from agentq_cli.store.upkeep import Turn as Turn
else:
    order, waiting = Later("policy.order"), Later("policy.waiting")
    change, dependencies, dispatch = Later("store.change"), Later("store.dependencies"), Later("store.dispatch")
    finish, reindex, series = Later("store.finish"), Later("store.reindex"), Later("store.series")
    submit, asking, heads = Later("store.submit"), Later("store.requests"), Later("store.heads")
    seen, upkeep, condition = Later("store.seen"), Later("store.upkeep"), Later("store.condition")
    pruned = Later("store.pruned")
    history, aside, session_write = Later("store.history"), Later("store.aside"), Later("store.session_write")

    def __getattr__(name: str) -> object:
        if name == "Answer":
            return asking.Answer
        if name == "Turn":
            return upkeep.Turn
        if name == "Fault":
            return condition.Fault
        if name == "FoundRun":
            return history.FoundRun
        if name in ("Claim", "Past", "Plan", "Planner"):
            return getattr(dispatch, name)
        raise AttributeError(name)


__all__ = ["Answer", "Claim", "Fault", "FoundRun", "Past", "Plan", "Planner", "Queue", "Turn", "done"]

MOST_AT_ONCE = 10_000
"""Tasks that one commit changes at most: while it is made, which takes seconds, nobody else writes."""

Parallel: TypeAlias = "Callable[[str], int | None]"


class Queue:
    """An open state dir. A context manager; use one a thread, none across a fork."""

    def __init__(
        self, state: StateDir, index: sqlite3.Connection, clock: Clock, *, allow_network_fs: bool = False
    ) -> None:
        self.state = state
        self.allow_network_fs = allow_network_fs
        self._index = index
        self._clock = clock
        self._answered: dict[str, str | None] = {}
        self._unposted: dict[str, str] = {}
        self._place: os.stat_result | None = None

    @property
    def exists(self) -> bool:
        """Whether anything is stored; what was opened before it was reads as empty for ever."""
        return holds_something(self.state.index)

    @classmethod
    def open(
        cls, path: Path, clock: Clock, *, create: bool, allow_network_fs: bool = False, rebuild: bool = False
    ) -> Self:
        """Open a state dir, made with `create` where it does not exist.

        Without `create` a missing one reads as empty and nothing is made. Raises Usage where it is unfit: owned by
        somebody else, on a network file system, not a directory; and Unreadable where sessions lie in it and no index,
        unless that is to be rebuilt.
        """
        # One spelling, for it marks the processes of its runs: two names of one directory must not hide them.
        path = Path(os.path.realpath(path))
        state = StateDir(path)
        os.umask(0o077)
        state.check(allow_network_fs=allow_network_fs)
        there = holds_something(state.index)
        if not there and not rebuild:
            state.refuse_lost_index()
        if create:
            missing = not path.exists()
            state.create()
            if missing:
                state.check(allow_network_fs=allow_network_fs)  # somebody else may have been faster
        if there or create:
            index = connection.connect(state.index, "index", create=create, rebuild=rebuild and create)
        else:
            index = connection.empty_index()
        if rebuild and create:
            connection.mend_schema(index, state.index, "index")
        return cls(state, index, clock, allow_network_fs=allow_network_fs)

    @contextlib.contextmanager
    def rehearsal(self) -> Iterator[Self]:
        """The same queue as copies in memory: what is done to it leaves every file as it is. One at a time."""
        if not self.state.path.exists():
            yield self
            return
        with connection.rehearsal():
            index = connection.connect(self.state.index, "index", create=not self.exists, rebuild=True)
            with type(self)(self.state, index, self._clock, allow_network_fs=self.allow_network_fs) as rehearsed:
                yield rehearsed

    def keep_connections(self) -> None:
        """Keep the sessions' files open between transactions, for a process that goes on working in them.

        It waits for the index no longer than it may be deaf to its signals, and looks again later."""
        self._index.execute(f"PRAGMA cache_size = {PAGES}")
        self.release_connections()
        self._index.execute(f"PRAGMA busy_timeout = {connection.WATCHING_BUSY_MS}")
        self.state = replace(self.state, kept=Kept(most_kept()))
        self._place = os.lstat(self.state.index)

    @property
    def in_place(self) -> bool:
        """Whether the index that was open when it began to keep connections still has its name."""
        try:
            return self._place is None or os.path.samestat(self._place, os.lstat(self.state.index))
        except FileNotFoundError:
            return False

    def release_connections(self) -> None:
        """Close those: there is nothing to be done for now."""
        if self.state.kept is not None:
            self.state.kept.close()

    def close(self) -> None:
        """Close everything."""
        self.release_connections()
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def now(self) -> int:
        """The queue's wall clock."""
        return self._clock.now_ms()

    # Tasks

    def submit(
        self, tasks: Sequence[NewTask], *, owner: Identity, max_queued: int, actor: Actor = Actor.USER
    ) -> list[tuple[Address, bool]]:
        """Store tasks, all or none, on disk when this returns. Each with whether it is new: False is the live task
        that holds its key. Raises LimitReached, WrongState, and NotFound for a dependency that does not exist."""
        seen: set[Address | None] = {None}
        for task in tasks:
            for each in task.work.after:
                if each.address in seen:
                    continue
                seen.add(each.address)
                # Asked again under the lock; here so that a mistyped one makes no session.
                with submit.of_line(task):
                    dependencies.require(self._index, each, self._note)
        return submit.submit(self.state, tasks, now=self.now, actor=actor, max_queued=max_queued, owner=owner)

    def _note(self, address: Address) -> str | None:
        with contextlib.suppress(NotFound), read.inbound(self.state, address.session) as database:
            return pruned.note(database, address)
        return None

    def task(self, address: Address, *, background: bool = False) -> Task:
        """One task. Raises NotFound, with the nearest session's name; with `background` Busy after a short wait."""
        self.known(address.session)
        busy_ms = connection.BACKGROUND_BUSY_MS if background else connection.BUSY_MS
        return read.task(self.state, address, busy_ms=busy_ms)

    def task_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        """Many tasks, each session's file opened once for hundreds of them; of each as it is, or why it is not seen."""
        found: dict[Address, Task] = {}
        for first in range(0, len(addresses), read.PAGE):
            page = read.load(self.state, addresses[first : first + read.PAGE], [])
            found.update((task.address, task) for task in page)
        return [found.get(address) or self._unseen(address) for address in addresses]

    def _unseen(self, address: Address) -> Task | Undone:
        try:
            return self.task(address)
        except AgentqError as error:
            return Undone(error, self.known_status(address))

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
        if session is not None:
            self.known(session)
        found = read.tasks(
            self.state,
            self._index,
            session=session,
            statuses=statuses,
            label=label,
            ended=ended,
            now=self.now,
            most=limit,
        )
        return islice(found, limit)

    def cancel(self, address: Address) -> Task:
        """Cancel a waiting task; a running one comes back as it is, for `request_stop`. Raises NotFound, WrongState."""
        return done(*self.cancel_each([address]))

    def cancel_each(self, targets: Sequence[Address | RunId]) -> list[Task | Undone]:
        """`cancel` of many, of each as it is then, or why that could not be; of a run only while it is the live one.

        Here as in `pause_each` and the others those of a session are done in one commit.
        """
        return self._each(targets, change.cancel_of(targets))

    def pause(self, address: Address, *, reason: str | None) -> Task:
        """Keep a waiting task from starting. Raises NotFound, WrongState."""
        return done(*self.pause_each([address], reason=reason))

    def pause_each(self, addresses: Sequence[Address], *, reason: str | None) -> list[Task | Undone]:
        """`pause` of many."""
        return self._each(addresses, lambda write, address: change.pause_in(write, address, reason))

    def resume(self, address: Address) -> Task:
        """Undo `pause`. Raises NotFound, WrongState."""
        return done(*self.resume_each([address]))

    def resume_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        """`resume` of many."""
        return self._each(addresses, change.resume_in)

    def edit(self, address: Address, edit: change.Edit) -> Task:
        """Change a waiting task by a function of it. Raises NotFound, WrongState."""
        self.known(address.session)
        return change.edit(self.state, address, edit, now=self.now)

    def retry(self, address: Address) -> Task:
        """Queue an ended task again under its address. Raises NotFound, WrongState."""
        return done(*self.retry_each([address]))

    def retry_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        """`retry` of many."""
        return self._each(addresses, change.retry_in, named=True)

    def trigger(self, address: Address) -> Task:
        """An extra occurrence of a series, due now. Raises NotFound, WrongState."""
        self.known(address.session)
        return change.trigger(self.state, address, now=self.now)

    def live(self, address: Address) -> Task:
        """The task, or of a series its live occurrence. Raises NotFound."""
        try:
            task = self.task(address)
        except NotFound:
            with read.inbound(self.state, address.session) as database:
                found = pruned.live_of(database, address.seq)
            if found is None:
                raise
            return self.task(Address(address.session, found))
        if task.series is None or task.extra or not task.status.ended:
            return task
        with read.inbound(self.state, address.session) as database:
            row = database.execute(statements("write")["live_of_series"], {"series": task.series}).fetchone()
        return task if row is None else self.task(Address(address.session, row[0]))

    def arriving(self) -> list[tuple[Address, str]]:
        """Occurrences that are due and whose missed policy is still to be applied, each with its agent."""
        found = self._index.execute(dispatch.DISPATCH["arriving"], {"now": self.now}).fetchall()
        return [(Address(session, seq), agent) for session, seq, agent in found]

    def arrive(self, address: Address, *, actor: Actor) -> None:
        """Apply that policy: the occurrence stays due, moves to another slot, or ends with its series."""
        change.arrive(self.state, address, now=self.now, actor=actor)

    def settle_dependents(self, *, actor: Actor) -> Iterator[Task]:
        """Finish what an end, or a retry, in one session means for tasks of others that wait for it; yields those.

        Within a session that is done in the very commit. Cheap where there is nothing to do.
        """
        busy_ms = connection.BACKGROUND_BUSY_MS
        return dependencies.settle_elsewhere(self.state, self._index, now=self.now, actor=actor, busy_ms=busy_ms)

    def settle_dependents_in(self, session: str, *, actor: Actor) -> list[Task]:
        """The same of one session, as much as one short transaction can take; what has changed. Raises Busy."""
        busy_ms = connection.BACKGROUND_BUSY_MS
        return dependencies.settle_noted(self.state, session, now=self.now, actor=actor, busy_ms=busy_ms)

    def stopped_behind(self, task: Task) -> list[Task]:
        """The tasks of its session that its end, or what it was stopped by itself, has stopped in the same commit."""
        cause = task.dep_failed or task.address
        return [self.task(each) for each in dependencies.stopped_behind(self._index, task.address, cause)]

    def unsettled_sessions(self) -> list[str]:
        """The sessions of tasks that `settle_dependents` could not get at."""
        return dependencies.unsettled_sessions(self._index)

    def depended_on(self, address: Address) -> Address | None:
        """A live task that waits for this one, which is not pruned therefore."""
        return dependencies.live_dependent(self._index, address)

    def prune(self, address: Address) -> Task:
        """Remove an ended task with its runs and events; the files of the runs are moved aside. Raises NotFound,
        WrongState."""
        return done(*self.prune_each([address]))

    def prune_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        """`prune` of many."""
        return self._each(addresses, change.prune_in, named=True)

    def _each(self, targets: Sequence[Address | RunId], act: change.Act, *, named: bool = False) -> list[Task | Undone]:
        """Do the same to each, those of a session in one commit; a session in trouble leaves the others alone."""
        found: dict[int, Task | Undone] = {}
        sessions: dict[str, list[int]] = {}
        for position, target in enumerate(targets):
            sessions.setdefault(target.session, []).append(position)
        for session, positions in sessions.items():
            for first in range(0, len(positions), MOST_AT_ONCE):
                some = positions[first : first + MOST_AT_ONCE]
                own = [targets[position] for position in some]
                found.update(zip(some, self._each_of(session, own, act, named), strict=True))
        return [found[position] for position in range(len(targets))]

    def _each_of(
        self, session: str, targets: Sequence[Address | RunId], act: change.Act, named: bool
    ) -> Sequence[Task | Undone]:
        try:
            self.known(session)
            return change.each(self.state, session, targets, act, named=named, now=self.now, actor=Actor.USER)
        except AgentqError as error:
            return [Undone(error, self.known_status(target)) for target in targets]

    def known_status(self, target: Address | RunId) -> Status | None:
        """The shown status of a task as the index has it, whatever its session's file; None where it has none."""
        try:
            return read.known_status(self._index, target, self.now)
        except AgentqError:
            return None

    def settle_aside(self, session: str) -> tuple[list[str], list[str]]:
        """Put back the files of runs that a prune moved aside and that was not committed; the names of these runs, and
        of those whose files are to be removed."""
        return session_write.settle_aside(self.state, session, busy_ms=connection.BACKGROUND_BUSY_MS)

    def aside(self, session: str) -> tuple[Path, list[str]]:
        """Where the files of pruned runs lie until they are removed, and the runs' names."""
        home = self.state.session(session)
        return aside.place(home), aside.names(home)

    def ended_before(self, moment: int, *, session: str | None = None) -> list[Address]:
        """Tasks that ended before a time, oldest end first."""
        values = {"before": moment, "session": session}
        return [Address(*row) for row in self._index.execute(read.READ["ended_before"], values).fetchall()]

    def expired(self) -> list[Address]:
        """Waiting tasks whose time to start has passed."""
        found = self._index.execute(dispatch.DISPATCH["expired"], {"now": self.now}).fetchall()
        return [Address(*row) for row in found]

    def expire(self, address: Address, *, actor: Actor) -> Task | None:
        """End such a task; None where it is none any more."""
        return change.expire(self.state, address, now=self.now, actor=actor)

    # Pauses

    def pause_session(self, session: str, *, reason: str | None, paused: bool, actor: Actor = Actor.USER) -> bool:
        """Pause or resume a session. Returns whether that changed anything. Raises NotFound."""
        self.known(session)
        return change.pause_session(self.state, session, reason=reason, now=self.now, actor=actor, paused=paused)

    def reset_conversation(self, session: str, agent: str | None, *, actor: Actor = Actor.USER) -> list[str]:
        """Have a session's next task begin anew. Returns the agents of which a conversation was given up. Raises
        NotFound."""
        self.known(session)
        return change.reset(self.state, session, agent, now=self.now, actor=actor)

    def pause_agent(self, agent: str | None, *, reason: str | None) -> None:
        """Start no task of an agent (None: of nobody, the whole queue) until `resume_agent`."""
        scope, name = ("queue", "") if agent is None else ("agent", agent)
        values = {"scope": scope, "name": name, "kind": "paused", "since": self.now, "until": None, "reason": reason}
        values["count"] = 1
        self._write_hold("set_hold", values, event=f"pause_{scope}", reason=_named(agent, reason))

    def resume_agent(self, agent: str | None) -> None:
        """Lift every hold of an agent (None: of the queue)."""
        scope, name = ("queue", None) if agent is None else ("agent", agent)
        values = {"scope": scope, "name": name}
        self._write_hold("lift_holds", values, event=f"resume_{scope}", reason=_named(agent, None))

    def restore_holds(self) -> str | None:
        """Bring the holds back that a lost index had; what that was, None where nothing had to be done."""
        from agentq_cli.store import holds

        return holds.restore(self._index, self.state)

    def holds(self) -> list[waiting.Hold]:
        """What keeps an agent's tasks, or all, from starting."""
        return [waiting.Hold(*row) for row in self._index.execute(read.READ["holds"], {"now": self.now}).fetchall()]

    # Runs

    def run(self, run_id: RunId) -> Run:
        """One attempt. Raises NotFound."""
        self.known(run_id.session)
        return read.run(self._index, run_id)

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
        if address is not None:
            self.task(address)
        elif session is not None:
            self.known(session)
        found = read.runs(self._index, address=address, session=session, statuses=statuses, since=since, most=limit)
        return islice(found, limit)

    def run_directory(self, run_id: RunId) -> Path:
        """Where an attempt's files lie."""
        return self.state.run(run_id)

    def workers(self) -> list[Worker]:
        """Every live run."""
        return [rows.worker(row) for row in self._index.execute(read.READ["workers"]).fetchall()]

    def spent(self, task: Task) -> float:
        """Dollars that the runs of a task that have ended cost, as far as their agent said."""
        return finish.spent(self._index, task)

    def worker(self, address: Address) -> Worker | None:
        """The live run of a task, if there is one."""
        row = self._index.execute(read.READ["worker"], address._asdict()).fetchone()
        return None if row is None else rows.worker(row)

    def look(self, sessions: Collection[str] = ()) -> order.Look:
        """What may be started, and what stands in the way, at this moment."""
        return dispatch.look(self._index, sessions, now=self.now)

    def heads(self, sessions: Collection[str] = ()) -> heads.Heads:
        """What `look` finds to be started, kept from one start to the next; of some sessions only where given."""
        return heads.Heads(self._index, sessions)

    def around(self) -> order.Look:
        """What stands in the way of starts at this moment, without the heads and the retries that wait."""
        return dispatch.around(self._index, self.now)

    def calls(self, supervisor: Identity) -> dispatch.Calls:
        """What there is to do for a supervisor besides starting and settling, in one question."""
        values = _key(supervisor) | {"now": self.now}
        return dispatch.Calls(*map(bool, self._index.execute(dispatch.DISPATCH["calls"], values).fetchone()))

    def next_due(self) -> int | None:
        """The earliest due time that is still to come."""
        (due,) = self._index.execute(dispatch.DISPATCH["next_due"], {"now": self.now}).fetchone()
        return None if due is None else int(due)

    def next_lift(self) -> int | None:
        """When the next hold on an agent ends by itself."""
        (until,) = self._index.execute(dispatch.DISPATCH["next_lift"], {"now": self.now}).fetchone()
        return None if until is None else int(until)

    def limited_until(self) -> dict[str, int]:
        """The sessions with work that is due and held by a usage limit, each with when the first such limit ends."""
        return dict(self._index.execute(dispatch.DISPATCH["limited_until"], {"now": self.now}).fetchall())

    def unfinished(self) -> set[tuple[str, str]]:
        """Session and agent of the tasks that are due or `retrying`, for `--drain` to wait for."""
        # A clock that stands still never reaches the time of a retry.
        values = {"now": self.now, "retrying": not self._clock.fixed}
        return set(self._index.execute(dispatch.DISPATCH["unfinished"], values).fetchall())

    def claim(
        self,
        head: order.Head,
        *,
        supervisor: Identity,
        jobs: int,
        parallel: Parallel,
        planner: Planner,
        host: str,
        newest: LastStart | None = None,
        monotonic: int = 0,
    ) -> Claim | None:
        """Take a task to run it; None where it may no longer be. Tests again, locked, all that allowed the pick;
        with `newest` also that this is still the newest start, of whatever supervisor. `monotonic` is when this one
        is, in milliseconds of the supervisor's boot, for `last_start`."""
        return dispatch.claim(
            self.state,
            head,
            now=self.now,
            supervisor=supervisor,
            jobs=jobs,
            parallel=parallel,
            planner=planner,
            host=host,
            newest=newest,
            monotonic=monotonic,
        )

    def last_start(self) -> LastStart:
        """The newest claim of the state dir, whether it still runs or not."""
        return dispatch.last_start(self._index)

    def undo_claim(self, run: RunId, *, actor: Actor, reason: str, background: bool = False) -> bool:
        """Put a claimed task back that was never started, without using an attempt. False: it was no longer claimed.
        With `background` a busy file raises Busy after a short wait."""
        busy = connection.BACKGROUND_BUSY_MS if background else connection.BUSY_MS
        return dispatch.undo(self.state, run, now=self.now, actor=actor, reason=reason, busy_ms=busy)

    def finish(self, run: RunId, outcome: Outcome, *, actor: Actor, background: bool = False) -> Task | None:
        """Record how a run ended; None where somebody else did before. With `background` a busy session file raises
        Busy after a short wait, to be tried again later."""
        busy = connection.BACKGROUND_BUSY_MS if background else connection.BUSY_MS
        live = self.worker(run.address)
        posted = live is not None and live.id == run
        posted = posted and self._post("post", run, outcome.status, outcome.result, outcome.finished_at)
        # A supervisor would look at it next, and note in a commit of its own that nothing was asked for.
        quiet = asking.quiet(self.state, run.session) if posted and self.state.kept is not None else None
        import random

        task = finish.finish(
            self.state,
            run,
            outcome,
            now=self.now,
            actor=actor,
            posted=posted,
            quiet=quiet,
            busy_ms=busy,
            jitter=random.random(),
        )
        if quiet is not None:
            self._answered[run.session] = quiet
        return task

    def seen_conversation(self, run: RunId, agent: str, conversation: str) -> None:
        """Store a conversation's id as soon as the agent names it."""
        dispatch.seen_conversation(self.state, run, agent, conversation, now=self.now)

    def adopt(self, worker: Worker, supervisor: Identity) -> bool:
        """Take over the watch of a run whose supervisor is gone. False: another one was faster."""
        return dispatch.adopt(self.state, worker, supervisor, now=self.now, busy_ms=connection.BACKGROUND_BUSY_MS)

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
        busy = connection.BACKGROUND_BUSY_MS if background else connection.BUSY_MS
        return dispatch.request_stop(
            self.state, run, reason=reason, cancel=cancel, run_only=run_only, now=self.now, actor=actor, busy_ms=busy
        )

    def release_slot(self, run: RunId) -> None:
        """Forget a live run whose session's file cannot be read, so that it holds no slot for ever.

        Its task is still running in that file: `reindex` finds it there once the file is readable again.
        """
        self._write(("delete_worker", run._asdict()))

    def post_results(self) -> Iterator[str]:
        """Append the result rows that could not be appended when their runs ended; yields what still cannot be."""
        after = 0
        while found := self._index.execute(dispatch.DISPATCH["unposted"], {"after": after}).fetchall():
            for session, seq, attempt, result, status, at, _ in found:
                run = RunId(session, seq, attempt)
                if self._post("post_again", run, status, None if result is None else json.loads(result), at):
                    self._write(("posted", run._asdict()))
                else:
                    yield str(run)
            after = found[-1][-1]

    def _post(self, statement: str, run: RunId, status: str, result: object, at: int) -> bool:
        # A commit of its own: the agent side may hold the file locked, moved or broken, and nothing depends on it.
        path, rehearsed = self.state.outbound(run.session), connection.rehearsing()
        content = json.dumps({"run": str(run), "task": str(run.address), "status": str(status), "result": result})
        try:
            with (
                read.opened_outbound(self.state, run.session, connection.BACKGROUND_BUSY_MS) as database,
                contextlib.nullcontext() if rehearsed else connection.transaction(database, path),
            ):
                if rehearsed:
                    return os.access(path, os.W_OK)
                values = {"id": str(run), "content": content, "at": at}
                posted = database.execute(dispatch.DISPATCH[statement], values).rowcount == 1
        except (AgentqError, OSError) as error:
            self._unposted[str(run)] = str(error)
            return False
        if not posted:
            self._unposted[str(run)] = "somebody wrote a row of its name before"
        return posted

    def why_unposted(self, run: RunId | str) -> str | None:
        """Why the result row of a run that was finished here is not in outbound.db; None where it is. Told once."""
        return self._unposted.pop(str(run), None)

    # Supervisors

    def register(self, supervisor: Supervisor) -> None:
        """Make a supervisor known."""
        values = _key(supervisor.identity) | {
            "jobs": supervisor.jobs,
            "sessions": json.dumps(supervisor.sessions),
            "started_at": supervisor.started_at,
            "renewed_at": supervisor.renewed_at,
        }
        self._write(("register", values))

    def renew(self, identity: Identity, *, jobs: int, renewed_at: int) -> None:
        """Say that a supervisor is there; `renewed_at` is monotonic milliseconds."""
        self._write(("renew", _key(identity) | {"jobs": jobs, "renewed_at": renewed_at}))

    def set_gates(self, identity: Identity, gates: Sequence[Gate]) -> None:
        """Record the gates of a supervisor of which one holds its starts back; none where none does any more."""
        self._write(("set_gates", _key(identity) | {"gates": rows.gates_text(gates)}))

    def unregister(self, identity: Identity) -> None:
        """Forget a supervisor."""
        self._write(("unregister", _key(identity)))

    def supervisors(self) -> list[Supervisor]:
        """Every supervisor that is on record, dead ones that nobody has cleared yet too."""
        return [rows.supervisor(row) for row in self._index.execute(read.READ["supervisors"]).fetchall()]

    # Sessions, events, messages

    def sessions(self) -> Iterator[SessionInfo]:
        """Every session by name. One that cannot be read has no conversations, and is raised at the end."""
        trouble: list[AgentqError] = []
        after = ""
        while found := self._index.execute(read.READ["sessions"], {"after": after, "limit": read.PAGE}).fetchall():
            for name, paused, reason in found:
                yield self._session(name, bool(paused), reason, trouble)
            after = found[-1][0]
        if trouble:
            raise trouble[0]

    def _session(self, name: str, paused: bool, reason: str | None, trouble: list[AgentqError]) -> SessionInfo:
        counts = dict(self._index.execute(read.READ["session_counts"], {"session": name, "now": self.now}).fetchall())
        (due,) = self._index.execute(read.READ["session_next_due"], {"session": name}).fetchone()
        conversations: list[tuple[str, str]] = []
        try:
            with read.inbound(self.state, name) as database:
                conversations = database.execute(read.READ["conversations"]).fetchall()
        except NotFound:
            pass
        except AgentqError as error:
            trouble.append(error)
        return SessionInfo(
            name=name,
            counts=counts,
            next_due_at=due,
            paused=paused,
            reason=reason,
            conversation=conversations[0][1] if conversations else None,
            conversations=dict(conversations),
            parallel=None,
            path=str(self.state.session(name)),
        )

    def session_names(self) -> list[str]:
        """The names of all sessions."""
        return [row[0] for row in self._index.execute(reindex.REINDEX["sessions"]).fetchall()]

    def live_counts(self) -> dict[str, dict[Status, int]]:
        """The live tasks of each session that has some, by shown status."""
        from agentq_cli.store import overview

        return overview.live_counts(self._index, now=self.now)

    def ended_counts(self, since: int = 0) -> dict[Status, int]:
        """The tasks that have ended from a time on, by status."""
        from agentq_cli.store import overview

        return overview.ended_counts(self._index, since=since)

    def last_failed(self, since: int) -> Address | None:
        """The task that failed last, from a time on."""
        from agentq_cli.store import overview

        return overview.last_failed(self._index, since=since)

    def anything(self) -> bool:
        """Whether there is any task at all."""
        from agentq_cli.store import overview

        return overview.anything(self._index)

    def glance(self, limit: int) -> list[Task]:
        """Some of the tasks that wait, up to `limit` of each kind: those that are due, those that come next, those that
        are paused or blocked; each soonest first. What cannot be read at once is left out."""
        from agentq_cli.store import overview

        return overview.glance(self.state, self._index, now=self.now, limit=limit)

    def recent_ends(self, limit: int) -> list[PastRun]:
        """The runs that ended last, newest first."""
        from agentq_cli.store import overview

        return overview.recent_ends(self._index, limit=limit)

    def history(self, *, session: str | None = None, since: int | None = None) -> Iterator[PastRun]:
        """Every run, or those that began from a time on, newest first."""
        from agentq_cli.store import overview

        if session is not None:
            self.known(session)
        return overview.history(self._index, session=session, since=since)

    def pause_reason(self, session: str) -> str | None:
        """Why a session is paused; None where no reason was given, or it is not."""
        row = self._index.execute(read.READ["session"], {"name": session}).fetchone()
        return row[2] if row else None

    def events(
        self, *, address: Address | None = None, since: int | None = None, limit: int | None = None
    ) -> Iterator[Event]:
        """Every change of state, newest first."""
        if address is not None:
            self.task(address)
        return islice(read.events(self._index, address=address, since=since, most=limit), limit)

    def events_after(self, after: int, *, address: Address | None = None) -> list[Event]:
        """What has happened since the event of that id, oldest first, a page at a time."""
        return read.events_after(self._index, address=address, after=after)

    def last_event(self) -> int:
        """The id of the newest event."""
        (last,) = self._index.execute(read.READ["last_event"]).fetchone()
        return int(last)

    def messages(self, session: str, *, since: int | None = None, limit: int | None = None) -> Iterator[Message]:
        """What a session's agents said, newest first. Raises NotFound."""
        self.known(session)
        return islice(read.messages(self.state, session, since=since), limit)

    def messages_after(self, session: str, after: int) -> tuple[list[Message], int]:
        """What was said since position `after`, oldest first, and the position to ask from next."""
        return read.messages_after(self.state, session, after=after)

    def last_message(self, session: str) -> int:
        """The position of a session's newest message. Raises NotFound."""
        self.known(session)
        return read.last_message(self.state, session)

    def waiting_for(
        self, task: Task, *, jobs: int, parallel: int | None, gate: Gate | None = None
    ) -> WaitingFor | None:
        """Why a task is not running. `jobs` is the widest live supervisor's, 0 where none lives; `gate` the first that
        holds one of theirs."""
        workers = self.workers()
        lane = [worker for worker in workers if worker.session == task.session]
        row = self._index.execute(read.READ["session"], {"name": task.session}).fetchone()
        retrying = self._index.execute(
            read.READ["session_retrying"], {"session": task.session, "now": self.now}
        ).fetchall()
        values = {"now": self.now, "priority": task.work.priority, "due_at": task.due_at}
        (ahead,) = self._index.execute(read.READ["due_before"], values).fetchone()
        around = waiting.Surroundings(
            session_paused=bool(row and row[1]),
            session_reason=row[2] if row else None,
            holds=self.holds(),
            session_runs=[worker.id for worker in lane],
            conversation_runs=[
                worker.id for worker in lane if worker.shares_conversation and worker.agent == task.work.agent
            ],
            retrying=[str(Address(task.session, seq)) for (seq,) in retrying],
            parallel=parallel,
            workers=len(workers),
            jobs=jobs,
            ahead=ahead,
            depends=self.depends(task),
            gate=gate,
        )
        return waiting.waiting_for(task, around, self.now)

    def depends(self, task: Task) -> list[Looked]:
        """How the tasks stand that a blocked one waits for."""
        return dependencies.look(self._index, task.address) if task.status is Status.BLOCKED else []

    # Hooks

    def hooks_wait(self, names: Collection[str], *, after: int, configured_at: int) -> bool:
        """Whether an event after `after`, which the caller has looked at before, calls for one of these hooks."""
        from agentq_cli.store import hooks

        begin = after or hooks.begin(self._index, now=self.now, configured_at=configured_at)
        return bool(hooks.find(self._index, names, after=begin, now=self.now))

    def hooks_begun(self) -> bool:
        """Whether anybody has looked for hooks to run before."""
        from agentq_cli.store import hooks

        return hooks.begun(self._index)

    def hooks_called(self, names: Collection[str], *, configured_at: int) -> list[tuple[str, Address | None]]:
        """What the next `collect_hooks` would find: the hook, and the task whose event calls it."""
        from agentq_cli.store import hooks

        begin = hooks.begin(self._index, now=self.now, configured_at=configured_at)
        found = hooks.find(self._index, names, after=begin, now=self.now)
        return [
            (hook, None if told.session is None or told.seq is None else Address(told.session, told.seq))
            for hook, told in found
        ]

    def collect_hooks(self, names: Collection[str], owner: Identity, *, configured_at: int) -> None:
        """Hand what the new events call for to `owner`, each to one process only. `configured_at` is when the hooks
        were, for events from before anybody looked for any."""
        from agentq_cli.store import hooks

        hooks.collect(self._index, self.state.index, names, owner, now=self.now, configured_at=configured_at)

    def hook_owners(self) -> list[Identity | None]:
        """The processes that have hooks to run, None where they are nobody's."""
        from agentq_cli.store import hooks

        return hooks.owners(self._index)

    def take_hooks(self, gone: Sequence[Identity | None], owner: Identity) -> None:
        """Take over the hooks of processes that are gone."""
        from agentq_cli.store import hooks

        hooks.take(self._index, self.state.index, gone, owner)

    def own_hooks(self, owner: Identity, *, limit: int) -> list[hook_policy.Call]:
        """The next hooks that are `owner`'s to run, those that it runs already too."""
        from agentq_cli.store import hooks

        return hooks.mine(self._index, owner, limit=limit)

    def record_hooks(self, ran: Sequence[hook_policy.Ran], owner: Identity, *, actor: Actor) -> None:
        """Forget hooks that have run, and record their failures."""
        from agentq_cli.store import hooks

        hooks.record(self._index, self.state.index, ran, owner, now=self.now, actor=actor)

    def hook_failures(self) -> list[hook_policy.Failure]:
        """The hooks whose last run failed."""
        from agentq_cli.store import hooks

        return hooks.failures(self._index)

    # Figures

    def session_tasks(self, session: str | None = None) -> Iterator[figures.SessionTasks]:
        """The tasks of every session, or of one, in numbers."""
        from agentq_cli.store import stats

        return stats.sessions(self._index, session=session, now=self.now)

    def copied_runs(
        self, *, session: str | None = None, since: int | None = None
    ) -> contextlib.AbstractContextManager[stats.Copy]:
        """A copy of the audit log to make figures of, so that nothing stays locked meanwhile."""
        from agentq_cli.store import stats

        return stats.copied(self._index, session=session, since=since)

    def run_counters(self, copy: stats.Copy, session: str | None = None) -> dict[figures.FiguresKey, figures.Figures]:
        """Figures by session and agent that only ever grow."""
        from agentq_cli.store import stats

        return stats.counters(self._index, copy, session=session)

    # Upkeep

    def changed_outbounds(self, sessions: Iterable[str] | None = None) -> list[str]:
        """The sessions, or of these sessions those, whose outbound.db is not what it was when its requests were last
        read."""
        if sessions is None:
            known = self._index.execute(asking.REQUESTS["stamps"]).fetchall()
        else:
            each = (self._index.execute(asking.REQUESTS["stamp"], {"session": name}).fetchall() for name in sessions)
            known = [row for found in each for row in found]
        return [session for session, stamp in known if self.outbound_stamp(session) != stamp]

    def outbound_stamp(self, session: str) -> str | None:
        """What changes when the session's outbound.db does; None where there is none."""
        return asking.stamp(self.state, session)

    def may_ask(self, session: str) -> bool:
        """Whether a session's outbound.db is not what it was when this process last found all of it answered."""
        return self._answered.get(session) != asking.stamp(self.state, session)

    def remember_outbound(self, session: str, seen: str | None) -> None:
        """Note that the requests of an outbound.db with this stamp have been answered."""
        self._answered[session] = seen

    def record_outbounds(self) -> None:
        """Record what was noted so, for the sweeps to come. A supervisor need not: what it runs is changed anyway."""
        asking.record(self._index, self.state, self._answered)
        self._answered.clear()

    def requests(self, session: str, most: int) -> Iterator[tuple[str, object]]:
        """What a session's agents ask for and was not answered, `most` of it: id and content, in their order."""
        return asking.asked(self.state, session, most)

    def apply_request(
        self,
        session: str,
        message: str,
        request: Request | Refusal,
        *,
        template: asking.Template,
        reschedule: asking.Reschedule,
        max_queued: int,
    ) -> Answer | None:
        """Carry a request out, once, and record the answer in the same commit; None where it was answered before."""
        return asking.apply(
            self.state,
            session,
            message,
            request,
            template=template,
            reschedule=reschedule,
            max_queued=max_queued,
            now=self.now,
        )

    def note_sweep(self, *, turn: bool = False) -> None:
        """Remember that somebody sweeps; with `turn` the next one looks at the sessions after those of this one."""
        seen.note(self._index, self.now, turn=turn)

    def turn(self, session: str | None = None) -> upkeep.Turn:
        """What a sweep looks at now, or one of that session: all that there is, where it is not very much."""
        return upkeep.turn(self.state, self._index, session)

    def look_into(self, turn: upkeep.Turn, *, remember: bool) -> Iterator[tuple[str, Fault]]:
        """Open the sessions that have changed and roll back what dead writers left; yields what is wrong with each.
        With `remember` the others are not opened again until they change."""
        return upkeep.look_into(self.state, self._index, turn, remember=remember)

    def last_sweep(self) -> int | None:
        """When somebody last swept."""
        row = self._index.execute(read.READ["meta"], {"name": "last_sweep_at"}).fetchone()
        return None if row is None else int(row[0])

    def roll_back_dead_writers(self, session: str | None = None) -> list[str]:
        """Bring files in order, of all sessions or of one, that a dead process left in mid-commit; returns whose."""
        return reindex.roll_back_dead_writers(self.state, self.state.session_names() if session is None else [session])

    def stored_sessions(self) -> list[str]:
        """The sessions that have a directory, whatever the index says."""
        return list(self.state.session_names())

    def faults(self, session: str) -> list[Fault]:
        """What is wrong with the files of a session. Raises Busy where that cannot be told now."""
        return list(condition.faults(self.state, session))

    def forgotten(self) -> list[str]:
        """The sessions of which the index lacks what their files hold: those that it does not know, and of those that
        have changed since a sweep looked at them the ones that it knows by an older copy of itself."""
        known = set(self.session_names())
        unknown = (name for name in self.stored_sessions() if name not in known)
        return [name for name in dict.fromkeys([*unknown, *self.turn(None).changed]) if self._lacks(name)]

    def _lacks(self, session: str) -> bool:
        try:
            return condition.lacking(self.state, session)
        except AgentqError:
            return False  # it cannot be read, or not now: its own trouble

    def reindex(self, session: str, *, host: str) -> list[str]:
        """Rebuild the index of one session from its file; returns what had to be mended."""
        return list(
            reindex.reindex(self.state, session, now=self.now, host=host, busy_ms=connection.BACKGROUND_BUSY_MS)
        )

    def lacking_history(self, session: str) -> Iterator[Lacking]:
        """The tasks of a session whose runs or events the index lacks."""
        return history.lacking(self.state, self._index, session)

    def results(self, session: str) -> Mapping[str, tuple[RunStatus, int]]:
        """How the runs of a session ended, and when, as the result rows in its outbound.db say."""
        return history.results(self.state, session)

    def put_back_history(self, pasts: Sequence[FoundRun], tasks: Sequence[Task], *, host: str) -> None:
        """Write runs of the past, and the events of tasks that have none."""
        history.put_back(self.state, self._index, pasts, tasks, host=host)

    def batches(self) -> list[tuple[str, bool, list[str], Identity]]:
        """Batches on their way: id, whether committed, sessions, owner."""
        found = self._index.execute(submit.BATCH["all"]).fetchall()
        return [(row[0], bool(row[1]), json.loads(row[2]), Identity(*row[3:])) for row in found]

    def settle_batch(self, batch: str, *, committed: bool, sessions: Sequence[str]) -> None:
        """Finish a committed batch that its owner left, or take back one that was not committed."""
        settle = submit.release if committed else submit.drop
        settle(self.state, batch, sessions, now=self.now, actor=Actor.SWEEP)

    def known(self, session: str) -> None:
        """Raises NotFound, with the nearest name, where there is no such session, and Usage where it can be none."""
        directory = self.state.session(session)
        if not directory.exists():
            near = nearest(session, self.session_names()) or "; see `agentq sessions`"
            raise NotFound(f"session '{session}': there is none of that name{near}")

    def _write(self, *steps: tuple[str, dict[str, object]]) -> None:
        with connection.transaction(self._index, self.state.index):
            for name, values in steps:
                self._index.execute(dispatch.DISPATCH[name], values)

    def _write_hold(self, name: str, values: Mapping[str, object], *, event: str, reason: str | None) -> None:
        from agentq_cli.store import holds

        told: dict[str, object] = {
            "at": self.now,
            "session": None,
            "seq": None,
            "attempt": None,
            "from": None,
            "to": None,
        }
        told |= {"event": event, "actor": Actor.USER, "reason": reason, "hook": None, "agent": None}
        with connection.transaction(self._index, self.state.index):
            self._index.execute(dispatch.DISPATCH[name], values)
            self._index.execute(statements("write")["event"], told)
            holds.copy(self._index, self.state)


def done(found: Task | Undone) -> Task:
    """The task. Raises why it could not be done."""
    if isinstance(found, Undone):
        raise found.error
    return found


def _key(identity: Identity) -> dict[str, object]:
    return {"pid": identity.pid, "start_time": identity.start_time, "boot_id": identity.boot_id}


def _named(agent: str | None, reason: str | None) -> str | None:
    return " ".join(part for part in (agent, f"({reason})" if reason else None) if part) or None
