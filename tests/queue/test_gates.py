"""The gates as a supervisor asks them: what it counts, what it remembers and writes down, when it looks again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from queue_driver import ANOTHER, NOON, SUPERVISOR, Clock, command, finish, start, submit

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.errors import Busy, Usage
from agentq_cli.config import configuration
from agentq_cli.config.configuration import Config, Limits
from agentq_cli.engines.door import Queue
from agentq_cli.host import process
from agentq_cli.host.records import Start
from agentq_cli.host.resources import Resources
from agentq_cli.model.addresses import RunId
from agentq_cli.model.workers import Supervisor
from agentq_cli.policy.admission import Gate, Room
from agentq_cli.supervise import gates

pytestmark = pytest.mark.dear

MIB = 1 << 20


@dataclass
class Machine:
    """Resources that the test sets."""

    available: int = 10_000 * MIB
    average: float | None = 0.5
    total: int = 20_000 * MIB

    def rooms(self) -> list[Room]:
        return [Room(self.total, self.available)]

    def load(self) -> float | None:
        return self.average


def limits(**values: Any) -> Config:
    """A config with these limits, 100 MiB for an agent and 100 MiB reserve."""
    memory = {"memory_per_agent_bytes": 100 * MIB, "memory_reserve_bytes": 100 * MIB}
    sources = {f"limits.{key}": "file c.toml" for key in ("memory_per_agent", "memory_reserve")}
    return Config("c.toml", limits=Limits(**memory | values), sources=sources)


def run_in(queue: Queue, *, age: int = 0, pid: int | None = None) -> RunId:
    """A run whose shim is the process of that pid (None: there is none yet), for `age` milliseconds."""
    run = start(queue, submit(queue, command())[0])
    if pid is not None:
        directory = queue.here.run(run)
        directory.create()
        identity = process.identity_of(pid)
        assert identity is not None
        assert directory.write_start(Start(identity, NOON, monotonic_ms() - age))
    return run


@pytest.fixture
def machine() -> Machine:
    return Machine()


def measure(queue: Queue, machine: Machine, config: Config | None = None, **options: Any) -> gates.Measured:
    return gates.measure(queue, config or limits(), machine, **options)  # type: ignore[arg-type]


def asking(queue: Queue, machine: Machine) -> gates.Gates:
    queue.join(Supervisor(SUPERVISOR, 2, (), NOON, 0))
    return gates.Gates(queue, SUPERVISOR, machine)  # type: ignore[arg-type]


def holding(found: list[Gate]) -> dict[str, bool]:
    return {gate.name: gate.holding for gate in found}


def recorded(queue: Queue) -> dict[str, bool]:
    return holding([gate for supervisor in queue.supervisors() for gate in supervisor.gates])


# What is counted

NAMED = "import ctypes; ctypes.CDLL(None).prctl(15, b'agentq-shim')"
"""Python for a process that is to pass for a keeper."""


@pytest.fixture
def shim() -> Iterator[int]:
    """A process with a child that holds 60 MiB, once it does."""
    child = "x = bytearray(b'x') * (60 << 20); print('there', flush=True); import sys; sys.stdin.read()"
    program = f"{NAMED}; import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "there\n"
        yield parent.pid


def test_a_young_worker_is_expected_to_take_what_it_has_not_taken_yet(
    queue: Queue, machine: Machine, shim: int
) -> None:
    machine.available = 299 * MIB
    assert not measure(queue, machine).gates[0].holding
    run = run_in(queue, pid=shim)
    # Of its 100 MiB it has some 65 already: 299 - 35 are enough, 230 - 35 are not.
    gate = measure(queue, machine).gates[0]
    assert not gate.holding
    machine.available = 230 * MIB
    gate = measure(queue, machine).gates[0]
    assert gate.holding
    assert "that 1 young worker may still take" in gate.detail
    assert int(gate.detail.partition("less ")[2].split()[0]) < 40
    finish(queue, run)
    assert not measure(queue, machine).gates[0].holding


def test_a_worker_that_has_settled_is_in_what_is_available(queue: Queue, machine: Machine, shim: int) -> None:
    machine.available = 250 * MIB
    run_in(queue, pid=shim, age=30_000)
    assert not measure(queue, machine, limits(memory_per_agent_bytes=120 * MIB)).gates[0].holding
    assert measure(queue, machine, limits(memory_per_agent_bytes=120 * MIB, settle_ms=40_000)).gates[0].holding


def test_a_claim_that_has_no_process_yet_counts_in_full_but_not_for_ever(
    queue: Queue, machine: Machine, clock: Clock
) -> None:
    machine.available = 299 * MIB
    run_in(queue)
    assert measure(queue, machine).gates[0].holding
    clock.forward(30_000)
    assert not measure(queue, machine).gates[0].holding
    clock.forward(-60_000)  # a clock that has stepped back
    assert not measure(queue, machine).gates[0].holding


def test_a_worker_whose_shim_is_gone_takes_nothing_more(queue: Queue, machine: Machine) -> None:
    machine.available = 299 * MIB
    program = f"{NAMED}; print('there', flush=True); import time; time.sleep(100)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as ended:
        assert ended.stdout is not None
        assert ended.stdout.readline() == b"there\n"
        run_in(queue, pid=ended.pid)
        assert measure(queue, machine).gates[0].holding
        ended.kill()
    assert not measure(queue, machine).gates[0].holding


def test_defaults_shrink_with_the_machine_and_what_was_set_does_not(queue: Queue) -> None:
    small = Machine(available=150 * MIB, total=240 * MIB)
    assert not measure(queue, small, Config("none")).gates[0].holding
    assert measure(queue, small, limits()).gates[0].holding


# Against the starts of others


def test_a_claim_must_be_the_next_start_where_another_one_would_close_a_gate(queue: Queue, machine: Machine) -> None:
    assert measure(queue, machine).newest is None
    machine.available = 299 * MIB
    assert measure(queue, machine).newest == queue.last_start()
    machine.available = 300 * MIB
    assert measure(queue, machine).newest is None
    assert measure(queue, machine, limits(stagger_ms=1)).newest == queue.last_start()


def test_stagger_counts_from_the_newest_start_of_whoever_made_it(queue: Queue, machine: Machine) -> None:
    config = limits(stagger_ms=60_000)
    found = measure(queue, machine, config)
    assert (found.gates[2].holding, found.left) == (False, 0)
    here = ANOTHER._replace(boot_id=process.boot_id())
    began = monotonic_ms()
    finish(queue, start(queue, submit(queue, command())[0], supervisor=here, monotonic=began - 10_000))
    found = measure(queue, machine, config)
    assert found.gates[2].holding
    assert 49_000 < found.left <= 50_000
    assert found.gates[2].until == NOON + found.left
    # A start before the boot is long ago.
    finish(queue, start(queue, submit(queue, command())[0], supervisor=ANOTHER, monotonic=began))
    assert not measure(queue, machine, config).gates[2].holding


# What is remembered


def test_a_gate_is_told_and_recorded_when_it_begins_to_hold_and_when_it_lets_go(queue: Queue, machine: Machine) -> None:
    asked = asking(queue, machine)
    config = limits(load=1.0)
    assert (asked.ask(config), asked.closed, asked.again_at) == ([], False, None)
    assert recorded(queue) == {}
    machine.average = 1.5
    assert holding(asked.ask(config)) == {"load": True}
    assert asked.closed
    assert recorded(queue) == {"memory": False, "load": True, "stagger": False}
    assert asked.ask(config) == []
    machine.available = 0
    assert holding(asked.ask(config)) == {"memory": True}
    assert recorded(queue) == {"memory": True, "load": True, "stagger": False}
    machine.average = 0.1
    assert holding(asked.ask(config)) == {"load": False}
    assert recorded(queue) == {"memory": True, "load": False, "stagger": False}
    machine.available = 10_000 * MIB
    assert holding(asked.ask(config)) == {"memory": False}
    assert (asked.closed, asked.again_at, recorded(queue)) == (False, None, {})


def test_nothing_holds_once_nothing_waits(queue: Queue, machine: Machine) -> None:
    asked = asking(queue, machine)
    assert asked.forget() == []
    machine.available = 0
    asked.ask(limits())
    assert holding(asked.forget()) == {"memory": False}
    assert (asked.closed, asked.again_at, recorded(queue)) == (False, None, {})
    assert asked.forget() == []


def test_memory_and_load_are_looked_at_again_soon_and_stagger_when_it_ends(queue: Queue, machine: Machine) -> None:
    asked = asking(queue, machine)
    began = monotonic_ms()
    here = SUPERVISOR._replace(boot_id=process.boot_id())
    start(queue, submit(queue, command())[0], supervisor=here, monotonic=began)
    asked.ask(limits(stagger_ms=60_000))
    assert began + 60_000 - 5 <= (asked.again_at or 0) <= monotonic_ms() + 60_000
    machine.available = 0
    asked.ask(limits(stagger_ms=60_000))
    assert began + gates.MEASURE_MS <= (asked.again_at or 0) <= monotonic_ms() + gates.MEASURE_MS


def test_a_mark_that_was_passed_under_other_limits_is_forgotten(queue: Queue, machine: Machine) -> None:
    asked = asking(queue, machine)
    machine.available = 199 * MIB
    assert holding(asked.ask(limits())) == {"memory": True}
    machine.available = 201 * MIB
    assert asked.ask(limits()) == []
    assert holding(asked.ask(limits(memory_reserve_bytes=101 * MIB))) == {"memory": False}


def test_numbers_that_change_while_a_gate_holds_are_recorded_now_and_then(
    queue: Queue, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = monotonic_ms()
    monkeypatch.setattr(gates, "monotonic_ms", lambda: now)
    asked = asking(queue, machine)

    def shown() -> str:
        (supervisor,) = queue.supervisors()
        return supervisor.gates[0].detail.partition(" MiB")[0]

    machine.available = 10 * MIB
    asked.ask(limits())
    machine.available = 20 * MIB
    asked.ask(limits())
    assert shown() == "10"
    now += gates.RECORD_MS
    asked.ask(limits())
    assert shown() == "20"


def test_a_record_that_cannot_be_written_is_written_later(
    queue: Queue, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asking(queue, machine)
    machine.available = 0
    with monkeypatch.context() as patched:

        def busy(*_: object) -> None:
            raise Busy("locked")

        patched.setattr(queue, "set_gates", busy)
        assert holding(asked.ask(limits())) == {"memory": True}
    assert recorded(queue) == {}
    assert asked.ask(limits()) == []
    assert recorded(queue) == {"memory": True, "load": False, "stagger": False}


# What can never start


def written(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "c.toml"
    file.write_text(text)
    return configuration.load({"AGENTQ_CONFIG": str(file)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '\n[limits]\nmemory_reserve = "600MiB"\n',
            "c.toml:3: memory_reserve '600MiB': nothing could ever start: this machine has 600MiB of memory",
        ),
        (
            '[limits]\nmemory-per-agent = "1GiB"\n',
            "c.toml:2: memory_per_agent '1GiB': nothing could ever start: this machine has 600MiB of memory",
        ),
        (
            '[limits]\nmemory_reserve = "201MiB"\nmemory_per_agent = "400MiB"\n',
            "c.toml:3: memory_per_agent '400MiB': with memory_reserve 201MiB nothing could ever start: this machine "
            "has 600MiB of memory",
        ),
    ],
)
def test_limits_that_ask_for_more_than_there_is_are_refused_with_file_and_line(
    tmp_path: Path, text: str, said: str
) -> None:
    small = Machine(total=600 * MIB)
    with pytest.raises(Usage) as caught:
        gates.check(written(tmp_path, text), small)  # type: ignore[arg-type]
    assert caught.value.message == f"{tmp_path}/{said}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[limits]\nmemory_reserve = "599MiB"\n',
        '[limits]\nmemory_reserve = "200MiB"\nmemory_per_agent = "400MiB"\n',
        '[limits]\nstagger = "1h"\nload = 0.01\n',
    ],
)
def test_limits_that_fit_are_taken_and_defaults_always_do(tmp_path: Path, text: str) -> None:
    gates.check(written(tmp_path, text), Machine(total=600 * MIB))  # type: ignore[arg-type]


def test_a_cgroup_that_is_too_small_is_named(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 4096000 kB\nMemAvailable: 4000000 kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "proc/self/mountinfo").write_text("31 23 0:28 / /cgroup rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "cgroup").mkdir()
    (tmp_path / "cgroup/memory.max").write_text(f"{256 * MIB}\n")
    (tmp_path / "cgroup/memory.current").write_text("0\n")
    resources = Resources(proc=f"{tmp_path}/proc", root=str(tmp_path))
    with pytest.raises(Usage, match=r"reserve '1GiB': nothing could ever start: cgroup '/' has 256MiB of memory"):
        gates.check(written(tmp_path, '[limits]\nmemory_reserve = "1GiB"\n'), resources)


def test_where_the_memory_cannot_be_read_every_limit_is_taken(tmp_path: Path) -> None:
    nowhere = Resources(proc=str(tmp_path / "none"))
    gates.check(written(tmp_path, '[limits]\nmemory_reserve = "1000PiB"\n'), nowhere)
