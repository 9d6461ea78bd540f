"""One submit."""

from __future__ import annotations

import re
import shutil

from bench import Bench, Case
from figures import Line, Target, compare
from machine import Broken, Call, Machine

ABOUT = "one call that stores `true` in a queue that starts nothing; `pass` is `python -c pass`, bare"
COUNTED = ("pass", "bare INSERT", "agentq", "before", "litequeue", "tsp")


def measure(bench: Bench) -> list[Line]:
    """Wall time, processor time and instructions of one submit, to `pass` in the same round."""
    calls = {
        "pass": Call((str(bench.bare), "-c", "pass")),
        "bare INSERT": bench.script("insert.py", str(bench.machine.directory("insert") / "db")),
    }
    slow = set()
    for name, kind in bench.able("submit").items():
        with bench.guarded("submit", name):
            queue = bench.queue(kind)
            queue.hold()
            calls[name] = queue.submit(("true",))
            # The first one makes the files.
            bench.machine.run(calls[name])
            slow |= {name} if kind.slow else set()
    cpu: dict[str, dict[int, float]] = {name: {} for name in calls}

    def once(name: str) -> float:
        cost = bench.machine.run(calls[name])
        cpu[name][len(cpu[name])] = cost.cpu * 1000
        return cost.wall * 1000

    cases = {name: Case(lambda name=name: once(name), every=3 if name in slow else 1) for name in calls}
    wall = bench.interleave("submit", cases, bench.rounds(25, 7))
    lines = compare("submit", "wall", "ms", wall, of="pass", targets={"agentq": Target(2.5)})
    lines += compare("submit", "cpu", "ms", {name: cpu[name] for name in calls if name not in slow}, of="pass")
    if shutil.which("valgrind"):
        counted = {
            name: Case(lambda call=call: instructions(bench.machine, call))
            for name, call in calls.items()
            if name in COUNTED
        }
        found = bench.interleave("submit, instructions", counted, bench.rounds(3, 1))
        targets = {"agentq": Target(2.0)}
        lines += compare("submit", "instructions", "M", found, of="pass", targets=targets)
    return lines


def instructions(machine: Machine, call: Call) -> float:
    """Millions of instructions of one process, by valgrind; children are not followed."""
    log = machine.scratch / "valgrind"
    quiet = ("--cachegrind-out-file=/dev/null", f"--log-file={log}")
    machine.run(Call(("valgrind", "--tool=cachegrind", "--cache-sim=no", *quiet, *call.argv), call.env, call.stdin))
    found = re.search(r"I\s+refs:\s+([\d,]+)", log.read_text())
    if found is None:
        raise Broken("valgrind counted nothing")
    return int(found[1].replace(",", "")) / 1e6
