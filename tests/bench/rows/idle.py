"""What stays between tasks, while there is nothing to do."""

from __future__ import annotations

import re
import shutil
import signal
import time

from bench import Bench
from figures import Line, Target, compare, line
from machine import Call, memory, rest
from queues.queue import Queue, can

ABOUT = "a supervisor that has nothing to start, empty and with 1,000 tasks that are not due; all at rest at once"
FUTURE = 1_000


def measure(bench: Bench) -> list[Line]:
    """Processor, wake-ups and memory of what stays."""
    queues: dict[str, Queue] = {}
    for name, kind in bench.able("serve").items():
        if name in ("nq", "parallel", "litequeue"):  # they have nothing that stays, or only what we wrote
            continue
        with bench.guarded("idle", name):
            queues[name] = bench.queue(kind)
            queues[name].serve(2)
        if can(kind, "future"):
            with bench.guarded("idle", f"{name}, {FUTURE:,} future"):
                queue = bench.queue(kind)
                queue.future(FUTURE)
                queue.serve(2)
                queues[f"{name}, {FUTURE:,} future"] = queue
    settle, window = bench.rounds(5, 3), bench.rounds(20, 10)
    time.sleep(settle)
    cpu: dict[str, dict[int, float]] = {name: {} for name in queues}
    wakeups: dict[str, dict[int, float]] = {name: {} for name in queues}
    sizes: dict[str, dict[int, float]] = {name: {} for name in queues}
    rounds = bench.rounds(3, 1)
    for number in range(rounds):
        bench.say(f"idle: {window} seconds, round {number + 1} of {rounds}")
        before = {name: (time.monotonic(), rest(queue.pids())) for name, queue in queues.items()}
        time.sleep(window)
        for name, queue in queues.items():
            with bench.guarded("idle", name):
                used, (start, first) = rest(queue.pids()), before[name]
                passed = time.monotonic() - start
                cpu[name][number] = (used.cpu - first.cpu) / passed * 100
                wakeups[name][number] = (used.wakeups - first.wakeups) / passed
                sizes[name][number] = memory(queue.pids())
    lines: list[Line] = []
    with bench.guarded("idle", "looks"):
        lines += looks(bench, {name: queue for name, queue in queues.items() if name.split(",")[0] in bench.own})
    for queue in queues.values():
        queue.close()
    mine = [name for name in queues if name.split(",")[0] == "agentq"]
    lines += [
        line("idle", "cpu", name, "%", found, target=Target(0.1, of_value=True) if name in mine else None)
        for name, found in cpu.items()
        if found
    ]
    # Its own timers: it renews its row every 10 s and looks at the files every few.
    lines += [
        line("idle", "wake-ups", name, "/s", found, target=Target(0.5, of_value=True) if name in mine else None)
        for name, found in wakeups.items()
        if found
    ]
    return lines + compare("idle", "memory", "MiB", sizes, of="huey", targets={name: Target(1.5) for name in mine})


SHARED = re.compile(r"l_type=F_RDLCK, l_whence=SEEK_SET, l_start=1073741826,")
RESERVED = re.compile(r"l_type=F_WRLCK, l_whence=SEEK_SET, l_start=1073741825,")
"""The locks of SQLite: the first for every transaction, the second for one that writes, as that which renews the
supervisor's row."""


def looks(bench: Bench, queues: dict[str, Queue]) -> list[Line]:
    """How often a supervisor reads its files and writes nothing, by its system calls."""
    if shutil.which("strace") is None:
        return []
    window = bench.rounds(70, 40)
    bench.say(f"idle: looks, {window} seconds")
    traces = {name: bench.machine.directory("strace") / "calls" for name in queues}
    tracers = []
    for name, queue in queues.items():
        traced = ("strace", "-qq", "-e", "trace=fcntl", "-o", str(traces[name]), "-p", str(queue.pids()[0]))
        tracers.append(bench.machine.start(Call(traced)))
    time.sleep(window)
    for tracer in tracers:
        bench.machine.end(tracer, signal.SIGINT)
    lines = []
    for name, trace in traces.items():
        said = trace.read_text()
        found = {0: (len(SHARED.findall(said)) - len(RESERVED.findall(said))) * 60 / window}
        target = Target(0, of_value=True) if name.split(",")[0] == "agentq" else None
        lines.append(line("idle", "reads", name, "/min", found, target=target))
    return lines
