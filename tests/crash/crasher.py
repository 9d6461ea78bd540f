"""Carries a scenario out again and again, each time with a process killed at another point, several at a time."""

from __future__ import annotations

import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from crash_world import Done, ForkServer, World
from invariants import violations
from sampling import some
from scenarios import Scenario, recover

Point = TypeVar("Point")
# Where pytest itself runs tests side by side there are several of us.
WORKERS = 2 if "PYTEST_XDIST_WORKER" in os.environ else 1 + (os.cpu_count() or 1)
SLACK = 8
"""How many points more than were counted may be met: how often a process looks differs a little."""


@dataclass
class Report:
    """What killing at so many points came to."""

    points: int = 0
    killed: int = 0
    failures: list[str] = field(default_factory=list)


class Crasher:
    """Works in copies of a prepared state, which are removed where nothing was wrong."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._pool = ThreadPoolExecutor(WORKERS)
        self._local = threading.local()
        self._servers: list[ForkServer] = []
        self._prepared: dict[str, tuple[World, World]] = {}
        self._failed = False

    def server(self) -> ForkServer:
        """This thread's own."""
        if not hasattr(self._local, "server"):
            self._local.server = ForkServer()
            self._servers.append(self._local.server)
        return self._local.server

    def close(self) -> None:
        """End the processes that help, and remove the states if all was well."""
        self._pool.shutdown()
        for server in self._servers:
            server.close()
        if not self._failed:
            shutil.rmtree(self.directory, ignore_errors=True)

    def prepared(self, scenario: Scenario) -> tuple[World, World]:
        """The state that a scenario begins with, and a copy in which it came to its end: nobody disturbed it, and the
        points were counted. Made once for all roles."""
        if scenario.name not in self._prepared:
            template = self.template(scenario, "points")
            counted = template.copied_to(template.root.with_name("count"))
            try:
                done = scenario.act(counted, {"count": True})
                assert done.code in (0, 1), done
            finally:
                counted.close()
            self._prepared[scenario.name] = template, counted
        return self._prepared[scenario.name]

    def template(self, scenario: Scenario, name: str) -> World:
        """The state that a scenario begins with."""
        world = World(self.directory / f"{scenario.name}-{name}" / "template", self.server())
        scenario.prepare(world)
        world.close()
        return world

    def count(self, scenario: Scenario, role: str, counted: World) -> list[str]:
        """The points that a role comes to when nobody disturbs it."""
        points = counted.points(role)
        assert points, f"{scenario.name} has no points in a {role}"
        if role in ("command", "supervisor", "sweep"):
            assert any("BEGIN" in label for label in points), f"no statements are seen in {scenario.name}"
        return points

    def at_points(self, scenario: Scenario, role: str, most: int | None = None) -> Report:
        """Kill a role at all its points, or at so many of them that are drawn."""
        template, undisturbed = self.prepared(scenario)
        counted = len(self.count(scenario, role, undisturbed))

        def act(world: World, number: int) -> Done:
            return scenario.act(world, {"rules": [{"role": role, "at": number}]})

        numbers: Sequence[int] = range(1, counted + SLACK + 1)
        if most is not None:
            numbers = some(range(1, counted + 1), most, f"{scenario.name} {role}")
        report = self.each(scenario, role, template, numbers, act)
        wanted = counted if most is None else len(numbers)
        if report.killed < wanted * 2 // 3:
            report.failures.append(f"{scenario.name}: only {report.killed} of {wanted} were killed")
            self._failed = True
        report.points = counted
        return report

    def each(
        self,
        scenario: Scenario,
        role: str,
        template: World,
        points: Iterable[Point],
        act: Callable[[World, Point], Done],
    ) -> Report:
        """Act at each point in a copy of its own, recover, and look whether all is as it should be."""
        report = Report()

        def one(point: Point) -> tuple[bool, list[str]]:
            name = "".join(letter if letter.isalnum() else "-" for letter in str(point))
            world = World(template.root, self.server()).copied_to(template.root.with_name(f"{role}-{name}"))
            try:
                killed, found = self._one(
                    scenario, role, world, lambda: act(world, point), zlib.crc32(name.encode()) % 2
                )
            finally:
                world.close()
            if not found:
                shutil.rmtree(world.root)
            return killed, [f"{scenario.name}, {role} killed at {point} ({world.root}): {text}" for text in found]

        for killed, found in self._pool.map(one, points):
            report.points += 1
            report.killed += killed
            report.failures += found
        self._failed |= bool(report.failures)
        return report

    def _one(
        self, scenario: Scenario, role: str, world: World, act: Callable[[], Done], variant: int
    ) -> tuple[bool, list[str]]:
        try:
            done = act()
        except TimeoutError as error:
            return False, [f"{world.fired()}: {error}"]
        killed = done.killed or world.fired() is not None
        expected = scenario.expected(role, done)
        found = []
        if not done.killed and done.code not in ((0,) if expected.strict else (0, 1)):
            found.append(f"the command ended with {done.code}: {done.err}")
        scenario.after(world)
        found += recover(world, variant, strict=expected.strict)
        if world.state.exists():
            found += violations(world, expected)
        return killed, [f"{world.fired() or 'in the middle'}: {text}" for text in found]
