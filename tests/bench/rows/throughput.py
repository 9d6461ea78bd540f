"""Many short tasks, two at once."""

from __future__ import annotations

import time

from bench import Bench, Case
from figures import Line, Target, compare, line
from queues.own import Agentq
from queues.queue import Queue

SLOTS = 2
FLOOR, LIST = "bare loop", "parallel"
ABOUT = f"`true` many times, {SLOTS} at once, from a full queue to the last one recorded, the program's start included"


def measure(bench: Bench) -> list[Line]:
    """Tasks a second, to the bare loop in the same round; and agentq over 50 sessions, to one."""
    many, few = bench.rounds(500, 200), bench.rounds(20, 10)

    def work(kind: type[Queue], count: int, sessions: int = 1) -> float:
        queue = bench.queue(kind)
        try:
            before = time.perf_counter()
            if isinstance(queue, Agentq) and sessions > 1:
                queue.fill_sessions(count, sessions)
            else:
                if kind.at_once:
                    queue.serve(SLOTS)
                queue.fill([("true",)] * count)
            if not kind.at_once:
                before = time.perf_counter()
            queue.work_off(count, SLOTS)
            return time.perf_counter() - before
        finally:
            queue.close()

    kinds = bench.able("fill", "work_off") | bench.able("fill", "serve")
    seconds: dict[str, Case] = {}
    counts: dict[str, int] = {}
    for name, kind in kinds.items():
        counts[name] = few if kind.slow else many
        seconds[name] = Case(lambda kind=kind, count=counts[name]: work(kind, count), every=4 if kind.slow else 1)
        if name in bench.own:
            seconds[f"{name}, 50 sessions"] = Case(lambda kind=kind: work(kind, many, 50))
        if name in (*bench.own, FLOOR):
            seconds[f"{name}, one task"] = Case(lambda kind=kind: work(kind, 1))
    found = bench.interleave("throughput", seconds, bench.rounds(6, 2))

    rates = {name: {n: counts[name] / value for n, value in found[name].items()} for name in counts}
    notes = {name: f"{count} tasks" for name, count in counts.items()}
    near = {"agentq": Target(0.7, at_least=True)}
    lines = compare("throughput", "rate", "tasks/s", rates, of=FLOOR, targets=near, notes=notes)
    for name in bench.own:
        if (rate := rates.get(name)) and (least := rates.get(LIST)):
            target = Target(1.0, at_least=True) if name == "agentq" else None
            lines.append(line("throughput", "rate", name, "tasks/s", rate, base=least, of=LIST, target=target))
    after = {
        name: {
            n: (many - 1) / max(value - found[f"{name}, one task"][n], 1e-9)
            for n, value in found[name].items()
            if n in found[f"{name}, one task"]
        }
        for name in (FLOOR, *bench.own)
        if name in counts
    }
    lines += compare("throughput", "rate after start-up", "tasks/s", after, of=FLOOR)
    for name in bench.own:
        if spread := found[f"{name}, 50 sessions"]:
            target = Target(1.1) if name == "agentq" else None
            lines.append(
                line("throughput", "50 sessions", name, "s", spread, base=found[name], of="one session", target=target)
            )
    return lines
