"""Kills at random for as long as it is told to, then looks whether every promise was kept.

    python tests/crash/soak.py --seconds 180 --seed 1

Supervisors, sweeps, submitters, cancels, launchers, keepers and agents are SIGKILLed, at random moments and at random
points inside, or stopped for so long that others take over the runs of a supervisor, which then goes on. With
`--namespaces` two of three live in PID namespaces of their own, as in containers, which are killed as a whole now and
then. At the end everything is recovered and the state dir, the agents' own notes and their locks are checked.
Exits with 1 where something was wrong, and keeps the directory. The choices follow the seed; the moments do not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from crash_repository import make_repository
from crash_world import CHECK, ForkServer, Started, World, fast_directory, until
from invariants import ENDED, Expected, rows, violations
from scenarios import recover
from test_lanes import CHECKED, JOBS, PLACES, POOLS, editing, make_places

SOMETIMES = CHECKED + "; [ $((AGENTQ_ATTEMPT % 2)) = 0 ]"
"""Fails at its first attempt, and at every second one."""

UNSHARE = ("unshare", "-pf", "--mount-proc", "--kill-child")
SESSIONS = ("default", "one", "two", "three", "four")
MOST_LIVE = 60
POINTS = {"submit": 110, "batch": 240, "cancel": 90, "sweep": 120, "retry": 40, "supervisor": 400}
INSIDE = {"supervisor": 400, "launcher": 30, "shim": 120}
"""The roles of the processes of a supervisor, and up to which of its points one of that role is killed."""

SHORT_LEASE = {"agentq_cli.host.attendance:LEASE_MS": 1000, "agentq_cli.host.attendance:RENEW_MS": 300}
LONGEST_STOP = 2.5
"""In seconds."""


class Soak:
    """One soak: what runs, what was promised, and how often what was done."""

    def __init__(self, world: World, seed: int, namespaces: int = 0) -> None:
        self.world = world
        self.containers = [ForkServer(UNSHARE) for _ in range(namespaces)]
        self.inside: dict[int, list[Started]] = {id(server): [] for server in self.containers}
        self.chance = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.printed: set[str] = set()
        self.supervisors: list[Started] = []
        self.commands: list[tuple[str, Started]] = []
        self.stopped: list[tuple[float, int]] = []

    def run(self, seconds: float) -> None:
        """Do one thing after the other until the time is up."""
        steps: list[tuple[int, Callable[[], None]]] = [
            (8, self.submit),
            (2, self.batch),
            (3, self.sweep),
            (2, self.cancel),
            (2, self.retry),
            (6, self.kill),
            (3, self.supervise),
            (4, self.stop),
            (1, self.end_namespace),
        ]
        weights, actions = [weight for weight, _ in steps], [action for _, action in steps]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.chance.choices(actions, weights)[0]()
            self.go_on(time.monotonic())
            self.collect()
        self.go_on()
        for _, command in self.commands:
            command.wait(60)
        self.collect()

    def crash(self, most: int, role: str) -> dict[str, object]:
        """Every second process is killed at some point inside."""
        if self.chance.random() < 0.5:
            return {"set": SHORT_LEASE}
        # Where a rule was carried out is noted once; each process has a directory of its own for that.
        log = Path(tempfile.mkdtemp(dir=self.world.log))
        rule = {"role": role, "at": self.chance.randint(1, most)}
        return {"set": SHORT_LEASE, "log": str(log), "rules": [rule]}

    def start(self, what: str, role: str, *argv: str) -> Started:
        """Start a command and count it."""
        self.counts[what] += 1
        started = self.anywhere(*argv, crash=self.crash(POINTS[what], role))
        self.commands.append((what, started))
        return started

    def anywhere(self, *argv: str, crash: dict[str, object]) -> Started:
        """Start a command out here or in one of the namespaces."""
        place = self.chance.randrange(len(self.containers) + 1)
        if place == len(self.containers):
            return self.world.start(*argv, crash=crash)
        started = self.world.start(*argv, crash=crash, starter=self.containers[place])
        self.inside[id(self.containers[place])].append(started)
        return started

    def end_namespace(self) -> None:
        """Kill one as a whole, and make another."""
        if not self.containers:
            return
        self.counts["killed namespace"] += 1
        server = self.containers.pop(self.chance.randrange(len(self.containers)))
        lost = {id(started) for started in self.inside[id(server)]}
        self.supervisors = [process for process in self.supervisors if id(process) not in lost]
        self.commands = [(what, process) for what, process in self.commands if id(process) not in lost]
        self.end(server)
        self.containers.append(ForkServer(UNSHARE))
        self.inside[id(self.containers[-1])] = []

    def end(self, server: ForkServer) -> None:
        """Kill a namespace; nobody knows any more how what was in it ended."""
        server.end_namespace()
        self.world.disown(self.inside.pop(id(server)))

    def live(self) -> list[str]:
        """The addresses of live tasks; the index may not exist yet."""
        index = self.world.state / "agentq.db"
        if not index.exists() or not index.stat().st_size:
            return []
        try:
            found = rows(index, "SELECT session, seq FROM tasks WHERE ended_at IS NULL", 1)
        except Exception as error:
            if "no such table" in str(error):
                return []
            if "locked" in str(error):  # by one that stands still
                self.go_on()
                return self.live()
            raise
        return [f"{row['session']}/{row['seq']}" for row in found]

    def submit(self) -> None:
        """One task, unless there are plenty."""
        if len(self.live()) < MOST_LIVE:
            session = self.chance.choice(SESSIONS)
            options = ["--grace", "1s", "--retries", str(self.chance.randrange(4)), "--backoff", "50ms"]
            if (known := sorted(self.printed)) and self.chance.random() < 0.3:
                how = self.chance.choice(("--after", "--after-any", "--after-failure"))
                options += [how, self.chance.choice(known)]
                options += ["--on-dep-failure", self.chance.choice(("cancel", "run"))]
            if self.chance.random() < 0.3:
                options += ["--check", self.chance.choice((CHECK, CHECK, f"{CHECK}; exit $((AGENTQ_ATTEMPT % 2))"))]
            work = ["-C", "/", "--exec", "--", "sh", "-c", self.chance.choice((CHECKED, CHECKED, SOMETIMES))]
            if self.chance.random() < 0.2:
                options += ["--worktree", "--setup", "true"]
                script = f'echo "$AGENTQ_RUN" >>work && {self.chance.choice((CHECKED, SOMETIMES))}'
                work = ["-C", str(self.world.root / "repository"), "--exec", "--", "sh", "-c", script]
            elif self.chance.random() < 0.3:
                place = str(self.world.root / self.chance.choice(PLACES))
                work = ["-C", place, "-a", "editor", "--context", "isolated", "edit"]
            elif self.chance.random() < 0.4:
                pool = self.chance.randrange(POOLS)
                session = f"pool{pool}"
                if key := self.chance.choice(("", "", "a", "b", "c")):
                    options += ["--conversation", key]
                if pool:  # all lines of it have their trees
                    options += ["--worktree"]
                work = ["-C", str(self.world.root / "repository") if pool else "/", "-a", "talker", "talk"]
            self.start("submit", "command", "submit", "-s", session, *options, *work)

    def batch(self) -> None:
        """A few tasks over a few sessions."""
        if len(self.live()) < MOST_LIVE:
            path = self.world.root / f"batch-{self.counts['batch']}.jsonl"
            names = self.chance.choices(SESSIONS, k=4)
            # A diamond over the sessions: the last line first, so that each refers forward.
            after = (["@1", "@2"], ["@3"], ["@3"], [])
            lines = [
                (editing(self.world, PLACES[number]) if number % 2 else {"cwd": "/", "exec": ["sh", "-c", CHECKED]})
                | {"session": name, "ref": str(number), "after": before, "retries": 2, "backoff": "50ms"}
                for number, (name, before) in enumerate(zip(names, after, strict=True))
            ]
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            self.start("batch", "command", "submit", "--batch", str(path))

    def sweep(self) -> None:
        """A sweep, sometimes one that may wake a supervisor."""
        self.start("sweep", "sweep", "sweep", *(["--no-wake"] if self.chance.random() < 0.8 else []))

    def cancel(self) -> None:
        """Any live task."""
        if live := self.live():
            self.start("cancel", "command", "cancel", self.chance.choice(live))

    def retry(self) -> None:
        """Any task at all; most have not ended unsuccessfully, and are retried all the same."""
        if self.printed:
            self.start("retry", "command", "retry", self.chance.choice(sorted(self.printed)))

    def supervise(self) -> None:
        """Up to three supervisors at once."""
        if len(self.supervisors) < 3:
            self.counts["supervisor"] += 1
            role = self.chance.choice(sorted(INSIDE))
            crash = self.crash(INSIDE[role], role)
            self.supervisors.append(self.anywhere("run", "--drain", "-j", str(JOBS), crash=crash))

    def kill(self) -> None:
        """Somebody, whoever it is."""
        if self.supervisors and self.chance.random() < 0.3:
            self.counts["killed supervisor"] += 1
            self.supervisors.pop(self.chance.randrange(len(self.supervisors))).kill()
        elif pids := sorted(self.world.processes()):
            pid = self.chance.choice(pids)
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                return
            if self.world.kill_one(pid):
                self.counts[f"killed {name}"] += 1

    def stop(self) -> None:
        """Somebody stands still for a while, a supervisor most often."""
        inside = {id(started) for each in self.inside.values() for started in each}
        here = [started for started in self.supervisors if id(started) not in inside]
        if here and self.chance.random() < 0.7:
            started = self.chance.choice(here)
            self.stop_one(started.pid, lambda: not started.gone())
        elif pids := sorted(self.world.processes()):
            pid = self.chance.choice(pids)
            self.stop_one(pid, lambda: pid in self.world.processes())

    def stop_one(self, pid: int, is_ours: Callable[[], bool]) -> None:
        """SIGSTOP a process, and nobody else who got its pid meanwhile."""
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            self.stopped.append((time.monotonic() + self.chance.uniform(0, LONGEST_STOP), pidfd))
            if is_ours():
                signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
                self.counts["stopped"] += 1

    def go_on(self, now: float = float("inf")) -> None:
        """Those go on that have stood still for long enough."""
        for each in [each for each in self.stopped if each[0] <= now]:
            self.stopped.remove(each)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(each[1], signal.SIGCONT)
            os.close(each[1])

    def collect(self) -> None:
        """Note what has ended, and what it promised."""
        self.supervisors = [process for process in self.supervisors if not process.gone()]
        pending = []
        for what, command in self.commands:
            if not command.gone():
                pending.append((what, command))
                continue
            done = command.wait()
            if what in ("submit", "batch"):
                self.printed.update(done.addresses)
            self.counts["killed at a point"] += done.killed
            # Refused in time, too late, already ended: all of these are answers. A bug is not.
            assert done.code in (0, 1, 3, 4, 5, -9), (what, done)
        # Not more at once than the machine can carry, and nobody waits for long for one that stands still.
        if pending[:-4]:
            self.go_on()
        for _, command in pending[:-4]:
            command.wait(60)
        self.commands = pending

    def finish(self) -> list[str]:
        """Recover, then everything that is wrong."""
        for process in self.supervisors:
            self.counts["killed supervisor"] += 1
            process.kill()
        while self.containers:  # What runs on in them has nobody there any more; it is the machine's now.
            self.end(self.containers.pop())
        found = recover(self.world, 1, strict=False, seconds=MOST_LIVE * 5)
        bad = self.world.root / "bad"
        if bad.exists():
            found += [f"an agent found: {line}" for line in bad.read_text().splitlines()]
        begun = Counter(run for word, run in self.world.effects() if word == "begin")
        found += [f"{run} began {times} times" for run, times in begun.items() if times > 1]
        expected = Expected(frozenset(ENDED), strict=False, printed=tuple(self.printed))
        return found + violations(self.world, expected)

    def totals(self) -> dict[str, object]:
        """What came of it."""
        index = self.world.state / "agentq.db"
        return {
            "done": dict(sorted(self.counts.items())),
            "tasks": {
                row["status"]: row["n"] for row in rows(index, "SELECT status, count(*) n FROM tasks GROUP BY 1")
            },
            "runs": {
                row["status"]: row["n"] for row in rows(index, "SELECT status, count(*) n FROM task_runs GROUP BY 1")
            },
            "adopted": rows(index, "SELECT count(*) n FROM task_runs WHERE adopted")[0]["n"],
            "retries": rows(index, "SELECT count(*) n FROM task_runs WHERE \"trigger\" = 'retry'")[0]["n"],
            "reopened": rows(index, "SELECT count(*) n FROM events WHERE event = 'reopen'")[0]["n"],
            "undone": rows(index, "SELECT count(*) n FROM events WHERE event = 'undo'")[0]["n"],
        }


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--namespaces", action="store_true", help="most of it in PID namespaces; needs root")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="agentq-soak-", dir=fast_directory()))
    server = ForkServer()
    world = World(directory, server)
    make_places(world)
    make_repository(world)
    soak = Soak(world, options.seed, 2 if options.namespaces else 0)
    try:
        soak.run(options.seconds)
        found = soak.finish()
        print(json.dumps({"seed": options.seed, "seconds": options.seconds} | soak.totals(), indent=2))
    finally:
        world.close()
        until(lambda: not list(world.processes()), "the end of every process")
        server.close()
    for text in found:
        print(f"wrong: {text}")
    if found:
        print(f"the directory is kept: {directory}")
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
