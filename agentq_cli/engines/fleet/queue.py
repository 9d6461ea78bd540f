"""The door of the fleet's engine."""

from __future__ import annotations

from agentq_cli.base.json_text import dumps
from agentq_cli.engines.fleet.logs import Logs
from agentq_cli.engines.fleet.opened import Opened
from agentq_cli.engines.shared.readings import Readings
from agentq_cli.engines.steps import rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.fleet.upkeep import Upkeep
    from agentq_cli.engines.fleet.voice import Voice
    from agentq_cli.engines.shared.figures import Figures
    from agentq_cli.engines.shared.hooks import Hooks
    from agentq_cli.host.bells import Bell
    from agentq_cli.model.actions import Actor
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.workers import Supervisor, Worker


class FleetQueue(Opened, Logs, Readings):
    """An open fleet, with all verbs. What only few commands need is loaded on first use."""

    # Runs

    def finish(self, run: RunId, outcome: Outcome, *, actor: Actor, background: bool = False) -> Task | None:
        import random

        from agentq_cli.engines.steps import finish

        with self.in_session(run.session, actor=actor, background=background) as write:
            task = finish.finish(write, run, outcome, posted=True, jitter=random.random())
            if task is not None:
                content = {"run": str(run), "task": str(run.address), "status": outcome.status}
                content |= {"result": outcome.result}
                values = {"id": str(run), "content": dumps(content), "at": outcome.finished_at}
                write.tell("dispatch.post", values)
        return task

    def why_unposted(self, run: RunId | str) -> str | None:
        """Never: the result row is in the commit that ends the run."""
        return None

    # What waits for tasks of other sessions is settled in the commit that ends them

    def settle_dependents_in(self, session: str, *, actor: Actor) -> list[Task]:
        return []

    def unsettled_sessions(self) -> list[str]:
        return []

    # Supervisors

    def bell(self) -> Bell:
        from agentq_cli.host.bells import Bell

        return Bell(self.here.bells)

    def join(self, supervisor: Supervisor) -> None:
        self.register(supervisor)

    def renew(self, identity: Identity, *, jobs: int, renewed_at: int) -> None:
        self.tell("dispatch.renew", rows.identity_columns(identity) | {"jobs": jobs, "renewed_at": renewed_at})

    def leave(self, identity: Identity) -> None:
        self.tell("dispatch.unregister", rows.identity_columns(identity))

    def living(self) -> list[Supervisor]:
        from agentq_cli.host import attendance

        busy = {worker.supervisor for worker in self.workers()}
        return [
            each
            for each in self.supervisors()
            if attendance.counts(each.identity, each.renewed_at, busy=each.identity in busy, bells=self.here.bells)
        ]

    def serving(self, session: str) -> list[Supervisor]:
        return [each for each in self.living() if not each.sessions or session in each.sessions]

    def orphaned(self) -> list[Worker]:
        return [worker for worker in self.workers() if not self.watched(worker)]

    def watched(self, worker: Worker) -> bool:
        from agentq_cli.host import attendance

        known = {each.identity: each for each in self.supervisors()}
        row = None if worker.supervisor is None else known.get(worker.supervisor)
        return row is not None and not attendance.lapsed(row.renewed_at) and self.lives(row.identity)

    def lives(self, owner: Identity) -> bool:
        from agentq_cli.host import attendance

        return attendance.lives(owner, self.here.bells)

    # Sub-doors

    @property
    def upkeep(self) -> Upkeep:
        """What this engine needs to stay in order: one pass."""
        from agentq_cli.engines.fleet.upkeep import Upkeep

        return Upkeep(self)

    @property
    def hooks(self) -> Hooks:
        """The hooks that events call."""
        from agentq_cli.engines.shared.hooks import Hooks

        return Hooks(self)

    @property
    def voice(self) -> Voice:
        """What agents request."""
        from agentq_cli.engines.fleet.voice import Voice

        return Voice(self)

    @property
    def figures(self) -> Figures:
        """What screens and reports show."""
        from agentq_cli.engines.shared.figures import Figures

        return Figures(self)
