"""huey and litequeue: a queue in a SQLite file, for programs in Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from machine import Call, Machine

from queues.queue import SCRIPTS, Command, Queue, ask, json_lines


class Library(Queue):
    """What both have in common."""

    script = ""
    python = Path()  # of the virtual environment that has them

    def __init__(self, machine: Machine, directory: Path) -> None:
        super().__init__(machine, directory)
        self.file = directory / "queue.db"
        self.env = (("BENCH_FILE", str(self.file)), ("PYTHONPATH", str(SCRIPTS)))

    def call(self, *argv: str, stdin: Path | None = None) -> Call:
        """A call of Python with this queue's file."""
        return Call((str(self.python), *argv), self.env, stdin)

    def submit(self, command: Command) -> Call:
        return self.call(str(SCRIPTS / self.script), *command)

    def batch(self, count: int, sessions: int) -> Call:
        return self.call(str(SCRIPTS / self.script), "-", stdin=json_lines(self.directory, [("true",)] * count))

    def fill(self, commands: Sequence[Command]) -> None:
        stdin = json_lines(self.directory, commands)
        self.machine.run(self.call(str(SCRIPTS / self.script), "-", stdin=stdin))


class Huey(Library):
    """huey with SQLite."""

    name = "huey"
    about = "a library over SQLite (WAL, fsync on) and its consumer with threads; keeps results, no output"
    script = "huey_put.py"
    at_a_time = 1_000  # it commits each on its own
    queued = 2_000

    def future(self, count: int) -> None:
        self.machine.run(self.call(str(SCRIPTS / self.script), "--future", str(count)))

    def serve(self, slots: int) -> None:
        argv = ("-m", "huey.bin.huey_consumer", "huey_tasks.huey", "-k", "thread", "-w", str(slots), "-q")
        self.server = self.machine.start(self.call(*argv))

    def recorded(self) -> int:
        return ask(self.file, "SELECT count(*) FROM kv")


class Litequeue(Library):
    """litequeue."""

    name = "litequeue"
    about = "a library over SQLite (WAL, no fsync a commit), its worker written here; keeps a status, no output"
    script = "litequeue_put.py"

    def serve(self, slots: int) -> None:
        self.server = self.machine.start(self.work(slots, "stay"))

    def work(self, slots: int, end: str) -> Call:
        """The call of a worker."""
        return self.call(str(SCRIPTS / "litequeue_work.py"), str(slots), end)

    def work_off(self, count: int, slots: int) -> None:
        self.machine.run(self.work(slots, "end"))

    def recorded(self) -> int:
        return ask(self.file, "SELECT count(*) FROM Queue WHERE status = 2")
