"""What holds starts back, with real supervisors on the real machine: stagger, memory, load; cases 25 and 34."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from driven import Driven, held, until
from sampling import in_gate

MIB = 1 << 20
NUMBER = r"-?[0-9,]+ MiB"


def total() -> int:
    """The MiB that there are at most: the machine's, or where this is a container the container's."""
    (machine,) = re.findall(r"^MemTotal: +([0-9]+) kB$", Path("/proc/meminfo").read_text(), re.M)
    found = [int(machine) * 1024]
    for limit in ("memory.max", "memory.high", "memory/memory.limit_in_bytes"):
        path = Path("/sys/fs/cgroup") / limit
        text = path.read_text().strip() if path.exists() else "max"
        found += [int(text)] if text != "max" else []
    return min(found) // MIB


class Limited:
    """A config file with `[limits]`, which every command reads."""

    def __init__(self, aq: Driven) -> None:
        self.path = aq.home / "config.toml"
        self.edits = 0
        aq.agentq.environ["AGENTQ_CONFIG"] = str(self.path)
        self()

    def __call__(self, **limits: str | float) -> None:
        """Write it, in another size each time, so that the change shows whatever the clock's steps are."""
        self.edits += 1
        lines = [
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in limits.items()
        ]
        text = "\n".join(["#" * self.edits, "[limits]", *lines, ""])
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.rename(self.path)


@pytest.fixture
def limit(aq: Driven) -> Limited:
    return Limited(aq)


Limits = dict[str, str | float]


def memory_held(aq: Driven) -> Limits:
    """Limits that are above what is available on this machine now, and that it could meet when it is empty."""
    available = int(gates(aq)["memory"]["detail"].partition(" MiB")[0].replace(",", ""))
    return {"memory_per_agent": "1MiB", "memory_reserve": f"{(available + total()) // 2}MiB"}


MEMORY_MET: Limits = {"memory_per_agent": "1MiB", "memory_reserve": "1MiB"}


def gates(aq: Driven) -> dict[str, dict[str, Any]]:
    return {gate["name"]: gate for gate in aq.json("workers")["gates"]}


def waiting(aq: Driven, address: str, kind: str = "gate") -> dict[str, Any]:
    """Why a task waits, once it is for a reason of this kind."""

    def found() -> dict[str, Any] | None:
        why = aq.task(address)["waiting_for"]
        return why if why is not None and why["kind"] == kind else None

    return until(found, what=f"{address} waits for a {kind}")


def switches(pid: int) -> int:
    """How often a process has gone to sleep: the times that it was woken, and one."""
    (count,) = re.findall(r"^voluntary_ctxt_switches:\t([0-9]+)$", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(count)


def used(pid: int) -> int:
    """The processor time of a process, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def gaps(aq: Driven) -> list[timedelta]:
    """The times between the recorded starts of all runs."""
    starts = sorted(datetime.fromisoformat(run["started_at"]) for run in aq.runs().values())
    return [later - earlier for earlier, later in itertools.pairwise(starts)]


SLACK = timedelta(milliseconds=2)
"""Between the wall clock that is recorded and the other one that the stagger is measured with, both cut to 1 ms."""


# Stagger


def test_stagger_keeps_starts_apart(aq: Driven, limit: Limited) -> None:
    limit(stagger="700ms")
    aq.batch(*({"exec": ["true"], "session": name} for name in "abcd"))
    done = aq.drain("-j", "4")
    assert len(gaps(aq)) == 3
    assert min(gaps(aq)) >= timedelta(milliseconds=700) - SLACK
    told = [line.split("Z ", 1)[1] for line in done.stdout.splitlines() if " gate " in line]
    assert len(told) == 6
    assert all(line.startswith("gate (stagger holds: starts are 0.7 s apart; the next is at 2") for line in told[::2])
    assert told[1::2] == ["gate (stagger reopens: starts are 0.7 s apart)"] * 3


def test_stagger_holds_between_two_supervisors(aq: Driven, limit: Limited) -> None:
    limit(stagger="400ms")
    aq.batch(*({"exec": ["true"], "session": name} for name in "abcdef"))
    both = [aq.supervise("--drain", "-j", "4") for _ in range(2)]
    for supervisor in both:
        aq.ended(supervisor, 0)
    assert set(aq.statuses().values()) == {"completed"}
    assert len(gaps(aq)) == 5
    assert min(gaps(aq)) >= timedelta(milliseconds=400) - SLACK


def test_stagger_counts_the_start_of_a_supervisor_that_is_gone(aq: Driven, limit: Limited) -> None:
    limit(stagger="600ms")
    aq.batch({"exec": ["true"]}, {"exec": ["true"]})
    aq("run", "--max-tasks", "1")
    aq("run", "--max-tasks", "1")
    assert min(gaps(aq)) >= timedelta(milliseconds=600) - SLACK


def test_a_stagger_says_when_it_ends(aq: Driven, limit: Limited) -> None:
    limit(stagger="1h")
    aq.batch({"exec": ["true"]}, {"exec": ["true"]})
    aq.supervise("-j", "2")
    aq("wait", "1", "--timeout", "20s")
    why = waiting(aq, "2")
    assert why["detail"].startswith("stagger: starts are 3600 s apart; the next is at ")
    assert why["detail"].endswith(why["until"])
    started = datetime.fromisoformat(aq.runs()["default/1.1"]["started_at"])
    assert abs(datetime.fromisoformat(why["until"]) - started - timedelta(hours=1)) < timedelta(seconds=1)
    assert gates(aq)["stagger"]["holding"]


def test_a_clock_that_stands_still_does_not_stop_the_stagger(aq: Driven, limit: Limited) -> None:
    limit(stagger="300ms")
    now = {"AGENTQ_NOW": "2026-03-01T12:00:00Z"}
    aq.batch({"exec": ["true"]}, {"exec": ["true"]}, env=now)
    aq.drain(env=now)
    assert set(aq.statuses().values()) == {"completed"}


# Memory


def test_memory_holds_says_so_and_goes_on_by_itself(aq: Driven, limit: Limited) -> None:
    """Case 34."""
    limit(**MEMORY_MET)
    aq.exec(*held("runs"))
    supervisor = aq.start("run", "-j", "2")
    aq.started("runs")
    limit(**memory_held(aq))
    aq.exec("true")
    why = waiting(aq, "2")
    numbers = rf"memory: {NUMBER} available(, less {NUMBER} that 1 young worker may still take)?; {NUMBER} wanted \("
    assert re.match(numbers, why["detail"]), why
    assert (why["until"], why["ids"]) == (None, [])
    (listed,) = [item for item in aq.items("list") if item["id"] == "default/2"]
    assert listed["waiting_for"]["kind"] == "gate"
    assert "Waiting for: gate: memory: " in aq("show", "2").stdout
    found = gates(aq)
    assert [gate for gate, about in found.items() if about["holding"]] == ["memory"]
    assert re.search(rf"{NUMBER} wanted", found["memory"]["detail"])
    assert list(found) == ["cap", "memory", "load", "stagger"]
    assert "1 of 2 slots" in found["cap"]["detail"]
    # What runs is not touched, and its end changes nothing.
    assert aq.task("1")["status"] == "running"
    aq.let_go("runs")
    aq("wait", "1", "--timeout", "20s")
    assert aq.task("2")["waiting_for"]["kind"] == "gate"
    limit(**MEMORY_MET)
    aq("wait", "2", "--timeout", "20s")
    assert supervisor.poll() is None
    assert not any(about["holding"] for about in gates(aq).values())
    assert {run["status"] for run in aq.runs().values()} == {"success"}
    supervisor.terminate()
    output, _ = supervisor.communicate(timeout=20)
    told = [re.sub(r"^\S+ ", "", line) for line in output.splitlines() if " gate " in line]
    assert [line.partition(":")[0] for line in told] == ["gate (memory holds", "gate (memory reopens"]


def test_a_drain_waits_while_memory_holds(aq: Driven, limit: Limited) -> None:
    limit(**memory_held(aq))
    aq.exec("true")
    supervisor = aq.supervise("--drain")
    waiting(aq, "1")
    assert supervisor.poll() is None
    limit(**MEMORY_MET)
    aq.ended(supervisor, 0)
    assert aq.statuses() == {"default/1": "completed"}


def test_work_that_is_held_back_is_no_idleness(aq: Driven, limit: Limited) -> None:
    limit(**memory_held(aq))
    aq.exec("true")
    supervisor = aq.start("run", "--idle-exit", "1ms")
    waiting(aq, "1")
    aq("cancel", "1")
    aq.ended(supervisor, 0)
    assert supervisor.stdout is not None
    assert supervisor.stdout.read().rstrip().endswith("gate (memory reopens: nothing waits for it now)")


def test_every_supervisor_is_held(aq: Driven, limit: Limited) -> None:
    limit(**memory_held(aq))
    aq.batch({"exec": ["true"], "session": "a"}, {"exec": ["true"], "session": "b"})
    both = [aq.supervise("--drain", "-s", name) for name in "ab"]
    for name in "ab":
        waiting(aq, f"{name}/1")
    limit(**MEMORY_MET)
    for supervisor in both:
        aq.ended(supervisor, 0)
    assert aq.statuses() == {"a/1": "completed", "b/1": "completed"}


def test_limits_that_could_never_be_met_are_refused_with_file_and_line(aq: Driven, limit: Limited) -> None:
    limit(stagger="1s", memory_reserve=f"{total() + 1}MiB")
    aq.exec("true")
    for command in ("run", "run --drain", "run --detach", "sweep", "config check"):
        error = aq.refused(*command.split(), code=2)
        assert f"{limit.path}:4: memory_reserve '" in error, command
        assert "nothing could ever start" in error
    aq("list")
    aq("workers")


def test_an_edit_to_limits_that_could_never_be_met_changes_nothing(aq: Driven, limit: Limited) -> None:
    limit(**MEMORY_MET)
    aq.supervise()
    aq("submit", "--wait", "--exec", "--", "true")
    limit(memory_reserve=f"{total() + 1}MiB")
    aq("submit", "--wait", "--exec", "--", "true")
    assert set(aq.statuses().values()) == {"completed"}


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup below our own that has 600 MiB; skipped where we may not make one."""
    membership = Path("/proc/self/cgroup").read_text()
    (first,) = re.findall(r"^[0-9]+:(?:.*,)?memory(?:,.*)?:(.*)$", membership, re.M) or [None]
    (second,) = re.findall(r"^0::(.*)$", membership, re.M) or ["/"]
    base = f"/sys/fs/cgroup{second}" if first is None else f"/sys/fs/cgroup/memory{first}"
    place = Path(base) / f"agentq-test-{os.getpid()}"
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")
    try:
        (place / ("memory.max" if first is None else "memory.limit_in_bytes")).write_text(str(600 * MIB))
        yield place
    except OSError as error:
        pytest.skip(f"no memory limit can be set: {error}")
    finally:
        place.rmdir()


def test_the_limit_of_a_real_cgroup_counts(aq: Driven, cgroup: Path) -> None:
    inside = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(cgroup)]
    command = [*inside, *aq.agentq.command("workers", "--json")]
    done = subprocess.run(command, env=aq.agentq.environ, cwd=aq.home, capture_output=True, text=True, check=True)
    (memory,) = [gate for gate in json.loads(done.stdout)["gates"] if gate["name"] == "memory"]
    assert not memory["holding"]
    found = re.match(rf"([0-9]+) MiB available in cgroup '[^']*{cgroup.name}'; 300 MiB wanted", memory["detail"])
    assert found is not None, memory
    assert 400 < int(found[1]) <= 600


# Load


@pytest.fixture
def busy() -> Iterator[None]:
    """A machine whose load average is above 0.05."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as program:
        until(lambda: float(Path("/proc/loadavg").read_text().split()[0]) > 0.05, what="load")
        yield
        program.kill()


@pytest.mark.usefixtures("busy")
def test_load_holds_until_its_limit_is_lifted(aq: Driven, limit: Limited) -> None:
    limit(load=0.01)
    aq.exec("true")
    supervisor = aq.supervise("--drain")
    why = waiting(aq, "1")
    assert re.match(r"load: load average [0-9]+\.[0-9]{2}; ", why["detail"])
    assert [name for name, gate in gates(aq).items() if gate["holding"]] == ["load"]
    limit(load="off")
    aq.ended(supervisor, 0)
    assert aq.statuses() == {"default/1": "completed"}


# What holds nothing


def test_all_slots_busy_is_a_slot_and_no_gate(aq: Driven, limit: Limited) -> None:
    """Case 34: it is healthy, also where a gate would hold the next one."""
    limit(stagger="1h")
    aq.exec(*held("runs"))
    aq.supervise("-j", "1")
    aq.started("runs")
    aq.exec("true")
    why = waiting(aq, "2", "slot")
    assert "1 of 1 slots" in why["detail"]


def test_workers_shows_all_gates_where_no_supervisor_lives(aq: Driven, limit: Limited) -> None:
    limit(stagger="5s", load=99999.0)
    found = gates(aq)
    assert list(found) == ["cap", "memory", "load", "stagger"]
    assert not any(gate["holding"] for gate in found.values())
    assert re.fullmatch(rf"{NUMBER} available.*; {NUMBER} wanted \(.*\)", found["memory"]["detail"])
    assert re.fullmatch(r"load average [0-9.]+; the limit is 99999\.00", found["load"]["detail"])
    assert found["stagger"]["detail"] == "starts are 5 s apart"
    assert not aq.state_dir.exists()


def test_agents_and_queues_that_are_held_are_listed_beside_the_gates(aq: Driven) -> None:
    aq.exec("true")
    aq("pause", "--agent", "demo")
    aq("pause", "--all", "--reason", "holiday")
    assert list(gates(aq)) == ["cap", "memory", "load", "stagger", "queue", "agent"]
    assert gates(aq)["queue"]["detail"] == "the queue is paused (holiday)"


# No busy loop


@pytest.mark.parametrize("gate", in_gate(["memory", "stagger"], "memory"))
def test_a_supervisor_that_is_held_sleeps(aq: Driven, limit: Limited, gate: str) -> None:
    """Case 25. The kernel counts how often it went to sleep, and how much of the processor it used."""
    limit(**MEMORY_MET)
    supervisor = aq.supervise("-j", "4")
    aq("submit", "--wait", "--exec", "--", "true")
    limit(**(memory_held(aq) if gate == "memory" else {"stagger": "1h"}))
    aq.exec("true")
    waiting(aq, "2")
    before, ticks = switches(supervisor.pid), used(supervisor.pid)
    with pytest.raises(subprocess.TimeoutExpired):
        supervisor.wait(7)
    # With a look every 2 s there are 4 of them in this time, each with a few waits for the disk at most.
    assert switches(supervisor.pid) - before < 30
    assert used(supervisor.pid) - ticks < 50
    assert aq.task("2")["waiting_for"]["kind"] == "gate"
