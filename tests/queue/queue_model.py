"""A second, plain account of what the queue's verbs do, and a machine that holds the queue against it step by step.

It shares no code with `policy` or the store: it keeps every task in one dictionary and goes through all of them.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pool_reference import Asked, Known, chosen, has_room
from queue_driver import (
    ANOTHER,
    MANY,
    OWNER,
    Clock,
    Engine,
    Local,
    claim,
    command,
    edited,
    finish,
    head_of,
    pick,
    prompt,
    turn,
    widths,
)
from sampling import WIDE

from agentq_cli.base.errors import NotFound, WrongState
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import ENDED, FailureClass, RunStatus, Status
from agentq_cli.model.tasks import NewTask
from agentq_cli.model.work import Launch

# To make a history that fails small takes minutes: ask for it.
SHRINK = (Phase.shrink,) if os.environ.get("AGENTQ_TEST_SHRINK") else ()
PARALLEL = {"wide": 2}
AGEING_MS = 15
ENDINGS = {
    RunStatus.SUCCESS: Status.COMPLETED,
    RunStatus.ERROR: Status.FAILED,
    RunStatus.CRASHED: Status.FAILED,
    RunStatus.SKIPPED: Status.SKIPPED,
    RunStatus.CANCELLED: Status.CANCELLED,
}


@dataclass
class Entry:
    """One task as the model knows it; `status` is the one that is stored."""

    address: Address
    kind: str
    agent: str | None
    shares: bool
    priority: int
    due: int
    expires: int | None
    key: str | None
    status: Status = Status.QUEUED
    attempts: int = 0
    runs: int = 0
    cancel: bool = False
    stop: bool = False
    given: str | None = None
    line: str | None = None
    ran: bool = False
    given_up: bool = False
    events: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def late(self, now: int) -> bool:
        """Whether its time to start has passed; what was started does not expire between two attempts."""
        return self.expires is not None and self.expires <= now and not self.attempts

    def shown(self, now: int) -> Status:
        if self.status is Status.QUEUED and self.due > now:
            return Status.RETRYING if self.attempts else Status.SCHEDULED
        return self.status

    @property
    def live(self) -> bool:
        return self.status not in ENDED


@dataclass
class Model:
    """All tasks, and what holds them."""

    entries: dict[Address, Entry] = field(default_factory=dict)
    starts: int = 0
    last_start: dict[str, int] = field(default_factory=dict)
    paused_sessions: set[str] = field(default_factory=set)
    paused_agents: set[str] = field(default_factory=set)
    queue_paused: bool = False
    highest: dict[str, int] = field(default_factory=dict)
    parallel: dict[str, int] = field(default_factory=lambda: dict(PARALLEL))
    known: dict[str, tuple[Known, ...]] = field(default_factory=dict)
    ids: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def width(self, session: str) -> int | None:
        return self.parallel.get(session, None if session == "default" else 1)

    def running(self, session: str | None = None) -> list[Entry]:
        return [e for e in self.entries.values() if e.status is Status.RUNNING and session in (None, e.address.session)]

    def lane_open(self, entry: Entry) -> bool:
        session = entry.address.session
        if entry.shares and not has_room(self.asked(entry)):
            return False
        width = self.width(session)
        first = [] if entry.attempts else self.retrying(session)
        return width is None or len(self.running(session)) + len(first) < width

    def retrying(self, session: str) -> list[Entry]:
        """What waits for its next attempt, and nobody has paused its agent: it comes first."""
        return [
            other
            for other in self.entries.values()
            if other.address.session == session
            and other.status is Status.QUEUED
            and other.attempts
            and other.agent not in self.paused_agents
        ]

    def asked(self, entry: Entry) -> Asked:
        """What the choice of its line is made from."""
        assert entry.agent is not None
        session = entry.address.session
        holds = entry.attempts == 0 and self.width(session) is not None
        inside = self.running(session) + (self.retrying(session) if holds else [])
        taken = frozenset((each.agent, each.line) for each in inside if each.agent and each.line)
        # Even if nothing waits for a retry, its conversation does not make room.
        held = frozenset(each.line for each in self.retrying(session) if each.line and each.agent == entry.agent)
        wanted = frozenset(
            each.line
            for each in self.entries.values()
            if each.live and each.line and (each.address.session, each.agent) == (session, entry.agent)
        )
        return Asked(
            entry.agent, entry.line, self.known.get(session, ()), taken, self.width(session) or 1, wanted, held
        )

    def startable(self, entry: Entry, now: int) -> bool:
        return (
            entry.status is Status.QUEUED
            and entry.due <= now
            and not entry.late(now)
            and not self.queue_paused
            and entry.address.session not in self.paused_sessions
            and entry.agent not in self.paused_agents
            and self.lane_open(entry)
        )

    def next(self, now: int) -> Address | None:
        best: Entry | None = None
        for entry in self.entries.values():
            if self.startable(entry, now) and (best is None or self._before(entry, best, now)):
                best = entry
        return None if best is None else best.address

    def _before(self, one: Entry, other: Entry, now: int) -> bool:
        def key(entry: Entry) -> tuple[int, int, int, int, str]:
            priority = 101 if now >= entry.due + AGEING_MS else entry.priority
            turn = self.last_start.get(entry.address.session, 0)
            return (-priority, turn, entry.due, entry.address.seq, entry.address.session)

        return key(one) < key(other)

    def started(self, entry: Entry) -> None:
        """Something starts; before its status says so."""
        if entry.shares:
            entry.given_up = False
            entry.line, ended = chosen(self.asked(entry))
            for key in ended:
                self.drop(entry.address.session, entry.agent, key)
        self.starts += 1
        self.last_start[entry.address.session] = self.starts

    def drop(self, session: str, agent: str | None, key: str) -> None:
        """A conversation is not continued any more."""
        known = self.known.get(session, ())
        self.known[session] = tuple(each for each in known if (each.agent, each.key) != (agent, key))
        self.ids.pop((session, agent or "", key), None)

    def keep(self, entry: Entry) -> str | None:
        """The conversation that a run says it was in, which its line keeps unless somebody gave it up."""
        if not entry.shares or entry.agent is None or entry.line is None:
            return None
        place = (entry.address.session, entry.agent, entry.line)
        own = f"{entry.address}.{entry.runs}".replace("/", ":")
        used = own if entry.given_up else self.ids.get(place, own)
        if not entry.given_up:
            self.drop(*place)
            self.known[place[0]] = (*self.known[place[0]], Known(entry.agent, entry.line))
            self.ids[place] = used
        return used

    def holder(self, session: str, key: str | None) -> Entry | None:
        return next(
            (e for e in self.entries.values() if key and e.key == key and e.address.session == session and e.live), None
        )


BACKOFF = 4
AGAIN_SOON = Launch(retries=1, backoff_ms=BACKOFF, max_backoff_ms=BACKOFF)
"""One more attempt; so short a delay that jitter adds nothing to it."""

new_tasks = st.builds(
    lambda session, agent, shares, priority, delay, expires, key, line: (
        session,
        agent,
        {
            "context": "session" if shares else "isolated",
            "priority": priority,
            "due_at": delay,
            "expires_at": expires,
            "key": key,
            "launch": replace(AGAIN_SOON, conversation_key=line),
        },
    ),
    st.sampled_from(["default", "narrow", "wide"]),
    st.sampled_from([None, "demo", "other"]),
    st.booleans(),
    st.sampled_from([-1, 0, 0, 1]),
    st.sampled_from([None, None, None, 0, 4]),
    st.sampled_from([None, None, None, 3, 12]),
    st.sampled_from([None, None, None, "k", "l"]),
    st.sampled_from([None, None, "1", "a", "b"]),
)
which = st.integers(0, 60)


class Histories(RuleBasedStateMachine):
    """Random histories: whatever happens, queue and model agree."""

    def __init__(self, engine: type[Engine] = Local) -> None:
        super().__init__()
        self.umask = os.umask(0o077)
        self.left = ExitStack()
        self.clock = Clock()
        self.engine = self.left.enter_context(engine.made())
        self.queue = self.left.enter_context(self.engine.open(self.clock))
        self.model = Model()
        self.handed_out: list[RunId] = []

    def teardown(self) -> None:
        try:
            self.check_events()
            self.check_surroundings()
            self.conversations_agree()
        finally:
            self.left.close()
            os.umask(self.umask)

    # Helpers

    @property
    def now(self) -> int:
        return self.clock.now

    def choose(self, number: int, among: Callable[[Entry], bool] = lambda entry: True) -> Entry | None:
        found = [entry for _, entry in sorted(self.model.entries.items()) if among(entry)]
        return found[number % len(found)] if found else None

    def change(self, entry: Entry, event: str, status: Status, **fields: Any) -> None:
        before = entry.shown(self.now)
        entry.status = status
        for name, value in fields.items():
            setattr(entry, name, value)
        entry.events.append((event, before, entry.shown(self.now)))

    def refused(self, verb: Callable[[], object]) -> None:
        last = self.queue.last_event()
        try:
            verb()
        except WrongState:
            assert self.queue.last_event() == last
        else:
            raise AssertionError("it was not refused")

    # Submit

    @initialize(tasks=st.lists(new_tasks, min_size=2, max_size=6))
    def begin(self, tasks: list[Any]) -> None:
        self.submit(tasks)

    @rule(tasks=st.lists(new_tasks, min_size=1, max_size=3))
    def submit(self, tasks: list[Any]) -> None:
        """One task, several of one session, or a batch over several."""
        made: list[NewTask] = []
        after = copy.deepcopy(self.model)
        expected: list[Entry | None] = []
        new: list[Entry] = []
        clash = False
        for session, agent, fields in tasks:
            times = {
                name: None if fields[name] is None else self.now + fields[name] for name in ("due_at", "expires_at")
            }
            task = (
                command(session, **(fields | times))
                if agent is None
                else prompt(session, agent=agent, **(fields | times))
            )
            made.append(task)
            holder = after.holder(session, task.work.key)
            holder = holder or next(
                (e for e in new if task.work.key and (e.address.session, e.key) == (session, task.work.key)), None
            )
            if holder is not None:
                clash = clash or (holder.kind, holder.agent) != (task.work.kind, task.work.agent)
                expected.append(holder)
                continue
            entry = Entry(
                Address(session, -len(new)),
                task.work.kind,
                agent,
                agent is not None and task.work.context == "session",
                task.work.priority,
                self.now if task.due_at is None else task.due_at,
                task.work.expires_at,
                task.work.key,
                given=task.work.launch.conversation_key,
            )
            entry.line = entry.given if entry.shares else None
            new.append(entry)
            expected.append(entry)
        if clash:
            self.refused(lambda: self.queue.submit(made, owner=OWNER, max_queued=MANY))
            return
        stored = self.queue.submit(made, owner=OWNER, max_queued=MANY)
        fresh = {id(entry) for entry in new}
        for (address, is_new), entry in zip(stored, expected, strict=True):
            assert entry is not None
            assert is_new == (id(entry) in fresh)
            if not is_new:
                assert address == entry.address
                continue
            fresh.discard(id(entry))
            entry.address = address
            entry.events.append(("submit", None, entry.shown(self.now)))
            assert address.seq > self.model.highest.get(address.session, 0)
            self.model.highest[address.session] = address.seq
            self.model.entries[address] = entry

    # People and the clock

    @rule(milliseconds=st.sampled_from([1, 3, 20]))
    def wait(self, milliseconds: int) -> None:
        self.clock.forward(milliseconds)

    @rule(number=which)
    def cancel(self, number: int) -> None:
        entry = self.choose(number)
        if entry is None:
            return
        if entry.status is Status.RUNNING:
            assert self.queue.cancel(entry.address).status is Status.RUNNING
        elif entry.live:
            self.queue.cancel(entry.address)
            self.change(entry, "cancel", Status.CANCELLED, cancel=True)
        else:
            self.refused(lambda: self.queue.cancel(entry.address))

    @rule(number=which)
    def pause(self, number: int) -> None:
        entry = self.choose(number)
        if entry is None:
            return
        if entry.status is Status.PAUSED:
            self.queue.pause(entry.address, reason="again")
        elif entry.status is Status.QUEUED:
            self.queue.pause(entry.address, reason="why")
            self.change(entry, "pause", Status.PAUSED)
        else:
            self.refused(lambda: self.queue.pause(entry.address, reason=None))

    @rule(number=which)
    def resume(self, number: int) -> None:
        entry = self.choose(number)
        if entry is None:
            return
        if entry.status is Status.PAUSED:
            self.queue.resume(entry.address)
            self.change(entry, "resume", Status.QUEUED)
        else:
            self.refused(lambda: self.queue.resume(entry.address))

    @rule(
        number=which,
        priority=st.sampled_from([-1, 0, 1]),
        delay=st.sampled_from([0, 4]),
        shares=st.booleans(),
        given=st.sampled_from(["same", None, "a", "b"]),
    )
    def edit(self, number: int, priority: int, delay: int, shares: bool, given: str | None) -> None:
        entry = self.choose(number)
        if entry is None:
            return
        due = self.now + delay
        context = "session" if shares else "isolated"
        given = entry.given if given == "same" else given
        launch = replace(AGAIN_SOON, conversation_key=given)
        change = edited(priority=priority, due_at=due, context=context, launch=launch)
        verb = lambda: self.queue.edit(entry.address, change)  # noqa: E731
        if entry.status in (Status.QUEUED, Status.PAUSED):
            verb()
            shares = shares and entry.agent is not None
            stays = (entry.shares, entry.given) == (shares, given) or (not entry.shares and not shares)
            line = entry.line if stays else given if shares else None
            self.change(entry, "edit", entry.status, priority=priority, due=due, shares=shares, given=given, line=line)
        else:
            self.refused(verb)

    @rule(number=which)
    def retry(self, number: int) -> None:
        entry = self.choose(number, lambda e: not e.live) or self.choose(number)
        if entry is None:
            return
        taken = self.model.holder(entry.address.session, entry.key)
        if entry.live or taken is not None:
            self.refused(lambda: self.queue.retry(entry.address))
            return
        self.queue.retry(entry.address)
        expires = None if entry.expires is not None and entry.expires <= self.now else entry.expires
        self.change(entry, "retry", Status.QUEUED, due=self.now, attempts=0, expires=expires, cancel=False)

    @rule()
    def expire(self) -> None:
        late = {
            e.address
            for e in self.model.entries.values()
            if e.status in (Status.QUEUED, Status.PAUSED) and e.late(self.now)
        }
        assert set(self.queue.expired()) == late
        for address in late:
            assert self.queue.expire(address, actor=Actor.SWEEP) is not None
            self.change(self.model.entries[address], "expire", Status.EXPIRED)

    @rule(number=which)
    def expire_one_that_is_none(self, number: int) -> None:
        entry = self.choose(number, lambda e: not e.late(self.now) or not e.live)
        if entry is not None:
            assert self.queue.expire(entry.address, actor=Actor.SWEEP) is None

    @rule(number=which)
    def prune(self, number: int) -> None:
        entry = self.choose(number)
        if entry is None:
            return
        if entry.live:
            self.refused(lambda: self.queue.prune(entry.address))
            return
        self.queue.prune(entry.address)
        del self.model.entries[entry.address]

    @rule(session=st.sampled_from(["default", "narrow", "wide"]), paused=st.booleans())
    def pause_session(self, session: str, paused: bool) -> None:
        if session not in self.model.highest:
            return
        changed = (session in self.model.paused_sessions) is not paused
        assert self.queue.pause_session(session, reason=None, paused=paused) is changed
        (self.model.paused_sessions.add if paused else self.model.paused_sessions.discard)(session)

    @rule(agent=st.sampled_from([None, "demo", "other"]), paused=st.booleans())
    def pause_agent(self, agent: str | None, paused: bool) -> None:
        if paused:
            self.queue.pause_agent(agent, reason=None)
        else:
            self.queue.resume_agent(agent)
        if agent is None:
            self.model.queue_paused = paused
        else:
            (self.model.paused_agents.add if paused else self.model.paused_agents.discard)(agent)

    # Runs

    def take(self, entry: Entry, run: RunId) -> None:
        self.handed_out.append(run)
        self.model.started(entry)
        self.change(entry, "start", Status.RUNNING, attempts=entry.attempts + 1, runs=entry.runs + 1, cancel=False)
        entry.stop = False
        assert run == RunId(*entry.address, entry.runs)

    @rule(jobs=st.sampled_from([1, 2, 50]))
    def claim_next(self, jobs: int) -> None:
        head = pick(self.queue, parallel=widths(**self.model.parallel), ageing_ms=AGEING_MS)
        expected = self.model.next(self.now)
        assert (None if head is None else Address(head.session, head.seq)) == expected
        if head is None or expected is None:
            return
        claimed = claim(self.queue, head, jobs=jobs, parallel=widths(**self.model.parallel))
        if len(self.model.running()) >= jobs:
            assert claimed is None
        else:
            assert claimed is not None
            self.take(self.model.entries[expected], claimed.run)

    @rule(jobs=st.sampled_from([50]))
    def claim_all(self, jobs: int) -> None:
        while self.model.next(self.now) is not None:
            self.claim_next(jobs)
        self.claim_next(jobs)

    @rule(number=which)
    def claim_any(self, number: int) -> None:
        """A stale pick: the claim must find out by itself."""
        entry = self.choose(number)
        if entry is None:
            return
        head = replace(head_of(self.queue, entry.address), due_at=0, expires_at=None, agent="", shares=False)
        claimed = claim(self.queue, head, parallel=widths(**self.model.parallel))
        assert (claimed is not None) == self.model.startable(entry, self.now)
        if claimed is not None:
            self.take(entry, claimed.run)

    @rule(number=which, status=st.sampled_from(sorted(ENDINGS)))
    def finish(self, number: int, status: RunStatus) -> None:
        entry = self.choose(number, lambda e: e.status is Status.RUNNING)
        if entry is None:
            return
        self.end(entry, status)
        self.change(entry, "finish", Status.CANCELLED if entry.cancel else ENDINGS[status])

    def end(self, entry: Entry, status: RunStatus, **fields: Any) -> None:
        """End a run, which says which conversation it was in."""
        self.clock.forward(1)  # so that no two were used at the same moment
        entry.ran = True
        conversation = self.model.keep(entry)
        assert finish(self.queue, RunId(*entry.address, entry.runs), status, conversation=conversation, **fields)

    @rule(session=st.sampled_from(["default", "narrow", "wide"]), status=st.sampled_from(sorted(ENDINGS)))
    def turn(self, session: str, status: RunStatus) -> None:
        """All runs of a session end in a turn, once it was tried and came to nothing."""
        if session not in self.model.highest:
            return
        ending = [entry for entry in self.model.running() if entry.address.session == session]
        ends = {RunId(*entry.address, entry.runs): status for entry in ending}
        how: dict[str, Any] = {"parallel": widths(**self.model.parallel), "ageing_ms": AGEING_MS}
        tried = turn(self.queue, session, ends, undone=True, **how)
        claims, left = turn(self.queue, session, ends, **how)
        assert tried == (claims, left)
        for entry in ending:
            entry.ran = True
            self.change(entry, "finish", Status.CANCELLED if entry.cancel else ENDINGS[status])
        for run in claims:
            assert self.model.next(self.now) == run.address
            self.take(self.model.entries[run.address], run)
        assert self.model.next(self.now) == (None if left is None else Address(left.session, left.seq))

    @rule(number=which)
    def fail_and_wait(self, number: int) -> None:
        """A failure that is retried: the task waits for its next attempt, until its budget is used up."""
        entry = self.choose(number, lambda e: e.status is Status.RUNNING)
        if entry is None:
            return
        self.end(entry, RunStatus.ERROR, failure_class=FailureClass.NETWORK)
        if entry.cancel or entry.attempts > 1:
            self.change(entry, "finish", Status.CANCELLED if entry.cancel else Status.FAILED)
        else:
            self.change(entry, "finish", Status.QUEUED, due=self.now + BACKOFF)

    @precondition(lambda self: self.handed_out)
    @rule(number=which, status=st.sampled_from(sorted(ENDINGS)))
    def finish_late(self, number: int, status: RunStatus) -> None:
        run = self.handed_out[number % len(self.handed_out)]
        entry = self.model.entries.get(run.address)
        if entry is None:
            try:
                finish(self.queue, run, status)
            except NotFound:
                return
            raise AssertionError("a pruned task was finished")
        if entry.status is Status.RUNNING and entry.runs == run.attempt:
            return
        assert finish(self.queue, run, status) is None
        entry.events.append(("late", None, None))

    @rule(number=which)
    def undo(self, number: int) -> None:
        entry = self.choose(number, lambda e: e.status is Status.RUNNING)
        if entry is None:
            return
        assert self.queue.undo_claim(RunId(*entry.address, entry.runs), actor=Actor.SWEEP, reason="void")
        status = Status.CANCELLED if entry.cancel else Status.QUEUED
        line = entry.line if entry.ran or not entry.shares else entry.given
        self.change(entry, "undo", status, attempts=entry.attempts - 1, line=line)

    @rule(
        session=st.sampled_from(["default", "narrow", "wide"]),
        agent=st.sampled_from([None, "demo"]),
        key=st.sampled_from([None, "1", "a"]),
    )
    def reset(self, session: str, agent: str | None, key: str | None) -> None:
        """The conversations of a session, or of one line, are not continued, also those that run."""
        if session not in self.model.highest:
            return
        dropped = set()
        inside = [(each.agent, each.line, each) for each in self.model.running(session)]
        known = [(each.agent, each.key, None) for each in self.model.known.get(session, ())]
        for of, line, entry in [*inside, *known]:
            if of and line and agent in (None, of) and key in (None, line):
                dropped.add(of)
                self.model.drop(session, of, line)
                if entry is not None:
                    entry.given_up = True
        assert set(self.queue.reset_conversation(session, agent, key)) == dropped

    @rule(n=st.sampled_from([1, 2, 3]))
    def configure(self, n: int) -> None:
        """Somebody changes how many conversations a session keeps, whatever runs in it."""
        self.model.parallel["wide"] = n

    @rule(number=which, cancel=st.booleans())
    def request_stop(self, number: int, cancel: bool) -> None:
        entry = self.choose(number, lambda e: e.runs > 0)
        if entry is None:
            return
        done = self.queue.request_stop(RunId(*entry.address, entry.runs), reason="r", cancel=cancel, actor=Actor.USER)
        assert done is (entry.status is Status.RUNNING)
        if done and (not entry.stop or (cancel and not entry.cancel)):
            self.change(entry, "stop", Status.RUNNING, cancel=entry.cancel or cancel, stop=True)

    @rule(number=which)
    def adopt(self, number: int) -> None:
        entry = self.choose(number, lambda e: e.status is Status.RUNNING)
        worker = None if entry is None else self.queue.worker(entry.address)
        if entry is not None:
            assert worker is not None
            assert self.queue.adopt(worker, ANOTHER)
            self.change(entry, "adopt", Status.RUNNING)

    # What always holds

    @invariant()
    def tasks_agree(self) -> None:
        stored = {
            t.address: (
                t.shown_status(self.now),
                t.attempts,
                t.runs,
                t.due_at,
                t.work.expires_at,
                t.work.priority,
                t.work.agent,
                t.conversation_key,
            )
            for t in self.queue.tasks(ended=True)
        }
        assert stored == {
            e.address: (e.shown(self.now), e.attempts, e.runs, e.due, e.expires, e.priority, e.agent, e.line)
            for e in self.model.entries.values()
        }
        assert {worker.id for worker in self.queue.workers()} == {
            RunId(*e.address, e.runs) for e in self.model.running()
        }

    @rule()
    def conversations_agree(self) -> None:
        """Each line keeps its own with each agent, and no two runs are in one."""
        kept = {
            (session, each.agent, each.key): each.conversation
            for session in self.model.highest
            for each in self.queue.pool(session)
            if each.conversation is not None
        }
        assert kept == self.model.ids
        lines = [(each.session, each.agent, each.conversation_key) for each in self.queue.workers()]
        inside = [line for line in lines if line[2] is not None]
        assert len(set(inside)) == len(inside)

    def check_events(self) -> None:
        """Each change of a task is one event, and there are no others."""
        stored: dict[Address, list[tuple[str, str | None, str | None]]] = {}
        for event in self.queue.events():
            if event.session is not None and event.seq is not None:
                change = (event.event, event.from_status, event.to_status)
                stored.setdefault(Address(event.session, event.seq), []).insert(0, change)
        assert stored == {address: entry.events for address, entry in self.model.entries.items()}

    def check_surroundings(self) -> None:
        paused = {session.name for session in self.queue.sessions() if session.paused}
        assert paused == self.model.paused_sessions
        open_runs = {run.id for run in self.queue.runs() if run.finished_at is None}
        assert open_runs == {RunId(*e.address, e.runs) for e in self.model.running()}
        for entry in self.model.entries.values():
            width = widths(**self.model.parallel)(entry.address.session)
            why = self.queue.waiting_for(self.queue.task(entry.address), jobs=1, parallel=width)
            if not entry.live or entry.status is Status.RUNNING:
                assert why is None
            elif self.model.startable(entry, self.now):
                assert why is not None and why.kind == "slot"
            elif not entry.late(self.now):
                assert why is not None and why.kind != "slot"


def histories(number: int, steps: int) -> settings:
    """So many histories of so many steps; WIDE times as many."""
    return settings(
        max_examples=number * WIDE,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.reuse, Phase.generate, *SHRINK),
        print_blob=True,
    )
