"""An open state dir: what every verb of the local engine works on."""

from __future__ import annotations

import os

from agentq_cli.base.context import contextmanager
from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import NotFound, Unreadable, nearest
from agentq_cli.engines.local import connection, files, opening, rehearsal
from agentq_cli.engines.local.asking import Asking
from agentq_cli.engines.local.state_dir import StateDir, holds_something
from agentq_cli.engines.shared import read
from agentq_cli.host.place import Place, is_there
from agentq_cli.host.ring import ring
from agentq_cli.model.actions import Actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from agentq_cli.base.clock import Clock
    from agentq_cli.base.errors import AgentqError
    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.local.session_write import SessionWrite
    from agentq_cli.engines.local.upkeep import Upkeep
    from agentq_cli.engines.local.writing import Writing
    from agentq_cli.engines.shared.given import Given
    from agentq_cli.engines.transaction import Values
    from agentq_cli.host.bells import Bell
    from agentq_cli.model.addresses import Address
    from agentq_cli.model.tasks import NewTask, Task
else:
    Given = object


class Opened(Given):
    """A context manager; use one per thread, and none across a fork."""

    def __init__(
        self, state: StateDir, index: sqlite3.Connection, clock: Clock, *, allow_network_fs: bool = False
    ) -> None:
        self.state = state
        self.here = Place(state.path, allow_network_fs)
        self.index = index
        self.reading = Asking(index)
        self._clock = clock
        self._place: os.stat_result | None = None
        self._bell: str | None = None

    @property
    def exists(self) -> bool:
        return holds_something(self.state.index)

    @contextmanager
    def rehearsal(self) -> Iterator[Self]:
        """The same queue as copies in memory: changes to it leave every file untouched. One at a time."""
        if not is_there(self.state.path):
            yield self
            return
        with rehearsal.rehearsal():
            index = opening.connect(self.state.index, "index", create=not self.exists, rebuild=True)
            with type(self)(self.state, index, self._clock, allow_network_fs=self.here.allow_network_fs) as rehearsed:
                yield rehearsed

    def keep_connections(self) -> None:
        """Keep the sessions' files open between transactions, for a process that continues to work with them.

        It waits for the index no longer than it may ignore its signals, and retries later.
        """
        from agentq_cli.engines.local.kept import PAGES, Kept, most_kept

        self.index.execute(f"PRAGMA cache_size = {PAGES}")
        self.rest()
        self.index.execute(f"PRAGMA busy_timeout = {connection.WATCHING_BUSY_MS}")
        self.state = replace(self.state, kept=Kept(most_kept()))
        self._place = os.lstat(self.state.index)

    @property
    def in_place(self) -> bool:
        """Whether the index that was open when it began to keep connections still has its name."""
        try:
            return self._place is None or os.path.samestat(self._place, os.lstat(self.state.index))
        except FileNotFoundError:
            return False

    def check(self) -> None:
        if not self.in_place:
            raise Unreadable(
                f"'{self.state.index}': it was removed or replaced while agentq was running; its runs are now unwatched"
            )

    def mark(self) -> str | None:
        from agentq_cli.engines.local import seen

        return seen.file(self.state.index)

    def rest(self) -> None:
        if self.state.kept is not None:
            self.state.kept.close()

    def close(self) -> None:
        self.rest()
        self.index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def machine(self) -> str:
        from agentq_cli.model.fleet import machine_name

        return machine_name()

    @property
    def now(self) -> int:
        return self._clock.now_ms()

    def bell(self) -> Bell:
        from agentq_cli.host.bells import Bell

        bell = Bell(self.here.bells)
        self._bell = os.path.basename(bell.path)
        return bell

    def ring(self) -> None:
        """Wake every waiting process after a commit that may concern it, except this one, which is awake."""
        if not rehearsal.rehearsing():
            ring(self.here.bells, but=self._bell)

    @property
    def upkeep(self) -> Upkeep:
        """What this engine needs to stay in order: one pass."""
        from agentq_cli.engines.local.upkeep import Upkeep

        return Upkeep(self)  # type: ignore[arg-type]

    def known(self, session: str) -> None:
        directory = self.state.session(session)
        if not is_there(directory):
            near = nearest(session, self.session_names()) or "; see `agentq sessions`"
            raise NotFound(f"session '{session}': no such session{near}")

    # Transactions

    def in_session(
        self, session: str, *, actor: Actor = Actor.USER, create: bool = False, background: bool = False
    ) -> AbstractContextManager[SessionWrite]:
        from agentq_cli.engines.local.sessions import session_write

        busy_ms = connection.BACKGROUND_BUSY_MS if background else connection.BUSY_MS
        return session_write(self.state, session, now=self.now, actor=actor, create=create, busy_ms=busy_ms)

    @contextmanager
    def in_queue(self, *, actor: Actor = Actor.USER) -> Iterator[Writing]:
        from agentq_cli.engines.local.writing import Writing

        with connection.transaction(self.index, self.state.index):
            yield Writing(self.index, self.state, self.now, actor)

    def tell(self, statement: str, values: Values) -> None:
        with self.in_queue() as write:
            write.tell(statement, values)

    def store_batch(
        self, tasks: Sequence[NewTask], sessions: Sequence[str], *, max_queued: int, owner: Identity, actor: Actor
    ) -> list[tuple[Address, bool]]:
        from agentq_cli.engines.local import batch

        return batch.store(self.state, tasks, sessions, now=self.now, actor=actor, max_queued=max_queued, owner=owner)

    # Readings

    @contextmanager
    def of_session(self, session: str, *, background: bool = False) -> Iterator[Asking]:
        busy_ms = connection.BACKGROUND_BUSY_MS if background else connection.BUSY_MS
        with files.inbound(self.state, session, busy_ms=busy_ms) as database:
            yield Asking(database)

    @contextmanager
    def of_both(self, session: str) -> Iterator[Asking]:
        from agentq_cli.engines.local.sessions import opened

        opening.check_stored(self.state, session)
        busy_ms = connection.BACKGROUND_BUSY_MS
        with opened(self.state, session, create=False, alone=False, busy_ms=busy_ms) as database:
            yield Asking(database)

    @contextmanager
    def of_messages(self, session: str) -> Iterator[Asking]:
        with files.outbound(self.state, session) as database:
            yield Asking(database)

    def load(
        self, addresses: Collection[Address], trouble: list[AgentqError], *, background: bool = False
    ) -> list[Task]:
        return read.load(self, addresses, trouble, background=background)

    def forget_runs(self, tasks: Sequence[Task]) -> None:
        self.upkeep.remove_pruned(task.address for task in tasks)
