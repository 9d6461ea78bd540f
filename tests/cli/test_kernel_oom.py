"""The kernel kills for want of memory: told apart from everybody else's SIGKILL. Wants root and a memory cgroup."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from driven import Driven, alive, until

MIB = 1 << 20
LIMIT = 192 * MIB
TAKES = "held = bytearray(400 << 20)"
"""Zeroed by writing: more than the cgroup has."""


def memory_hierarchy() -> Path | None:
    """Where cgroups with a memory limit can be made, of version 1 or 2."""
    if os.geteuid() != 0:
        return None
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    if any(controllers == "memory" for _, controllers, _ in lines):
        base, fit = Path("/sys/fs/cgroup/memory"), True
    else:
        base = Path("/sys/fs/cgroup")
        control = base / "cgroup.subtree_control"
        fit = control.exists() and "memory" in control.read_text().split()
    return base if fit and os.access(base, os.W_OK) else None


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup with little memory, in nobody's use."""
    base = memory_hierarchy()
    if base is None:
        pytest.skip("no cgroup with a memory limit can be made here")
    group = base / f"agentq-test-{os.getpid()}"
    group.mkdir()
    first = (group / "memory.limit_in_bytes").exists()
    try:
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(LIMIT))
        # Without swap, or the machine's own disk would make room.
        if first:
            (group / "memory.swappiness").write_text("0")
        elif (group / "memory.swap.max").exists():
            (group / "memory.swap.max").write_text("0")
        yield group
    finally:
        until(lambda: not (group / "cgroup.procs").read_text(), what="an empty cgroup")
        group.rmdir()


def test_a_kill_of_the_kernel_is_oom_and_one_of_a_person_is_an_error(cgroup: Path, aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text("[defaults]\nretries = 0\n")
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    supervisor = aq.supervise("--max-tasks", "4")
    until(lambda: aq.json("workers")["supervisors"] if aq.state_dir.exists() else [], what="the supervisor")
    children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split()
    assert len(children) == 1
    for pid in (str(supervisor.pid), *children):
        (cgroup / "cgroup.procs").write_text(pid)
    cases = (
        ["sh", "-c", "kill -KILL $$"],
        [sys.executable, "-c", TAKES],
        ["sh", "-c", f'"$0" -c "{TAKES}"; exit $?', sys.executable],
        ["sh", "-c", "exit 137"],
    )
    for number, argv in enumerate(cases, start=1):
        aq.exec(*argv)
        # One after another: a kill counts for whatever runs in the cgroup.
        until(lambda number=number: aq.task(str(number))["status"] == "failed", what=f"the end of {argv}")
    aq.ended(supervisor)
    runs = [aq.runs()[f"default/{number}.1"] for number in (1, 2, 3, 4)]
    assert [(run["status"], run["failure_class"], run["exit_code"]) for run in runs] == [
        ("error", "error", 137),
        ("oom", "oom", 137),
        ("oom", "oom", 137),
        ("error", "error", 137),
    ]
    assert "memory ran out" in aq.task("2")["reason"]
    assert not alive(supervisor.pid)
