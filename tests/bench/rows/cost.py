"""What one task costs: processor, syncs, and memory while its command runs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import Bench, Case
from figures import Line, Samples, Target, compare, line
from machine import fields, rest, share, tree
from queues.queue import Queue

FLOOR = "bare loop"
SLOTS, FEW, RUNNING = 2, 10, 10
COUNTED = ("fsync", "fdatasync", "sync_file_range", "syncfs", "sync")
ABOUT = (
    f"a task `true`, {SLOTS} at once, the program's start and end subtracted: processor of every process, `true` too, "
    f"and of what stays; syncs; memory: PSS of what stays with a command while {RUNNING} run, after many others ran"
)


def measure(bench: Bench) -> list[Line]:
    """Milliseconds, syncs and MiB."""
    lines: list[Line] = []
    for part in (processor, staying, syncs, keepers):
        with bench.guarded("cost", part.__name__):
            lines += part(bench)
    return lines


def processor(bench: Bench) -> list[Line]:
    """Milliseconds of a processor a task, to the bare loop's."""
    count = bench.rounds(400, 100)

    kinds = {name: kind for name, kind in bench.able("fill", "work_off").items() if not kind.slow}
    cases = {name: Case(partial(per_task, bench, kind, count, processor_ms)) for name, kind in kinds.items()}
    found = bench.interleave("cost, processor", cases, bench.rounds(5, 2))
    targets = {"agentq": Target(3.5)}  # 4 ms, where the bare loop took 1.1
    return compare("cost", "processor", "ms", found, of=FLOOR, targets=targets)


def processor_ms(queue: Queue, tasks: int) -> float:
    """Milliseconds of a processor until its tasks are done."""
    return queue.machine.spent(lambda: queue.work_off(tasks, SLOTS)) * 1000


def staying(bench: Bench) -> list[Line]:
    """What of it is the supervisor's, and what its launcher's."""
    count = bench.rounds(400, 100)
    found: dict[str, dict[str, dict[int, float]]] = {"supervisor": {}, "launcher": {}}

    def once(name: str) -> float:
        queue = bench.queue(bench.kinds[name])
        try:
            queue.serve(SLOTS)
            queue.fill([("true",)] * FEW)
            queue.finish(FEW)
            pids = dict(zip(found, queue.pids(), strict=False))
            before = {what: rest([pid]).cpu for what, pid in pids.items()}
            queue.fill([("true",)] * count)
            queue.finish(FEW + count)
            for what, pid in pids.items():
                samples = found[what].setdefault(name, {})
                samples[len(samples)] = (rest([pid]).cpu - before[what]) * 1000 / count
        finally:
            queue.close()
        return 0

    bench.interleave("cost, staying", {name: Case(partial(once, name)) for name in bench.own}, bench.rounds(3, 1))
    return [line("cost", what, name, "ms", each) for what, samples in found.items() for name, each in samples.items()]


def syncs(bench: Bench) -> list[Line]:
    """Syncs a task, of every process."""
    if shutil.which("strace") is None:
        return []
    count = bench.rounds(200, 60)

    def counted(queue: Queue, tasks: int) -> float:
        trace = bench.machine.directory("strace") / "calls"
        only = ("-e", "signal=none", "-e", f"trace={','.join(COUNTED)}")
        bench.machine.tracer = ("strace", "-f", "-qq", *only, "-o", str(trace))
        try:
            queue.work_off(tasks, SLOTS)
        finally:
            bench.machine.tracer = ()
        return len(re.findall(rf"\b(?:{'|'.join(COUNTED)})\(", trace.read_text()))

    kinds = {name: bench.kinds[name] for name in (FLOOR, *bench.own)}
    cases = {name: Case(partial(per_task, bench, kind, count, counted)) for name, kind in kinds.items()}
    found = bench.interleave("cost, syncs", cases, bench.rounds(2, 1))
    return [
        line("cost", "syncs", name, "", samples, target=Target(12, of_value=True) if name == "agentq" else None)
        for name, samples in found.items()
        if samples
    ]


def per_task(bench: Bench, kind: type[Queue], count: int, cost: Callable[[Queue, int], float]) -> float:
    """What a task costs: what many cost more than few."""

    def filled(tasks: int) -> float:
        queue = bench.queue(kind)
        queue.fill([("true",)] * tasks)
        return cost(queue, tasks)

    return (filled(FEW + count) - filled(FEW)) / count


def keepers(bench: Bench) -> list[Line]:
    """MiB of the process that stays with a command."""
    found: dict[str, Samples] = {}
    for name in (*bench.own, "tsp"):
        if name not in bench.kinds:
            continue
        with bench.guarded("cost", f"{name}, memory"):
            queue = bench.queue(bench.kinds[name])
            try:
                found[name] = dict(enumerate(beside(queue, bench.rounds(400, 100))))
            finally:
                queue.close()
                bench.machine.sweep_up()
    return [
        line("cost", "memory", name, "MiB", samples, target=Target(1.5, of_value=True) if name == "agentq" else None)
        for name, samples in found.items()
    ]


def beside(queue: Queue, ran: int) -> list[float]:
    """MiB of the parent of each command that runs, after so many others have run."""
    queue.serve(RUNNING)
    queue.fill([("true",)] * ran)
    queue.finish(ran)
    for _ in range(RUNNING):
        queue.give(("sleep", "1000"))

    def parents() -> list[int]:
        told = [fields(Path(f"/proc/{pid}/status")) for pid in tree(os.getpid())]
        return [int(each["PPid"]) for each in told if each["Name"] == "sleep"]

    queue.machine.until(lambda: len(parents()) == RUNNING, f"{RUNNING} commands")
    return [share([pid]) for pid in parents()]
