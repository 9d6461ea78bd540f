"""Whether one more agent may start now. Pure: numbers in, the gates that hold out.

In order: cap, memory, load, stagger. A gate that holds because of memory or load lets go at a better mark than the one
it began at, so that it does not come and go with every breath of the machine. None of them touches what runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agentq_cli.clock import rfc3339
from agentq_cli.dataclass import NamedTuple, dataclass

MIB = 1 << 20
MORE_MEMORY = 64 * MIB
"""A gate that holds wants a tenth more than it began at, never more than so much more, and never more than a quarter of
what there is at all beyond it: a cgroup may be little larger than what an agent needs."""

LESS_LOAD = 0.9
"""The part of the limit that the load has to come down to before starts go on."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate as `workers` shows it: whether it holds new starts back, and its numbers.

    `until` is when it will let go, where that is known: milliseconds UTC.
    """

    name: str
    holding: bool
    detail: str
    until: int | None = None


class Room(NamedTuple):
    """Memory in bytes, of the machine or of one of the cgroups around this process, which `cgroup` names."""

    total: int
    available: int
    cgroup: str | None = None


class Wanted(NamedTuple):
    """Bytes: what one more agent is expected to take, and what is to be left over."""

    per_agent: int
    reserve: int


def cap(workers: int, jobs: int) -> Gate:
    """The cap: live workers of the whole state dir against the starting supervisor's `-j`."""
    return Gate("cap", workers >= jobs, f"{workers} of {jobs} slots in use")


def fitted(wanted: Wanted, default: Collection[str], total: int | None) -> Wanted:
    """The same, with the fields that stand at their `default` made smaller for a small machine.

    Each of them is a quarter of `total` at most (bytes; None: not known), and at most half of what a field that was
    set leaves of it: so on a machine of 1 GiB the two defaults ask for 256 MiB each.
    """
    if total is None:
        return wanted
    left = max(0, total - _set(wanted, default))
    most = min(total // 4, left // 2)
    return Wanted(*(min(value, most) if name in default else value for name, value in wanted._asdict().items()))


def impossible(wanted: Wanted, default: Collection[str], total: int | None) -> bool:
    """Whether the fields that were set ask for more than there is in `total`, so that nothing could ever start."""
    asked = _set(wanted, default)
    # What was not set shrinks, but not to nothing.
    return total is not None and asked > 0 and asked + bool(default) > total


def _set(wanted: Wanted, default: Collection[str]) -> int:
    return sum(value for name, value in wanted._asdict().items() if name not in default)


def total(rooms: Sequence[Room]) -> int | None:
    """The memory that there is at most; None where that is not known."""
    return min((room.total for room in rooms), default=None)


def spare(rooms: Sequence[Room], young: Sequence[int], per_agent: int) -> int | None:
    """The bytes that nobody has a claim on: the smallest room's, less what young workers may still take.

    `young` is what each of them holds by now; it is expected to grow to `per_agent`. Negative where more is promised
    than there is, None where nothing is known.
    """
    if not rooms:
        return None
    return min(room.available for room in rooms) - _promised(young, per_agent)


def _promised(young: Sequence[int], per_agent: int) -> int:
    return sum(max(0, per_agent - held) for held in young)


def memory(rooms: Sequence[Room], young: Sequence[int], wanted: Wanted, *, holding: bool) -> Gate:
    """Memory: a start needs `wanted` to be spare, and a little more where the gate is `holding` already.

    What cannot be read (no `rooms`) holds nobody.
    """
    free = spare(rooms, young, wanted.per_agent)
    if free is None:
        return Gate("memory", False, "how much is available cannot be read here")
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
        reasons += f", {_mib(more, up=True)} more to go on"
    parts.append(f"{_mib(need + more, up=True)} wanted ({reasons})")
    return Gate("memory", free < need + more, "; ".join(parts))


def load(average: float | None, limit: float | None, *, holding: bool) -> Gate:
    """Load: the machine's 1-minute load average against the limit, as it is and not per processor.

    None is one that cannot be read, and no limit.
    """
    now = "the load average cannot be read here" if average is None else f"load average {average:.2f}"
    if limit is None:
        return Gate("load", False, f"{now}; no limit is set")
    if holding:
        detail = f"{now}; starts go on at {limit * LESS_LOAD:.2f}, the limit being {limit:.2f}"
        return Gate("load", average is not None and average > limit * LESS_LOAD, detail)
    return Gate("load", average is not None and average > limit, f"{now}; the limit is {limit:.2f}")


def stagger_left(since: int | None, least: int) -> int:
    """How long the next start has to wait, in milliseconds, `since` the last one (None: there was none).

    A time below 0 is a clock that cannot be compared, and holds nobody.
    """
    return max(0, least - since) if since is not None and since >= 0 else 0


def stagger(since: int | None, least: int, *, now: int) -> Gate:
    """Stagger: the least time between two starts of the whole state dir, all of it milliseconds."""
    if not least:
        return Gate("stagger", False, "no time between starts is set")
    left = stagger_left(since, least)
    apart = f"starts are {least / 1000:g} s apart"
    if not left:
        return Gate("stagger", False, apart)
    return Gate("stagger", True, f"{apart}; the next is at {rfc3339(now + left)}", until=now + left)


def _mib(size: int, *, up: bool = False) -> str:
    return f"{-(-size // MIB) if up else size // MIB:,} MiB"
