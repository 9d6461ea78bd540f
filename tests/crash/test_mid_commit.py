"""Killed in the middle of a commit: at each system call by which SQLite changes a file (case 3), by means of strace."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections import Counter

import pytest
from crash_world import QUICK, Done, Interpreter, World
from crasher import Crasher
from sampling import some
from scenarios import SCENARIOS, Scenario

CALLS = ("pwrite64", "fsync", "fdatasync", "unlink", "ftruncate")
FEW = 2


@functools.cache
def why_not() -> str | None:
    """The reason why strace cannot be used here."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"strace does not work here: {tried.stderr.strip()}"


pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.timeout(300),
]

SUBMIT = ("submit", "-C", "/", "-s", "s", "--exec", "--", "sh", "-c", QUICK)
ACTS = {"submit-first": SUBMIT, "submit-another": SUBMIT, "sweep-settles": ("sweep", "--no-wake")}
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def traced(world: World, *strace: str, command: tuple[str, ...]) -> Done:
    """A command under strace; a signal that ends it ends strace as well."""
    prefix = ("strace", "-qq", "--signal=none", "-o", str(world.root / "trace"), *strace)
    return world.start(*command, starter=Interpreter(prefix)).wait(60)


def calls(crasher: Crasher, scenario: Scenario, template: World) -> list[tuple[str, int]]:
    """Every call that a command makes: its name and its number among those of that name."""
    world = World(template.root, crasher.server()).copied_to(template.root.with_name("count"))
    done = traced(world, "-e", f"trace={','.join(CALLS)}", command=ACTS[scenario.name])
    assert done.code == 0, done
    found = Counter(re.findall(r"^(\w+)\(", (world.root / "trace").read_text(), re.MULTILINE))
    world.close()
    shutil.rmtree(world.root)
    assert found["pwrite64"] and found["unlink"], found
    return [(name, number) for name in CALLS for number in range(1, found[name] + 1)]


def killed_in_each(crasher: Crasher, name: str, most: int | None = None) -> None:
    scenario = BY_NAME[name]
    template = crasher.template(scenario, "commit")

    def act(world: World, point: tuple[str, int]) -> Done:
        call, number = point
        inject = f"inject={call}:signal=KILL:when={number}"
        return traced(world, "-e", f"trace={call}", "-e", inject, command=ACTS[name])

    points = calls(crasher, scenario, template)
    if most is not None:
        points = some(points, most, f"commit {name}")
    report = crasher.each(scenario, "command", template, points, act)
    print(f"{name}: {report.points} system calls, {report.killed} kills, {len(report.failures)} failures")
    assert not report.failures, "\n".join(report.failures)
    assert report.killed == report.points


@pytest.mark.parametrize("name", ACTS)
def test_a_command_may_be_killed_inside_a_commit(crasher: Crasher, name: str) -> None:
    killed_in_each(crasher, name, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTS)
def test_a_command_may_be_killed_at_any_write_of_a_commit(crasher: Crasher, name: str) -> None:
    killed_in_each(crasher, name)
