"""Whether one more agent may start now. Pure: takes numbers, returns the gates.

The gates, in order: cap, memory, load, stagger. A gate that holds because of memory or load reopens only at a better
value than the one at which it closed, so that it does not flap. None of the gates affects running agents.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agentq_cli.base.clock import rfc3339
from agentq_cli.base.dataclass import NamedTuple, dataclass

MIB = 1 << 20
MORE_MEMORY = 64 * MIB
"""A closed memory gate requires a tenth more than the amount at which it closed, but at most this much more, and at
most a quarter of what is left of the total after that amount: a cgroup may be little larger than what one agent needs.
"""

LESS_LOAD = 0.9
"""The fraction of the limit to which the load must fall before starts resume."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate, as `workers` shows it: whether it holds back new starts, and its numbers.

    `until` is when it will reopen, if known, in milliseconds UTC.
    """

    name: str
    holding: bool
    detail: str
    until: int | None = None


class Room(NamedTuple):
    """Memory in bytes, either of the machine or of a cgroup around this process, which `cgroup` names."""

    total: int
    available: int
    cgroup: str | None = None


class Wanted(NamedTuple):
    """In bytes: what one more agent is expected to use, and what must remain free."""

    per_agent: int
    reserve: int


def cap(workers: int, jobs: int) -> Gate:
    """The cap: live workers of this host against the `-j` of the supervisor that wants to start one."""
    return Gate("cap", workers >= jobs, f"{workers} of {jobs} slots in use")


def caps(workers: int, jobs: int, everywhere: int, fleet_jobs: int | None) -> Gate:
    """The cap of this host, or if that leaves room the one over all hosts; `fleet_jobs` None: there is none."""
    own = cap(workers, jobs)
    if own.holding or fleet_jobs is None:
        return own
    return Gate("cap", everywhere >= fleet_jobs, f"{everywhere} of {fleet_jobs} slots of all hosts in use")


def fitted(wanted: Wanted, default: Collection[str], total: int | None) -> Wanted:
    """The wanted memory, with the fields that are still at their `default` reduced on a small machine.

    Each of those fields is reduced to at most a quarter of `total` (bytes; None: unknown), and at most half of what an
    explicitly set field leaves of it. So on a machine with 1 GiB, both defaults become 256 MiB.
    """
    if total is None:
        return wanted
    left = max(0, total - _set(wanted, default))
    most = min(total // 4, left // 2)
    return Wanted(*(min(value, most) if name in default else value for name, value in wanted._asdict().items()))


def impossible(wanted: Wanted, default: Collection[str], total: int | None) -> bool:
    """Whether the explicitly set fields ask for more than `total`, so that nothing could ever start."""
    asked = _set(wanted, default)
    # A field at its default shrinks, but not to zero.
    return total is not None and asked > 0 and asked + bool(default) > total


def _set(wanted: Wanted, default: Collection[str]) -> int:
    return sum(value for name, value in wanted._asdict().items() if name not in default)


def total(rooms: Sequence[Room]) -> int | None:
    """The most memory that can be used; None if unknown."""
    return min((room.total for room in rooms), default=None)


def spare(rooms: Sequence[Room], young: Sequence[int], per_agent: int) -> int | None:
    """The bytes that nobody has a claim to: the smallest room's available memory, minus what young workers may still
    take.

    `young` is what each of the young workers uses now; each is expected to grow to `per_agent`. The result is negative
    if more is promised than available, and None if nothing is known.
    """
    if not rooms:
        return None
    return min(room.available for room in rooms) - _promised(young, per_agent)


def _promised(young: Sequence[int], per_agent: int) -> int:
    return sum(max(0, per_agent - held) for held in young)


def memory(rooms: Sequence[Room], young: Sequence[int], wanted: Wanted, *, holding: bool) -> Gate:
    """The memory gate: a start needs `wanted` to be spare, and a little more if the gate is already `holding`.

    If memory cannot be read (no `rooms`), the gate stays open.
    """
    free = spare(rooms, young, wanted.per_agent)
    if free is None:
        return Gate("memory", False, "available memory cannot be read here")
    tightest = min(rooms, key=lambda room: room.available)
    need = wanted.per_agent + wanted.reserve
    more = max(0, min(need // 10, MORE_MEMORY, (tightest.total - need) // 4)) if holding else 0
    parts = [f"{_mib(tightest.available)} available"]
    if tightest.cgroup is not None:
        parts[0] += f" in cgroup '{tightest.cgroup}'"
    if promised := _promised(young, wanted.per_agent):
        workers = "1 young worker" if len(young) == 1 else f"{len(young)} young workers"
        parts[0] += f", less {_mib(promised, up=True)} that {workers} may still take"
    reasons = f"{_mib(wanted.per_agent, up=True)} for the agent, {_mib(wanted.reserve, up=True)} reserve"
    if more:
        reasons += f", {_mib(more, up=True)} more to resume"
    parts.append(f"{_mib(need + more, up=True)} wanted ({reasons})")
    return Gate("memory", free < need + more, "; ".join(parts))


def load(average: float | None, limit: float | None, *, holding: bool) -> Gate:
    """The load gate: the machine's 1-minute load average, not divided by the number of processors, against the limit.

    An `average` of None is unreadable; a `limit` of None is no limit.
    """
    now = "the load average cannot be read here" if average is None else f"load average {average:.2f}"
    if limit is None:
        return Gate("load", False, f"{now}; no limit is set")
    if holding:
        detail = f"{now}; starts resume at {limit * LESS_LOAD:.2f} (limit {limit:.2f})"
        return Gate("load", average is not None and average > limit * LESS_LOAD, detail)
    return Gate("load", average is not None and average > limit, f"{now}; the limit is {limit:.2f}")


def stagger_left(since: int | None, least: int) -> int:
    """How many milliseconds the next start must wait. `since` is the time since the last start (None: there was none).

    A negative `since` comes from a clock that cannot be compared, and holds nothing back.
    """
    return max(0, least - since) if since is not None and since >= 0 else 0


def stagger(since: int | None, least: int, *, now: int) -> Gate:
    """The stagger gate: the least time between two starts in the whole state dir, in milliseconds."""
    if not least:
        return Gate("stagger", False, "no minimum time between starts is set")
    left = stagger_left(since, least)
    apart = f"starts are {least / 1000:g} s apart"
    if not left:
        return Gate("stagger", False, apart)
    return Gate("stagger", True, f"{apart}; the next is at {rfc3339(now + left)}", until=now + left)


def _mib(size: int, *, up: bool = False) -> str:
    return f"{-(-size // MIB) if up else size // MIB:,} MiB"
