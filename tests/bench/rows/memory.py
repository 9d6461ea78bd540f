"""What a supervisor keeps of the tasks that it has run."""

from __future__ import annotations

from bench import Bench
from figures import Line, Target, line, slope
from machine import memory, peak
from queues.queue import Queue

ABOUT = "growth of what stays, per 1,000 tasks: the steepness over points at rest, the first left out; and its peak"


def measure(bench: Bench) -> list[Line]:
    """KiB per 1,000 tasks, and the most that it ever had."""
    lines: list[Line] = []
    for name in (*bench.own, "litequeue", "huey", "kyoo"):
        kind = bench.kinds.get(name)
        if kind is None:
            continue
        with bench.guarded("memory", name):
            mine = name == "agentq"
            total = bench.rounds(10_000, 2_000) if not kind.slow else bench.rounds(2_000, 1_000)
            step = total // 5
            grown, most = growth(bench, bench.queue(kind), total, step)
            note = f"{total:,} tasks"
            bound = Target(10, of_value=True) if mine else None
            lines.append(line("memory", "per 1,000 tasks", name, "KiB", {0: grown}, target=bound, note=note))
            bound = Target(60, of_value=True) if mine else None
            lines.append(line("memory", "peak", name, "MiB", {0: most}, target=bound, note=note))
    return sorted(lines, key=lambda each: each.what, reverse=True)


def growth(bench: Bench, queue: Queue, total: int, step: int) -> tuple[float, float]:
    """KiB per 1,000 tasks and MiB at most. Raises Broken where the tasks do not end."""
    points: list[tuple[float, float]] = []
    try:
        if queue.slow:  # it is filled before it runs, and is given the width to end in time
            queue.fill([("true",)] * total)
            queue.serve(50)
        else:
            queue.serve(2)
        for done in range(step, total + 1, step):
            bench.say(f"memory: {queue.name}, {done:,} of {total:,} tasks")
            if not queue.slow:
                queue.fill([("true",)] * step)
            queue.finish(done)
            points.append((done / 1000, memory(queue.pids()) * 1024))
        return slope(points[1:]), peak(queue.pids())
    finally:
        queue.close()
