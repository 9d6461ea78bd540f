"""Every process of agentq killed at every statement and every file operation in turn (case 3)."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from crash_world import ForkServer, World, fast_directory
from invariants import violations
from scenarios import SCENARIOS, Scenario, recover

WORKERS = min(4, 1 + (os.cpu_count() or 1))
SLACK = 8
"""How many more points than were counted a process may have before that is taken for a fault: loops differ a little."""


@dataclass
class Report:
    """What killing one role at its points came to."""

    counted: int = 0
    killed: int = 0
    failures: list[str] = field(default_factory=list)


class Crasher:
    """Carries scenarios out in directories of their own, several at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._pool = ThreadPoolExecutor(WORKERS)
        self._local = threading.local()
        self._servers: list[ForkServer] = []

    def server(self) -> ForkServer:
        """This thread's own."""
        if not hasattr(self._local, "server"):
            self._local.server = ForkServer()
            self._servers.append(self._local.server)
        return self._local.server

    def every(self, scenario: Scenario, role: str, stride: int = 1) -> Report:
        """Kill at every `stride`-th point."""
        report = Report()
        template = self.directory / scenario.name / "template"
        world = World(template, self.server())
        scenario.prepare(world)
        world.close()
        report.counted = self._count(scenario, role, world)
        last = report.counted + (SLACK if stride == 1 else 0)
        for number, killed, found in self._pool.map(
            lambda number: self._one(scenario, role, template, number), range(1, last + 1, stride)
        ):
            report.killed += killed
            if number > report.counted + SLACK // 2 and killed:
                found.append("there are more points than were counted")
            report.failures += [f"{scenario.name}, {role} at point {number}: {text}" for text in found]
        if not report.failures:
            shutil.rmtree(self.directory / scenario.name)
        return report

    def close(self) -> None:
        """End the processes that help."""
        self._pool.shutdown()
        for server in self._servers:
            server.close()

    def _count(self, scenario: Scenario, role: str, template: World) -> int:
        world = template.copied_to(template.root.with_name(f"{role}-count"))
        try:
            done = scenario.act(world, {"count": True})
            assert done.code in (0, 1), done
            points = world.points(role)
            (world.root / "points").write_text("\n".join(points))
        finally:
            world.close()
        assert points, f"{scenario.name} has no points in a {role}"
        return len(points)

    def _one(self, scenario: Scenario, role: str, template: Path, number: int) -> tuple[int, bool, list[str]]:
        world = World(template, self.server()).copied_to(template.with_name(f"{role}-{number}"))
        try:
            try:
                done = scenario.act(world, {"rules": [{"role": role, "at": number}]})
            except TimeoutError as error:
                return number, False, [f"{world.fired()}: it hangs: {error}"]
            expected = scenario.expected(role, done)
            scenario.after(world)
            found = recover(world, number, strict=expected.strict)
            if world.state.exists():
                found += violations(world, expected)
            if not done.killed and done.code not in ((0,) if expected.strict else (0, 1)):
                found.append(f"the command ended with {done.code}: {done.err}")
            killed = world.fired() is not None
            found = [f"{world.fired()}: {text}" for text in found]
        finally:
            world.close()
        if not found:
            shutil.rmtree(world.root)
        return number, killed, found


@pytest.fixture(scope="module")
def crasher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crasher]:
    fast = fast_directory()
    directory = tmp_path_factory.mktemp("crash")
    if fast is not None:
        directory = fast / f"agentq-crash-{os.getpid()}"
        directory.mkdir()
    crasher = Crasher(directory)
    yield crasher
    crasher.close()
    if fast is not None and not any(directory.iterdir()):
        directory.rmdir()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("scenario", "role"), [pytest.param(one, role, id=f"{one.name}-{role}") for one in SCENARIOS for role in one.roles]
)
def test_a_process_may_be_killed_at_any_point(crasher: Crasher, scenario: Scenario, role: str) -> None:
    report = crasher.every(scenario, role)
    print(f"{scenario.name}, {role}: {report.counted} points, {report.killed} kills, {len(report.failures)} failures")
    assert not report.failures, "\n".join(report.failures)
