"""One submit into a queue in which many wait."""

from __future__ import annotations

import shutil

from bench import Bench, Case
from figures import Line, Samples, Target, line
from machine import Broken
from queues.queue import Queue

from rows.submit import instructions

ABOUT = "one submit into a full queue, to one into an empty queue of the same program in the same round"


def measure(bench: Bench) -> list[Line]:
    """Wall time, and agentq's instructions. Program by program, so that none is disturbed by another's full queue."""
    walls: list[Line] = []
    counts: list[Line] = []
    for name, kind in bench.able("submit", "fill").items():
        if name == "parallel":  # its one submit is a whole run of it: nothing waits in it
            continue
        with bench.guarded("queued", name):
            wall, counted = program(bench, name, kind)
            walls += wall
            counts += counted
        bench.machine.sweep_up()
    return walls + counts


def program(bench: Bench, name: str, kind: type[Queue]) -> tuple[list[Line], list[Line]]:
    """What one program takes."""
    count = min(kind.queued, 500) if bench.quick and kind.slow else kind.queued
    bench.say(f"queued: {count:,} tasks into {name}")
    empty, full = bench.queue(kind), bench.queue(kind)
    empty.hold()
    full.hold_full([("true",)] * count)
    calls = {"empty": empty.submit(("true",)), "full": full.submit(("true",))}
    for call in calls.values():
        bench.machine.run(call)
    note = f"{count:,} waiting"
    target = Target(1.05) if name == "agentq" else None

    def compared(what: str, unit: str, found: dict[str, dict[int, float]]) -> list[Line]:
        if not found["full"]:
            raise Broken("no round of it went through")
        base: Samples = found["empty"]
        return [line("queued", what, name, unit, found["full"], base=base, of="empty", target=target, note=note)]

    cases = {label: Case(lambda call=call: bench.machine.run(call).wall * 1000) for label, call in calls.items()}
    rounds = bench.rounds(9, 5) if kind.slow else bench.rounds(40, 9)
    wall = compared("wall", "ms", bench.interleave(f"queued, {name}", cases, rounds))
    if name not in bench.own or shutil.which("valgrind") is None:
        return wall, []
    cases = {label: Case(lambda call=call: instructions(bench.machine, call)) for label, call in calls.items()}
    found = bench.interleave(f"queued, {name}, instructions", cases, bench.rounds(2, 1))
    return wall, compared("instructions", "M", found)
