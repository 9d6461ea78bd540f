"""An open state dir: what every verb of the local engine works on."""

from __future__ import annotations

import os

from agentq_cli.base.context import contextmanager
from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import NotFound, Unreadable, nearest
from agentq_cli.engines.local import connection, opening, rehearsal
from agentq_cli.engines.local.asking import Asking, Writing
from agentq_cli.engines.local.state_dir import StateDir, holds_something
from agentq_cli.host.place import Place, is_there
from agentq_cli.host.ring import ring
from agentq_cli.model.actions import Actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from agentq_cli.base.clock import Clock
    from agentq_cli.engines.local.session_write import SessionWrite
    from agentq_cli.engines.local.upkeep import Upkeep
    from agentq_cli.engines.transaction import Values
    from agentq_cli.host.bells import Bell


class Opened:
    """A context manager; use one per thread, and none across a fork. `answered` is the stamp of each outbound.db from
    when all its requests were answered."""

    def __init__(
        self, state: StateDir, index: sqlite3.Connection, clock: Clock, *, allow_network_fs: bool = False
    ) -> None:
        self.state = state
        self.here = Place(state.path, allow_network_fs)
        self.index = index
        self.reading = Asking(index)
        self.answered: dict[str, str | None] = {}
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

    def session_names(self) -> list[str]:
        return [name for (name,) in self.reading.ask("reindex.sessions")]

    def known(self, session: str) -> None:
        directory = self.state.session(session)
        if not is_there(directory):
            near = nearest(session, self.session_names()) or "; see `agentq sessions`"
            raise NotFound(f"session '{session}': no such session{near}")

    def in_session(
        self, session: str, *, actor: Actor = Actor.USER, create: bool = False, background: bool = False
    ) -> AbstractContextManager[SessionWrite]:
        """A transaction over a session and the index. With `background` a busy file raises Busy after a short wait."""
        from agentq_cli.engines.local.sessions import session_write

        busy_ms = connection.BACKGROUND_BUSY_MS if background else connection.BUSY_MS
        return session_write(self.state, session, now=self.now, actor=actor, create=create, busy_ms=busy_ms)

    @contextmanager
    def in_index(self, *, actor: Actor = Actor.USER) -> Iterator[Writing]:
        """A transaction over the index alone, for what belongs to no session."""
        with connection.transaction(self.index, self.state.index):
            yield Writing(self.index, self.state, self.now, actor)

    def tell(self, statement: str, values: Values) -> None:
        """One commit of one statement, on the index alone."""
        with self.in_index() as write:
            write.tell(statement, values)
