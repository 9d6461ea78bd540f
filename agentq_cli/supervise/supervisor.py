"""`agentq run`: picks, claims, starts and watches tasks; settles what ends; leaves agents running when it exits.

One thread, no polling: it sleeps on its doorbell, the pidfds of its shims and its signals, with timers for the next due
time, its lease and its retries. Its decisions are in `policy`, its storage behind the `door`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial

from agentq_cli.base.clock import Clock, monotonic_ms
from agentq_cli.base.dataclass import dataclass, replace
from agentq_cli.base.errors import AgentqError, Refused
from agentq_cli.base.identity import Identity
from agentq_cli.config import configuration
from agentq_cli.engines.door import Queue
from agentq_cli.host import attendance, process, stop
from agentq_cli.host.launch import Launcher
from agentq_cli.host.resources import Resources
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import RunId
from agentq_cli.model.runs import Outcome
from agentq_cli.model.sessions import Event
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.model.workers import Supervisor
from agentq_cli.policy import order
from agentq_cli.supervise import gates, history, limits, overdue, requests
from agentq_cli.supervise.gates import Gates
from agentq_cli.supervise.guard import Guard, Tried, few_descriptors
from agentq_cli.supervise.hooks import PATIENCE_MS, Hooks
from agentq_cli.supervise.signals import Signals
from agentq_cli.supervise.starting import START, Starter
from agentq_cli.supervise.watch import LOST_MS, Watched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.host.bells import Bell

RENEW_MS = 10_000
STREAM_MS = 500
"""How often an agent's stream is read while it runs: its conversation's id is needed before it ends."""
TICK_MS = 1000
OVERDUE_MS = 5_000
"""How often runs are checked that may have passed a limit and cannot be ended."""

SAFETY_NET_MS = 30_000
MOST_MISSES = 10
"""How many claims may fail in one go before it waits: other supervisors are at it, or a file is faulty."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line of `run` requests; `jobs` None follows the config. Durations are milliseconds."""

    jobs: int | None = None
    sessions: tuple[str, ...] = ()
    drain: bool = False
    idle_exit_ms: int | None = None
    max_tasks: int | None = None
    on_stop: str | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of `run`'s report: an event as it was recorded, and for a finish its outcome."""

    event: Event
    outcome: Outcome | None = None


class Supervision:
    """One `agentq run`. `failed` counts the tasks that it ran and that ended unsuccessfully, `signal` is the signal
    that ended it. `deferred_until` is when the usage limit ends that holds everything a drain left undone. With
    `ticking`, `run` also yields None after each round, at least each second while something runs, for a display."""

    def __init__(
        self,
        queue: Queue,
        launcher: Launcher,
        *,
        config: configuration.Config,
        clock: Clock,
        settings: Settings,
        environ: Mapping[str, str],
        resources: Resources | None = None,
    ) -> None:
        self.failed = 0
        self.deferred_until: int | None = None
        self.signal: int | None = None
        self.ticking = False
        self._queue = queue
        self._config = config
        self._clock = clock
        self._settings = settings
        self._environ = environ
        self._identity: Identity = process.current()
        self._resources = resources or Resources()
        self._guard = Guard()
        self._gates = Gates(queue, self._identity, self._resources)
        self._starter = Starter(
            queue,
            launcher,
            self._gates,
            self._guard,
            self._identity,
            config=config,
            clock=clock,
            environ=environ,
            sessions=settings.sessions,
        )
        self._hooks = Hooks(queue, self._identity, environ, Actor.SUPERVISOR)
        self._watched: dict[RunId, Watched] = {}
        self._started = 0
        self._renewed_at = monotonic_ms()
        self._idle_since = monotonic_ms()
        self._over_since: int | None = None
        self._stopping: str | None = None
        self._cancelling: set[tuple[RunId, str]] = set()
        self._overdue: set[RunId] = set()
        self._overdue_at = 0
        self._ended_in: set[str] = set()
        self._unanswered: set[str] = set()
        self._undecided = False

    @property
    def watched(self) -> Sequence[Watched]:
        """The runs that it watches at this moment, in the order of the starts."""
        return tuple(self._watched.values())

    def run(self) -> Iterator[Happening | None]:
        """Supervise until there is a reason to end; yields what happens."""
        with Signals() as signals, contextlib.ExitStack() as opened:
            opened.callback(self._leave, signals)
            bell = yield from self._begin(signals, opened)
            while bell is not None:
                bell.empty()
                yield from self._heed(signals)
                with self._guard.guarding(None, "round"):
                    yield from self._round()
                over = self._stopping == "leave"
                with self._guard.guarding(None, "end"):
                    over = over or self._done()
                yield from self._tell_trouble()
                if over:
                    return
                if self.ticking:
                    yield None
                self._sleep(bell, signals)

    def _begin(self, signals: Signals, opened: contextlib.ExitStack) -> Generator[Happening, None, Bell | None]:
        """Go on duty as soon as possible; None if it was stopped before that. Raises Refused if the disk does not allow
        it: that is reported to the caller instead of retried."""
        registered = False
        while True:
            yield from self._heed(signals)
            if self._stopping is not None:
                return None
            with self._guard.guarding(None, "begin") as tried:
                if not registered:
                    self._renewed_at = monotonic_ms()
                    self._queue.join(
                        Supervisor(
                            self._identity, self._jobs, self._settings.sessions, self._queue.now, self._renewed_at
                        )
                    )
                    registered = True
                bell = self._queue.bell()
                bell.fileno()
                opened.enter_context(bell)
                with self._guard.guarding(None, "begin hooks"):
                    self._hooks.begin(self._config)
                with self._guard.guarding(None, "remember"):
                    yield from self._remember()
                return bell
            if isinstance(tried.error, Refused) and few_descriptors() is None:
                raise tried.error
            yield from self._tell_trouble()
            self._sleep(None, signals)

    def _leave(self, signals: Signals) -> None:
        """Go off duty; what runs is adopted by the next supervisor. If its row cannot be removed now, others recognize
        it as a dead one's."""
        for watched in self._watched.values():
            watched.close()
        with contextlib.suppress(AgentqError, OSError):
            self._queue.leave(self._identity)
        for _ in self._hooks.close(signals.fileno()):
            pass

    def _tell_trouble(self) -> Iterator[Happening]:
        """Report unreported trouble; trouble that stops everything is also recorded for others to see."""
        for session, message in self._guard.take_unreported():
            yield self._tell("trouble", None, reason=message if session is None else f"{session}: {message}")
        general = self._guard.general_trouble()
        if general is not None:
            # Connections that are needed are opened again; the others make room.
            self._queue.rest()
        with contextlib.suppress(AgentqError, OSError):
            self._gates.note_trouble(general)

    def _remember(self) -> Iterator[Happening]:
        """Add to the index what the files have and the index lacks, as after it was restored from an older copy."""
        find_run, host = partial(history.past, self._queue.here, self._config), os.uname().nodename
        for mended in self._queue.upkeep.recall(find_run, host=host, wanted=lambda session: not self._outside(session)):
            yield self._tell("reindex", reason=mended)

    def _round(self) -> Iterator[Happening]:
        self._queue.check()
        self._reload()
        if self._watched:
            self._renew()
        self._read_streams()
        for watched in self._watched.values():
            if watched.foreign:
                with self._guard.guarding(watched.worker.session, f"keeper {watched.worker.id}"):
                    watched.check_foreign()
        yield from self._settle()
        # What needs nothing of the index comes first: it may be locked, and no limit waits for that.
        if self._cancelling:
            self._cancel_on()
        if self._stopping != "leave":
            yield from self._limit()
            yield from self._report_overdue()
        calls = self._queue.calls(self._identity)
        if self._stopping != "leave":
            # If its own row is gone or old, anybody may take its runs.
            if calls.strangers or not calls.known or monotonic_ms() - self._renewed_at >= attendance.LEASE_MS:
                yield from self._adopt()
            if calls.stops:
                self._pass_on_stops()
        if self._claiming:
            if calls.expired:
                yield from self._expire()
            if calls.arriving:
                self._arrive()
        yield from self._answer()
        yield from self._tell_dependents()
        yield from self._fill() if self._claiming else self._ask_gates(None)
        yield from self._call_hooks()

    @property
    def _jobs(self) -> int:
        return self._settings.jobs or self._config.jobs

    @property
    def _claiming(self) -> bool:
        full = self._settings.max_tasks is not None and self._started >= self._settings.max_tasks
        return self._stopping is None and not full

    # What others request of it

    def _heed(self, signals: Signals) -> Iterator[Happening]:
        for number in signals.take():
            if self.signal is None:
                self.signal = number
                self._stopping = self._settings.on_stop or ("wait" if number == signal.SIGINT else "leave")
            else:
                self._stopping = "leave"
            running = len(self._watched)
            what = {
                "leave": "leaving them running",
                "wait": "waiting for them; a second signal leaves them running",
                "cancel": "cancelling them; a second signal leaves them running",
            }
            then = f"{running} running, {what[self._stopping]}" if running else "nothing runs"
            yield self._tell("stop", reason=f"{signal.Signals(number).name}: {then}")
            self._cancelling = set()
            if self._stopping == "cancel":
                self._cancelling = {(run, step) for run in self._watched for step in ("tell", "record")}

    def _cancel_on(self) -> None:
        """Cancel what is to be cancelled, each run told and recorded as soon as possible."""
        for run, step in list(self._cancelling):
            watched, name = self._watched.get(run), f"cancel: {step} {run}"
            if watched is None:
                self._cancelling.discard((run, step))
                self._guard.clear(run.session, name)
            elif self._guard.may_run(run.session, name):
                with self._guard.guarding(run.session, name):
                    # If its session is locked, telling its keeper is enough to make it cancelled.
                    if step == "tell":
                        stop.request_stop(watched.directory, reason="cancelled", at=self._queue.now)
                    else:
                        self._queue.request_stop(
                            run, reason="cancelled", cancel=True, actor=Actor.SUPERVISOR, background=True
                        )
                    self._cancelling.discard((run, step))

    def _reload(self) -> None:
        if not self._config.changed():
            return
        before = self._jobs
        try:
            loaded = configuration.load(self._environ)
            gates.check(loaded, self._resources)
            self._config = self._starter.config = loaded
        except (AgentqError, OSError):
            # A file in the middle of an edit: the last valid configuration applies until the file is valid again.
            self._config = replace(self._config, stamp=configuration.stamp(self._config.path))
        if self._jobs != before:
            with self._guard.guarding(None, "renew"):
                self._queue.renew(self._identity, jobs=self._jobs, renewed_at=monotonic_ms())

    def _renew(self) -> None:
        """Renew its row. Before a claim too: others take over the runs of a supervisor with an old row."""
        now = monotonic_ms()
        if now - self._renewed_at >= RENEW_MS and self._guard.may_run(None, "renew"):
            # If that cannot be written now, nothing is lost but the runs, to a supervisor that can.
            with self._guard.guarding(None, "renew"):
                self._queue.renew(self._identity, jobs=self._jobs, renewed_at=now)
                self._renewed_at = now

    # Starting

    def _fill(self) -> Iterator[Happening]:
        misses = 0
        while self._claiming and misses < MOST_MISSES:
            # With this many runs of its own no slot is free, whatever others have.
            head = None if len(self._watched) >= self._jobs else self._starter.pick(self._jobs)
            yield from self._ask_gates(head)
            if head is None or self._starter.held:
                return
            self._renew()
            claim = self._starter.claim(head, self._jobs)
            if claim is None:
                misses += 1
                continue
            self._started += 1
            self._watched[claim.run] = self._starter.launch(claim)
            # Reported once it is on its way: the start need not wait for what is printed.
            yield self._tell("start", claim.run, before=Status.QUEUED, after=Status.RUNNING)
            yield from self._settle()

    def _ask_gates(self, head: order.Head | None) -> Iterator[Happening]:
        for gate in self._starter.ask_gates(head, self._jobs):
            yield self._tell("gate", reason=f"{gate.name} {'holds' if gate.holding else 'reopens'}: {gate.detail}")

    def _expire(self) -> Iterator[Happening]:
        for address in self._queue.expired():
            if self._outside(address.session) or not self._guard.may_run(address.session, "expire"):
                continue
            expired = None
            with self._guard.guarding(address.session, "expire"):
                expired = self._queue.expire(address, actor=Actor.SUPERVISOR)
                self._starter.doubt(address.session)  # it may have been moved to a slot that is in time
            if expired is not None:
                run = RunId(*address, 0)
                yield self._tell("expire", run, before=Status.QUEUED, after=Status.EXPIRED, reason=expired.reason)
                yield from self._tell_stopped(expired)

    def _arrive(self) -> None:
        """Apply the missed policy to occurrences when they become due, so that slots that pass while they wait for a
        place are distinguished from slots at which nothing ran."""
        around = self._queue.around()
        for address, agent in self._queue.arriving():
            held = around.holds_back(address.session, agent)
            may = self._guard.may_run(address.session, "arrive")
            if may and not held and not self._outside(address.session):
                with self._guard.guarding(address.session, "arrive"):  # the claim does it too
                    self._queue.arrive(address, actor=Actor.SUPERVISOR)
                    self._starter.doubt(address.session)

    def _answer(self) -> Iterator[Happening]:
        """Carry out what the agents that are running, or have just ended, requested."""
        left: set[str] = set()
        for session in {run.session for run in self._watched} | self._ended_in | self._unanswered:
            self._unanswered.discard(session)
            if not self._queue.voice.may_ask(session):
                self._guard.clear(session, "requests")
                continue
            if not self._guard.may_run(session, "requests"):
                self._unanswered.add(session)
                continue
            more = False
            with self._guard.guarding(session, "requests") as tried:
                more = yield from self._carry_out(session)
            if tried.error is not None:
                self._unanswered.add(session)
            if more:
                left.add(session)
        self._ended_in = left

    def _carry_out(self, session: str) -> Generator[Happening, None, bool]:
        """Answer some of a session's requests; returns whether there may be more."""
        answers = requests.apply(self._queue, self._config, self._environ, session)
        while True:
            try:
                answer = next(answers)
            except StopIteration as end:
                return bool(end.value)
            run = None if answer.task is None else RunId(answer.task.session, answer.task.seq, 0)
            yield self._tell("request", run, reason=f"{session}: {answer.status}: {answer.detail}")

    def _tell_dependents(self) -> Iterator[Happening]:
        """Release or stop the tasks of other sessions that wait for something that has ended."""
        self._undecided = False
        tried: set[str] = set()
        while waiting := [name for name in self._queue.unsettled_sessions() if name not in tried]:
            tried.update(waiting)
            for session in waiting:
                yield from self._tell_dependents_of(session)

    def _tell_dependents_of(self, session: str) -> Iterator[Happening]:
        if self._guard.may_run(session, "dependents"):
            with self._guard.guarding(session, "dependents"):
                for task in self._queue.settle_dependents_in(session, actor=Actor.SUPERVISOR):
                    yield self._tell("depend", RunId(*task.address, 0), after=task.status, reason=task.reason)
                    yield from self._tell_stopped(task)
                return
        # Trouble that a person has to fix must not keep a drain from ending.
        decided = self._outside(session) or session in self._guard.lasting("dependents")
        self._undecided = self._undecided or not decided

    def _tell_stopped(self, task: Task) -> Iterator[Happening]:
        """Report what the end of a task has stopped in its own session, in the same commit."""
        if not task.status.ended:
            return
        try:
            stopped = self._queue.stopped_behind(task)
        except AgentqError:
            return  # it is done and recorded; only this line is missing
        for each in stopped:
            yield self._tell("depend", RunId(*each.address, 0), after=each.status, reason=each.reason)

    def _outside(self, session: str) -> bool:
        return bool(self._settings.sessions) and session not in self._settings.sessions

    def _call_hooks(self) -> Iterator[Happening]:
        """Run hooks, after everything else; nothing waits for them."""
        for ran in self._hooks.step(self._config, start=self._stopping != "leave"):
            if ran.failure is not None:
                yield self._tell("hook_failed", ran.call.run, reason=f"{ran.call.hook}: {ran.failure}")

    # Watching

    def _adopt(self) -> Iterator[Happening]:
        for worker in self._queue.orphaned():
            if worker.id in self._watched or self._outside(worker.session):
                continue
            step = f"adopt {worker.id}"
            if not self._guard.may_run(worker.session, step):
                continue
            with self._guard.guarding(worker.session, step) as tried:
                if not self._queue.adopt(worker, self._identity):
                    continue
                watched = Watched.adopted(
                    worker,
                    self._queue.task(worker.id.address, background=True),
                    self._queue.here.run(worker.id),
                    self._config,
                    self._queue,
                )
            if tried.lasting:
                yield from self._give_up(worker.id, tried)
            if tried.error is not None:
                continue
            self._watched[worker.id] = watched
            yield self._tell("adopt", worker.id, before=Status.RUNNING, after=Status.RUNNING)
        yield from self._settle()

    def _pass_on_stops(self) -> None:
        """Deliver recorded stops whose requesting process died before it could deliver them."""
        for worker in self._queue.workers():
            watched = self._watched.get(worker.id)
            if worker.stop is not None and watched is not None and not watched.ended:
                # If the disk is full, the next round tries again.
                with self._guard.guarding(worker.session, f"stop {worker.id}"):
                    if watched.directory.stop() is None:
                        stop.request_stop(watched.directory, reason=worker.stop, at=self._queue.now)

    def _limit(self) -> Iterator[Happening]:
        """End the runs that have been silent for too long, use too much memory or cost too much."""
        for run, watched in self._watched.items():
            if watched.ended or not watched.limits.due():
                continue
            # Out of descriptors, or a disk that cannot take the record of a stop: the next check finds it again.
            with self._guard.guarding(run.session, f"limits {run}"):
                reached = watched.limits.check(watched.directory, watched.stream)
                if reached is not None and limits.enforce(
                    self._queue, run, watched.directory, reached, actor=Actor.SUPERVISOR
                ):
                    yield self._tell(
                        "stop",
                        run,
                        before=Status.RUNNING,
                        after=Status.RUNNING,
                        reason=f"{reached.reason}: {reached.detail}",
                    )

    def _report_overdue(self) -> Iterator[Happening]:
        """Report once for each run that it should have ended and cannot be ended."""
        now = monotonic_ms()
        if now < self._overdue_at:
            return
        self._overdue_at = now + OVERDUE_MS
        for run, watched in self._watched.items():
            if run in self._overdue:
                continue
            with self._guard.guarding(run.session, f"overdue {run}"):
                here = self._queue.here.path
                late = overdue.find(watched.worker, watched.task, watched.directory, self._config, here)
                if late is None:
                    continue
                self._overdue.add(run)
                yield self._tell("overdue", run, before=Status.RUNNING, after=Status.RUNNING, reason=str(late))
        self._overdue.intersection_update(self._watched)

    def _read_streams(self) -> None:
        for run, watched in self._watched.items():
            step = f"stream {run}"
            if not self._guard.may_run(run.session, step):
                continue
            # If storing fails, the next tick or the finish stores it.
            with self._guard.guarding(run.session, step):
                seen = watched.read_on()
                if seen is not None and watched.task.work.agent is not None:
                    self._queue.seen_conversation(run, watched.task.work.agent, seen)
                    watched.conversation = seen

    def _settle(self) -> Iterator[Happening]:
        now = monotonic_ms()
        for run, watched in list(self._watched.items()):
            if not watched.ended or watched.again_at > now:
                continue
            step = f"settle {run}"
            if not self._guard.may_run(run.session, step):
                continue
            with self._guard.guarding(run.session, step) as tried:
                if not watched.conclude(self._queue, self._config):
                    continue
                yield from self._finish(run, watched)
            if tried.lasting:
                yield from self._give_up(run, tried)
            elif tried.error is not None:
                continue
            watched.close()
            del self._watched[run]
            self._ended_in.add(run.session)

    def _finish(self, run: RunId, watched: Watched) -> Iterator[Happening]:
        if watched.never_started:
            why = "it was claimed and never started"
            if self._queue.undo_claim(run, actor=Actor.SUPERVISOR, reason=why, background=True):
                self._started -= 1
                yield self._tell("undo", run, before=Status.RUNNING, after=Status.QUEUED)
            return
        assert watched.outcome is not None
        task = self._queue.finish(run, watched.outcome, actor=Actor.SUPERVISOR, background=True)
        if task is None:
            return
        if task.status not in (Status.COMPLETED, Status.SKIPPED) and task.status.ended:
            self.failed += 1
        after = task.shown_status(self._queue.now)
        yield self._tell("finish", run, before=Status.RUNNING, after=after, reason=task.reason, outcome=watched.outcome)
        if (unposted := self._queue.why_unposted(run)) is not None:
            yield self._tell("unposted", run, reason=f"its result could not be written to outbound.db: {unposted}")
        yield from self._tell_stopped(task)

    def _give_up(self, run: RunId, tried: Tried) -> Iterator[Happening]:
        """A session that cannot be read must not keep a slot from the others."""
        assert tried.error is not None
        self._queue.upkeep.give_up(run)
        self._guard.clear(run.session, f"settle {run}")
        self._guard.clear(run.session, f"adopt {run}")
        self._guard.note(run.session, START, tried.error)
        self.failed += 1
        yield self._tell("trouble", run, reason=tried.error.message)

    # Ending and sleeping

    def _done(self) -> bool:
        if self._stopping == "leave":
            return True
        if self._watched or self._starter.held or self._ended_in:  # work that is held back is not idleness
            self._idle_since = monotonic_ms()
            self._over_since = None
            return False
        if not self._over():
            self._over_since = None
            return False
        if self._over_since is None:
            self._over_since = monotonic_ms()
        return not self._hooks.busy or monotonic_ms() - self._over_since >= PATIENCE_MS

    def _over(self) -> bool:
        """Whether there is a reason to end, now that nothing is running."""
        if not self._claiming:
            return True
        if self._settings.drain and not self._pending():
            limited = [until for session, until in self._queue.limited_until().items() if not self._outside(session)]
            self.deferred_until = min(limited, default=None)
            return True
        if self._settings.drain:
            return False
        limit = self._settings.idle_exit_ms
        return limit is not None and monotonic_ms() - self._idle_since >= limit

    def _pending(self) -> bool:
        """Whether a drain has something left that will run without a person's help."""
        if self._undecided:
            return True
        around, troubled = self._queue.around(), self._guard.lasting(START)
        mine = [session for session, lane in around.lanes.items() if lane.running and not self._outside(session)]
        if any(session not in troubled for session in mine):
            return True
        return any(
            not self._outside(session) and session not in troubled and not around.holds_back(session, agent)
            for session, agent in self._queue.unfinished()
        )

    def _sleep(self, bell: Bell | None, signals: Signals) -> None:
        poll = select.poll()
        if bell is not None:
            poll.register(bell.fileno(), select.POLLIN)
        poll.register(signals.fileno(), select.POLLIN)
        for descriptor in self._hooks.descriptors():
            poll.register(descriptor, select.POLLIN)
        by_descriptor = {}
        for watched in self._watched.values():
            if watched.pidfd >= 0 and not watched.ended:
                poll.register(watched.pidfd, select.POLLIN)
                by_descriptor[watched.pidfd] = watched
        ready = poll.poll(self._timeout())
        for descriptor, _ in ready:
            if descriptor in by_descriptor:
                by_descriptor[descriptor].ended = True
        if not ready and not self._watched:
            self._queue.rest()

    def _timeout(self) -> int:
        """Milliseconds until something is to be done for which no bell rings."""
        now = monotonic_ms()
        moments = [now if self._ended_in else now + SAFETY_NET_MS]
        if self._watched:
            moments += [self._renewed_at + RENEW_MS, self._overdue_at]
        if any(watched.task.work.kind == "prompt" and not watched.ended for watched in self._watched.values()):
            moments.append(now + STREAM_MS)
        if self.ticking and self._watched:
            moments.append(now + TICK_MS)
        moments += [watched.again_at for watched in self._watched.values() if watched.ended and watched.again_at > now]
        if any(watched.foreign for watched in self._watched.values()):
            moments.append(now + LOST_MS)
        moments += [
            watched.limits.check_at
            for watched in self._watched.values()
            if watched.limits.check_at is not None and not watched.ended
        ]
        if self._claiming:
            moments += self._starter.moments()
        if self._claiming and not self._clock.fixed and self._guard.may_run(None, "round"):
            with self._guard.guarding(None, "next"):
                dues = (self._queue.next_due(), self._queue.next_lift())
                moments += [now + max(0, due - self._queue.now) for due in dues if due is not None]
        moments += self._guard.moments()
        moments += self._hooks.moments()
        if self._settings.idle_exit_ms is not None and not self._watched:
            moments.append(self._idle_since + self._settings.idle_exit_ms)
        return max(1, min(moments) - now)

    def _tell(
        self,
        event: str,
        run: RunId | None = None,
        *,
        before: Status | None = None,
        after: Status | None = None,
        reason: str | None = None,
        outcome: Outcome | None = None,
    ) -> Happening:
        return Happening(
            Event(
                id=0,
                at=self._queue.now,
                session=run.session if run else None,
                seq=run.seq if run else None,
                attempt=run.attempt or None if run else None,
                from_status=before,
                to_status=after,
                event=event,
                actor=Actor.SUPERVISOR,
                reason=reason,
            ),
            outcome,
        )
