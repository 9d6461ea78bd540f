"""Many tasks by one call."""

from __future__ import annotations

from collections.abc import Callable

from bench import Bench, Case
from figures import Line, Target, compare
from machine import Call
from queues.queue import Queue

MANY = 10_000
ABOUT = (
    f"{MANY:,} tasks by one call into a new queue; start-up is what the same call with one task takes (the best of "
    "two), and is subtracted"
)
FLOOR = "one transaction"

# 25,000 and 20,000 a second, where one transaction did 207,500.
ENOUGH = {"agentq": Target(0.12, at_least=True), "agentq, 100 sessions": Target(0.096, at_least=True)}


def measure(bench: Bench) -> list[Line]:
    """Tasks a second after start-up, to one bare transaction in the same round."""

    def rate(call: Callable[[int], Call], count: int) -> float:
        def seconds(of: int) -> float:
            return bench.machine.run(call(of)).wall

        start_up = min(seconds(1), seconds(1))
        return (count - 1) / max(seconds(count) - start_up, 1e-9)

    def batch(kind: type[Queue], sessions: int) -> Case:
        return Case(lambda: rate(lambda count: bench.queue(kind).batch(count, sessions), kind.at_a_time))

    def bare(count: int) -> Call:
        return bench.script("insert_many.py", str(bench.machine.directory("batch") / "db"), str(count))

    cases = {FLOOR: Case(lambda: rate(bare, MANY))}
    for name, kind in bench.able("batch").items():
        cases[name] = batch(kind, 1)
        if name in bench.own:
            cases[f"{name}, 100 sessions"] = batch(kind, 100)
    found = bench.interleave("batch", cases, bench.rounds(7, 2))
    notes = {name: f"{kind.at_a_time:,} tasks" for name, kind in bench.able("batch").items()}
    return compare("batch", "rate", "tasks/s", found, of=FLOOR, targets=ENOUGH, notes=notes)
