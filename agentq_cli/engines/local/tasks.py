"""Tasks: submitted, read, changed by a person, held back, and moved on as time passes."""

from __future__ import annotations

import contextlib
from itertools import islice

from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.base.identity import Identity
from agentq_cli.engines.door import done
from agentq_cli.engines.local import connection, read
from agentq_cli.engines.local.opened import Opened
from agentq_cli.engines.local.queries import statements
from agentq_cli.model.actions import Actor, Undone
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import NewTask, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from agentq_cli.engines.local import change
    from agentq_cli.policy import waiting
    from agentq_cli.policy.dependencies import Found


MOST_AT_ONCE = 10_000
"""The most tasks that one commit changes: while it is made, which takes seconds, no other process can write."""


class Tasks(Opened):
    """The verbs of tasks."""

    def submit(
        self, tasks: Sequence[NewTask], *, max_queued: int, owner: Identity | None = None, actor: Actor = Actor.USER
    ) -> list[tuple[Address, bool]]:
        from agentq_cli.engines.local import dependencies, submit

        asked: set[Address | None] = {None}
        for task in tasks:
            for each in task.work.after:
                if each.address in asked:
                    continue
                asked.add(each.address)
                # Checked again under the lock; here so that a mistyped one creates no session.
                with submit.of_line(task):
                    dependencies.require(self.index, each, self._note)
        stored = submit.submit(self.state, tasks, now=self.now, actor=actor, max_queued=max_queued, owner=owner)
        self.ring()
        return stored

    def _note(self, address: Address) -> str | None:
        from agentq_cli.engines.local import pruned

        with contextlib.suppress(NotFound), read.inbound(self.state, address.session) as database:
            return pruned.note(database, address)
        return None

    def task(self, address: Address, *, background: bool = False) -> Task:
        self.known(address.session)
        busy_ms = connection.BACKGROUND_BUSY_MS if background else connection.BUSY_MS
        return read.task(self.state, address, busy_ms=busy_ms)

    def task_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        found: dict[Address, Task] = {}
        for first in range(0, len(addresses), read.PAGE):
            page = read.load(self.state, addresses[first : first + read.PAGE], [])
            found.update((task.address, task) for task in page)
        return [found.get(address) or self._unseen(address) for address in addresses]

    def _unseen(self, address: Address) -> Task | Undone:
        try:
            return self.task(address)
        except AgentqError as error:
            return Undone(error, self.known_status(address))

    def tasks(
        self,
        *,
        session: str | None = None,
        statuses: Collection[Status] = (),
        label: str | None = None,
        ended: bool = False,
        limit: int | None = None,
    ) -> Iterator[Task]:
        if session is not None:
            self.known(session)
        found = read.tasks(
            self.state,
            self.index,
            session=session,
            statuses=statuses,
            label=label,
            ended=ended,
            now=self.now,
            most=limit,
        )
        return islice(found, limit)

    def live(self, address: Address) -> Task:
        from agentq_cli.engines.local import pruned

        try:
            task = self.task(address)
        except NotFound:
            with read.inbound(self.state, address.session) as database:
                found = pruned.live_of(database, address.seq)
            if found is None:
                raise
            return self.task(Address(address.session, found))
        if task.series is None or task.extra or not task.status.ended:
            return task
        with read.inbound(self.state, address.session) as database:
            row = database.execute(statements("write")["live_of_series"], {"series": task.series}).fetchone()
        return task if row is None else self.task(Address(address.session, row[0]))

    def cancel(self, address: Address) -> Task:
        """Cancel a waiting task; a running one is returned as it is, for `request_stop`. Raises NotFound,
        WrongState."""
        return done(*self.cancel_each([address]))

    def cancel_each(self, targets: Sequence[Address | RunId]) -> list[Task | Undone]:
        from agentq_cli.engines.local import change

        return self._each(targets, change.cancel_of(targets))

    def pause(self, address: Address, *, reason: str | None) -> Task:
        """Keep a waiting task from starting. Raises NotFound, WrongState."""
        return done(*self.pause_each([address], reason=reason))

    def pause_each(self, addresses: Sequence[Address], *, reason: str | None) -> list[Task | Undone]:
        from agentq_cli.engines.local import change

        return self._each(addresses, lambda write, address: change.pause_in(write, address, reason))

    def resume(self, address: Address) -> Task:
        """Undo `pause`. Raises NotFound, WrongState."""
        return done(*self.resume_each([address]))

    def resume_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        from agentq_cli.engines.local import change

        return self._each(addresses, change.resume_in)

    def edit(self, address: Address, edit: change.Edit) -> Task:
        from agentq_cli.engines.local import change

        self.known(address.session)
        task = change.edit(self.state, address, edit, now=self.now)
        self.ring()
        return task

    def retry(self, address: Address) -> Task:
        """Queue an ended task again under its address. Raises NotFound, WrongState."""
        return done(*self.retry_each([address]))

    def retry_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        from agentq_cli.engines.local import change

        return self._each(addresses, change.retry_in, named=True)

    def trigger(self, address: Address) -> Task:
        from agentq_cli.engines.local import change

        self.known(address.session)
        task = change.trigger(self.state, address, now=self.now)
        self.ring()
        return task

    def prune(self, address: Address) -> Task:
        """Remove an ended task with its runs, events and files. Raises NotFound, WrongState."""
        return done(*self.prune_each([address]))

    def prune_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        from agentq_cli.engines.local import change

        found = self._each(addresses, change.prune_in, named=True)
        self.upkeep.remove_pruned(task.address for task in found if isinstance(task, Task))
        return found

    def _each(self, targets: Sequence[Address | RunId], act: change.Act, *, named: bool = False) -> list[Task | Undone]:
        """Do the same to each, those of a session in one commit; a faulty session does not affect the others."""
        found: dict[int, Task | Undone] = {}
        sessions: dict[str, list[int]] = {}
        for position, target in enumerate(targets):
            sessions.setdefault(target.session, []).append(position)
        for session, positions in sessions.items():
            for first in range(0, len(positions), MOST_AT_ONCE):
                some = positions[first : first + MOST_AT_ONCE]
                own = [targets[position] for position in some]
                found.update(zip(some, self._each_of(session, own, act, named), strict=True))
        return [found[position] for position in range(len(targets))]

    def _each_of(
        self, session: str, targets: Sequence[Address | RunId], act: change.Act, named: bool
    ) -> Sequence[Task | Undone]:
        from agentq_cli.engines.local import change

        try:
            self.known(session)
            found = change.each(self.state, session, targets, act, named=named, now=self.now, actor=Actor.USER)
        except AgentqError as error:
            return [Undone(error, self.known_status(target)) for target in targets]
        self.ring()
        return found

    def known_status(self, target: Address | RunId) -> Status | None:
        try:
            return read.known_status(self.index, target, self.now)
        except AgentqError:
            return None

    def stopped_behind(self, task: Task) -> list[Task]:
        from agentq_cli.engines.local import dependencies

        cause = task.dep_failed or task.address
        return [self.task(each) for each in dependencies.stopped_behind(self.index, task.address, cause)]

    def depends(self, task: Task) -> list[Found]:
        from agentq_cli.engines.local import dependencies

        return dependencies.find(self.index, task.address) if task.status is Status.BLOCKED else []

    def depended_on(self, address: Address) -> Address | None:
        from agentq_cli.engines.local import dependencies

        return dependencies.live_dependent(self.index, address)

    def spent(self, task: Task) -> float:
        from agentq_cli.engines.local import finish

        return finish.spent(self.index, task)


class Pauses(Opened):
    """The verbs of pauses and of passing time."""

    def arriving(self) -> list[tuple[Address, str]]:
        found = self.index.execute(statements("dispatch")["arriving"], {"now": self.now}).fetchall()
        return [(Address(session, seq), agent) for session, seq, agent in found]

    def arrive(self, address: Address, *, actor: Actor) -> None:
        from agentq_cli.engines.local import change

        change.arrive(self.state, address, now=self.now, actor=actor)
        self.ring()

    def expired(self) -> list[Address]:
        found = self.index.execute(statements("dispatch")["expired"], {"now": self.now}).fetchall()
        return [Address(*row) for row in found]

    def expire(self, address: Address, *, actor: Actor) -> Task | None:
        from agentq_cli.engines.local import change

        task = change.expire(self.state, address, now=self.now, actor=actor)
        if task is not None:
            self.ring()
        return task

    def settle_dependents(self, *, actor: Actor) -> Iterator[Task]:
        from agentq_cli.engines.local import dependencies

        busy_ms = connection.BACKGROUND_BUSY_MS
        settled = dependencies.settle_elsewhere(self.state, self.index, now=self.now, actor=actor, busy_ms=busy_ms)
        for task in settled:
            self.ring()
            yield task

    def settle_dependents_in(self, session: str, *, actor: Actor) -> list[Task]:
        from agentq_cli.engines.local import dependencies

        busy_ms = connection.BACKGROUND_BUSY_MS
        settled = dependencies.settle_noted(self.state, session, now=self.now, actor=actor, busy_ms=busy_ms)
        if settled:
            self.ring()
        return settled

    def unsettled_sessions(self) -> list[str]:
        from agentq_cli.engines.local import dependencies

        return dependencies.unsettled_sessions(self.index)

    def ended_before(self, moment: int, *, session: str | None = None) -> list[Address]:
        values = {"before": moment, "session": session}
        return [Address(*row) for row in self.index.execute(read.READ["ended_before"], values).fetchall()]

    def pause_session(self, session: str, *, reason: str | None, paused: bool, actor: Actor = Actor.USER) -> bool:
        from agentq_cli.engines.local import change

        self.known(session)
        changed = change.pause_session(self.state, session, reason=reason, now=self.now, actor=actor, paused=paused)
        self.ring()
        return changed

    def reset_conversation(self, session: str, agent: str | None, *, actor: Actor = Actor.USER) -> list[str]:
        from agentq_cli.engines.local import change

        self.known(session)
        return change.reset(self.state, session, agent, now=self.now, actor=actor)

    def pause_agent(self, agent: str | None, *, reason: str | None) -> None:
        scope, name = ("queue", "") if agent is None else ("agent", agent)
        values = {"scope": scope, "name": name, "kind": "paused", "since": self.now, "until": None, "reason": reason}
        values["count"] = 1
        self._write_hold("set_hold", values, event=f"pause_{scope}", reason=_named(agent, reason))

    def resume_agent(self, agent: str | None) -> None:
        scope, name = ("queue", None) if agent is None else ("agent", agent)
        values = {"scope": scope, "name": name}
        self._write_hold("lift_holds", values, event=f"resume_{scope}", reason=_named(agent, None))

    def _write_hold(self, name: str, values: Mapping[str, object], *, event: str, reason: str | None) -> None:
        from agentq_cli.engines.local import holds

        told: dict[str, object] = {
            "at": self.now,
            "session": None,
            "seq": None,
            "attempt": None,
            "from": None,
            "to": None,
        }
        told |= {"event": event, "actor": Actor.USER, "reason": reason, "hook": None, "agent": None}
        with connection.transaction(self.index, self.state.index):
            self.index.execute(statements("dispatch")[name], values)
            self.index.execute(statements("write")["event"], told)
            holds.copy(self.index, self.state)
        self.ring()

    def holds(self) -> list[waiting.Hold]:
        from agentq_cli.policy import waiting

        return [waiting.Hold(*row) for row in self.index.execute(read.READ["holds"], {"now": self.now}).fetchall()]


def _named(agent: str | None, reason: str | None) -> str | None:
    return " ".join(part for part in (agent, f"({reason})" if reason else None) if part) or None
