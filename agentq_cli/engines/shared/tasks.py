"""Tasks: submitted, read, changed by a person, held back, and moved on as time passes."""

from __future__ import annotations

from itertools import islice

from agentq_cli.base.context import suppress
from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.base.identity import Identity
from agentq_cli.engines.door import done
from agentq_cli.engines.shared import read
from agentq_cli.host.place import below
from agentq_cli.model.actions import Actor, Undone
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import NewTask, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from agentq_cli.engines.shared.given import Given
    from agentq_cli.engines.steps import change
    from agentq_cli.policy import waiting
    from agentq_cli.policy.dependencies import Found
else:
    Given = object

MOST_AT_ONCE = 10_000
"""The most tasks that one commit changes: while it is made, which takes seconds, no other process can write."""


class Tasks(Given):
    """The verbs of tasks."""

    def submit(
        self, tasks: Sequence[NewTask], *, max_queued: int, owner: Identity | None = None, actor: Actor = Actor.USER
    ) -> list[tuple[Address, bool]]:
        from agentq_cli.engines.steps import dependencies, submit

        asked: set[Address | None] = {None}
        for task in tasks:
            for each in task.work.after:
                if each.address in asked:
                    continue
                asked.add(each.address)
                # Checked again under the lock; here so that a mistyped one creates no session.
                with submit.of_line(task):
                    dependencies.require(self.reading, each, self._note)
        sessions = list(dict.fromkeys(task.session for task in tasks))
        for session in sessions:
            below(session)  # one invalid name is rejected before any session is created
        if len(sessions) == 1:
            with self.in_session(sessions[0], actor=actor, create=True) as write:
                stored = submit.submit(write, tasks, max_queued=max_queued)
        else:
            stored = self._store_batch(tasks, sessions, max_queued=max_queued, owner=owner, actor=actor)
        self.ring()
        return stored

    def _store_batch(
        self,
        tasks: Sequence[NewTask],
        sessions: Sequence[str],
        *,
        max_queued: int,
        owner: Identity | None,
        actor: Actor,
    ) -> list[tuple[Address, bool]]:
        if not sessions:
            return []
        if owner is None:
            from agentq_cli.host import process

            owner = process.current()
        return self.store_batch(tasks, sessions, max_queued=max_queued, owner=owner, actor=actor)

    def _note(self, address: Address) -> str | None:
        from agentq_cli.engines.steps import pruned

        with suppress(NotFound), self.of_session(address.session) as reading:
            return pruned.note(reading, address)
        return None

    def task(self, address: Address, *, background: bool = False) -> Task:
        self.known(address.session)
        with self.of_session(address.session, background=background) as reading:
            return read.task(reading, address)

    def task_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        found: dict[Address, Task] = {}
        for first in range(0, len(addresses), read.PAGE):
            page = self.load(addresses[first : first + read.PAGE], [])
            found.update((task.address, task) for task in page)
        return [found.get(address) or self._unseen(address) for address in addresses]

    def _unseen(self, address: Address) -> Task | Undone:
        try:
            return self.task(address)
        except AgentqError as error:
            return Undone(error, self.known_status(address))

    def readable(self, addresses: Collection[Address]) -> dict[Address, Task]:
        found = self.load(set(addresses), [], background=True)
        return {task.address: task for task in found}

    def tasks(
        self,
        *,
        session: str | None = None,
        statuses: Collection[Status] = (),
        label: str | None = None,
        ended: bool = False,
        limit: int | None = None,
        **where: int | str | None,
    ) -> Iterator[Task]:
        if session is not None:
            self.known(session)
        found = read.tasks(
            self,
            where=where | {"session": session},
            statuses=statuses,
            label=label,
            ended=ended,
            most=limit,
        )
        return islice(found, limit)

    def live(self, address: Address) -> Task:
        from agentq_cli.engines.steps import pruned

        try:
            task = self.task(address)
        except NotFound:
            with self.of_session(address.session) as reading:
                found = pruned.live_of(reading, address.seq)
            if found is None:
                raise
            return self.task(Address(address.session, found))
        if task.series is None or task.extra or not task.status.ended:
            return task
        with self.of_session(address.session) as reading:
            live = reading.ask("write.live_of_series", {"series": task.series})
        return self.task(Address(address.session, live[0][0])) if live else task

    def environment(self, task: Task) -> Mapping[str, str] | None:
        from agentq_cli.engines.steps import environments

        with self.of_session(task.session) as reading:
            return environments.find(reading, task.work)

    def series_of(self, address: Address) -> Address:
        from agentq_cli.engines.steps import pruned

        self.known(address.session)
        with self.of_session(address.session) as reading:
            series = pruned.series_of(reading, address.seq)
        if series is None:
            hint = "belongs to no schedule; see `agentq schedules`"
            raise NotFound(f"task '{self.task(address).address}': {hint}")
        return Address(address.session, series)

    def cancel(self, address: Address) -> Task:
        """Cancel a waiting task; a running one is returned as it is, for `request_stop`. Raises NotFound,
        WrongState."""
        return done(*self.cancel_each([address]))

    def cancel_each(self, targets: Sequence[Address | RunId]) -> list[Task | Undone]:
        from agentq_cli.engines.steps import change

        return self._each(targets, change.cancel_of(targets))

    def pause(self, address: Address, *, reason: str | None) -> Task:
        """Keep a waiting task from starting. Raises NotFound, WrongState."""
        return done(*self.pause_each([address], reason=reason))

    def pause_each(self, addresses: Sequence[Address], *, reason: str | None) -> list[Task | Undone]:
        from agentq_cli.engines.steps import change

        return self._each(addresses, lambda write, address: change.pause(write, address, reason))

    def resume(self, address: Address) -> Task:
        """Undo `pause`. Raises NotFound, WrongState."""
        return done(*self.resume_each([address]))

    def resume_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        from agentq_cli.engines.steps import change

        return self._each(addresses, change.resume)

    def edit(self, address: Address, edit: change.Edit) -> Task:
        from agentq_cli.engines.steps import change

        self.known(address.session)
        with self.in_session(address.session) as write:
            task = change.edit(write, address, edit)
        self.ring()
        return task

    def retry(self, address: Address) -> Task:
        """Queue an ended task again under its address. Raises NotFound, WrongState."""
        return done(*self.retry_each([address]))

    def retry_each(self, addresses: Sequence[Address], edit: change.Edit | None = None) -> list[Task | Undone]:
        from agentq_cli.engines.steps import change

        return self._each(addresses, lambda write, address: change.retry(write, address, edit), named=True)

    def reply(self, address: Address, prompt: str) -> Task:
        from agentq_cli.engines.steps import change

        self.known(address.session)
        with self.in_session(address.session) as write:
            task = change.reply(write, address, prompt)
        self.ring()
        return task

    def trigger(self, address: Address) -> Task:
        from agentq_cli.engines.steps import change

        self.known(address.session)
        with self.in_session(address.session) as write:
            task = change.trigger(write, address)
        self.ring()
        return task

    def prune(self, address: Address) -> Task:
        """Remove an ended task with its runs, events and files. Raises NotFound, WrongState."""
        return done(*self.prune_each([address]))

    def prune_each(self, addresses: Sequence[Address]) -> list[Task | Undone]:
        from agentq_cli.engines.steps import change

        found = self._each(addresses, change.prune, named=True)
        self.forget_runs([task for task in found if isinstance(task, Task)])
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
        from agentq_cli.engines.steps import change

        try:
            self.known(session)
            with self.in_session(session) as write:
                found = change.each(write, targets, act, named=named)
        except AgentqError as error:
            return [Undone(error, self.known_status(target)) for target in targets]
        self.ring()
        return found

    def known_status(self, target: Address | RunId) -> Status | None:
        from agentq_cli.engines.steps import change

        try:
            return change.known_status(self.reading, target, self.now)
        except AgentqError:
            return None

    def stopped_behind(self, task: Task) -> list[Task]:
        from agentq_cli.engines.steps import dependencies

        cause = task.dep_failed or task.address
        return [self.task(each) for each in dependencies.stopped_behind(self.reading, task.address, cause)]

    def depends(self, task: Task) -> list[Found]:
        from agentq_cli.engines.steps import dependencies

        return dependencies.find(self.reading, task.address) if task.status is Status.BLOCKED else []

    def depended_on(self, address: Address) -> Address | None:
        from agentq_cli.engines.steps import dependencies

        return dependencies.live_dependent(self.reading, address)

    def spent(self, task: Task) -> float:
        from agentq_cli.engines.steps import finish

        return finish.spent(self.reading, task)


class Pauses(Given):
    """The verbs of pauses and of passing time."""

    def arriving(self) -> list[tuple[Address, str]]:
        found = self.reading.ask("dispatch.arriving", {"now": self.now})
        return [(Address(session, seq), agent) for session, seq, agent in found]

    def arrive(self, address: Address, *, actor: Actor) -> None:
        from agentq_cli.engines.steps import change

        with self.in_session(address.session, actor=actor, background=True) as write:
            change.arrive(write, address)
        self.ring()

    def expired(self) -> list[Address]:
        return [Address(*row) for row in self.reading.ask("dispatch.expired", {"now": self.now})]

    def expire(self, address: Address, *, actor: Actor) -> Task | None:
        from agentq_cli.engines.steps import change

        with self.in_session(address.session, actor=actor, background=True) as write:
            task = change.expire(write, address)
        if task is not None:
            self.ring()
        return task

    def settle_dependents(self, *, actor: Actor) -> Iterator[Task]:
        # A session that is busy or cannot be read keeps its notes for the next time.
        passed_over: set[str] = set()
        while waiting := [session for session in self.unsettled_sessions() if session not in passed_over]:
            for session in waiting:
                try:
                    settled = self.settle_dependents_in(session, actor=actor)
                except AgentqError:
                    passed_over.add(session)
                else:
                    yield from settled

    def ended_before(self, moment: int, *, session: str | None = None) -> list[Address]:
        values = {"before": moment, "session": session}
        return [Address(*row) for row in self.reading.ask("read.ended_before", values)]

    def pause_session(self, session: str, *, reason: str | None, paused: bool, actor: Actor = Actor.USER) -> bool:
        from agentq_cli.engines.steps import change

        if not paused:
            self.known(session)
        with self.in_session(session, actor=actor, create=paused) as write:
            changed = change.pause_session(write, reason=reason, paused=paused)
        self.ring()
        return changed

    def reset_conversation(
        self, session: str, agent: str | None, key: str | None = None, *, actor: Actor = Actor.USER
    ) -> list[str]:
        from agentq_cli.engines.steps import change

        self.known(session)
        with self.in_session(session, actor=actor) as write:
            return change.reset(write, agent, key)

    def pause_agent(self, agent: str | None, *, reason: str | None) -> None:
        from agentq_cli.engines.steps import holds

        with self.in_queue() as write:
            holds.pause(write, agent, reason=reason)
        self.ring()

    def resume_agent(self, agent: str | None) -> None:
        from agentq_cli.engines.steps import holds

        with self.in_queue() as write:
            holds.resume(write, agent)
        self.ring()

    def jobs(self) -> int | None:
        found = self.reading.ask("dispatch.jobs")
        return found[0][0] if found else None

    def set_jobs(self, jobs: int | None) -> None:
        from agentq_cli.engines.steps import holds

        with self.in_queue() as write:
            holds.set_jobs(write, jobs)
        self.ring()

    def holds(self) -> list[waiting.Hold]:
        from agentq_cli.policy import waiting

        return [waiting.Hold(*row) for row in self.reading.ask("read.holds", {"now": self.now})]
