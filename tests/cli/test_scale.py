"""Many tasks and many sessions: what a command costs grows with what it shows, and its memory not at all (case 42)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from agentq_process import Agentq
from driven import Driven

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MIB = 1 << 20
MANY, FEW = 100_000, 10_000
SESSIONS = 1_000


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds of CPU, bytes of memory at its peak, lines of output."""

    cpu: float
    memory: int
    lines: int


@pytest.fixture
def aq(tmp_path: Path) -> Iterator[Driven]:
    """A state dir in memory where there is such a place: what a sync costs is not the matter here."""
    memory = Path("/dev/shm")
    (tmp_path / "home").mkdir()
    with TemporaryDirectory(prefix="agentq-", dir=memory if os.access(memory, os.W_OK) else tmp_path) as place:
        program = Agentq(tmp_path / "home", Path(place) / "state")
        yield Driven(program)
        program.stop()


MEASURE = """
import json, os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
code = os.waitstatus_to_exitcode(status)
json.dump([code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024], open(sys.argv[1], "w"))
"""
"""The peak of a process counts from before its exec, so it is started by something that is small itself."""


def cost(aq: Driven, *arguments: str, input: Path | None = None) -> Cost:
    """Run a command to its end; it must exit with 0."""
    output, errors, report = (aq.home / name for name in ("output", "errors", "report"))
    with output.open("wb") as stdout, errors.open("wb") as stderr, open(input or os.devnull, "rb") as stdin:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", MEASURE, str(report), *aq.agentq.command(*arguments)],
            env=aq.agentq.environ,
            cwd=aq.home,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            check=True,
        )
    code, cpu, memory = json.loads(report.read_text())
    assert code == 0, errors.read_text()
    with output.open("rb") as file:
        lines = sum(1 for _ in file)
    found = Cost(cpu, memory, lines)
    print(f"{' '.join(arguments):40} {found.cpu:6.2f} s CPU {found.memory / MIB:6.1f} MiB {found.lines:7} lines")
    return found


def batch(aq: Driven, count: int, sessions: int = 1) -> Path:
    """A batch file of so many commands, in turn over so many sessions."""
    path = aq.home / f"batch-{count}"
    with path.open("w") as file:
        for number in range(count):
            session = "default" if sessions == 1 else f"s{number % sessions}"
            file.write(json.dumps({"session": session, "exec": ["true"], "priority": number % 7}) + "\n")
    return path


def index_size(aq: Driven) -> int:
    """The bytes of the index."""
    return (aq.state_dir / "agentq.db").stat().st_size


def test_a_hundred_thousand_tasks(aq: Driven) -> None:
    """Listings stream; everything else does not notice them."""
    cost(aq, "submit", "--batch", "-", input=batch(aq, FEW))
    fixed = [
        ["show", "77"],
        ["runs"],
        ["events"],
        ["sessions"],
        ["workers"],
        ["sweep", "--no-wake"],
        ["sweep", "--dry-run"],
    ]
    fixed += [["list", "--limit", "10"], ["pause", "5"], ["edit", "6", "-p", "50"], ["cancel", "7"]]
    whole = [["list"], ["list", "--json"], ["list", "--all"]]
    before = {" ".join(command): cost(aq, *command) for command in (*fixed, *whole)}
    small = index_size(aq)
    added = cost(aq, "submit", "--batch", "-", input=batch(aq, MANY - FEW - 10))
    assert added.lines == MANY - FEW - 10
    assert added.memory < 400 * MIB
    after = {" ".join(command): cost(aq, *command) for command in (*fixed[:-1], ["cancel", "8"], *whole)}
    for name in before.keys() & after.keys():
        # A rehearsal works on a copy of the index, in memory.
        copied = index_size(aq) - small if name == "sweep --dry-run" else 0
        assert after[name].memory - before[name].memory - copied < 12 * MIB, name
    for command in fixed[:-1]:
        name = " ".join(command)
        assert after[name].cpu < 3 * before[name].cpu + 0.2, name
    for command in whole:
        name = " ".join(command)
        assert after[name].lines > MANY - 20, name
        assert after[name].cpu < 15 * before[name].cpu, name
    one = cost(aq, "submit", "--exec", "true")
    assert one.cpu < 3 * before["show 77"].cpu + 0.2
    ran = cost(aq, "run", "-j", "4", "--max-tasks", "200")
    assert ran.lines == 400
    assert ran.memory < before["show 77"].memory + 16 * MIB
    statuses = [run["status"] for run in aq.runs().values()]
    assert statuses == ["success"] * 200
    assert aq.items("sessions")[0]["counts"]["completed"] == 200


def test_a_thousand_sessions(aq: Driven) -> None:
    cost(aq, "submit", "--batch", "-", input=batch(aq, 3 * SESSIONS, SESSIONS))
    assert cost(aq, "list").lines == 3 * SESSIONS + 1
    assert cost(aq, "sessions").lines == SESSIONS + 1
    small = cost(aq, "show", "s7/1")
    for command in (["sessions"], ["list"], ["sweep", "--no-wake"], ["sweep", "--no-wake", "--reindex"]):
        found = cost(aq, *command)
        assert found.memory < small.memory + 16 * MIB, command
        assert found.cpu < small.cpu + 20e-3 * SESSIONS, command
    ran = cost(aq, "run", "-j", "4", "--max-tasks", "300")
    assert ran.lines == 600
    sessions = {run["session"] for run in aq.runs().values()}
    assert len(sessions) == 300, "each start is of the session that was served longest ago"
    cost(aq, "sweep", "--no-wake")
    counts = [item["counts"] for item in aq.items("sessions")]
    assert sum(count["completed"] for count in counts) == 300
    assert sum(count["queued"] for count in counts) == 3 * SESSIONS - 300
