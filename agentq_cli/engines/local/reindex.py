"""Rebuild a session's part of the index from its file, which is authoritative about its tasks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping

from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.engines.local import connection, files, opening
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.session_write import SessionWrite
from agentq_cli.engines.local.sessions import session_write
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.engines.steps import dependencies
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status

REINDEX = statements("reindex")
UNDECIDED = "its batch was being stored when the index was lost"


def reindex(state: StateDir, session: str, *, now: int, host: str, busy_ms: int) -> Iterator[str]:
    """Bring the index in line with one session; yields what had to be repaired. Raises Busy, Unreadable."""
    mended: list[str] = []
    committed = {batch: _committed(state, batch) for batch in _lost_batches(state, session, busy_ms)}
    with session_write(state, session, now=now, actor=Actor.SWEEP, create=True, busy_ms=busy_ms) as write:
        database = write.database
        write.release_committed()
        mended += _settle_lost(write, committed)
        database.execute(REINDEX["known_session"], {"name": session})
        for (seq,) in database.execute(REINDEX["unreadable_times"]).fetchall():
            task = write.task(seq)
            mended.append(f"{task.address} is {task.status}{f': {task.reason}' if task.reason else ''}")
        database.execute(REINDEX["forget_session"], {"session": session})
        write.mirror_all()
        database.execute(REINDEX["forget_dependencies"], {"session": session})
        database.execute(REINDEX["dependencies"], {"session": session})
        for (seq,) in database.execute(REINDEX["blocked"]).fetchall():
            dependencies.settle(write, seq)
        database.execute(REINDEX["blocked_elsewhere"], {"session": session})
        paused = write.ask("dispatch.session_state", {"name": "paused"})
        values = {"session": session, "at": now if paused else None, "reason": paused[0][0] if paused else None}
        database.execute(REINDEX["paused"], values)
        write.tell("dispatch.rebuilt")
        mended += _workers(write, host)
    yield from mended


def _lost_batches(state: StateDir, session: str, busy_ms: int) -> list[str]:
    """The batches that have staged something in a session and that the index does not know."""
    try:
        opening.check_stored(state, session)
    except NotFound:
        return []
    path = state.inbound(session)
    opened = opening.connect_session(path, state.index, create=False, busy_ms=busy_ms)
    with contextlib.closing(opened) as database, connection.named_trouble(path):
        return [batch for (batch,) in database.execute(REINDEX["lost_batches"]).fetchall()]


def _committed(state: StateDir, batch: str) -> bool:
    """Whether a batch was committed: if so, some session has released it."""
    for session in state.session_names():
        with contextlib.suppress(AgentqError), files.inbound(state, session) as database:
            if database.execute(REINDEX["released"], {"batch": batch, "undecided": UNDECIDED}).fetchone():
                return True
    return False


def _settle_lost(write: SessionWrite, committed: Mapping[str, bool]) -> list[str]:
    """Release what was committed. What may never have been committed waits for a person: it is neither lost nor run
    twice."""
    mended = []
    for batch, known in committed.items():
        if known:
            write.database.execute(REINDEX["release_lost"], {"batch": batch})
            continue
        paused = write.database.execute(REINDEX["pause_lost"], {"batch": batch, "undecided": UNDECIDED}).fetchall()
        for (seq,) in paused:
            write.record("pause", seq, after=Status.PAUSED, reason=UNDECIDED)
            mended.append(f"{Address(write.session, seq)} is paused: {UNDECIDED}")
    return mended


def _workers(write: SessionWrite, host: str) -> list[str]:
    """Restore the worker of a run that the index forgot, so that recovery watches it; drop a worker without a run."""
    database = write.database
    live = {}
    for seq, attempt, agent, shares, key, cwd, argv, edited, has_tree in database.execute(
        REINDEX["running"]
    ).fetchall():
        live[seq] = attempt
        values = {"session": write.session, "seq": seq, "attempt": attempt, "agent": agent, "shares": shares}
        values["conversation_key"] = key
        # Whether its agent edits is not stored: if it does not, others wait for it in vain, but only until it ends.
        directory = None if edited is None else os.path.realpath(edited)
        if has_tree:
            directory, cwd = _in_tree(write, seq, attempt) or (None, cwd)
        values |= {"cwd": cwd, "argv": argv or "[]", "at": write.now, "host": host, "directory": directory}
        database.execute(REINDEX["missing_worker"], values)
        database.execute(REINDEX["missing_run"], values)
    mended = []
    for session, seq, attempt in database.execute(REINDEX["stale_workers"], {"session": write.session}).fetchall():
        if live.get(seq) != attempt:
            database.execute(REINDEX["drop_worker"], {"session": session, "seq": seq, "attempt": attempt})
            mended.append(f"{session}/{seq}.{attempt}: the index listed it as running")
    return mended


def _in_tree(write: SessionWrite, seq: int, attempt: int) -> tuple[str, str] | None:
    """The tree that a run is in, and where in it; None if it does not have it yet."""
    from agentq_cli.host.stage_records import read_made

    made = read_made(f"{write.home}/runs/{seq}.{attempt}")
    return None if made is None or not made.path else (made.path, made.directory)


def roll_back_dead_writers(state: StateDir, sessions: Iterable[str]) -> list[str]:
    """Open the files at which a dead writer left a journal, so that no agent finds a file in mid-commit; returns those
    sessions.

    A journal of a live writer is not a dead one's, and a faulty file is reported when its session is needed: neither
    keeps the others waiting.
    """
    opened = []
    for session in sessions:
        for kind, path in (("inbound", state.inbound(session)), ("outbound", state.outbound(session))):
            if os.path.exists(f"{path}-journal"):
                with contextlib.suppress(AgentqError):
                    opening.connect(path, kind, create=False, busy_ms=connection.BACKGROUND_BUSY_MS).close()
                    opened.append(session)
    return opened
