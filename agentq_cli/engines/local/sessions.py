"""Opening the file of a session: for one transaction over it and the index, and for the first one that it ever has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from agentq_cli.base.at_once import at_once
from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.engines.local import aside, connection, migrations, opening, rehearsal
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.model.actions import Actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    from agentq_cli.engines.local.session_write import SessionWrite


@contextlib.contextmanager
def session_write(
    state: StateDir,
    session: str,
    *,
    now: int,
    actor: Actor,
    create: bool = False,
    alone: bool = False,
    busy_ms: int = connection.BUSY_MS,
) -> Iterator[SessionWrite]:
    """Begin a transaction over a session and the index, or with `alone` over the session only, if the index is not
    involved. Raises NotFound, Busy, Unreadable."""
    from agentq_cli.engines.local.session_write import SessionWrite

    if create:
        create_sessions(state, [session], busy_ms=busy_ms)
    else:
        opening.check_stored(state, session)
    write: SessionWrite | None = None
    try:
        with (
            opened(state, session, create=create, alone=alone, busy_ms=busy_ms) as database,
            connection.transaction(database, state.inbound(session)),
        ):
            if state.kept is not None and not alone:
                migrations.refuse_newer(database, state.inbound(session), state.index)
            write = SessionWrite(database, state, session, now, actor)
            yield write
            if write.moved:
                aside.sync(write.home)
    except BaseException:
        if write is not None and write.moved:
            with contextlib.suppress(AgentqError):  # what cannot be put back now, sweep puts back
                settle_aside(state, session, busy_ms=busy_ms)
        raise


def settle_aside(state: StateDir, session: str, *, busy_ms: int) -> tuple[list[str], list[str]]:
    """Put back the directories of runs that were moved aside and whose task still exists; returns these, and those to
    be removed.

    Raises Busy, Unreadable.
    """
    if not os.path.isdir(aside.place(state.session(session))):
        return [], []
    with session_write(state, session, now=0, actor=Actor.SWEEP, alone=True, busy_ms=busy_ms) as write:
        return aside.settle(write, dry=rehearsal.rehearsing())


@contextlib.contextmanager
def opened(state: StateDir, session: str, *, create: bool, alone: bool, busy_ms: int) -> Iterator[sqlite3.Connection]:
    """A connection to a session's file, and unless `alone` to the index, for one transaction: a kept one if there are
    any."""
    inbound, index = state.inbound(session), state.index

    def connect() -> sqlite3.Connection:
        if alone:
            return opening.connect(inbound, "inbound", create=create, busy_ms=busy_ms)
        return opening.connect_session(inbound, index, create=create, busy_ms=busy_ms)

    if state.kept is not None and not create and not alone:
        with state.kept.lend((inbound, index), busy_ms, connect) as database:
            yield database
        return
    with contextlib.closing(connect()) as database:
        yield database


def create_sessions(state: StateDir, sessions: Sequence[str], *, busy_ms: int = connection.BUSY_MS) -> None:
    """Create what sessions need before anything is stored in them. Raises Usage, Busy, Unreadable, Refused."""
    opening.refuse_emptied(state, sessions)
    if rehearsal.rehearsing():
        for session in sessions:
            with contextlib.suppress(NotFound):
                state.check_session(session)
    else:
        state.create_sessions(sessions)

    def make_outbound(session: str) -> None:
        path = state.outbound(session)
        if not os.path.lexists(path) and (rehearsal.rehearsing() or not opening.lay_new(path, "outbound")):
            opening.connect(path, "outbound", create=True, busy_ms=busy_ms).close()

    at_once(make_outbound, sessions)
