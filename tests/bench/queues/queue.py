"""What a row asks of a queue, whichever program it is."""

from __future__ import annotations

import json
import shlex
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from machine import Broken, Call, Machine

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"

Command = tuple[str, ...]


class Queue:
    """One queue of one program, in a directory of its own.

    A subclass has the methods that its program can do; a row takes the programs that can do what it measures.
    """

    name = ""
    about = ""  # what is compared, and what the program does not do
    slow = False  # takes so long that it takes part in few rounds, with few tasks
    at_once = False  # starts what is submitted without being told to, so that its submits are part of the work
    at_a_time = 10_000  # so many in a batch
    queued = 10_000  # as many tasks as can wait in it for the row of a full queue

    def __init__(self, machine: Machine, directory: Path) -> None:
        self.machine, self.directory = machine, directory
        self.server: subprocess.Popen[bytes] | None = None

    def hold(self) -> None:
        """Get ready to take tasks, and start none of them."""

    def hold_full(self, commands: Sequence[Command]) -> None:
        """The same, with commands that wait in it."""
        self.hold()
        self.fill(commands)

    def submit(self, command: Command) -> Call:
        """The call that stores one command."""
        raise NotImplementedError

    def batch(self, count: int, sessions: int) -> Call:
        """The call that stores so many commands at once, over so many sessions where the program has any."""
        raise NotImplementedError

    def fill(self, commands: Sequence[Command]) -> None:
        """Store commands quickly: what follows is measured, this is not."""
        raise NotImplementedError

    def future(self, count: int) -> None:
        """Store commands that are not due for a long time."""
        raise NotImplementedError

    def serve(self, slots: int) -> None:
        """Have tasks started, so many at once, from now on; ready when it returns."""
        raise NotImplementedError

    def recorded(self) -> int:
        """How many tasks it has on record as ended well."""
        raise NotImplementedError

    def work_off(self, count: int, slots: int) -> None:
        """From a filled queue to its last task recorded."""
        self.serve(slots)
        self.finish(count)

    def finish(self, count: int) -> None:
        """Wait until so many tasks are on record."""
        self.machine.until(lambda: self.recorded() >= count, f"{self.name}: {count} tasks", seconds=900)

    def give(self, command: Command) -> None:
        """Submit one command; it is stored when this returns."""
        self.machine.run(self.submit(command))

    def pids(self) -> list[int]:
        """The processes that stay while nothing runs."""
        if self.server is None:
            raise Broken(f"{self.name} has no process that stays")
        return [self.server.pid]

    def kill(self) -> None:
        """kill -9 of what starts the tasks."""
        if self.server is None:
            raise Broken(f"{self.name} has no process that stays")
        self.machine.end(self.server)
        self.server = None

    def close(self) -> None:
        """End what stays."""
        if self.server is not None:
            self.machine.end(self.server)
            self.server = None


def can(kind: type[Queue], *methods: str) -> bool:
    """Whether a program can do what these methods say."""
    return all(getattr(kind, name) is not getattr(Queue, name) for name in methods)


def lines(directory: Path, texts: Sequence[str]) -> Path:
    """A file of lines."""
    path = directory / "lines"
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def json_lines(directory: Path, commands: Sequence[Command]) -> Path:
    """Commands as lines of JSON."""
    return lines(directory, [json.dumps(command) for command in commands])


def shell(directory: Path, before: Sequence[str], commands: Sequence[Command]) -> Call:
    """A shell that runs one program for each command, as a user's script would."""
    script = lines(directory, [shlex.join([*before, *command]) for command in commands])
    return Call(("sh", "-e", str(script)))


def ask(path: Path, statement: str) -> int:
    """One number out of a peer's SQLite file; 0 while it is not there yet."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=15)) as base:
        try:
            (number,) = base.execute(statement).fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return 0
            raise
        return int(number)
