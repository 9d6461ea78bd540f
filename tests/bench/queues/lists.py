"""GNU parallel and xargs, which run a list that is there; and the bare loop, the floor of a durable queue in Python."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from machine import Broken, Call, Machine

from queues.queue import SCRIPTS, Command, Queue, lines


class Parallel(Queue):
    """GNU parallel with its job log, which it resumes from."""

    name = "parallel"
    about = "a list of commands and a job log without fsync; a task handed to it alone is a whole run of it"

    def __init__(self, machine: Machine, directory: Path) -> None:
        super().__init__(machine, directory)
        self.program, self.log, self.list = machine.program("parallel"), directory / "log", directory / "lines"
        (Path(machine.environ["HOME"]) / ".parallel").mkdir(exist_ok=True)
        (Path(machine.environ["HOME"]) / ".parallel/will-cite").touch()

    def call(self, slots: int, stdin: Path | None) -> Call:
        """A call of it that runs what it reads and is not in the log."""
        return Call((self.program, "-j", str(slots), "--resume", "--joblog", str(self.log)), stdin=stdin)

    def submit(self, command: Command) -> Call:
        argv = (self.program, "-j", "2", "--joblog", str(self.log), shlex.join(command), ":::", "")
        return Call(argv)

    def fill(self, commands: Sequence[Command]) -> None:
        lines(self.directory, [shlex.join(command) for command in commands])

    def serve(self, slots: int) -> None:
        self.server = self.machine.start(self.call(slots, self.list))

    def work_off(self, count: int, slots: int) -> None:
        self.machine.run(self.call(slots, self.list))

    def listen(self, slots: int) -> None:
        """Start on a pipe; it runs nothing before it has read as many lines as it has slots."""
        self.server = self.machine.start(self.call(slots, None), pipe=True)
        for _ in range(slots):
            self.give(("true",))

    def give(self, command: Command) -> None:
        if self.server is None or self.server.stdin is None:
            raise Broken("parallel has no pipe")
        self.server.stdin.write(f"{shlex.join(command)}\n".encode())
        self.server.stdin.flush()

    def recorded(self) -> int:
        entries = self.log.read_text().splitlines()[1:] if self.log.exists() else []
        return sum(entry.split("\t")[6] == "0" for entry in entries)


class Xargs(Queue):
    """`xargs -P`."""

    name = "xargs"
    about = "the floor of starting processes: nothing is kept"

    def fill(self, commands: Sequence[Command]) -> None:
        """It runs `true`, once for each line."""
        lines(self.directory, [str(number) for number, _ in enumerate(commands)])

    def work_off(self, count: int, slots: int) -> None:
        argv = (self.machine.program("xargs"), "-P", str(slots), "-n", "1", "true")
        self.machine.run(Call(argv, stdin=self.directory / "lines"))


class BareLoop(Queue):
    """Our own floor."""

    name = "bare loop"
    about = "Python: spawn and two durable commits a task in one SQLite file; no output, no audit, nothing recovered"
    python = Path()

    def fill(self, commands: Sequence[Command]) -> None:
        """It makes its own list of `true`."""

    def work_off(self, count: int, slots: int) -> None:
        argv = (str(self.python), str(SCRIPTS / "bare_loop.py"), str(self.directory / "db"), str(count), str(slots))
        self.machine.run(Call(argv))
