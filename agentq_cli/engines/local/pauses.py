"""What keeps tasks back, and what comes to pass with time: pauses, holds, due slots, expiry, dependencies."""

from __future__ import annotations

from agentq_cli.engines.local.opened import Opened
from agentq_cli.model import Actor, Address, Task
from agentq_cli.store import connection, read
from agentq_cli.store.queries import statements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentq_cli.policy import waiting


class Pauses(Opened):
    """The verbs of pauses and of passing time."""

    def arriving(self) -> list[tuple[Address, str]]:
        found = self.index.execute(statements("dispatch")["arriving"], {"now": self.now}).fetchall()
        return [(Address(session, seq), agent) for session, seq, agent in found]

    def arrive(self, address: Address, *, actor: Actor) -> None:
        from agentq_cli.store import change

        change.arrive(self.state, address, now=self.now, actor=actor)
        self.ring()

    def expired(self) -> list[Address]:
        found = self.index.execute(statements("dispatch")["expired"], {"now": self.now}).fetchall()
        return [Address(*row) for row in found]

    def expire(self, address: Address, *, actor: Actor) -> Task | None:
        from agentq_cli.store import change

        task = change.expire(self.state, address, now=self.now, actor=actor)
        if task is not None:
            self.ring()
        return task

    def settle_dependents(self, *, actor: Actor) -> Iterator[Task]:
        from agentq_cli.store import dependencies

        busy_ms = connection.BACKGROUND_BUSY_MS
        settled = dependencies.settle_elsewhere(self.state, self.index, now=self.now, actor=actor, busy_ms=busy_ms)
        for task in settled:
            self.ring()
            yield task

    def settle_dependents_in(self, session: str, *, actor: Actor) -> list[Task]:
        from agentq_cli.store import dependencies

        busy_ms = connection.BACKGROUND_BUSY_MS
        settled = dependencies.settle_noted(self.state, session, now=self.now, actor=actor, busy_ms=busy_ms)
        if settled:
            self.ring()
        return settled

    def unsettled_sessions(self) -> list[str]:
        from agentq_cli.store import dependencies

        return dependencies.unsettled_sessions(self.index)

    def ended_before(self, moment: int, *, session: str | None = None) -> list[Address]:
        values = {"before": moment, "session": session}
        return [Address(*row) for row in self.index.execute(read.READ["ended_before"], values).fetchall()]

    def pause_session(self, session: str, *, reason: str | None, paused: bool, actor: Actor = Actor.USER) -> bool:
        from agentq_cli.store import change

        self.known(session)
        changed = change.pause_session(self.state, session, reason=reason, now=self.now, actor=actor, paused=paused)
        self.ring()
        return changed

    def reset_conversation(self, session: str, agent: str | None, *, actor: Actor = Actor.USER) -> list[str]:
        from agentq_cli.store import change

        self.known(session)
        return change.reset(self.state, session, agent, now=self.now, actor=actor)

    def pause_agent(self, agent: str | None, *, reason: str | None) -> None:
        scope, name = ("queue", "") if agent is None else ("agent", agent)
        values = {"scope": scope, "name": name, "kind": "paused", "since": self.now, "until": None, "reason": reason}
        values["count"] = 1
        self._write_hold("set_hold", values, event=f"pause_{scope}", reason=_named(agent, reason))

    def resume_agent(self, agent: str | None) -> None:
        scope, name = ("queue", None) if agent is None else ("agent", agent)
        values = {"scope": scope, "name": name}
        self._write_hold("lift_holds", values, event=f"resume_{scope}", reason=_named(agent, None))

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
        with connection.transaction(self.index, self.state.index):
            self.index.execute(statements("dispatch")[name], values)
            self.index.execute(statements("write")["event"], told)
            holds.copy(self.index, self.state)
        self.ring()

    def holds(self) -> list[waiting.Hold]:
        from agentq_cli.policy import waiting

        return [waiting.Hold(*row) for row in self.index.execute(read.READ["holds"], {"now": self.now}).fetchall()]


def _named(agent: str | None, reason: str | None) -> str | None:
    return " ".join(part for part in (agent, f"({reason})" if reason else None) if part) or None
