"""One run that a supervisor watches, from its start or adoption until its outcome is known."""

from __future__ import annotations

import errno
import os

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.host import keeper
from agentq_cli.host.records import Start, Void
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.host.said import StreamFollower
from agentq_cli.host.tree import SETTLE_MS, Orphans
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import FailureClass, RunStatus
from agentq_cli.model.tasks import Task
from agentq_cli.model.workers import Worker
from agentq_cli.supervise import recovery, settle
from agentq_cli.supervise.limits import RunLimits
from agentq_cli.supervise.plan import grace_ms

STREAM_STEPS = 128
"""How many pieces of one agent's stream are read in one go (8 MiB), so that a flood does not keep the others
waiting."""

SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR)
"""Errors that say nothing about the run, only that it cannot be checked now."""

LOST_MS = 1000
"""How often a live run whose keeper cannot be found is checked: its directory was removed."""


@dataclass(slots=True)
class Watched:
    """A run and what is known of it. `again_at` is monotonic, and so is `began`, when this process started it.

    `line` is readable once nobody keeps the run; -1 without one. For a run that was `adopted` it is a pidfd of its
    keeper, which may let go of the run and live on.

    `take` is 0, or the number of the keeper that is to take the run over, since something is left to do. `store_at` is
    when to store again what it has printed (monotonic), None if nobody has to."""

    worker: Worker
    task: Task
    directory: RunDirectory
    stream: StreamFollower | None = None
    line: int = -1
    began: int = 0
    adopted: bool = False
    ended: bool = False
    conversation: str | None = None
    orphans: Orphans | None = None
    outcome: Outcome | None = None
    never_started: bool = False
    again_at: int = 0
    take: int = 0
    store_at: int | None = 0
    limits: RunLimits = field(default_factory=RunLimits)

    @classmethod
    def adopt(cls, worker: Worker, task: Task, directory: RunDirectory, config: Config, queue: Queue) -> Watched:
        """A run whose supervisor is gone: its keeper is watched if it has one, otherwise the run has ended."""
        watched = cls(worker, task, directory)
        watched.follow(config, queue)
        watched.ended = not watched._watch_keeper(directory.start())
        return watched

    def follow(self, config: Config, queue: Queue) -> None:
        """Open its agent's output for reading, and find out what its limits are."""
        self.stream = settle.follower(self.task, self.directory, config)
        self.limits = RunLimits.of(self.task, config, queue)

    @property
    def unannounced(self) -> bool:
        """Whether nothing may tell the end of the run: `check_keeper` must be called from time to time."""
        return self.adopted and not self.ended

    def check_keeper(self) -> None:
        """Check whether the run is kept no more."""
        start = self.directory.start()
        # One that was only launched may be about to be taken.
        self.ended = not keeper.keeps(self.directory, start) if isinstance(start, Start) else self.adopted

    def read_on(self) -> str | None:
        """Read more of the stream; returns the conversation's id if it is new."""
        if self.stream is None:
            return None
        for _ in range(STREAM_STEPS):
            if not self.stream.step():
                self.limits.heard(self.stream.reader.seems_finished())
                break
        seen = self.stream.reader.conversation
        return seen if seen is not None and seen != self.conversation else None

    def store(self, queue: Queue, *, over: bool = False) -> None:
        """Store what it has printed, if that is due; with `over` all that is left."""
        if self.store_at is not None and (over or monotonic_ms() >= self.store_at):
            after = queue.put_output(self.worker.id, self.directory, over=over)
            self.store_at = None if after is None else monotonic_ms() + after

    def put_off(self, milliseconds: int) -> None:
        """Store what it prints no sooner than after this time."""
        if self.store_at is not None:
            self.store_at = max(self.store_at, monotonic_ms() + milliseconds)

    def conclude(self, queue: Queue, config: Config) -> bool:
        """Find out how an ended run ended. False: not yet, something of it is still alive."""
        if self.outcome is not None or self.never_started:
            return True
        try:
            finding = recovery.find(queue, self.worker.id, self.directory)
        except OSError as error:
            if error.errno in SCARCE:
                raise
            self.outcome = unstarted(queue.now, f"its directory cannot be written: {error.strerror}")
            return True
        if finding is recovery.Finding.NEVER_STARTED:
            self.never_started = True
        elif finding is recovery.Finding.ENDED:
            record = self.directory.exit()
            assert record is not None
            self.outcome = settle.outcome(self.task, self.directory, record, self.stream, config)
        elif finding is recovery.Finding.RUNNING:
            self._watch_its_keeper()
            return False
        else:
            return self._bury(queue, config)
        return True

    def _watch_its_keeper(self) -> None:
        """Who had its line was a second keeper, asked when the launcher was lost; the first has the run."""
        start = self.directory.start()
        self.close()
        self.ended = not self._watch_keeper(start)
        if self.ended:
            self.again_at = monotonic_ms() + (SETTLE_MS if isinstance(start, Start) else LOST_MS)

    def _watch_keeper(self, start: Start | Void | None) -> bool:
        """Watch the keeper that has the run, by pidfd if one is available; False if nobody has it."""
        if not isinstance(start, Start):
            return False
        self.line = keeper.pidfd(start) or -1
        self.adopted = keeper.keeps(self.directory, start)
        return self.adopted

    def _bury(self, queue: Queue, config: Config) -> bool:
        """The shim is gone without a record: end its tree, step by step, before anything is released."""
        self.take = 0
        take = self.directory.takes() + 1
        if self.orphans is None or not self.orphans.mine():
            self.orphans = Orphans(
                str(self.worker.id),
                queue.here.path,
                grace_ms(self.task, config),
                recovery.left_behind(self.directory),
                recovery.untaken(self.directory, take),
            )
        if not (self.orphans.step() and self.orphans.mine()):
            self.again_at = monotonic_ms() + SETTLE_MS
            return False
        if not recovery.bury(self.directory):
            self.again_at = monotonic_ms() + LOST_MS
            return False
        self.outcome = recovery.crashed(self.worker, self.task, self.directory, self.stream, config, queue.now)
        self.take = take if self.outcome is None else 0
        return self.outcome is not None

    def taken_over(self, line: int) -> None:
        """Watch the keeper that takes the run over."""
        self.let_go()
        self.take, self.orphans, self.ended, self.adopted, self.line = 0, None, False, False, line

    def close(self) -> None:
        """Let go of the run and close the stream."""
        if self.stream is not None:
            self.stream.close()
        self.let_go()

    def let_go(self) -> None:
        """Hear nothing of its keeper any more."""
        if self.line >= 0:
            os.close(self.line)
            self.line = -1


def unstarted(now: int, why: str) -> Outcome:
    """The outcome of a run for which no process could be started."""
    return Outcome(
        status=RunStatus.SPAWN_ERROR, failure_class=FailureClass.SPAWN, error=why, finished_at=now, duration_ms=0
    )


def abandoned(now: int, why: str) -> Outcome:
    """The outcome of a run that was killed because it is no longer this host's; nobody records it."""
    return Outcome(
        status=RunStatus.CRASHED, failure_class=FailureClass.CRASHED, error=why, finished_at=now, duration_ms=0
    )
