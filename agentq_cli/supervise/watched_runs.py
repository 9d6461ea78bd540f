"""The runs that one supervisor watches: it adopts them, reads what they print, ends them at a limit, and finishes
them."""

from __future__ import annotations

import select
from collections.abc import Callable, Collection, Generator, Iterator

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.errors import Busy
from agentq_cli.host import stop
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import RunId
from agentq_cli.model.statuses import Status
from agentq_cli.supervise import limits, overdue, signs, strays
from agentq_cli.supervise.duty import Duty, Happening
from agentq_cli.supervise.gathering import see_ends
from agentq_cli.supervise.guard import Tried
from agentq_cli.supervise.starting import START
from agentq_cli.supervise.watch import LOST_MS, Watched, abandoned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.workers import Sign

STREAM_MS = 500
"""How often an agent's stream is read while it runs: its conversation's id is needed before it ends."""

STORE_AGAIN_MS = 2_000
"""When to try again to store what runs print, after that could not be done."""

OVERDUE_MS = 5_000
"""How often runs are checked that may have passed a limit and cannot be ended."""


def settling(run: RunId) -> str:
    """The guard's step for the end of a run."""
    return f"settle {run}"


class WatchedRuns:
    """The runs of one supervisor, in the order of the starts.

    `started` counts the tasks that it started, `ended` those that it watched to their end, `failed` those of them whose
    end was unsuccessful. `heard` is called with the session of each run that is finished, `take_over` with each of
    which something is left to do. `commit_ms` is how long the last commit of ends took.
    """

    def __init__(self, duty: Duty, heard: Callable[[str], None], take_over: Callable[[Watched], None]) -> None:
        self.by_id: dict[RunId, Watched] = {}
        self.started = 0
        self.ended = 0
        self.failed = 0
        self.commit_ms = 0
        self._duty = duty
        self._heard = heard
        self._take_over = take_over
        self._overdue: set[RunId] = set()
        self._overdue_at = 0

    def start(self, watched: Watched) -> None:
        """Watch a run that was started."""
        self.started += 1
        self.by_id[watched.worker.id] = watched
        self._store(watched)

    def adopt(self) -> Iterator[Happening]:
        """Take over runs whose supervisor is gone."""
        duty = self._duty
        for worker in duty.queue.orphaned():
            step = f"adopt {worker.id}"
            if worker.id in self.by_id or duty.outside(worker.session) or not duty.guard.may_run(worker.session, step):
                continue
            mine = False
            with duty.guard.guarding(worker.session, step) as tried:
                # What may fail comes first: nobody else takes a run that is on record as taken.
                task = duty.queue.task(worker.id.address, background=True)
                watched = Watched.adopt(worker, task, duty.queue.here.run(worker.id), duty.config, duty.queue)
                try:
                    mine = duty.queue.adopt(worker, duty.identity)
                finally:
                    if not mine:
                        watched.close()
            if tried.lasting:
                yield from self._give_up(worker.id, tried)
            if not mine:
                continue
            self.by_id[worker.id] = watched
            self._store(watched)
            yield duty.tell("adopt", worker.id, before=Status.RUNNING, after=Status.RUNNING)

    def read_streams(self) -> None:
        """Read what the agents have printed since the last call, and store a conversation's id as soon as it is
        known."""
        for run, watched in self.by_id.items():
            step = f"stream {run}"
            if not self._duty.guard.may_run(run.session, step):
                continue
            # If storing fails, the next tick or the finish stores it.
            with self._duty.guard.guarding(run.session, step):
                seen = watched.read_on()
                if seen is not None and watched.task.work.agent is not None:
                    self._duty.queue.seen_conversation(run, watched.task.work.agent, seen)
                    watched.conversation = seen

    def store_output(self) -> None:
        """Store what the runs have printed since the last call, where the engine wants that."""
        for watched in self.by_id.values():
            self._store(watched)

    def _store(self, watched: Watched) -> None:
        if not watched.ended and self._may_store(watched):
            run = watched.worker.id
            with self._duty.guard.guarding(run.session, f"output {run}") as tried:
                watched.store(self._duty.queue)
            if isinstance(tried.error, Busy):
                # Nothing can be stored now, and to find that out for each run would take as long again.
                for each in self.by_id.values():
                    each.put_off(STORE_AGAIN_MS)

    def _may_store(self, watched: Watched) -> bool:
        run = watched.worker.id
        return watched.store_at is not None and self._duty.guard.may_run(run.session, f"output {run}")

    def check_keepers(self) -> None:
        """Find out which runs are kept no more that nothing tells the end of."""
        for run, watched in self.by_id.items():
            if watched.unannounced:
                with self._duty.guard.guarding(run.session, f"keeper {run}"):
                    watched.check_keeper()

    def signs(self) -> dict[RunId, Sign]:
        """What is known of those that have not ended."""
        return signs.of(self._duty.queue.here, [run for run, watched in self.by_id.items() if not watched.ended])

    # Ending them

    def abandon(self, why: str, *, known: Collection[RunId] = ()) -> Iterator[Happening]:
        """Kill those that are not `known` to be this host's, at once: they run elsewhere, or soon will."""
        duty = self._duty
        for run, watched in self.by_id.items():
            if watched.ended or run in known:
                continue
            with duty.guard.guarding(run.session, f"abandon {run}"):
                strays.end(duty.queue.here, run)
                watched.outcome, watched.ended = abandoned(duty.queue.now, why), True
                yield duty.tell("stop", run, before=Status.RUNNING, after=Status.RUNNING, reason=why)

    def pass_on_stops(self) -> None:
        """Deliver recorded stops whose requesting process died before it could deliver them."""
        queue = self._duty.queue
        for worker in queue.workers():
            watched = self.by_id.get(worker.id)
            if worker.stop is not None and watched is not None and not watched.ended:
                # If the disk is full, the next round tries again.
                with self._duty.guard.guarding(worker.session, f"stop {worker.id}"):
                    if not watched.directory.told(worker.stop):
                        stop.request_stop(watched.directory, reason=worker.stop, at=queue.now)

    def limit(self) -> Iterator[Happening]:
        """End the runs that have been silent for too long, use too much memory or cost too much."""
        duty = self._duty
        for run, watched in self.by_id.items():
            if watched.ended or not watched.limits.due():
                continue
            # Out of descriptors, or a disk that cannot take the record of a stop: the next check finds it again.
            with duty.guard.guarding(run.session, f"limits {run}"):
                reached = watched.limits.check(watched.directory, watched.stream)
                if reached is not None and limits.enforce(
                    duty.queue, run, watched.directory, reached, actor=Actor.SUPERVISOR
                ):
                    why = f"{reached.reason}: {reached.detail}"
                    yield duty.tell("stop", run, before=Status.RUNNING, after=Status.RUNNING, reason=why)

    def report_overdue(self) -> Iterator[Happening]:
        """Report once for each run that it should have ended and cannot be ended."""
        now, duty = monotonic_ms(), self._duty
        if now < self._overdue_at:
            return
        self._overdue_at = now + OVERDUE_MS
        for run, watched in self.by_id.items():
            if run in self._overdue:
                continue
            with duty.guard.guarding(run.session, f"overdue {run}"):
                if not watched.ended:
                    # An agent in the making has its line open too, and may outlive a keeper that was killed.
                    watched.check_keeper()
                here = duty.queue.here.path
                late = overdue.find(watched.worker, watched.task, watched.directory, duty.config, here)
                if late is None:
                    continue
                self._overdue.add(run)
                yield duty.tell("overdue", run, before=Status.RUNNING, after=Status.RUNNING, reason=str(late))
        self._overdue.intersection_update(self.by_id)

    # Finishing them

    def conclude(self) -> Generator[Happening, None, list[RunId]]:
        """Find out how the runs that have ended did so; returns those that are to be finished now."""
        # Now, and not when it slept: what has ended since is in the same commit.
        poll = select.poll()
        see_ends(poll, self.poll(poll), self.commit_ms)
        now, duty = monotonic_ms(), self._duty
        found: list[RunId] = []
        for run, watched in list(self.by_id.items()):
            step = settling(run)
            if not watched.ended or watched.again_at > now or not duty.guard.may_run(run.session, step):
                continue
            with duty.guard.guarding(run.session, step) as tried:
                if not watched.conclude(duty.queue, duty.config):
                    if watched.take:
                        self._take_over(watched)
                        yield duty.tell("recheck", run, before=Status.RUNNING, after=Status.RUNNING)
                elif watched.never_started:
                    yield from self._undo(run)
                else:
                    watched.store(duty.queue, over=True)
                    found.append(run)
            if tried.error is not None:
                yield from self.unfinished(run, tried)
        return found

    def outcomes(self, runs: Collection[RunId]) -> dict[RunId, Outcome]:
        """How concluded runs ended."""
        found = {run: self.by_id[run].outcome for run in runs}
        return {run: outcome for run, outcome in found.items() if outcome is not None}

    def finished(self, run: RunId, task: Task | None, *, awaited: bool) -> Iterator[Happening]:
        """Report a run that is finished, and watch it no longer. None: another process has finished it before.
        `awaited`: other tasks waited for its end."""
        duty, watched = self._duty, self.by_id[run]
        self._forget(run)
        if task is None:
            return
        if task.status.ended:
            self.ended += 1
            self.failed += task.status not in (Status.COMPLETED, Status.SKIPPED)
        after = task.shown_status(duty.queue.now)
        yield duty.tell("finish", run, before=Status.RUNNING, after=after, reason=task.reason, outcome=watched.outcome)
        if (unposted := duty.queue.why_unposted(run)) is not None:
            yield duty.tell("unposted", run, reason=f"its result could not be written to outbound.db: {unposted}")
        if awaited:
            yield from duty.tell_stopped(task)

    def unfinished(self, run: RunId, tried: Tried) -> Iterator[Happening]:
        """Leave for later a run that could not be finished, or give it up."""
        if tried.lasting:
            yield from self._give_up(run, tried)
            self._forget(run)

    def _undo(self, run: RunId) -> Iterator[Happening]:
        why = "it was claimed and never started"
        undone = self._duty.queue.undo_claim(run, actor=Actor.SUPERVISOR, reason=why, background=True)
        self._forget(run)
        if undone:
            self.started -= 1
            yield self._duty.tell("undo", run, before=Status.RUNNING, after=Status.QUEUED)

    def _forget(self, run: RunId) -> None:
        self.by_id.pop(run).close()
        self._heard(run.session)

    def _give_up(self, run: RunId, tried: Tried) -> Iterator[Happening]:
        """A session that cannot be read must not keep a slot from the others."""
        assert tried.error is not None
        guard = self._duty.guard
        self._duty.queue.upkeep.give_up(run)
        guard.clear(run.session, settling(run))
        guard.clear(run.session, f"adopt {run}")
        guard.note(run.session, START, tried.error)
        self.ended += 1
        self.failed += 1
        yield self._duty.tell("trouble", run, reason=tried.error.message)

    # Sleeping

    def poll(self, poll: select.poll) -> dict[int, Watched]:
        """Have the lines polled of those that have not ended; returns them by descriptor."""
        found = {watched.line: watched for watched in self.by_id.values() if watched.line >= 0 and not watched.ended}
        for descriptor in found:
            poll.register(descriptor, select.POLLIN)
        return found

    def moments(self) -> list[int]:
        """When to look at them again (monotonic)."""
        now = monotonic_ms()
        moments = [self._overdue_at] if self.by_id else []
        for watched in self.by_id.values():
            if watched.ended:
                # Also one that has passed since the last look: nothing else would wake us for it.
                if self._duty.guard.may_run(watched.worker.session, settling(watched.worker.id)):
                    moments.append(watched.again_at)
                continue
            if watched.task.work.kind == "prompt" and watched.store_at is None:
                moments.append(now + STREAM_MS)
            if watched.unannounced:
                moments.append(now + LOST_MS)
            if watched.limits.check_at is not None:
                moments.append(watched.limits.check_at)
        return moments

    def pulses(self) -> list[int]:
        """When to call `pulse` (monotonic)."""
        live = [watched for watched in self.by_id.values() if not watched.ended and self._may_store(watched)]
        return [watched.store_at for watched in live if watched.store_at is not None]

    def pulse(self) -> bool:
        """Read and store what they have printed; returns whether one of them is to be looked at for what it said."""
        self.read_streams()
        self.store_output()
        now = monotonic_ms()
        return any(
            not watched.ended and watched.limits.check_at is not None and watched.limits.check_at <= now
            for watched in self.by_id.values()
        )

    def close(self) -> None:
        """Let go of them; they go on."""
        for watched in self.by_id.values():
            watched.close()
