"""An open fleet: what every verb of the fleet's engine works on."""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base.context import contextmanager
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.errors import AgentqError, NotFound, Unreadable, nearest
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.door import check_place
from agentq_cli.engines.fleet import errors, place, schema
from agentq_cli.engines.fleet.connection import BACKGROUND_LOCK_MS, LOCK_MS, NOW, Connection
from agentq_cli.engines.fleet.driver import as_it_is
from agentq_cli.engines.fleet.queries import apart, statement, together
from agentq_cli.engines.fleet.transaction import Asking, Commit, Writing, settle
from agentq_cli.engines.steps import rows
from agentq_cli.host.place import below
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self

    from agentq_cli.base.clock import Clock
    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.fleet.transaction import SessionWrite
    from agentq_cli.engines.shared.given import Given
    from agentq_cli.engines.transaction import Row, Snapshots, Values
    from agentq_cli.model.fleet import FleetSettings
    from agentq_cli.model.tasks import NewTask, Task
else:
    Given = object


NOTHING: Mapping[str, object] = {}


class First(NamedTuple):
    """A question that a transaction over a session begins with, in the message that begins it, and who heeds its
    answer; without that the answer is for the step that asks."""

    statement: str
    values: Values
    heed: Callable[[Writing, list[Row]], None] | None = None


class Opened(Given):
    """A context manager; use one per thread, and none across a fork."""

    own: dict[str, Any]
    reading: Snapshots

    def __init__(
        self,
        path: str,
        url: str,
        clock: Clock,
        *,
        settings: FleetSettings,
        create: bool,
        allow_network_fs: bool = False,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._fleet: str | None = None
        self.first: Sequence[First] = ()
        """What each transaction over a session begins with."""

        self._stays = self._has_session = False
        self.connects = 0
        """How often a connection was made, to whichever server answered."""

        self.database = Connection(url, settings.schema, self._checked)
        try:
            self.database.connect()
            self.here = place.find(path, str(self._fleet), allow_network_fs=allow_network_fs)
            key = place.create(self.here) if create else place.key(self.here)
        except BaseException:
            self.database.close()
            raise
        self.own = {"host_id": None, "host_key": key or "", "place": self.here.path}
        self.reading = self._asking = Asking(self.database, self.own)

    @classmethod
    def open(
        cls, path: str, url: str, clock: Clock, *, settings: FleetSettings, create: bool, allow_network_fs: bool = False
    ) -> Self:
        """Open the fleet of a database, with the place of this machine in the state dir `path`, made with `create`.

        Raises Usage if the URL is wrong, a login is refused or the state dir is unfit, Busy if the database does not
        answer, and Unreadable if it has no schema of this version.
        """
        os.umask(0o077)
        check_place(path, allow_network_fs=allow_network_fs)
        return cls(path, url, clock, settings=settings, create=create, allow_network_fs=allow_network_fs)

    def _checked(self, connection: Connection) -> None:
        """What is asked after each connecting: whether it is the fleet that was opened, in a version that is known."""
        url, sent = connection.url, connection.boottime()
        asked = statement("open.meta", connection.schema).replace("{now}", NOW)
        ((now, version, fleet, pid),) = connection.send(asked)
        connection.told(now, sent)
        if version is None or fleet is None or int(version) < schema.latest():
            why = f"its schema is {version}, older than {schema.latest()}; {errors.UPGRADE}"
            raise Unreadable(errors.at(url, why))
        if int(version) > schema.latest():
            from agentq_cli.engines.fleet.init import newer

            raise newer(url, int(version))
        if self._fleet not in (None, fleet):
            raise Unreadable(errors.at(url, "it was replaced by another fleet while agentq was running"))
        self._fleet = fleet
        self.connects += 1
        # A pooler tells each of its clients of a process that is none of the server's.
        self._has_session = pid == connection.server_pid
        if self._stays:
            self.stay()

    def stay(self) -> None:
        """This process will say the same again and again."""
        self._stays = True
        if self._has_session:
            self.database.keep_statements()

    @property
    def exists(self) -> bool:
        return True

    @contextmanager
    def rehearsal(self) -> Iterator[Self]:
        """The same queue in a transaction that is undone. One at a time."""
        with self.database.rehearsal():
            yield self

    def check(self) -> None:
        """Nothing: a fleet that was replaced is found at the next connecting."""

    def mark(self) -> None:
        """None: only the database knows."""

    def rest(self) -> None:
        """Nothing: one connection is kept."""

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _now(self) -> object:
        """The time of the transaction that begins, in what is asked as it begins."""
        return self._clock.now_ms() if self._clock.fixed else as_it_is(NOW)

    @property
    def machine(self) -> str:
        return self.settings.host

    @property
    def now(self) -> int:
        return self._clock.now_ms() if self._clock.fixed else self.database.now

    def ring(self) -> None:
        """Nothing: the commit itself wakes whoever waits."""

    def known(self, session: str) -> None:
        below(session)
        if not self.reading.ask("read.session", {"name": session}):
            raise self._unknown(session)

    def _unknown(self, session: str) -> NotFound:
        near = nearest(session, self.session_names()) or "; see `agentq sessions`"
        return NotFound(f"session '{session}': no such session{near}")

    @contextmanager
    def of_session(self, session: str, *, background: bool = False) -> Iterator[Asking]:
        yield self._asking.of_session(session)

    of_both = of_messages = of_session

    def load(
        self, addresses: Collection[Address], trouble: list[AgentqError], *, background: bool = False
    ) -> list[Task]:
        found: dict[Address, Task] = {}
        for row in self.reading.ask("read.tasks_of_addresses", {"addresses": dumps(list(addresses))}):
            address = Address(*row[:2])
            try:
                found[address] = rows.task(address.session, rows.named(row[2:]))
            except AgentqError as error:
                trouble.append(error)
        return [found[address] for address in addresses if address in found]

    @contextmanager
    def in_session(
        self, session: str, *, actor: Actor = Actor.USER, create: bool = False, background: bool = False
    ) -> Iterator[SessionWrite]:
        """A transaction over a session, created with `create` when something is stored in it. With `background` it
        raises Busy after a short wait. Raises NotFound."""
        below(session)
        first = self.first
        questions = [(statement("moving.gone", self.database.schema), {"name": session})]
        for each in first:
            values = {**self.own, "session": session, "now": self._now, **each.values}
            questions.append((statement(each.statement, self.database.schema), values))
        with self._transaction(actor, *together(questions), background=background) as (write, found):
            ((elsewhere,),), *answers = apart(found)
            if elsewhere:
                from agentq_cli.engines.fleet.moving import refusal

                raise refusal(session, elsewhere)
            if elsewhere is None and not create:
                raise self._unknown(session)
            for each, answer in zip(first, answers, strict=True):
                if each.heed is not None:
                    each.heed(write, answer)
            if first:
                write.learn([(text, {**given, "now": write.now}) for text, given in questions[1:]], answers)
            yield write.part(session)

    @contextmanager
    def in_queue(self, *, actor: Actor = Actor.USER) -> Iterator[Writing]:
        """A transaction over what belongs to no session."""
        with self._transaction(actor) as (write, _):
            yield write

    @contextmanager
    def _transaction(
        self, actor: Actor, what: str = "", values: Values = NOTHING, *, background: bool = False
    ) -> Iterator[tuple[Writing, Row]]:
        database = self.database
        now, found = database.begin(BACKGROUND_LOCK_MS if background else LOCK_MS, what, values)
        write = Writing(database, self.own, self._clock.now_ms() if self._clock.fixed else now, actor, Commit())
        try:
            yield write, found
            settle(write)
            for session in sorted(write.commit.waking):
                write.notify(session)
            last = write.flushed()
        except BaseException:
            database.roll_back()
            raise
        database.commit(last + b";" if last else b"")

    def store_batch(
        self, tasks: Sequence[NewTask], sessions: Sequence[str], *, max_queued: int, owner: Identity, actor: Actor
    ) -> list[tuple[Address, bool]]:
        from agentq_cli.engines.fleet import batch

        with self.in_queue(actor=actor) as write:
            return batch.store(write, tasks, sessions, max_queued=max_queued)

    def make_files(self, session: str) -> None:
        """Have the files of a session on this machine, where the agent of what is claimed will look for them."""
        from agentq_cli.engines.fleet.agents_files import AgentsFiles

        with contextlib.suppress(AgentqError, OSError):  # it is claimed; the start says what cannot be written
            AgentsFiles(self.here, session).create()

    def forget_runs(self, tasks: Sequence[Task]) -> None:
        """Those of this machine; each other host removes its own later (`upkeep`)."""
        from agentq_cli.engines.fleet import leftovers

        leftovers.remove(self.here, tasks)

    def tell(self, statement: str, values: Values) -> None:
        """One commit of one statement, on what belongs to no session."""
        with self.in_queue() as write:
            write.tell(statement, values)
