"""kill -9 of what starts the tasks."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from bench import Bench, Case
from figures import Line, Target, line
from machine import Broken, Call
from queues.queue import Command, Queue

RUNNING, WAITING = 4, 50
ABOUT = (
    f"kill -9 with {RUNNING} running and {WAITING} waiting; two of the four end while nobody looks, then it is started "
    "again as before; recovered: from that start to the first waiting task's start, in `pass`es"
)


class Witness:
    """Tasks that say by themselves when they started and ended, whatever the queue says of them."""

    def __init__(self, directory: Path) -> None:
        self.script = directory / "task"
        # A waiting task sees no gate in its way. One line is one write: nothing is torn.
        self.script.write_text(
            'echo "start $1 $(date +%s%N)" >>"$0.log"\n'
            'while [ -e "$0.gate.$1" ]; do sleep 0.02; done\n'
            'echo "end $1" >>"$0.log"\n'
        )
        self.log = Path(f"{self.script}.log")
        self.log.touch()
        for number in range(RUNNING):
            self.gate(number).touch()

    def gate(self, number: int) -> Path:
        """The file that keeps a task from ending."""
        return Path(f"{self.script}.gate.{number}")

    def commands(self) -> list[Command]:
        """All of them."""
        return [("sh", str(self.script), str(number)) for number in range(RUNNING + WAITING)]

    def said(self, what: str) -> list[list[str]]:
        """What the tasks have said so far."""
        lines = [each.split() for each in self.log.read_text().splitlines()]
        return [each for each in lines if each[0] == what]

    def started(self, first: int, last: int) -> Counter[int]:
        """How often the tasks of a range were started."""
        return Counter(int(number) for _, number, _ in self.said("start") if first <= int(number) < last)

    def ended(self) -> set[int]:
        """The tasks that have ended."""
        return {int(number) for _, number in self.said("end")}


def measure(bench: Bench) -> list[Line]:
    """Lost, doubled and without a result, the worst of the rounds; and the time until the rest went on."""
    found: dict[str, list[tuple[int, int, int]]] = {}

    def once(name: str, kind: type[Queue]) -> float:
        queue = bench.queue(kind)
        try:
            *counts, seconds = killed(queue)
        finally:
            queue.close()
            bench.machine.sweep_up()
        lost, doubled, results = counts
        found.setdefault(name, []).append((lost, doubled, results))
        return seconds * 1000

    cases = {"pass": Case(lambda: bench.machine.run(Call((str(bench.bare), "-c", "pass"))).wall * 1000)}
    for name, kind in bench.able("fill", "serve", "recorded").items():
        cases[name] = Case(lambda name=name, kind=kind: once(name, kind))
    times = bench.interleave("kill", cases, bench.rounds(3, 1))
    lines: list[Line] = []
    for name, counts in found.items():
        worst = [max(column) for column in zip(*counts, strict=True)]
        for what, value in zip(("lost", "doubled", "results lost"), worst, strict=True):
            bound = Target(0, of_value=True) if name == "agentq" else None
            lines.append(line("kill", what, name, "tasks", {0: value}, target=bound))
    # One second, where `pass` took 12 ms.
    for name in found:
        again = {number: value for number, value in times[name].items() if value >= 0}
        if again:
            bound = Target(83) if name == "agentq" else None
            lines.append(line("kill", "recovered", name, "ms", again, base=times["pass"], of="pass", target=bound))
    order = ["lost", "doubled", "results lost", "recovered"]
    return sorted(lines, key=lambda each: order.index(each.what))


def killed(queue: Queue) -> tuple[int, int, int, float]:
    """Tasks lost, doubled, and ended without a result on record; seconds until recovered, -1 for never."""
    witness = Witness(queue.directory)
    commands = witness.commands()
    if queue.at_once:
        queue.serve(RUNNING)
        queue.fill(commands)
    else:
        queue.fill(commands)
        queue.serve(RUNNING)
    queue.machine.until(lambda: len(witness.started(0, RUNNING)) == RUNNING, "four tasks", seconds=30)
    queue.kill()
    for number in (0, 1):
        witness.gate(number).unlink()
    queue.machine.until(lambda: len(witness.said("end")) >= 2, "the end of two tasks", seconds=30)
    again = time.time()
    queue.serve(RUNNING)
    try:
        queue.machine.until(lambda: bool(witness.started(RUNNING, 100)), "a waiting task", seconds=10)
        first = min(int(at) for _, number, at in witness.said("start") if int(number) >= RUNNING)
        seconds = first / 1e9 - again
    except Broken:
        seconds = -1.0
    for number in (2, 3):
        witness.gate(number).unlink()
    total = len(commands)
    with suppress(Broken):
        wait = 60 if seconds >= 0 else 2
        queue.machine.until(lambda: len(witness.ended()) == total, "all tasks", seconds=wait, every=0.05)
        queue.machine.until(lambda: queue.recorded() >= total, "all results", seconds=5, every=0.1)
    ended = len(witness.ended())
    doubled = sum(count > 1 for count in witness.started(0, total).values())
    return total - ended, doubled, ended - min(queue.recorded(), ended), seconds
