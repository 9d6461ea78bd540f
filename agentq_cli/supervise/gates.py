"""The gates before a start: checked only when there is something to start, recorded and reported while one holds.

The decisions are in `policy/admission`, the measurements in `resources`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import Busy, Refused, Usage
from agentq_cli.base.identity import Identity
from agentq_cli.config import reading
from agentq_cli.config.configuration import Config, Limits
from agentq_cli.engines.door import Queue
from agentq_cli.host import keeper, process, tree
from agentq_cli.host.records import Start
from agentq_cli.host.resources import Resources, tree_memory
from agentq_cli.model.workers import LastStart
from agentq_cli.policy import admission
from agentq_cli.policy.admission import Gate, Room, Wanted

MEASURE_MS = 2_000
"""How often memory and load are measured while one of them holds something."""

PLENTY_MS = 100
"""How old a measurement of the memory may be if it found more than everything startable would take."""

RECORD_MS = 10_000
"""How old the recorded numbers of a gate that continues to hold may become in the supervisor's row."""

TROUBLE = "trouble"
"""What a supervisor cannot do because its machine ran out of something, recorded beside the gates."""

WANTED = {"per_agent": "memory_per_agent", "reserve": "memory_reserve"}
"""The key of `[limits]` for each number."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The gates other than the cap at one moment; `left` is the milliseconds until the stagger ends.

    `newest` is the start that must still be the newest when a task is claimed on the strength of this check, because
    one more start by another supervisor would close a gate. None if it would not.
    """

    gates: tuple[Gate, ...]
    left: int
    newest: LastStart | None


def measure(queue: Queue, config: Config, resources: Resources, *, holding: Collection[str] = ()) -> Measured:
    """Check memory, load and stagger for one more start; `holding` are the gates that hold already."""
    # First of all: the claim must notice a start that happens while the rest is measured.
    newest = queue.last_start()
    rooms = resources.rooms()
    limits = config.limits
    wanted = Wanted(limits.memory_per_agent_bytes, limits.memory_reserve_bytes)
    wanted = admission.fitted(wanted, _default(config), admission.total(rooms))
    memory, free = _memory(queue, config, rooms, wanted, "memory" in holding)
    load = admission.load(resources.load(), limits.load, holding="load" in holding)
    since = monotonic_ms() - newest.at if process.boot_of(newest.boot_id) == process.boot_id() else None
    least = limits.stagger_ms
    tight = free is not None and free < 2 * wanted.per_agent + wanted.reserve
    return Measured(
        (memory, load, admission.stagger(since, least, now=queue.now)),
        admission.stagger_left(since, least),
        newest if least or tight else None,
    )


def check(config: Config, resources: Resources) -> None:
    """Raises Usage, with file and line, if the limits require more memory than there is."""
    rooms = resources.rooms()
    default = _default(config)
    wanted = Wanted(config.limits.memory_per_agent_bytes, config.limits.memory_reserve_bytes)
    if not rooms or not admission.impossible(wanted, default, admission.total(rooms)):
        return
    from agentq_cli.options.values import format_size

    smallest = min(rooms, key=lambda room: room.total)
    where = "this machine" if smallest.cgroup is None else f"cgroup '{smallest.cgroup}'"
    given = {WANTED[name]: value for name, value in wanted._asdict().items() if name not in default}
    blamed = max(given, key=lambda key: given[key])
    others = "".join(f" with {key} {format_size(value)}" for key, value in given.items() if key != blamed)
    place = reading.place(config, "limits", blamed)
    raise Usage(
        f"{place} {blamed} '{format_size(given[blamed])}':{others} nothing could ever start:"
        f" {where} has {format_size(smallest.total)} of memory"
    )


class Gates:
    """What a supervisor remembers of the gates. `again_at` is when to check again while one holds, in monotonic
    milliseconds; `newest` is passed to the claim (see `Measured`)."""

    def __init__(self, queue: Queue, identity: Identity, resources: Resources) -> None:
        self.again_at: int | None = None
        self.newest: LastStart | None = None
        self._queue = queue
        self._identity = identity
        self._resources = resources
        self._limits: Limits | None = None
        self._holding: tuple[str, ...] = ()
        self._recorded: tuple[Gate, ...] = ()
        self._recorded_at = 0
        self._trouble: tuple[Gate, ...] = ()
        self._rooms: Sequence[Room] = ()
        self._rooms_at = -PLENTY_MS

    @property
    def closed(self) -> bool:
        """Whether a gate holds back what is there to be started."""
        return bool(self._holding)

    def ask(self, config: Config, *, workers: int | None = None) -> list[Gate]:
        """Check for one more start; returns the gates that have begun or ceased to hold since the last time.

        `workers` is an upper bound of their number, if the caller knows one.
        """
        if workers is not None and self.open(config, workers):
            return []
        # Gates that held under other limits say nothing about these.
        before = self._holding if config.limits == self._limits else ()
        self._limits = config.limits
        found = measure(self._queue, config, self._resources, holding=before)
        changed = [gate for gate in found.gates if gate.holding != (gate.name in self._holding)]
        self._holding = tuple(gate.name for gate in found.gates if gate.holding)
        self.newest = found.newest
        now = monotonic_ms()
        measured = any(name != "stagger" for name in self._holding)
        self.again_at = None if not self._holding else now + (MEASURE_MS if measured else found.left)
        gates = found.gates if self._holding else ()
        if changed or (gates != self._recorded and now - self._recorded_at >= RECORD_MS):
            self._record(gates, now)
        return changed

    def open(self, config: Config, workers: int) -> bool:
        """Whether one more may start, as far as can be told without asking the queue; `workers` as for `ask`."""
        if self._holding or self._recorded or not self._plenty(config, workers):
            return False
        self._limits, self.newest, self.again_at = config.limits, None, None
        return True

    def _plenty(self, config: Config, workers: int) -> bool:
        """Whether memory is the only gate that is set, and would be enough even if all workers were young and one more
        came."""
        limits = config.limits
        if limits.load is not None or limits.stagger_ms:
            return False
        now = monotonic_ms()
        if now - self._rooms_at >= PLENTY_MS:
            self._rooms, self._rooms_at = self._resources.rooms(), now
        wanted = Wanted(limits.memory_per_agent_bytes, limits.memory_reserve_bytes)
        free = admission.spare(self._rooms, [0] * workers, wanted.per_agent)
        return free is not None and free >= 2 * wanted.per_agent + wanted.reserve

    def forget(self) -> list[Gate]:
        """There is nothing to be started, or no slot for it, so nothing is held back. Returns the gates that held until
        now."""
        changed = [Gate(name, False, "nothing waits for it now") for name in self._holding]
        self._holding, self.again_at = (), None
        if self._recorded:
            self._record((), monotonic_ms())
        return changed

    def note_trouble(self, why: str | None) -> None:
        """Record, beside the gates, what keeps this supervisor from its work; None when nothing does any more."""
        trouble = () if why is None else (Gate(TROUBLE, True, why),)
        if trouble != self._trouble:
            self._queue.set_gates(self._identity, (*self._recorded, *trouble))
            self._trouble = trouble

    def _record(self, gates: tuple[Gate, ...], now: int) -> None:
        # What cannot be written now is written at a later check: the time of the last record is unchanged.
        with contextlib.suppress(Busy, Refused):
            self._queue.set_gates(self._identity, (*gates, *self._trouble))
            self._recorded, self._recorded_at = gates, now


def _default(config: Config) -> set[str]:
    """The fields of `Wanted` that no configuration sets."""
    return {name for name, key in WANTED.items() if config.source(f"limits.{key}") == "default"}


def _memory(
    queue: Queue, config: Config, rooms: Sequence[Room], wanted: Wanted, holding: bool
) -> tuple[Gate, int | None]:
    """The gate, and how much memory is spare."""
    young = _young(queue, config.limits.settle_ms)
    # First as if they had taken nothing yet: measuring a tree means reading every process of the machine.
    held = [0] * len(young)
    gate = admission.memory(rooms, held, wanted, holding=holding)
    if gate.holding and young:
        held = [_held(shim) for shim in young]
        gate = admission.memory(rooms, held, wanted, holding=holding)
    return gate, admission.spare(rooms, held, wanted.per_agent)


def _young(queue: Queue, settle_ms: int) -> list[Identity | None]:
    """The shims of the runs of this machine that began less than `settle_ms` ago; None for one that is claimed and has
    no shim yet."""
    young: list[Identity | None] = []
    for worker in queue.workers():
        if worker.elsewhere:
            continue
        directory = queue.here.run(worker.id)
        start = directory.start()
        if start is None:
            age, shim = queue.now - worker.claimed_at, None
        elif isinstance(start, Start) and keeper.keeps(directory, start):
            age, shim = monotonic_ms() - start.monotonic_ms, start.identity
        else:
            continue
        if 0 <= age < settle_ms:
            young.append(shim)
    return young


def _held(shim: Identity | None) -> int:
    return 0 if shim is None else tree_memory(tree.below([shim])) or 0
