"""The heads of the queue as a supervisor keeps them: updated by what the events say has changed.

Every change of a waiting task records an event in the same commit, so the sessions of the new events are the ones to
check again. Changes without an event (a rebuilt index, a slot that was moved) are found by reading everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import replace
from agentq_cli.policy import order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.subdoors import Turn
    from agentq_cli.engines.transaction import Reading, Snapshots
    from agentq_cli.policy.pool import Line

MOST = 500
"""How many new events are followed one by one; if there are more, everything is read again."""

ANEW_MS = 30_000
"""How old the last full read may be at most, whatever the events say."""


def snapshot(reading: Snapshots, sessions: Collection[str] = (), *, now: int) -> order.Snapshot:
    """What may be started and what prevents starts, at one moment; with `sessions`, only heads of those."""
    with reading.snapshot():
        found = around(reading, now)
        lanes = dict(found.lanes)
        for session, seq, agent, key in reading.ask("dispatch.retrying"):
            if agent not in found.held_agents:  # a held task does not hold up others
                lane = lanes.get(session, order.Lane())
                lanes[session] = replace(lane, retrying={**lane.retrying, seq: (agent, key)})
        chosen = tuple(head for head in heads(reading, now) if not sessions or head.session in sessions)
        return replace(found, lanes=lanes, heads=chosen)


def around(reading: Reading, now: int) -> order.Snapshot:
    """A snapshot without the heads and the waiting retries: as large as the number of live runs and pauses."""
    lanes: dict[str, tuple[int, set[Line]]] = {}
    everywhere = here = 0
    directories = []
    running_now, holds, paused = reading.ask_each(
        ("dispatch.running", {}), ("read.holds", {"now": now}), ("dispatch.paused_sessions", {})
    )
    for session, agent, key, directory, is_here in running_now:
        running, lines = lanes.get(session, (0, set()))
        if key is not None:
            lines.add((agent, key))
        lanes[session] = (running + 1, lines)
        everywhere += 1
        here += is_here
        if directory is not None and is_here:
            directories.append(directory)
    return order.Snapshot(
        heads=(),
        lanes={name: order.Lane(running, lines=taken) for name, (running, taken) in lanes.items()},
        paused_sessions=frozenset(name for (name,) in paused),
        held_agents=frozenset(hold[1] for hold in holds if hold[0] == "agent"),
        queue_paused=any(hold[0] == "queue" for hold in holds),
        workers=here,
        everywhere=everywhere,
        directories=tuple(directories),
    )


def startable(reading: Reading, head: order.Head, found: order.Snapshot, *, now: int, width: int | None) -> bool:
    """Whether a head may start, given a snapshot `around`."""
    may = order.startable(head, found, now=now, parallel=lambda session: width)
    return may and no_retry_first(reading, head, found, now=now, width=width)


def no_retry_first(reading: Reading, head: order.Head, found: order.Snapshot, *, now: int, width: int | None) -> bool:
    """Whether the waiting retries of its session leave room for a head; they are queried only if they matter."""
    if width is None or head.retry:
        return True
    values = {"session": head.session, "now": now}
    waiting = {seq: (agent, key) for seq, agent, key in reading.ask("read.session_retrying", values)}
    lane = found.lanes.get(head.session, order.Lane())
    return order.lane_open(head, replace(lane, retrying=waiting), width)


def heads(reading: Snapshots, now: int, sessions: Collection[str] | None = None) -> list[order.Head]:
    """The head of every group, or of those of some sessions."""
    return [order.Head(*row) for row in reading.heads(now, sessions)]


class Heads:
    """The heads of some sessions, or of all if none is named."""

    def __init__(self, reading: Snapshots, sessions: Collection[str]) -> None:
        self._reading = reading
        self._sessions = frozenset(sessions)
        self._ready = order.Ready()
        self._seen: tuple[int, object] | None = None
        self._read_at = 0
        self._doubted: set[str] = set()

    def doubt(self, session: str) -> None:
        self._doubted.add(session)

    def forget(self) -> None:
        self._seen = None

    def only(self, session: str) -> bool:
        return self._doubted <= {session} and self._ready.sessions <= {session}

    def foresee(self, turn: Turn, session: str) -> None:
        self._foresee(turn.reading, turn.now, {*self._doubted, session})

    def _foresee(self, reading: Snapshots, now: int, sessions: Collection[str]) -> None:
        reading.foresee(now, after=None if self._seen is None else self._seen[0], sessions=sessions)

    def pick(
        self,
        *,
        now: int,
        jobs: int,
        ageing_ms: int | None,
        parallel: Callable[[str], int | None],
        place: order.Place = order.nowhere,
        without: Collection[str] = (),
        fleet_jobs: int | None = None,
        fits: order.Fits = order.anywhere,
        turn: Turn | None = None,
    ) -> order.Head | None:
        from agentq_cli.policy import admission

        reading = self._reading if turn is None else turn.reading
        with reading.snapshot():
            self._foresee(reading, now, self._doubted)
            found = around(reading, now) if turn is None else turn.around()
            if admission.caps(found.workers, jobs, found.everywhere, fleet_jobs).holding:
                return None
            self._follow(reading, now)
            places = order.Places(found.directories, place, parallel, fits)

            def may_start(head: order.Head) -> bool:
                if head.session in without:
                    return False
                if head.expires_at is not None and head.expires_at <= now:
                    self._doubted.add(head.session)  # what is behind it was hidden until now
                    return False
                width = parallel(head.session)
                # In this order: the lane may take a query, and there may be thousands of heads that do not fit here.
                may = order.startable(head, found, now=now, parallel=parallel) and places.fit(head)
                return may and no_retry_first(reading, head, found, now=now, width=width) and places.free(head)

            while True:
                head = self._ready.pick(may_start, now=now, ageing_ms=ageing_ms)
                if head is not None or not self._doubted:
                    return head
                places = order.Places(found.directories, place, parallel, fits)
                self._reread(reading, now)

    def _follow(self, reading: Snapshots, now: int) -> None:
        last, rebuilt = reading.marks()
        seen, seen_rebuilt = self._seen or (0, None)
        changed = []
        if self._seen is not None and 0 < last - seen <= MOST:
            changed = reading.ask("dispatch.changed", {"after": seen})
        # If some of the new events are missing, their tasks have been pruned.
        told = self._seen is not None and rebuilt == seen_rebuilt and len(changed) == last - seen
        if not told or monotonic_ms() - self._read_at >= ANEW_MS:
            self._read_all(reading, now)
        self._doubted.update(session for (session,) in changed if session is not None)
        self._seen = (last, rebuilt)
        self._reread(reading, now)

    def _read_all(self, reading: Snapshots, now: int) -> None:
        self._ready.clear()
        self._doubted.clear()
        self._read_at = monotonic_ms()
        self._put({}, heads(reading, now))

    def _reread(self, reading: Snapshots, now: int) -> None:
        if self._doubted:
            sessions = sorted(self._doubted)
            self._doubted.clear()
            self._put({session: [] for session in sessions}, heads(reading, now, sessions))

    def _put(self, of: dict[str, list[order.Head]], found: Iterable[order.Head]) -> None:
        for head in found:
            of.setdefault(head.session, []).append(head)
        for session, own in of.items():
            if not self._sessions or session in self._sessions:
                self._ready.replace(session, own)
