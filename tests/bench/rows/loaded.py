"""From a submit that has returned to its agent's first instruction, while others want the processors all the time."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from bench import Bench
from figures import Line, Target, line
from machine import Call

from rows.latency import most, started

LOAD = 4
ABOUT = (
    f"submit returned → the command's first act, at a load of {LOAD}: as many processes that only calculate; `pass` "
    "while these are stopped; `start alone`: the bench starts that command itself"
)


def measure(bench: Bench) -> list[Line]:
    """Milliseconds, median and 99th percentile, to `pass` in the same run."""
    passes: dict[int, float] = {}
    kinds = {name: kind for name, kind in bench.able("submit", "serve").items() if not kind.slow}
    load = [bench.machine.start(Call((str(bench.bare), "-c", "while True: pass"))) for _ in range(LOAD)]

    def round_begins(number: int) -> None:
        with stopped(load):
            passes[number] = bench.machine.run(Call((str(bench.bare), "-c", "pass"))).wall * 1000

    try:
        found = started(bench, "loaded", kinds, bench.rounds(120, 30), round_begins)
    finally:
        for each in load:
            bench.machine.end(each)
    lines = [line("loaded", "p50", name, "ms", waits, base=passes, of="pass") for name, waits in found.waits.items()]
    # 50 ms, where `pass` took 12.
    return lines + most("loaded", found.waits, passes, Target(4.2))


@contextmanager
def stopped(load: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """The load, standing still."""
    for each in load:
        each.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in load:
            each.send_signal(signal.SIGCONT)
