"""task-spooler and nq: every waiting task is a process already."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from machine import Broken, Call, Machine, children

from queues.queue import Command, Queue, shell


class TaskSpooler(Queue):
    """task-spooler."""

    name = "tsp"
    about = "a server that keeps its list in memory: nothing on disk but the output, no audit"
    at_once = True
    queued = 900  # its server keeps a connection open to each waiting client

    def __init__(self, machine: Machine, directory: Path) -> None:
        super().__init__(machine, directory)
        self.env = (("TS_SOCKET", str(directory / "s")), ("TMPDIR", str(directory)), ("TS_MAXFINISHED", "100000"))
        self.program = machine.program("tsp")
        self.daemon = 0

    def call(self, *argv: str) -> Call:
        """A call of tsp with this queue's server."""
        return Call((self.program, *argv), self.env)

    def hold(self) -> None:
        self.start(1)
        self.machine.run(self.call("-n", "sleep", "100000"))

    def start(self, slots: int) -> None:
        """Start the server: its first client does, and leaves it behind."""
        before = children(os.getpid())
        self.machine.run(self.call("-S", str(slots)))
        self.machine.reap()
        mark = f"TS_SOCKET={self.directory / 's'}".encode()
        new = [pid for pid in children(os.getpid()) if pid not in before]
        (self.daemon,) = (pid for pid in new if mark in Path(f"/proc/{pid}/environ").read_bytes())

    def submit(self, command: Command) -> Call:
        return self.call(*command)

    def fill(self, commands: Sequence[Command]) -> None:
        done = shell(self.directory, [self.program], commands)
        self.machine.run(Call(done.argv, self.env))

    def serve(self, slots: int) -> None:
        if not self.daemon:
            self.start(slots)

    def recorded(self) -> int:
        try:
            listed = self.machine.output(self.call("-l")).splitlines()[1:]
        except Broken:
            return 0
        return sum(line.split()[1] == "finished" and line.split()[3] == "0" for line in listed)

    def finish(self, count: int) -> None:
        # Two at once, in order: the last two cover the rest.
        for number in (count - 1, count - 2):
            self.machine.run(self.call("-w", str(number)))

    def pids(self) -> list[int]:
        return [self.daemon]

    def kill(self) -> None:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.daemon, signal.SIGKILL)
            os.waitpid(self.daemon, 0)
        self.daemon = 0

    def close(self) -> None:
        if self.daemon:
            self.kill()


class Nq(Queue):
    """nq, one queue a slot."""

    name = "nq"
    about = "no server: each task is a process that waits for the file locks of those before it; no exit code in a list"
    at_once = True
    queued = 900

    def __init__(self, machine: Machine, directory: Path) -> None:
        super().__init__(machine, directory)
        self.program = machine.program("nq")
        self.lanes = [directory / "a", directory / "b"]
        for lane in self.lanes:
            lane.mkdir()

    def call(self, lane: int, *argv: str) -> Call:
        """A call of nq in one of its queues."""
        return Call((self.program, *argv), (("NQDIR", str(self.lanes[lane])),))

    def hold(self) -> None:
        self.machine.run(self.call(0, "-q", "sleep", "100000"))

    def submit(self, command: Command) -> Call:
        return self.call(0, *command)

    def fill(self, commands: Sequence[Command]) -> None:
        half = len(commands) // 2
        for lane, part in enumerate((commands[:half], commands[half:])):
            done = shell(self.directory, [self.program], part)
            self.machine.run(Call(done.argv, self.call(lane).env))

    def serve(self, slots: int) -> None:
        """It starts what it has by itself."""

    def finish(self, count: int) -> None:
        for lane in (0, 1):
            self.machine.run(self.call(lane, "-w"))
