"""Whether a session's files are fit for use: one check, for `health`, `sweep` and `run`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from agentq_cli.base.errors import AgentqError, Busy, NotFound, Refused, Unreadable
from agentq_cli.engines.local import asked, connection, files, opening, rehearsal
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.state_dir import StateDir, holds_something
from agentq_cli.engines.nouns import INBOUND, INDEX, OUTBOUND, RUNS, Fault
from agentq_cli.host.place import is_there, refuse_link

SOME = 1000
"""How many of a session's newest tasks are compared with the index, whether or not the index has them as live."""


def faults(state: StateDir, session: str) -> Iterator[Fault]:
    """Everything that is wrong with a session's files. Raises Busy if that cannot be known now."""
    try:
        with files.inbound(state, session, busy_ms=connection.BACKGROUND_BUSY_MS):
            pass
    except NotFound:
        return  # nothing was ever stored in it
    except Busy:
        raise
    except AgentqError as error:
        yield Fault(INBOUND, error)
        return
    checks: tuple[tuple[str, Callable[[StateDir, str], object]], ...] = (
        (INBOUND, lambda state, session: _check_writable(state, state.inbound(session))),
        (OUTBOUND, asked.check),
        (OUTBOUND, lambda state, session: _check_writable(state, state.outbound(session))),
        (RUNS, check_runs),
        (INDEX, _check_index),
    )
    for part, check in checks:
        try:
            check(state, session)
        except Busy:
            raise
        except AgentqError as error:
            yield Fault(part, error)


def _check_writable(state: StateDir, path: str) -> None:
    # If nothing in the state dir can be written, that is one fault and not one of each session.
    if is_there(path) and os.access(state.path, os.W_OK) and not os.access(path, os.W_OK):
        raise Refused(f"'{path}': cannot be written")


def check_runs(state: StateDir, session: str) -> None:
    """Raises Refused, or Usage for a link, if no run of the session can have its directory."""
    runs = f"{state.session(session)}/runs"
    try:
        refuse_link(runs)
        os.listdir(runs)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refused(f"'{runs}': {error.strerror}") from error
    _check_writable(state, runs)


def _check_index(state: StateDir, session: str) -> None:
    if lacking(state, session):
        raise Unreadable(f"session '{session}': '{state.index}' lacks tasks, or has an older state of them")


def lacking(state: StateDir, session: str) -> bool:
    """Whether the index lacks something that a session's file has, as an index restored from an older copy does.

    Compares the newest tasks, and those that the index has as live.
    """
    if not rehearsal.rehearsing() and not holds_something(state.index):
        return True
    path = state.inbound(session)
    opened = opening.connect_session(path, state.index, create=False, busy_ms=connection.BACKGROUND_BUSY_MS)
    with contextlib.closing(opened) as database, connection.named_trouble(path):
        values = {"session": session, "some": SOME}
        return bool(database.execute(statements("reindex")["lacking"], values).fetchone()[0])
