"""What the parts of one supervisor share: what it works on, whom it serves, and how it reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agentq_cli.base.clock import Clock
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError
from agentq_cli.base.identity import Identity
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import RunId
from agentq_cli.model.runs import Outcome
from agentq_cli.model.sessions import Event
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.supervise.guard import Guard


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line of `run` requests; `jobs` None: see `Config.jobs_of`. Durations are milliseconds."""

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


@dataclass(slots=True)
class Duty:
    """The surroundings of a supervisor. `config` is replaced when its file changes; `told`: see `Calls.jobs`."""

    queue: Queue
    config: Config
    clock: Clock
    settings: Settings
    environ: Mapping[str, str]
    identity: Identity
    guard: Guard
    told: int | None = None

    @property
    def jobs(self) -> int:
        """How many tasks may run at once."""
        return self.config.jobs_of(self.settings.jobs, self.told)[0]

    def outside(self, session: str) -> bool:
        """Whether it does not serve a session."""
        return bool(self.settings.sessions) and session not in self.settings.sessions

    def tell(
        self,
        event: str,
        run: RunId | None = None,
        *,
        before: Status | None = None,
        after: Status | None = None,
        reason: str | None = None,
        outcome: Outcome | None = None,
    ) -> Happening:
        """A line of the report. A run with attempt 0 stands for its task."""
        return Happening(
            Event(
                id=0,
                at=self.queue.now,
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

    def tell_stopped(self, task: Task) -> Iterator[Happening]:
        """Report what the end of a task has stopped in its own session, in the same commit."""
        if not task.status.ended:
            return
        try:
            stopped = self.queue.stopped_behind(task)
        except AgentqError:
            return  # it is done and recorded; only this line is missing
        for each in stopped:
            yield self.tell("depend", RunId(*each.address, 0), after=each.status, reason=each.reason)
