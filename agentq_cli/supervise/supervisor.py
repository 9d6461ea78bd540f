"""`agentq run`: picks, claims, starts and watches tasks; settles what ends; leaves agents running when it exits.

One thread, no polling: it sleeps on its doorbell, the lines of its runs and its signals, with timers for the next due
time, its lease and its retries. Its decisions are in `policy`, its storage behind the `door`. Here is the loop; each of
its parts is an object of this room that knows when it is to be called again (`moments`).
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial

from agentq_cli.base.clock import Clock, monotonic_ms
from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError, Refused
from agentq_cli.config import configuration
from agentq_cli.engines.door import Queue
from agentq_cli.engines.nouns import Calls, Renewal
from agentq_cli.host import process
from agentq_cli.host.launch import Launcher
from agentq_cli.host.resources import Resources
from agentq_cli.model.actions import Actor
from agentq_cli.policy import order
from agentq_cli.supervise import gates, history, strays
from agentq_cli.supervise.answering import Answering
from agentq_cli.supervise.dependents import Dependents
from agentq_cli.supervise.duty import Duty, Happening, Settings
from agentq_cli.supervise.ending import Ending
from agentq_cli.supervise.gates import Gates
from agentq_cli.supervise.guard import Guard, few_descriptors
from agentq_cli.supervise.hooks import Hooks
from agentq_cli.supervise.lease import Lease
from agentq_cli.supervise.quiet import SAFETY_NET_MS, Quiet
from agentq_cli.supervise.signals import Signals
from agentq_cli.supervise.standing import Standing
from agentq_cli.supervise.starting import Starter
from agentq_cli.supervise.stopping import Stopping
from agentq_cli.supervise.turns import Turns
from agentq_cli.supervise.watch import Watched
from agentq_cli.supervise.watched_runs import WatchedRuns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.subdoors import Bell, Turn

TICK_MS = 1000
LONGEST_MS = 24 * 3_600_000
MOST_MISSES = 10
"""How many claims may fail in one go before it waits: other supervisors are at it, or a file is faulty."""


class Supervision:
    """One `agentq run`. With `ticking`, `run` also yields None after each round, at least each second while something
    runs, for a display."""

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
        self.ticking = False
        duty = Duty(queue, config, clock, settings, environ, process.current(), Guard())
        self._duty, self._queue, self._guard = duty, queue, duty.guard
        self._resources = resources or Resources()
        self._gates = Gates(queue, duty.identity, self._resources)
        self._starter = Starter(duty, launcher, self._gates)
        self._answering = Answering(duty)
        self._runs = WatchedRuns(duty, self._answering.expect, self._starter.take_over)
        self._turns = Turns(duty, self._runs, self._starter, self._may_claim)
        self._dependents = Dependents(duty)
        self._hooks = Hooks(queue, duty.identity, environ, Actor.SUPERVISOR)
        self._lease = Lease(duty)
        self._stopping = Stopping(duty)
        self._standing = Standing(duty, self._runs, self._lease, self._stopping)
        self._ending = Ending(duty, self._starter.fitting)
        self._quiet = Quiet(duty)

    @property
    def watched(self) -> Sequence[Watched]:
        """The runs that it watches at this moment, in the order of the starts."""
        return tuple(self._runs.by_id.values())

    @property
    def failed(self) -> int:
        """How many tasks it ran that ended unsuccessfully."""
        return self._runs.failed

    @property
    def signal(self) -> int | None:
        """The signal that ended it."""
        return self._stopping.signal

    @property
    def deferred_until(self) -> int | None:
        """When the usage limit ends that holds everything a drain left undone."""
        return self._ending.deferred_until

    def run(self) -> Iterator[Happening | None]:
        """Supervise until there is a reason to end; yields what happens."""
        with Signals() as signals, contextlib.ExitStack() as opened:
            opened.callback(self._leave, signals)
            bell, told = (yield from self._begin(signals, opened)), False
            while bell is not None:
                bell.empty()
                yield from self._stopping.heed(signals, self._runs.by_id)
                with self._guard.guarding(None, "round"):
                    yield from self._round()
                over = self._stopping.leaving
                with self._guard.guarding(None, "end"):
                    over = over or self._done()
                self._standing.tell(over=over, again=bool(self._answering.due), claiming=self._claiming)
                yield from self._tell_trouble()
                if bell.slow is not None and not told:
                    told = True
                    yield self._duty.tell("trouble", reason=bell.slow)
                if over:
                    return
                if self.ticking:
                    yield None
                yield from self._sleep(bell, signals)

    def _begin(self, signals: Signals, opened: contextlib.ExitStack) -> Generator[Happening, None, Bell | None]:
        """Go on duty as soon as possible; None if it was stopped before that. Raises Refused if the disk does not allow
        it: that is reported to the caller instead of retried."""
        while True:
            yield from self._stopping.heed(signals, self._runs.by_id)
            if self._stopping.how is not None:
                return None
            with self._guard.guarding(None, "begin") as tried:
                if not self._lease.joined:
                    self._lease.join()
                if self._lease.of_host:
                    yield from self._end_strays()
                bell = self._queue.bell()
                bell.fileno()
                opened.enter_context(bell)
                with self._guard.guarding(None, "begin hooks"):
                    self._hooks.begin(self._duty.config)
                with self._guard.guarding(None, "remember"):
                    yield from self._remember()
                return bell
            if isinstance(tried.error, Refused) and few_descriptors() is None:
                raise tried.error
            yield from self._tell_trouble()
            yield from self._sleep(None, signals)

    def _remember(self) -> Iterator[Happening]:
        """Add to the index what the files have and the index lacks, as after it was restored from an older copy."""
        duty, host = self._duty, self._duty.config.fleet.host
        find_run = partial(history.past, duty.queue.here, duty.config)
        for mended in duty.queue.upkeep.recall(find_run, host=host, wanted=lambda name: not duty.outside(name)):
            yield duty.tell("reindex", reason=mended)

    def _leave(self, signals: Signals) -> None:
        """Go off duty; what runs is adopted by the next supervisor."""
        self._runs.close()
        self._standing.leave()
        for _ in self._hooks.close(signals.fileno()):
            pass

    # A round

    def _round(self) -> Iterator[Happening]:
        runs, leaving = self._runs, self._stopping.leaving
        self._turns.begin()
        self._quiet.look()
        self._queue.check()
        yield from self._reload()
        if runs.by_id or self._lease.of_host:
            yield from self._renew()
        runs.read_streams()
        runs.store_output()
        runs.check_keepers()
        yield from self._turns.settle()
        # What needs nothing of the index comes first: it may be locked, and no limit waits for that.
        self._stopping.cancel_on(runs.by_id)
        if not leaving:
            yield from runs.limit()
            yield from runs.report_overdue()
        if self._turns.unhindered:
            self._answering.due.clear()
            self._standing.paused = False
            self._quiet.looked(strangers=False)
        else:
            yield from self._attend()
        self._starter.fitting.begin()
        yield from self._fill() if self._claiming else self._ask_gates(None)
        self._starter.fitting.tell()
        # After everything else, as nothing waits for them.
        yield from self._call_hooks()

    def _attend(self) -> Iterator[Happening]:
        """Do what is to be done before anything is started."""
        calls, old = self._queue.calls(self._duty.identity), self._lease.old
        yield from self._hear(calls.jobs)
        self._standing.paused = calls.paused
        if not self._stopping.leaving:
            # If its own row is gone or old, anybody may take its runs.
            if calls.strangers or not calls.known or old:
                yield from self._renew()  # else others take what it adopts
                yield from self._runs.adopt()
                yield from self._turns.settle()
            if calls.stops:
                self._runs.pass_on_stops()
        if self._claiming:
            if calls.expired:
                yield from self._starter.expire()
            if calls.arriving:
                self._starter.arrive()
        unsettled = old or calls != Calls(jobs=calls.jobs, paused=calls.paused)
        for answer in self._answering.step({run.session for run in self._runs.by_id}):
            unsettled = True
            yield answer
        yield from self._dependents.step(any_left=unsettled)
        self._turns.doubt()
        self._quiet.looked(strangers=calls.strangers)

    @property
    def _claiming(self) -> bool:
        most = self._duty.settings.max_tasks
        return self._stopping.how is None and (most is None or self._runs.started < most)

    def _may_claim(self, turn: Turn) -> bool:
        """Whether the round would come to its claims without anything before them (`_attend`)."""
        if not self._claiming or self._starter.held or self._lease.due or not self._lease.may_start:
            return False
        if turn.calls(self._duty.identity) != Calls(jobs=self._duty.told) or self._lease.old:
            return False
        if not self._answering.quiet({run.session for run in self._runs.by_id}):
            return False
        self._starter.fitting.begin()
        return True

    def _renew(self, *, now: bool = False) -> Generator[Happening, None, bool]:
        """Renew the row when it is time to, or `now`. Before a claim too: others take over the runs of a supervisor
        with an old row. Returns whether nothing but that had to be done."""
        renewal = self._lease.renew(self._runs.signs) if now or self._lease.due else None
        if renewal is None:
            return False
        told = False
        for happening in self._answer(renewal):
            told = True
            yield happening
        return not told

    def _answer(self, renewal: Renewal) -> Iterator[Happening]:
        """Do what a renewal calls for."""
        if renewal.superseded:
            yield from self._runs.abandon("others have taken this host for lost")
            yield from self._end_strays()
            self._lease.renew(self._runs.signs)  # as another host
        elif renewal.known is not None:
            yield from self._runs.abandon("the database does not know of it", known=renewal.known)
            if renewal.anew:
                yield from self._end_strays()
        if self._lease.of_host:
            yield from self._rescue()

    def _end_strays(self) -> Iterator[Happening]:
        """End what runs on this machine and belongs to nobody."""
        with self._guard.guarding(None, "strays"):
            for run in strays.end_unknown(self._queue):
                yield self._duty.tell("stop", run, reason=strays.WHY)

    def _rescue(self) -> Iterator[Happening]:
        """Take over from hosts that are lost."""
        with self._guard.guarding(None, "rescue"):
            for reason, run, task in self._queue.rescue(actor=Actor.SUPERVISOR):
                after = None if task is None else task.shown_status(self._queue.now)
                yield self._duty.tell("lost", run, after=after, reason=reason)

    def _reload(self) -> Iterator[Happening]:
        """Read the configuration again if its file has changed."""
        duty = self._duty
        if not duty.config.changed():
            return
        before = duty.jobs
        try:
            loaded = configuration.load(duty.environ)
            gates.check(loaded, self._resources)
            duty.config = loaded
            self._lease.bring()
        except (AgentqError, OSError):
            # A file in the middle of an edit: the last valid configuration applies until the file is valid again.
            duty.config = replace(duty.config, stamp=configuration.stamp(duty.config.path))
        if duty.jobs != before or self._lease.of_host:
            yield from self._renew(now=True)

    def _hear(self, told: int | None) -> Iterator[Happening]:
        """Follow `agentq jobs`."""
        before, self._duty.told = self._duty.jobs, told
        if self._duty.jobs != before:
            yield from self._renew(now=True)

    def _fill(self) -> Iterator[Happening]:
        """Start tasks until no slot is free or nothing may start."""
        misses = 0
        while self._claiming and misses < MOST_MISSES:
            # With this many runs of its own no slot is free, whatever others have.
            full = len(self._runs.by_id) >= self._duty.jobs
            head = None if full or self._turns.exhausted else self._turns.coming or self._starter.pick()
            yield from self._ask_gates(head)
            if head is None or self._starter.held:
                return
            yield from self._renew()
            if not self._lease.may_start:
                return
            if not (yield from self._turns.start(head)):
                misses += 1
                continue
            yield from self._turns.settle()

    def _ask_gates(self, head: order.Head | None) -> Iterator[Happening]:
        for gate in self._starter.ask_gates(head):
            yield self._duty.tell("gate", reason=f"{gate.name} {'holds' if gate.holding else 'reopens'}: {gate.detail}")

    def _call_hooks(self) -> Iterator[Happening]:
        for ran in self._hooks.step(self._duty.config, start=not self._stopping.leaving):
            if ran.failure is not None:
                yield self._duty.tell("hook_failed", ran.call.run, reason=f"{ran.call.hook}: {ran.failure}")

    def _tell_trouble(self) -> Iterator[Happening]:
        """Report unreported trouble; trouble that stops everything is also recorded for others to see."""
        for session, message in self._guard.take_unreported():
            yield self._duty.tell("trouble", reason=message if session is None else f"{session}: {message}")
        general = self._guard.general_trouble()
        if general is not None:
            # Connections that are needed are opened again; the others make room.
            self._queue.rest()
        with contextlib.suppress(AgentqError, OSError):
            self._gates.note_trouble(general)

    # Between two rounds

    def _done(self) -> bool:
        if self._runs.by_id or self._starter.held or self._answering.due:  # work that is held back is not idleness
            self._ending.busy()
            return False
        return self._ending.due(claiming=self._claiming, undecided=self._dependents.undecided, hooks=self._hooks.busy)

    def _sleep(self, bell: Bell | None, signals: Signals) -> Iterator[Happening]:
        """Wait until there is something to do. A host renews its lease meanwhile, which is no reason to look around."""
        poll = select.poll()
        if bell is not None:
            poll.register(bell.fileno(), select.POLLIN)
        poll.register(signals.fileno(), select.POLLIN)
        for descriptor in self._hooks.descriptors():
            poll.register(descriptor, select.POLLIN)
        self._runs.poll(poll)
        soonest = monotonic_ms() + self._timeout()
        end = min(soonest, monotonic_ms() + (SAFETY_NET_MS if self._runs.by_id else self._quiet.patience()))
        while True:
            leases = [self._lease.moment()] if self._lease.of_host else []
            ready = poll.poll(max(1, min([end, *self._runs.pulses(), *leases]) - monotonic_ms()))
            if not ready:
                if end <= monotonic_ms() < soonest and self._is_idle:
                    end = min(soonest, monotonic_ms() + SAFETY_NET_MS)
                if monotonic_ms() >= end or self._pulse():
                    break
                if leases and self._lease.due and not (yield from self._renew()):
                    break
            elif bell is None or [descriptor for descriptor, _ in ready] != [bell.fileno()] or bell.rung():
                break  # a bell may be rung by what this process itself has done
        if not ready and not self._runs.by_id:
            self._queue.rest()

    @property
    def _is_idle(self) -> bool:
        """Whether a round would find nothing."""
        idle = not self._runs.by_id and not self._duty.config.changed()
        return idle and (self._lease.idle or self._quiet.holds)

    def _pulse(self) -> bool:
        """Between two rounds, which ask the database much: store what the runs have printed; returns whether there is
        more to do."""
        return self._runs.pulse() or self._answering.asked({run.session for run in self._runs.by_id})

    def _timeout(self) -> int:
        """Milliseconds until something is to be done for which no bell rings."""
        now = monotonic_ms()
        moments = [now if self._answering.due else now + LONGEST_MS]
        moments += self._runs.moments()
        if self._runs.by_id:
            moments.append(self._lease.moment())
            moments += [now + TICK_MS] if self.ticking else []
        else:
            moments += self._ending.moments()
        if self._claiming:
            moments += self._starter.moments()
        moments += self._guard.moments()
        moments += self._hooks.moments()
        return max(1, min(moments) - now)
