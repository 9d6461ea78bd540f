"""From what waits to a process: pick, pass the gates, claim, launch. What goes wrong in one session stays there."""

from __future__ import annotations

import os
from collections.abc import Mapping

from agentq_cli.clock import Clock, monotonic_ms
from agentq_cli.config import Config
from agentq_cli.errors import AgentqError, Busy, Refused
from agentq_cli.model import Identity, Task, Worker
from agentq_cli.policy import order
from agentq_cli.policy.admission import Gate
from agentq_cli.queue import Claim, Past, Plan, Queue
from agentq_cli.supervise import plan
from agentq_cli.supervise.gates import Gates
from agentq_cli.supervise.launch import Launcher
from agentq_cli.supervise.records import RunDirectory
from agentq_cli.supervise.watch import Watched, unstarted

AGAIN_MS = 200
LONGEST_AGAIN_MS = 5_000
ZONE_MS = 1_000


class Starter:
    """What a supervisor starts tasks with. `config` is replaced when the file changes.

    `troubled` are sessions that cannot be read, with the reason; nothing of them is tried again.
    """

    def __init__(
        self,
        queue: Queue,
        launcher: Launcher,
        gates: Gates,
        identity: Identity,
        *,
        config: Config,
        clock: Clock,
        environ: Mapping[str, str],
        sessions: tuple[str, ...],
    ) -> None:
        self.config = config
        self.troubled: dict[str, str] = {}
        self._queue = queue
        self._launcher = launcher
        self._gates = gates
        self._identity = identity
        self._clock = clock
        self._environ = dict(environ)
        self._heads = queue.heads(sessions)
        self._host = os.uname().nodename
        self._waits: dict[str, tuple[int, int]] = {}
        self._refused: dict[str, str] = {}
        self._untold: str | None = None
        self._zones: dict[str, tuple[Config, int, str]] = {}

    def pick(self, jobs: int) -> order.Head | None:
        """The task to start next; None where no slot is free or nothing may start."""
        now = monotonic_ms()
        waiting = {session for session, (until, _) in self._waits.items() if until > now}
        return self._heads.pick(
            now=self._queue.now,
            jobs=jobs,
            ageing_ms=self.config.limits.ageing_ms,
            parallel=self._parallel,
            without={*self.troubled, *waiting},
        )

    def doubt(self, session: str) -> None:
        """Have what is to be started of a session looked up anew: it was changed without an event."""
        self._heads.doubt(session)

    def ask_gates(self, head: order.Head | None, jobs: int) -> list[Gate]:
        """Ask for one more start, None is for none; the gates that have begun to hold or have let go."""
        return self._gates.forget() if head is None else self._gates.ask(self.config, workers=jobs - 1)

    @property
    def held(self) -> bool:
        """Whether a gate holds back what was picked last."""
        return self._gates.closed

    def claim(self, head: order.Head, jobs: int) -> Claim | None:
        """Take a task. None where it may no longer be taken, or its session is busy or in trouble."""
        self._heads.doubt(head.session)
        try:
            claim = self._queue.claim(
                head,
                supervisor=self._identity,
                jobs=jobs,
                parallel=self._parallel,
                planner=self._plan,
                host=self._host,
                newest=self._gates.newest,
                monotonic=monotonic_ms(),
            )
        except Busy:
            self._wait_for(head.session)
            return None
        except Refused as error:
            self._wait_for(head.session)
            self._untold = error.message if self._refused.get(head.session) != error.message else None
            self._refused[head.session] = error.message
            return None
        except AgentqError as error:
            self.troubled[head.session] = self._untold = error.message
            return None
        self._waits.pop(head.session, None)
        self._refused.pop(head.session, None)
        return claim

    def take_trouble(self) -> str | None:
        """Why the last claim failed, where that is more than somebody being faster and was not told before."""
        untold, self._untold = self._untold, None
        return untold

    def launch(self, claim: Claim) -> Watched:
        """Start the process of a claimed task; what could not be started is watched to its end all the same."""
        self._queue.roll_back_dead_writers(claim.run.session)
        directory = RunDirectory(self._queue.run_directory(claim.run))
        worker = Worker(
            *claim.run,
            agent=claim.task.agent,
            claimed_at=self._queue.now,
            shares_conversation=claim.task.shares_conversation,
            supervisor=self._identity,
            adopted=False,
            stop=None,
        )
        if claim.plan.error is not None:
            watched = Watched(worker, claim.task, directory, None, ended=True)
            watched.outcome = unstarted(self._queue.now, claim.plan.error)
            return watched
        zone = claim.task.launch.tz or self._zone(claim.task.session)
        request = plan.request(claim, self.config, self._queue.state, self._clock, self._environ, zone)
        try:
            _, pidfd = self._launcher.launch(request)
            return Watched.started(worker, claim.task, directory, pidfd, self.config, self._queue)
        except OSError:
            # No process can be made now. What has not begun is void; where a shim did begin it is watched by pidfd.
            self._wait_for(claim.task.session)
            return Watched.adopted(worker, claim.task, directory, self.config, self._queue)

    def moments(self) -> list[int]:
        """When to try again what could not be started now (monotonic)."""
        now = monotonic_ms()
        found = [until for until, _ in self._waits.values() if until > now]
        return found if self._gates.again_at is None else [*found, self._gates.again_at]

    def _parallel(self, session: str) -> int | None:
        return order.width(session, self.config.sessions.get(session, {}).get("parallel"))

    def _zone(self, session: str) -> str:
        """The zone of a session's tasks, looked up again after a while: a person may set another one."""
        now = monotonic_ms()
        known = self._zones.get(session)
        if known is None or known[0] is not self.config or now - known[1] >= ZONE_MS:
            known = self._zones[session] = (self.config, now, plan.zone(self.config, self._environ, session))
        return known[2]

    def _plan(self, task: Task, past: Past) -> Plan:
        return plan.plan(task, self.config, past, now=self._queue.now)

    def _wait_for(self, session: str) -> None:
        """Try a session again later, each time later: somebody may hold its file for a minute."""
        _, before = self._waits.get(session, (0, AGAIN_MS // 2))
        delay = min(before * 2, LONGEST_AGAIN_MS)
        self._waits[session] = (monotonic_ms() + delay, delay)
