"""The door of the local engine: one SQLite file a session, an index beside them, directories of runs."""

from __future__ import annotations

import os
from itertools import islice

from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.engines.local import migrations, opening, read
from agentq_cli.engines.local.runs import Attendance
from agentq_cli.engines.local.state_dir import StateDir, holds_something
from agentq_cli.engines.local.tasks import Pauses
from agentq_cli.host.place import is_there
from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from agentq_cli.base.clock import Clock
    from agentq_cli.engines.local.figures import Figures
    from agentq_cli.engines.local.hooks import Hooks
    from agentq_cli.engines.local.placing import Placing
    from agentq_cli.engines.local.voice import Voice
    from agentq_cli.model.sessions import Event, Message, SessionInfo
    from agentq_cli.model.tasks import Task, WaitingFor
    from agentq_cli.model.workers import Worker
    from agentq_cli.policy.admission import Gate
    from agentq_cli.policy.waiting import Hold, Surroundings


class Readings(Attendance, Pauses):
    """The readings."""

    @property
    def placing(self) -> Placing:
        """Which host runs what: this one everything."""
        from agentq_cli.engines.local.placing import Placing

        return Placing()

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
        from agentq_cli.model.sessions import SessionInfo

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
            path=self.state.session(name),
        )

    def pause_reason(self, session: str) -> str | None:
        row = self.index.execute(read.READ["session"], {"name": session}).fetchone()
        return row[2] if row else None

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
        return islice(read.events(self.index, where=where, most=limit), limit)

    def events_after(self, after: int, *, address: Address | None = None, session: str | None = None) -> list[Event]:
        return read.events_after(self.index, where=read.place(address, session), after=after)

    def last_event(self) -> int:
        (last,) = self.index.execute(read.READ["last_event"]).fetchone()
        return int(last)

    def messages(
        self, session: str, *, since: int | None = None, until: int | None = None, limit: int | None = None
    ) -> Iterator[Message]:
        self.known(session)
        return islice(read.messages(self.state, session, since=since, until=until), limit)

    def messages_after(self, session: str, after: int) -> tuple[list[Message], int]:
        return read.messages_after(self.state, session, after=after)

    def last_message(self, session: str) -> int:
        self.known(session)
        return read.last_message(self.state, session)

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
            task.work.agent,
            workers=self.workers(),
            holds=self.holds(),
            jobs=jobs,
            parallel=parallel,
            gate=gate,
            directory=directory,
            hosts=hosts,
        )
        values = {"now": self.now, "priority": task.work.priority, "due_at": task.due_at}
        (ahead,) = self.index.execute(read.READ["due_before"], values).fetchone()
        return waiting.waiting_for(task, replace(around, ahead=ahead, depends=self.depends(task)), self.now)

    def surroundings(
        self,
        session: str,
        agent: str | None,
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
        row = self.index.execute(read.READ["session"], {"name": session}).fetchone()
        values = {"session": session, "now": self.now}
        retrying = self.index.execute(read.READ["session_retrying"], values).fetchall()
        return waiting.Surroundings(
            session_paused=bool(row and row[1]),
            session_reason=row[2] if row else None,
            holds=holds,
            session_runs=[worker.id for worker in lane],
            conversation_runs=[worker.id for worker in lane if worker.shares_conversation and worker.agent == agent],
            retrying=[str(Address(session, seq)) for (seq,) in retrying],
            parallel=parallel,
            workers=len(workers),
            jobs=jobs,
            ahead=0,
            gate=gate,
            editing=waiting.editing(workers, directory),
            hosts=hosts,
            passed_over=self.placing.passed_over(session) if hosts else (),
        )


class LocalQueue(Readings):
    """An open state dir, with all verbs. What only few commands need is loaded on first use."""

    @classmethod
    def open(
        cls, path: str, clock: Clock, *, create: bool, allow_network_fs: bool = False, rebuild: bool = False
    ) -> Self:
        """Open a state dir, created with `create` if it does not exist.

        Without `create` a missing one reads as empty and nothing is created. Raises Usage if it is unfit: owned by
        another user, on a network file system, not a directory. Raises Unreadable if it has sessions and no index,
        unless `rebuild` is set.
        """
        # One spelling, because the path marks the processes of its runs: two names of one directory must not hide them.
        path = os.path.realpath(path)
        state = StateDir(path)
        os.umask(0o077)
        state.check(allow_network_fs=allow_network_fs)
        there = holds_something(state.index)
        if not there and not rebuild:
            state.refuse_lost_index()
        if create:
            missing = not is_there(path)
            state.create()
            if missing:
                state.check(allow_network_fs=allow_network_fs)  # another process may have created it first
        if there or create:
            index = opening.connect(state.index, "index", create=create, rebuild=rebuild and create)
        else:
            index = migrations.empty_index()
        if rebuild and create:
            migrations.mend_schema(index, state.index, "index")
        return cls(state, index, clock, allow_network_fs=allow_network_fs)

    @property
    def hooks(self) -> Hooks:
        """The hooks that events call."""
        from agentq_cli.engines.local.hooks import Hooks

        return Hooks(self)

    @property
    def voice(self) -> Voice:
        """What agents request."""
        from agentq_cli.engines.local.voice import Voice

        return Voice(self)

    @property
    def figures(self) -> Figures:
        """What screens and reports show."""
        from agentq_cli.engines.local.figures import Figures

        return Figures(self)
