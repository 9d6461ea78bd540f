"""Processes that are measured, what /proc says of them, and a scratch directory; all of it gone at the end."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


class Broken(Exception):
    """A program did not do what it was asked to do, so that nothing can be said of its speed."""


@dataclass(frozen=True, slots=True)
class Call:
    """A command line, with what it wants in its environment beside HOME and PATH."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    stdin: Path | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds from the start of a process to its end, and of a processor."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Rest:
    """What processes have used so far: seconds of a processor, and how often they gave it up or were taken off it."""

    cpu: float
    wakeups: int


class Machine:
    """Where the measured processes live: a scratch directory with a HOME of its own.

    It adopts whatever a daemon leaves behind, so that close() finds and ends all that was started here.
    """

    def __init__(self, path: str) -> None:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.scratch = Path(tempfile.mkdtemp(prefix="agentq-bench-"))
        home, tmp = self.scratch / "home", self.scratch / "tmp"
        home.mkdir()
        tmp.mkdir()
        self.environ = {"PATH": path, "HOME": str(home), "TMPDIR": str(tmp), "LANG": "C.UTF-8"}
        self.count = 0
        self.tracer: tuple[str, ...] = ()  # what comes before each command line that is run to its end
        self.started: dict[int, subprocess.Popen[bytes]] = {}

    def directory(self, name: str) -> Path:
        """A new empty directory."""
        self.count += 1
        made = self.scratch / f"{self.count}-{name}"
        made.mkdir()
        return made

    def program(self, name: str) -> str:
        """The path of a program, as the measured processes would find it. Raises Broken if there is none."""
        found = shutil.which(name, path=self.environ["PATH"])
        if found is None:
            raise Broken(f"{name} is not there")
        return found

    def run(self, call: Call, *, ok: Iterable[int] = (0,), seconds: float = 900) -> Cost:
        """Run to the end, silently. Raises Broken for an exit code other than `ok`, and where it takes too long."""
        with open(call.stdin or os.devnull, "rb") as stdin, tempfile.TemporaryFile() as stderr:
            before = time.perf_counter()
            process = subprocess.Popen(
                (*self.tracer, *call.argv),
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**self.environ, **dict(call.env)},
                cwd=self.scratch,
                start_new_session=True,
            )
            usage = self._wait(process, seconds)
            wall = time.perf_counter() - before
            if process.returncode not in ok:
                stderr.seek(0)
                raise Broken(f"{call.argv[0]} ended with {process.returncode}: {last_line(stderr.read())}")
        return Cost(wall, usage)

    def _wait(self, process: subprocess.Popen[bytes], seconds: float) -> float:
        watched = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(watched, select.POLLIN)
            if not poll.poll(seconds * 1000):
                self.end(process)
                raise Broken(f"{process.args!r} took longer than {seconds:g} s")
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            self.end(process)
            raise
        finally:
            os.close(watched)
        process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime

    def output(self, call: Call) -> str:
        """Run to the end, and give what it printed. Raises Broken if it fails."""
        with open(call.stdin or os.devnull, "rb") as stdin:
            done = subprocess.run(
                call.argv,
                stdin=stdin,
                capture_output=True,
                env={**self.environ, **dict(call.env)},
                cwd=self.scratch,
                timeout=300,
                check=False,
            )
        if done.returncode:
            raise Broken(f"{' '.join(call.argv[:3])} ended with {done.returncode}: {last_line(done.stderr)}")
        return done.stdout.decode()

    def start(self, call: Call, *, pipe: bool = False) -> subprocess.Popen[bytes]:
        """Start what stays, silently, in a process session of its own; with `pipe` its stdin is one."""
        with open(call.stdin or os.devnull, "rb") as stdin:
            process = subprocess.Popen(
                call.argv,
                stdin=subprocess.PIPE if pipe else stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**self.environ, **dict(call.env)},
                cwd=self.scratch,
                start_new_session=True,
            )
        self.started[process.pid] = process
        return process

    def end(self, process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
        """Signal a process that was started here, and wait for its end."""
        if process.stdin:
            process.stdin.close()
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.started.pop(process.pid, None)

    def reap(self) -> None:
        """Forget the processes that daemons left to us and that have ended."""
        for pid in children(os.getpid()):
            if pid not in self.started:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue

    def spent(self, do: Callable[[], object]) -> float:
        """Seconds of a processor of all that is started meanwhile, to the end of its last process."""
        there, before = set(children(os.getpid())), _of_ended()
        do()
        self.until(lambda: there.issuperset(children(os.getpid())), "the end of what was started")
        return _of_ended() - before

    def until(self, true: Callable[[], bool], what: str, *, seconds: float = 120, every: float = 0.005) -> None:
        """Look until something is true. Raises Broken where that takes too long.

        What a killed daemon left to us is no zombie meanwhile: its successor would take that for a living task.
        """
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise Broken(f"{what}: not within {seconds:g} s")
            time.sleep(every)
            self.reap()

    def sweep_up(self) -> None:
        """End everything that was started here and still runs."""
        for process in list(self.started.values()):
            self.end(process, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and (left := tree(os.getpid())[1:]):
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.reap()
            time.sleep(0.02)

    def close(self) -> None:
        """End everything, and remove the scratch directory."""
        self.sweep_up()
        shutil.rmtree(self.scratch, ignore_errors=True)


def _of_ended() -> float:
    """Seconds of a processor of all processes below this one that have ended and were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def last_line(text: bytes) -> str:
    """What a program said last."""
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


def children(pid: int) -> list[int]:
    """The processes started by one, over all its threads; none where it is gone."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def tree(pid: int) -> list[int]:
    """A process and everything below it, itself first."""
    found = [pid]
    for each in found:
        found += children(each)
    return found


def rest(pids: Iterable[int]) -> Rest:
    """What processes have used so far, to the nanosecond, over all their threads."""
    cpu, wakeups = 0, 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            cpu += int((task / "schedstat").read_text().split()[0])
            status = fields(task / "status")
            wakeups += int(status["voluntary_ctxt_switches"])
    return Rest(cpu / 1e9, wakeups)


def memory(pids: Iterable[int]) -> float:
    """MiB of processes as if they were alone on the machine: their own memory, and once what they map of files.

    PSS alone would say the less, the more other processes of the same Python there are.
    """
    found = [fields(Path(f"/proc/{pid}/smaps_rollup")) for pid in pids]
    mapped = max(kib(each["Rss"]) - kib(each["Anonymous"]) for each in found)
    return (sum(kib(each["Pss_Anon"]) for each in found) + mapped) / 1024


def share(pids: Iterable[int]) -> float:
    """MiB of processes beside all others: what they share is divided among those that have it (PSS)."""
    return sum(kib(fields(Path(f"/proc/{pid}/smaps_rollup"))["Pss"]) for pid in pids) / 1024


def peak(pids: Iterable[int]) -> float:
    """MiB that processes had in memory at most (VmHWM), added up."""
    return sum(kib(fields(Path(f"/proc/{pid}/status"))["VmHWM"]) for pid in pids) / 1024


def kib(text: str) -> int:
    """The number of `12 kB`."""
    return int(text.split()[0])


def fields(path: Path) -> Mapping[str, str]:
    """The `name: value` lines of a file of /proc."""
    return {name: value.strip() for name, _, value in (each.partition(":") for each in path.read_text().splitlines())}
