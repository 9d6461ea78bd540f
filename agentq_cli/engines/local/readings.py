"""What a person reads: sessions, events, messages, and why a task waits."""

from __future__ import annotations

from itertools import islice

from agentq_cli.engines.local.pauses import Pauses
from agentq_cli.engines.local.runs import Runs
from agentq_cli.errors import AgentqError, NotFound
from agentq_cli.model import Address, Event, Message, SessionInfo, Task, WaitingFor
from agentq_cli.store import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentq_cli.policy.admission import Gate


class Readings(Runs, Pauses):
    """The readings."""

    def sessions(self) -> Iterator[SessionInfo]:
        trouble: list[AgentqError] = []
        after = ""
        while found := self.index.execute(read.READ["sessions"], {"after": after, "limit": read.PAGE}).fetchall():
            for name, paused, reason in found:
                yield self._session(name, bool(paused), reason, trouble)
            after = found[-1][0]
        if trouble:
            raise trouble[0]

    def _session(self, name: str, paused: bool, reason: str | None, trouble: list[AgentqError]) -> SessionInfo:
        counts = dict(self.index.execute(read.READ["session_counts"], {"session": name, "now": self.now}).fetchall())
        (due,) = self.index.execute(read.READ["session_next_due"], {"session": name}).fetchone()
        conversations: list[tuple[str, str]] = []
        try:
            with read.inbound(self.state, name) as database:
                conversations = database.execute(read.READ["conversations"]).fetchall()
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
            conversations=dict(conversations),
            parallel=None,
            path=str(self.state.session(name)),
        )

    def pause_reason(self, session: str) -> str | None:
        row = self.index.execute(read.READ["session"], {"name": session}).fetchone()
        return row[2] if row else None

    def events(
        self, *, address: Address | None = None, since: int | None = None, limit: int | None = None
    ) -> Iterator[Event]:
        if address is not None:
            self.task(address)
        return islice(read.events(self.index, address=address, since=since, most=limit), limit)

    def events_after(self, after: int, *, address: Address | None = None) -> list[Event]:
        return read.events_after(self.index, address=address, after=after)

    def last_event(self) -> int:
        (last,) = self.index.execute(read.READ["last_event"]).fetchone()
        return int(last)

    def messages(self, session: str, *, since: int | None = None, limit: int | None = None) -> Iterator[Message]:
        self.known(session)
        return islice(read.messages(self.state, session, since=since), limit)

    def messages_after(self, session: str, after: int) -> tuple[list[Message], int]:
        return read.messages_after(self.state, session, after=after)

    def last_message(self, session: str) -> int:
        self.known(session)
        return read.last_message(self.state, session)

    def waiting_for(
        self, task: Task, *, jobs: int, parallel: int | None, gate: Gate | None = None
    ) -> WaitingFor | None:
        from agentq_cli.policy import waiting

        workers = self.workers()
        lane = [worker for worker in workers if worker.session == task.session]
        row = self.index.execute(read.READ["session"], {"name": task.session}).fetchone()
        retrying = self.index.execute(
            read.READ["session_retrying"], {"session": task.session, "now": self.now}
        ).fetchall()
        values = {"now": self.now, "priority": task.work.priority, "due_at": task.due_at}
        (ahead,) = self.index.execute(read.READ["due_before"], values).fetchone()
        around = waiting.Surroundings(
            session_paused=bool(row and row[1]),
            session_reason=row[2] if row else None,
            holds=self.holds(),
            session_runs=[worker.id for worker in lane],
            conversation_runs=[
                worker.id for worker in lane if worker.shares_conversation and worker.agent == task.work.agent
            ],
            retrying=[str(Address(task.session, seq)) for (seq,) in retrying],
            parallel=parallel,
            workers=len(workers),
            jobs=jobs,
            ahead=ahead,
            depends=self.depends(task),
            gate=gate,
        )
        return waiting.waiting_for(task, around, self.now)
