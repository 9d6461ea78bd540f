"""From a submit that has returned to its agent's first instruction, while nothing else runs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench import Bench
from figures import Line, Samples, Target, line, quantile
from machine import Call, Machine
from queues.lists import Parallel
from queues.queue import Command, Queue

ABOUT = (
    "submit returned → the command's first act, which writes the clock (below 0: before the submit was gone); "
    "`total`: from the submit's start; `start alone`: the bench starts that command itself"
)
FLOOR = "start alone"


class Clock:
    """A command that appends the wall clock to a file, in nanoseconds."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.path = machine, machine.directory("clock") / "times"
        self.lines = 0
        self.path.touch()

    @property
    def command(self) -> Command:
        """It."""
        return ("sh", "-c", f"date +%s%N >>{self.path}")

    def next(self) -> int:
        """The next time that it wrote."""

        def written() -> bool:
            return self.path.read_bytes().count(b"\n") > self.lines

        self.machine.until(written, "a task", seconds=30, every=0.002)
        self.lines += 1
        return int(self.path.read_text().splitlines()[self.lines - 1])


@dataclass(slots=True)
class Started:
    """What was measured: `waits` from the return of a submit, `totals` from its start, in milliseconds."""

    waits: dict[str, Samples]
    totals: dict[str, Samples]


def measure(bench: Bench) -> list[Line]:
    """Milliseconds, median and 99th percentile, to `pass` in the same run."""
    passes: dict[int, float] = {}

    def round_begins(number: int) -> None:
        passes[number] = bench.machine.run(Call((str(bench.bare), "-c", "pass"))).wall * 1000

    found = started(bench, "latency", bench.able("submit", "serve"), bench.rounds(120, 30), round_begins)
    # 7 and 25 ms, where `pass` took 12.
    lines = []
    for name, waits in found.waits.items():
        target = Target(0.6) if name == "agentq" else None
        lines.append(line("latency", "p50", name, "ms", waits, base=passes, of="pass", target=target))
    lines += most("latency", found.waits, passes, Target(2.1))
    return lines + [
        line("latency", "total", name, "ms", totals, base=passes, of="pass") for name, totals in found.totals.items()
    ]


def most(row: str, found: Mapping[str, Samples], passes: Samples, target: Target) -> list[Line]:
    """The 99th percentiles, to the median of `pass`."""
    base = {0: quantile(list(passes.values()), 0.5)}
    return [
        line(
            *(row, "p99", name, "ms", {0: quantile(list(waits.values()), 0.99)}),
            base=base,
            of="pass",
            target=target if name == "agentq" else None,
        )
        for name, waits in found.items()
        if len(waits) >= 30
    ]


def started(
    bench: Bench, row: str, kinds: Mapping[str, type[Queue]], rounds: int, round_begins: Callable[[int], None]
) -> Started:
    """Each program's command, and that which the bench starts itself, once a round."""
    queues: dict[str, Queue] = {}
    clocks = {name: Clock(bench.machine) for name in (FLOOR, *kinds)}
    for name, kind in kinds.items():
        if name == "nq":  # it has nothing that waits for a task: the submit is the start
            continue
        with bench.guarded(row, name):
            queue = bench.queue(kind)
            if isinstance(queue, Parallel):
                queue.listen(2)
            else:
                queue.serve(2)
            for _ in range(2):
                queue.give(clocks[name].command)
                clocks[name].next()
            queues[name] = queue
    waits: dict[str, dict[int, float]] = {name: {} for name in (FLOOR, *queues)}
    totals: dict[str, dict[int, float]] = {name: {} for name in (FLOOR, *queues)}
    dice = random.Random(7)
    for number in range(rounds):
        if number % 10 == 0:
            bench.say(f"{row}: round {number + 1} of {rounds}")
        round_begins(number)
        for name in (FLOOR, *queues):
            asked = queues.get(name)
            if f"{row}, {name}" in bench.broken or (asked is not None and asked.slow and number % 6):
                continue
            with bench.guarded(row, name):
                # Long enough for the last one to be recorded, and out of step with whatever looks at intervals.
                time.sleep(dice.uniform(0.02, 0.05))
                before = time.time_ns()
                if asked is None:
                    bench.machine.run(Call(clocks[name].command))
                    returned = before
                else:
                    asked.give(clocks[name].command)
                    returned = time.time_ns()
                at = clocks[name].next()
                waits[name][number] = (at - returned) / 1e6
                totals[name][number] = (at - before) / 1e6
        bench.machine.reap()
    for queue in queues.values():
        queue.close()
    return Started(*({name: each for name, each in found.items() if each} for found in (waits, totals)))
