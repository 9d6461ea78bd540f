"""A batch over several sessions: staged in each, committed once in the index, then released in each."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from agentq_cli.base.at_once import at_once
from agentq_cli.base.errors import AgentqError, Usage
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.local import connection, migrations, opening
from agentq_cli.engines.local.asking import Asking
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.session_write import SessionWrite
from agentq_cli.engines.local.sessions import create_sessions, session_write
from agentq_cli.engines.local.state_dir import StateDir, sync_directory
from agentq_cli.engines.steps import dependencies, submit
from agentq_cli.host.place import is_there
from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    from agentq_cli.engines.steps.entering import Entering
    from agentq_cli.model.actions import Actor
    from agentq_cli.model.tasks import NewTask

BATCH = statements("batch")


def store(
    state: StateDir,
    tasks: Sequence[NewTask],
    sessions: Sequence[str],
    *,
    now: int,
    actor: Actor,
    max_queued: int,
    owner: Identity,
) -> list[tuple[Address, bool]]:
    """Store tasks of several sessions, all or none, and return each with whether it is new (False: a live task with its
    key was found).

    A batch that its `owner` leaves unfinished is finished or dropped once that process is dead.
    """
    _refuse_replacing(tasks)
    batch = f"{owner.boot_id}-{owner.pid}-{owner.start_time}-{time.monotonic_ns()}"
    index = opening.connect(state.index, "index", create=False)
    try:
        _prepare(index)
        with connection.transaction(index, state.index):
            submit.check_room(Asking(index), tasks, max_queued)
            values = {"id": batch, "sessions": dumps(sessions), "pid": owner.pid}
            values |= {"start_time": owner.start_time, "boot_id": owner.boot_id}
            index.execute(BATCH["begin"], values)
        stored: dict[int, tuple[Address, bool]] = {}
        staged: dict[str, list[Entering]] = {}
        waiting = list(dict.fromkeys(task.session for task in tasks if task.work.after))
        own = _by_session(tasks)
        try:
            create_sessions(state, sessions)
            with contextlib.closing(_Laying(state, now, actor)) as laying:

                def stage(session: str) -> None:
                    found, staged[session] = _stage(laying, session, own[session].values(), batch)
                    stored.update(zip(own[session], found, strict=True))

                at_once(stage, list(own))
            for session in waiting:
                with session_write(state, session, now=now, actor=actor) as write:
                    submit.enter_waits(write, tasks, stored)
            with connection.transaction(index, state.index):
                if index.execute(BATCH["commit"], {"id": batch}).rowcount:
                    _publish(index, state, staged, now=now, actor=actor)
        except BaseException as error:
            # The session that refused has nothing of the batch, but an interrupt may have come after its commit.
            left = list(staged) if isinstance(error, AgentqError) else sessions
            # What cannot be undone now, sweep undoes; the first error is the one to report.
            with contextlib.suppress(AgentqError):
                drop(state, batch, left, now=now, actor=actor)
            raise
    finally:
        index.close()
    # Committed means stored: what cannot be released now, sweep releases.
    with contextlib.suppress(AgentqError):
        release(state, batch, sessions, now=now, actor=actor, alone=set(sessions).difference(waiting))
    return [stored[position] for position in range(len(tasks))]


def _refuse_replacing(tasks: Sequence[NewTask]) -> None:
    for task in tasks:
        if task.replace:
            with submit.of_line(task):
                raise Usage("--replace: not in a batch over several sessions, where it could not be undone")


def _by_session(tasks: Sequence[NewTask]) -> dict[str, dict[int, NewTask]]:
    """The tasks of each session, by their positions in the batch."""
    found: dict[str, dict[int, NewTask]] = {}
    for position, task in enumerate(tasks):
        found.setdefault(task.session, {})[position] = task
    return found


def _stage(
    laying: _Laying, session: str, tasks: Collection[NewTask], batch: str
) -> tuple[list[tuple[Address, bool]], list[Entering]]:
    """Store a session's tasks as staged, invisible to others; returns the address of each, and what was staged."""
    found = laying.lay(session, tasks, batch)
    if found is None:
        state, now, actor = laying.state, laying.now, laying.actor
        with session_write(state, session, now=now, actor=actor, create=True, alone=True) as write:
            found = submit.insert(write, tasks, batch), write.staged
    return found


class _Laying:
    """Writes the files of new sessions with their first tasks in them, which takes two syncs instead of seven.

    All are made in one database in memory, by one thread at a time: what is stored there for one is rolled back before
    the next.
    """

    def __init__(self, state: StateDir, now: int, actor: Actor) -> None:
        from threading import Lock

        self.state, self.now, self.actor = state, now, actor
        self._turn = Lock()
        self._database = migrations.new_in_memory("inbound", any_thread=True)

    def close(self) -> None:
        self._database.close()

    def lay(
        self, session: str, tasks: Collection[NewTask], batch: str
    ) -> tuple[list[tuple[Address, bool]], list[Entering]] | None:
        """As `_stage`; None if the session's file exists. Its directory must exist."""
        path = self.state.inbound(session)
        if is_there(path):
            return None
        with self._turn:
            self._database.execute("BEGIN")
            try:
                write = SessionWrite(self._database, self.state, session, self.now, self.actor)
                found = submit.insert(write, tasks, batch)
                content = self._database.serialize()
            finally:
                self._database.execute("ROLLBACK")
        if not opening.lay(path, content):
            return None
        sync_directory(os.path.dirname(path))
        return found, write.staged


def _prepare(index: sqlite3.Connection) -> None:
    """Have a table in the place of a session's: statements that read a session's rows find them in it as they will be
    once they are released."""
    with contextlib.closing(migrations.new_in_memory("inbound")) as inbound:
        columns = [f'"{name}" DEFAULT {default}' for name, default in inbound.execute(BATCH["columns"])]
    index.execute(BATCH["given_in_memory"])
    index.execute(BATCH["given"].format(columns=", ".join(columns)))


def _publish(
    index: sqlite3.Connection, state: StateDir, staged: Mapping[str, Sequence[Entering]], *, now: int, actor: Actor
) -> None:
    """Add everything that is staged to the index, in the commit of the batch: no session has to be opened again for
    it."""
    # In the order of the index, so that no page of it is written twice.
    for session, new in sorted(staged.items()):
        if new:
            write = SessionWrite(index, state, session, now, actor)
            write.tell("write.create_session", {"name": session, "at": now})
            write.insert(new)
            write.publish(0)
            write.tell("batch.forget_given")


def release(
    state: StateDir, batch: str, sessions: Sequence[str], *, now: int, actor: Actor, alone: Collection[str] = ()
) -> None:
    """Release a committed batch into the queue; repeating this after a crash changes nothing.

    In sessions in which no task waits for others, `alone`, the index is not involved. Raises the first Busy or
    Unreadable, after all other sessions are done.
    """

    def just_release(session: str) -> None:
        with session_write(state, session, now=now, actor=actor, alone=True) as write:
            write.tell("batch.release", {"id": batch})

    def one(session: str) -> None:
        with session_write(state, session, now=now, actor=actor, create=True) as write:
            write.tell("batch.release", {"id": batch})
            ((first,),) = write.ask("batch.first_staged", {"id": batch})
            if first is not None and not dependencies.exists(write, Address(session, first)):
                # An older version committed the batch; it updated the index at this point.
                write.tell("write.create_session", {"name": session, "at": now})
                write.publish(first, batch)
            for (seq,) in write.ask("batch.blocked", {"id": batch, "session": session}):
                dependencies.settle(write, seq)

    trouble: list[AgentqError] = []
    at_once(_tried(just_release, trouble), [session for session in sessions if session in alone])
    for session in sessions:
        if session not in alone:
            _tried(one, trouble)(session)
    _end(state, batch, trouble)


def drop(state: StateDir, batch: str, sessions: Sequence[str], *, now: int, actor: Actor) -> None:
    """Undo what a batch staged that was never committed. Raises as `release` does."""

    def one(session: str) -> None:
        if is_there(state.inbound(session)):
            with session_write(state, session, now=now, actor=actor) as write:
                write.tell("batch.drop_dependencies", {"id": batch, "session": session})
                write.tell("batch.drop", {"id": batch})

    trouble: list[AgentqError] = []
    for session in sessions:
        _tried(one, trouble)(session)
    _end(state, batch, trouble)


def _tried(step: Callable[[str], None], trouble: list[AgentqError]) -> Callable[[str], None]:
    """The step, whose failure in one session is kept, so that the others are done."""

    def tried(session: str) -> None:
        try:
            step(session)
        except AgentqError as error:
            trouble.append(error)

    return tried


def _end(state: StateDir, batch: str, trouble: Sequence[AgentqError]) -> None:
    """End the batch if all sessions are done. Raises the first trouble."""
    if trouble:
        raise trouble[0]
    index = opening.connect(state.index, "index", create=False)
    try:
        with connection.transaction(index, state.index):
            index.execute(BATCH["end"], {"id": batch})
    finally:
        index.close()
