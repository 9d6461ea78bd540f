"""From a waiting task to a process: pick, pass the gates, claim, launch. A failure in one session stays there."""

from __future__ import annotations

import os
from collections.abc import Mapping

from agentq_cli.base.clock import Clock, monotonic_ms
from agentq_cli.base.identity import Identity
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.engines.nouns import Claim
from agentq_cli.host.launch import Launcher
from agentq_cli.model.workers import Worker
from agentq_cli.policy import order
from agentq_cli.policy.admission import Gate
from agentq_cli.supervise import plan
from agentq_cli.supervise.gates import Gates
from agentq_cli.supervise.guard import Guard
from agentq_cli.supervise.watch import Watched, unstarted

START = "start"
LAUNCH = "launch"
ZONE_MS = 1_000


class Starter:
    """What a supervisor starts tasks with. `config` is replaced when the file changes."""

    def __init__(
        self,
        queue: Queue,
        launcher: Launcher,
        gates: Gates,
        guard: Guard,
        identity: Identity,
        *,
        config: Config,
        clock: Clock,
        environ: Mapping[str, str],
        sessions: tuple[str, ...],
    ) -> None:
        self.config = config
        self._queue = queue
        self._launcher = launcher
        self._gates = gates
        self._guard = guard
        self._identity = identity
        self._clock = clock
        self._environ = dict(environ)
        self._heads = queue.heads(sessions)
        self._host = os.uname().nodename
        self._zones: dict[str, tuple[Config, int, str]] = {}

    def pick(self, jobs: int) -> order.Head | None:
        """The task to start next; None if no slot is free or no task may start."""
        return self._heads.pick(
            now=self._queue.now,
            jobs=jobs,
            ageing_ms=self.config.limits.ageing_ms,
            parallel=self._parallel,
            without=self._guard.put_off(START) | self._guard.put_off(LAUNCH),
        )

    def doubt(self, session: str) -> None:
        """Have a session's startable tasks read again: they were changed without an event."""
        self._heads.doubt(session)

    def ask_gates(self, head: order.Head | None, jobs: int) -> list[Gate]:
        """Check the gates for one more start (None: there is none); returns the gates that have begun or ceased to
        hold."""
        return self._gates.forget() if head is None else self._gates.ask(self.config, workers=jobs - 1)

    @property
    def held(self) -> bool:
        """Whether a gate holds back the task that was picked last."""
        return self._gates.closed

    def claim(self, head: order.Head, jobs: int) -> Claim | None:
        """Claim a task; None if it may no longer be taken, or if its session is busy or faulty (see the guard)."""
        self._heads.doubt(head.session)
        with self._guard.guarding(head.session, START):
            candidate = self._queue.candidate(head)
            if candidate is None:
                return None
            return self._queue.claim(
                candidate,
                plan.plan(candidate.task, self.config, candidate.past, now=self._queue.now),
                supervisor=self._identity,
                jobs=jobs,
                parallel=self._parallel,
                host=self._host,
                newest=self._gates.newest,
                monotonic=monotonic_ms(),
            )
        return None

    def launch(self, claim: Claim) -> Watched:
        """Start the process of a claimed task; a task that could not be started is watched to its end all the same."""
        worker = Worker(
            *claim.run,
            agent=claim.task.work.agent,
            claimed_at=self._queue.now,
            shares_conversation=claim.task.work.shares_conversation,
            supervisor=self._identity,
            adopted=False,
            stop=None,
        )
        watched = Watched(worker, claim.task, self._queue.here.run(claim.run))
        if claim.plan.error is not None:
            watched.outcome = unstarted(self._queue.now, claim.plan.error)
            watched.ended = True
            return watched
        with self._guard.guarding(claim.run.session, LAUNCH) as tried:
            # Everything that may fail comes first: a launched process is watched, whatever happens.
            watched.follow(self.config, self._queue)
            zone = claim.task.work.launch.tz or self._zone(claim.task.session)
            request = plan.request(claim, self.config, self._queue.here, self._clock, self._environ, zone)
            _, watched.pidfd = self._launcher.launch(request)
        # No process can be created now. A run that has not begun is void; if a shim did begin, it is watched by its
        # pidfd.
        watched.ended = tried.error is not None
        return watched

    def moments(self) -> list[int]:
        """When to check the gates again (monotonic)."""
        return [] if self._gates.again_at is None else [self._gates.again_at]

    def _parallel(self, session: str) -> int | None:
        return order.width(session, self.config.sessions.get(session, {}).get("parallel"))

    def _zone(self, session: str) -> str:
        """The zone of a session's tasks, determined again after a while because a person may set another one."""
        now = monotonic_ms()
        known = self._zones.get(session)
        if known is None or known[0] is not self.config or now - known[1] >= ZONE_MS:
            known = self._zones[session] = (self.config, now, plan.zone(self.config, self._environ, session))
        return known[2]
