"""What agents say and request in the outbound files of this machine. Each host reads its own: messages are stored for
everybody, a request is carried out once, by its id and the host's key, and its answer written back."""

from __future__ import annotations

import contextlib
import json
import os

from agentq_cli.base.errors import AgentqError
from agentq_cli.base.json_text import loads
from agentq_cli.base.names import is_name
from agentq_cli.engines.fleet.agents_files import BEGIN, AgentsFiles
from agentq_cli.engines.shared.voice import Applying
from agentq_cli.host import record_files
from agentq_cli.model.actions import Actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentq_cli.engines.fleet.agents_files import Row
    from agentq_cli.engines.fleet.queue import FleetQueue
    from agentq_cli.engines.nouns import Answer
    from agentq_cli.engines.subdoors import Reschedule, Template
    from agentq_cli.options.requests import Refusal, Request

LONGEST_MESSAGE = 1 << 20
"""How many characters of a message are stored."""


class Voice(Applying):
    """The outbound files of one process's host."""

    _queue: FleetQueue

    def __init__(self, queue: FleetQueue) -> None:
        super().__init__(queue)
        self._answered: dict[str, str | None] = {}
        self._told: dict[str, int] = {}

    def changed(self, sessions: Iterable[str] | None = None) -> list[str]:
        """Those of the sessions (all of this machine by default) whose outbound.db has changed since its requests were
        last read."""
        if sessions is None:
            with contextlib.suppress(OSError):
                sessions = sorted(filter(is_name, os.listdir(f"{self._queue.here.path}/sessions")))
        known = self._recorded()
        return [session for session in sessions or () if self.stamp(session) != known.get(session)]

    def stamp(self, session: str) -> str | None:
        return self._files(session).stamp()

    def may_ask(self, session: str) -> bool:
        return self._answered.get(session) != self.stamp(session)

    def remember(self, session: str, seen: str | None) -> None:
        self._answered[session] = seen

    def record(self) -> None:
        """Record what `remember` noted, for later sweeps of this machine."""
        known = self._recorded()
        if known != known | self._answered and not self._queue.database.rehearsing:
            with contextlib.suppress(OSError):
                record_files.put(self._file, known | self._answered)

    def asked(self, session: str, most: int) -> Iterator[tuple[str, object]]:
        if session not in self._told:
            # A process may have died between the commit of an answer and its way back.
            self._answer(session, self._of(session, "voice.answers"))
        self._tell(session)
        found: list[tuple[str, int]] = []
        after = BEGIN
        while len(found) < most and (page := self._files(session).requests_after(after)):
            found += [page[at] for at in self._lacking(session, "requests.unanswered", page)]
            after = page[-1][1]
        for message, position in found[:most]:
            row = self._files(session).content(position)
            if row is not None:
                yield message, row[0]

    def apply(
        self,
        session: str,
        message: str,
        request: Request | Refusal,
        *,
        template: Template,
        reschedule: Reschedule,
        max_queued: int,
    ) -> Answer | None:
        answer = super().apply(
            session, message, request, template=template, reschedule=reschedule, max_queued=max_queued
        )
        if answer is not None:
            task = None if answer.task is None else str(answer.task)
            row = (message, answer.status, task, answer.detail, self._queue.now)
            try:
                self._answer(session, [row])
            except AgentqError:
                self._told.pop(session, None)  # it is written back with the next request
        return answer

    def _answer(self, session: str, answers: Iterable[Row]) -> None:
        if not self._queue.database.rehearsing:
            self._files(session).answer(answers)

    def _tell(self, session: str) -> None:
        """Store what its agents have said since the last call."""
        after = self._told.get(session, BEGIN)
        while page := self._files(session).messages_after(after):
            named = [(_text(row[0]), row[-1]) for row in page]
            new = [page[at] for at in self._lacking(session, "voice.unsaid", named)]
            if new:
                with self._queue.in_session(session, actor=Actor.AGENT, background=True) as write:
                    for row in new:
                        write.tell("voice.say", _columns(row, write.now))
                    write.wake()
            after = page[-1][-1]
        self._told[session] = after

    def _lacking(self, session: str, statement: str, named: Iterable[tuple[str, int]]) -> list[int]:
        ids = json.dumps([name.replace("\0", "\ufffd") for name, _ in named])
        return [at for (at,) in self._of(session, statement, ids=ids)]

    def _of(self, session: str, statement: str, **values: object) -> list[Row]:
        with self._queue.of_session(session, background=True) as reading:
            return reading.ask(statement, values)

    def _files(self, session: str) -> AgentsFiles:
        return AgentsFiles(self._queue.here, session)

    @property
    def _file(self) -> str:
        return f"{self._queue.here.path}/answered"

    def _recorded(self) -> dict[str, str | None]:
        with contextlib.suppress(OSError, ValueError), open(self._file, encoding="utf-8") as file:
            found = loads(file.read())
            return found if isinstance(found, dict) else {}
        return {}


def _columns(row: Row, now: int) -> dict[str, object]:
    """A message as it is stored; what an agent may write in place of a text or a time becomes one."""
    id, kind, content, at, _ = row
    return {
        "id": _text(id),
        "kind": _text(kind),
        "content": _text(content)[:LONGEST_MESSAGE],
        "at": at if isinstance(at, int) else now,
    }


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
