"""Readings: sessions, events, messages, and why a task is not running."""

from __future__ import annotations

from itertools import islice

from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.engines.shared import read
from agentq_cli.engines.shared.runs import Attendance
from agentq_cli.engines.shared.tasks import Pauses
from agentq_cli.engines.steps import rows
from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from agentq_cli.engines.shared.figures import Figures
    from agentq_cli.model.sessions import Conversation, Event, Message, SessionInfo
    from agentq_cli.model.tasks import Task, WaitingFor
    from agentq_cli.model.workers import Worker
    from agentq_cli.policy.admission import Gate
    from agentq_cli.policy.waiting import Hold, Surroundings


class Readings(Attendance, Pauses):
    """Every verb that is the same in every engine."""

    @property
    def figures(self) -> Figures:
        """What screens and reports show."""
        from agentq_cli.engines.shared.figures import Figures

        return Figures(self)

    def session_names(self) -> list[str]:
        return [name for (name,) in self.reading.ask("read.session_names")]

    def sessions(self) -> Iterator[SessionInfo]:
        trouble: list[AgentqError] = []
        after = ""
        while found := self.reading.ask("read.sessions", {"after": after, "limit": read.PAGE}):
            for name, paused, reason, host in found:
                yield self._session(name, bool(paused), reason, host, trouble)
            after = found[-1][0]
        if trouble:
            raise trouble[0]

    def _session(
        self, name: str, paused: bool, reason: str | None, host: str | None, trouble: list[AgentqError]
    ) -> SessionInfo:
        from agentq_cli.model.sessions import SessionInfo

        counts: dict[str, int] = dict(self.reading.ask("read.session_counts", {"session": name, "now": self.now}))
        ((due,),) = self.reading.ask("read.session_next_due", {"session": name})
        conversations: list[tuple[Any, ...]] = []
        try:
            with self.of_session(name) as reading:
                conversations = reading.ask("read.conversations")
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
            conversations=dict(reversed(conversations)),  # of each agent the one used last
            parallel=None,
            path=self.here.session(name),
            host=host,
        )

    def pool(self, session: str) -> list[Conversation]:
        from agentq_cli.model.sessions import Conversation

        self.known(session)
        with self.of_session(session) as reading:
            known = reading.ask("read.pool")
        used = {row[0]: row[1:] for row in self.reading.ask("read.conversation_figures", {"session": session})}
        running = {
            (each.agent, each.conversation_key): each.id
            for each in self.workers()
            if each.session == session and each.conversation_key and each.agent
        }
        found = []
        for agent, key, id, used_at in known:
            tasks, tokens_in, tokens_out = used.get(id, (0, None, None))
            run = running.pop((agent, key), None)
            found.append(Conversation(key, agent, id, tasks, tokens_in, tokens_out, used_at, run))
        new = [Conversation(str(key), str(agent), None, running=run) for (agent, key), run in running.items()]
        return sorted(found + new, key=lambda each: (each.key, each.agent))

    def pause_reason(self, session: str) -> str | None:
        found = self.reading.ask("read.session", {"name": session})
        return found[0][2] if found else None

    def events(
        self,
        *,
        address: Address | None = None,
        session: str | None = None,
        since: int | None = None,
        until: int | None = None,
        limit: int | None = None,
    ) -> Iterator[Event]:
        if address is not None:
            self.task(address)
        where = read.place(address, session) | {"since": since, "until": until}
        return islice(read.events(self.reading, where=where, most=limit), limit)

    def events_after(self, after: int, *, address: Address | None = None, session: str | None = None) -> list[Event]:
        return read.events_after(self.reading, where=read.place(address, session), after=after)

    def last_event(self) -> int:
        ((last,),) = self.reading.ask("read.last_event")
        return int(last)

    def messages(
        self, session: str, *, since: int | None = None, until: int | None = None, limit: int | None = None
    ) -> Iterator[Message]:
        self.known(session)
        return islice(read.messages(self, session, since=since, until=until), limit)

    def messages_after(self, session: str, after: int) -> tuple[list[Message], int]:
        with self.of_messages(session) as reading:
            found = reading.ask("read.messages_after", {"after": after, "limit": read.PAGE})
        return [rows.message(session, row) for row in found], (found[-1][-1] if found else after)

    def last_message(self, session: str) -> int:
        self.known(session)
        with self.of_messages(session) as reading:
            ((position,),) = reading.ask("read.last_message")
        return int(position)

    def waiting_for(
        self,
        task: Task,
        *,
        jobs: int,
        parallel: int | None,
        gate: Gate | None = None,
        directory: str | None = None,
        hosts: Sequence[str] = (),
    ) -> WaitingFor | None:
        from agentq_cli.base.dataclass import replace
        from agentq_cli.policy import waiting

        around = self.surroundings(
            task.session,
            workers=self.workers(),
            holds=self.holds(),
            jobs=jobs,
            parallel=parallel,
            gate=gate,
            directory=directory,
            hosts=hosts,
        )
        values = {"now": self.now, "priority": task.work.priority, "due_at": task.due_at}
        ((ahead,),) = self.reading.ask("read.due_before", values)
        return waiting.waiting_for(task, replace(around, ahead=ahead, depends=self.depends(task)), self.now)

    def surroundings(
        self,
        session: str,
        *,
        workers: Sequence[Worker],
        holds: Sequence[Hold],
        jobs: int,
        parallel: int | None,
        gate: Gate | None,
        directory: str | None,
        hosts: Sequence[str] = (),
    ) -> Surroundings:
        from agentq_cli.policy import waiting

        lane = [worker for worker in workers if worker.session == session]
        found = self.reading.ask("read.session", {"name": session})
        paused, reason, host = found[0][1:] if found else (False, None, None)
        retrying = self.reading.ask("read.session_retrying", {"session": session, "now": self.now})
        return waiting.Surroundings(
            session_paused=bool(paused),
            session_reason=reason,
            holds=holds,
            session_runs=[worker.id for worker in lane],
            lines=[(each.id, (each.agent or "", each.conversation_key)) for each in lane if each.conversation_key],
            retrying={str(Address(session, seq)): (agent, key) for seq, agent, key in retrying},
            parallel=parallel,
            workers=len(workers),
            jobs=jobs,
            ahead=0,
            gate=gate,
            editing=waiting.editing(workers, directory, host),
            hosts=hosts,
            passed_over=self.placing.passed_over(session) if hosts else (),
        )
