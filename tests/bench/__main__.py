"""agentq beside what people would use instead, in one run: a table and a document of ratios.

    python3 tests/bench --json speed.json

Every round does each thing once, in turn, so that what slows the machine slows all; a ratio is the median of the
ratios of the rounds. No absolute time decides anything. Peers that are not there are put into a cache directory
(Debian packages unpacked, Python packages into a virtual environment, pueue by cargo); the system is left as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from subprocess import CalledProcessError
from types import FrameType, ModuleType

from bench import Bench
from figures import Line
from install import Peers
from machine import Machine
from queues.daemons import Kyoo, Pueue
from queues.libraries import Huey, Library, Litequeue
from queues.lists import BareLoop, Parallel, Xargs
from queues.own import Agentq
from queues.queue import Queue
from queues.spoolers import Nq, TaskSpooler
from report import document, named, table

ROWS = (
    "submit",
    "queued",
    "batch",
    "throughput",
    "cost",
    "latency",
    "loaded",
    "idle",
    "sweep",
    "runs",
    "memory",
    "kill",
    "fleet",
)
ROOT = Path(__file__).resolve().parent.parent.parent
PEERS: tuple[type[Queue], ...] = (TaskSpooler, Nq, Xargs, Parallel, Litequeue, Huey, Kyoo, Pueue)


def main() -> int:
    """Measure; 0 also where targets are missed, 1 where something broke."""
    options = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    began = time.monotonic()
    peers = Peers(options.cache, not options.no_install, say)
    peers.get([kind.name for kind in options.peers])
    try:
        programs = {"agentq": peers.agentq(options.tree, "agentq")}
        if options.against:
            programs["before"] = peers.agentq(options.against, "before")
    except CalledProcessError as error:
        say(f"agentq cannot be installed: {error.stderr}")
        return 1
    machine = Machine(peers.path)
    try:
        bench = Bench(machine, kinds(peers, programs, options.peers), tuple(programs), peers.bare, options.quick, say)
        lines, abouts, seconds = measure(bench, options.only)
    finally:
        machine.close()
    print(table(lines, abouts))
    for title, entries in (
        ("What is compared", {name: kind.about for name, kind in bench.kinds.items()}),
        ("Skipped", skipped(peers)),
        ("Broken", bench.broken),
    ):
        if entries:
            print(f"\n{named(title, entries.items())}")
    print(f"\n{time.monotonic() - began:.0f} s on {surroundings()}")
    if options.json:
        written = document(
            lines,
            quick=options.quick,
            machine=surroundings(),
            seconds={name: round(each, 1) for name, each in seconds.items()},
            skipped=skipped(peers),
            broken=bench.broken,
        )
        options.json.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    return 1 if bench.broken else 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the document there")
    parser.add_argument("--only", type=rows, default=ROWS, help=f"rows, by commas, of: {', '.join(ROWS)}")
    parser.add_argument("--peers", type=others, default=PEERS, help="the other programs, by commas (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller numbers")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the source tree of agentq (default: this one)")
    parser.add_argument("--against", type=Path, help="another source tree, measured in the same rounds as `before`")
    parser.add_argument("--no-install", action="store_true", help="take the peers that are there, skip the others")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agentq-bench"
    parser.add_argument("--cache", type=Path, default=cache, help=f"where peers are put (default: {cache})")
    return parser.parse_args()


def others(text: str) -> tuple[type[Queue], ...]:
    """The other programs that were asked for; none for an empty text."""
    asked = set(filter(None, text.split(",")))
    if unknown := asked - {kind.name for kind in PEERS}:
        raise argparse.ArgumentTypeError(f"no such program: {', '.join(sorted(unknown))}")
    return tuple(kind for kind in PEERS if kind.name in asked)


def rows(text: str) -> tuple[str, ...]:
    """The rows that were asked for, in the order of the table."""
    asked = set(text.split(","))
    if unknown := asked - set(ROWS):
        raise argparse.ArgumentTypeError(f"no such row: {', '.join(sorted(unknown))}")
    return tuple(name for name in ROWS if name in asked)


def kinds(peers: Peers, programs: dict[str, Path], asked: tuple[type[Queue], ...]) -> dict[str, type[Queue]]:
    """Every program that is there, by its name."""
    Library.python = Kyoo.python = peers.python
    BareLoop.python = peers.bare
    own = {name: type(name, (Agentq,), {"name": name, "program": program}) for name, program in programs.items()}
    there = {kind.name: kind for kind in asked if kind.name not in peers.skipped}
    return {BareLoop.name: BareLoop, **own, **there}


def measure(bench: Bench, names: tuple[str, ...]) -> tuple[list[Line], dict[str, str], dict[str, float]]:
    """The lines of the rows, what each is about, and how long it took."""
    lines: list[Line] = []
    abouts: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for name in names:
        row: ModuleType = import_module(f"rows.{name}")
        before = time.monotonic()
        with bench.guarded(name, "the whole row"):
            lines += row.measure(bench)
        bench.machine.sweep_up()
        abouts[name], seconds[name] = row.ABOUT, time.monotonic() - before
        bench.say(f"{name}: {seconds[name]:.0f} s")
    return lines, abouts, seconds


def skipped(peers: Peers) -> dict[str, str]:
    """What was not measured, and why."""
    found = dict(peers.skipped)
    if shutil.which("valgrind") is None:
        found["instructions"] = "valgrind is not there"
    return found


def surroundings() -> str:
    """The machine, in a few words."""
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, Python {platform.python_version()}, Linux {platform.release()}"


def say(text: str) -> None:
    """Progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def stop(number: int, frame: FrameType | None) -> None:
    """A signal that ends us ends what we started too."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
