"""The door of the local engine: one SQLite file a session, an index beside them, directories of runs."""

from __future__ import annotations

import os

from agentq_cli.base.context import contextmanager, suppress
from agentq_cli.base.errors import AgentqError
from agentq_cli.base.identity import Identity
from agentq_cli.engines.local import connection, files, migrations, opening, rehearsal
from agentq_cli.engines.local.opened import Opened
from agentq_cli.engines.local.queries import statement
from agentq_cli.engines.local.state_dir import StateDir, holds_something
from agentq_cli.engines.shared.readings import Readings
from agentq_cli.engines.steps import rows
from agentq_cli.host.place import is_there
from agentq_cli.model.actions import Actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from agentq_cli.base.clock import Clock
    from agentq_cli.engines.local.answered import Answered
    from agentq_cli.engines.local.moving import Moving
    from agentq_cli.engines.local.placing import Placing
    from agentq_cli.engines.local.turn import Turn
    from agentq_cli.engines.local.voice import Voice
    from agentq_cli.engines.nouns import Renewal, Rescued
    from agentq_cli.engines.shared.hooks import Hooks
    from agentq_cli.engines.transaction import Values
    from agentq_cli.host.output import Output
    from agentq_cli.host.run_directory import RunDirectory
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.fleet import FleetSettings
    from agentq_cli.model.hosts import Host
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.statuses import Status
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.workers import Sign, Supervisor

NO_SIGNS: Mapping[RunId, Sign] = {}
NO_OUTCOMES: Mapping[RunId, Outcome] = {}


class LocalQueue(Opened, Readings):
    """An open state dir, with all verbs. What only few commands need is loaded on first use."""

    def __init__(
        self, state: StateDir, index: sqlite3.Connection, clock: Clock, *, allow_network_fs: bool = False
    ) -> None:
        super().__init__(state, index, clock, allow_network_fs=allow_network_fs)
        self._answered: Answered | None = None
        self._unposted: dict[str, str] = {}

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
            index = migrations.new_in_memory("index")
        if rebuild and create:
            migrations.mend_schema(index, state.index, "index")
        return cls(state, index, clock, allow_network_fs=allow_network_fs)

    # Runs

    def output(self, run: RunId, stream: str, offset: int = 0) -> Output:
        from agentq_cli.host.output import OutputReader

        return OutputReader(self.here.run(run), stream, offset)

    def files(self, run: RunId) -> RunDirectory:
        return self.here.run(run)

    def put_output(self, run: RunId, directory: RunDirectory, *, over: bool = False) -> int | None:
        return None  # whoever may open the queue may open the files

    @contextmanager
    def turn(
        self,
        session: str,
        outcomes: Mapping[RunId, Outcome] = NO_OUTCOMES,
        *,
        actor: Actor,
        background: bool = False,
    ) -> Iterator[Turn]:
        from agentq_cli.engines.local import reindex
        from agentq_cli.engines.local.turn import Turn, result_row

        live = ((run, each) for run, each in outcomes.items() if self.reading.ask("dispatch.is_live", run._asdict()))
        messages = [result_row(run, each.status, each.result, each.finished_at) for run, each in live]
        posted = self.post("post", session, messages)
        with self.in_session(session, actor=actor, background=background) as write:
            turn = Turn(write, outcomes, posted)
            yield turn
        if turn.ended:
            self.ring()
        if turn.claimed:
            with suppress(OSError):  # it is claimed, even if its files cannot be opened
                # An agent must not find a file in mid-commit.
                reindex.roll_back_dead_writers(self.state, [session])

    @property
    def answered(self) -> Answered:
        """What this process knows of what agents request."""
        if self._answered is None:
            from agentq_cli.engines.local.answered import Answered

            self._answered = Answered(self)
        return self._answered

    def post(self, name: str, session: str, messages: Sequence[tuple[RunId, Values]]) -> set[RunId]:
        """Append result rows to a session's outbound.db; returns the runs whose row it has now."""
        if not messages:
            return set()
        if rehearsal.rehearsing():
            return {run for run, _ in messages} if os.access(self.state.outbound(session), os.W_OK) else set()
        # In a separate commit: the agent may have locked, moved or broken the file, and nothing depends on it.
        try:
            with files.unchecked_outbound(self.state, session, connection.BACKGROUND_BUSY_MS) as database:
                posted = self._append(database, f"dispatch.{name}", session, messages)
        except (AgentqError, OSError) as error:
            self._unposted |= {str(run): str(error) for run, _ in messages}
            return set()
        self._unposted |= {str(run): "it already has a row with that id" for run, _ in messages if run not in posted}
        return posted

    def _append(
        self, database: sqlite3.Connection, name: str, session: str, messages: Sequence[tuple[RunId, Values]]
    ) -> set[RunId]:
        from agentq_cli.engines.local import answered, asked

        path, kept = self.state.outbound(session), self.state.kept is not None
        with connection.transaction(database, path):
            number = answered.version(database)
            known = kept and self.answered.is_version(session, database, number)
            if not known:
                opening.check_foreign(database, path)
            posted = {run for run, values in messages if database.execute(statement(name), values).rowcount == 1}
        if kept and not known:
            with suppress(AgentqError):
                # A supervisor would ask that next.
                if not asked.unanswered(self.state, session, database, 1):
                    self.answered.note_version(session, database, number)
        return posted

    def why_unposted(self, run: RunId | str) -> str | None:
        return self._unposted.pop(str(run), None)

    # What waits for tasks of other sessions is settled in a commit of its own session

    def settle_dependents_in(self, session: str, *, actor: Actor) -> list[Task]:
        from agentq_cli.engines.steps import dependencies

        with self.in_session(session, actor=actor, background=True) as write:
            noted = [seq for (seq,) in write.ask("dependencies.unsettled", {"session": session})]
            settled = [dependencies.settle(write, seq) for seq in noted]
            for seq in noted:
                write.tell("dependencies.settled", {"session": session, "seq": seq})
        changed = [task for task in settled if task is not None]
        if changed:
            self.ring()
        return changed

    def unsettled_sessions(self) -> list[str]:
        return [session for (session,) in self.reading.ask("dependencies.unsettled_sessions")]

    # Supervisors

    def bring(self, settings: FleetSettings, agents: Sequence[str]) -> None:
        """Nothing: there is no fleet."""

    def join(self, supervisor: Supervisor) -> Renewal:
        if self.state.kept is None:
            self.keep_connections()
        self.register(supervisor)
        self.ring()
        return self._renewal(supervisor.renewed_at)

    def renew(
        self, identity: Identity, *, jobs: int, renewed_at: int, signs: Mapping[RunId, Sign] = NO_SIGNS
    ) -> Renewal:
        self.tell("dispatch.renew", rows.identity_columns(identity) | {"jobs": jobs, "renewed_at": renewed_at})
        return self._renewal(renewed_at)

    def _renewal(self, renewed_at: int) -> Renewal:
        from agentq_cli.engines.nouns import Renewal
        from agentq_cli.host import attendance

        return Renewal(renewed_at + attendance.RENEW_MS, renewed_at + attendance.LEASE_MS)

    def rescue(self, *, actor: Actor) -> Iterator[Rescued]:
        return iter(())  # whoever is on duty here is on this machine

    def hosts(self) -> list[Host]:
        from agentq_cli.engines.local import this_host

        return [this_host.described(self)]

    def leave(
        self,
        identity: Identity,
        *,
        reason: str | None = None,
        last_result: Status | None = None,
        actor: Actor = Actor.SUPERVISOR,
    ) -> None:
        from agentq_cli.engines.steps import supervisors

        try:
            if self.in_place:
                with self.in_queue(actor=actor) as write:
                    supervisors.leave(write, identity, self.machine, reason, last_result)
        finally:
            self.ring()

    def _is_there(self, supervisor: Supervisor) -> bool:
        return self.lives(supervisor.identity)

    def _lapsed(self, supervisor: Supervisor) -> bool:
        from agentq_cli.host import attendance

        return attendance.lapsed(supervisor.renewed_at)

    def lives(self, owner: Identity) -> bool:
        from agentq_cli.host import attendance

        return attendance.lives(owner, self.here.bells)

    # Sub-doors

    @property
    def hooks(self) -> Hooks:
        """The hooks that events call."""
        from agentq_cli.engines.shared.hooks import Hooks

        return Hooks(self)

    @property
    def voice(self) -> Voice:
        """What agents request."""
        from agentq_cli.engines.local.voice import Voice

        return Voice(self)

    @property
    def placing(self) -> Placing:
        """Which host runs what: this one everything."""
        from agentq_cli.engines.local.placing import Placing

        return Placing()

    @property
    def moving(self) -> Moving:
        """Sessions that leave or come."""
        from agentq_cli.engines.local.moving import Moving

        return Moving(self)
