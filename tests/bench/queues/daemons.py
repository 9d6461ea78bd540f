"""kyoo and pueue: a daemon that keeps the queue, and a client that talks to it."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Sequence
from pathlib import Path

from machine import Broken, Call, Machine

from queues.queue import SCRIPTS, Command, Queue, ask, lines, shell


class Kyoo(Queue):
    """kyoo."""

    name = "kyoo"
    about = "a daemon on HTTP over SQLite (WAL), looks twice a second; exit code and output kept, no fsync a commit"
    slow = True
    python = Path()  # of the virtual environment that has it

    def __init__(self, machine: Machine, directory: Path) -> None:
        super().__init__(machine, directory)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = str(taken.getsockname()[1])
        self.env = (("KYOO_HOME", str(directory)), ("KYOO_PORT", self.port))

    def call(self, *argv: str) -> Call:
        """A call of its client."""
        return Call((str(self.python.parent / "kyoo"), *argv), self.env)

    def hold(self) -> None:
        if not (self.directory / "kyoo.db").exists():
            self.fill([])
        self.server = self.machine.start(self.call("serve", "--port", self.port))
        self.machine.until(self.answers, "kyoo serve", every=0.02)

    def hold_full(self, commands: Sequence[Command]) -> None:
        self.fill(commands)
        self.hold()

    def answers(self) -> bool:
        """Whether its daemon listens."""
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", int(self.port))) == 0

    def submit(self, command: Command) -> Call:
        return self.call("add", "-l", "bench", shlex.join(command))

    def fill(self, commands: Sequence[Command]) -> None:
        """Before its daemon runs: by its client it took a third of a second each."""
        self.insert(commands, "bench")

    def insert(self, commands: Sequence[Command], lock: str) -> None:
        """Store commands that want a lock."""
        if self.server is not None:
            raise Broken("kyoo is filled before it is started")
        texts = lines(self.directory, [shlex.join(command) for command in commands])
        self.machine.run(Call((str(self.python), str(SCRIPTS / "kyoo_fill.py"), lock), self.env, texts))

    def future(self, count: int) -> None:
        """It knows no time: they wait for a lock that is never free."""
        self.insert([("true",)] * count, "never")

    def serve(self, slots: int) -> None:
        if self.server is None:
            self.hold()
        self.machine.run(self.call("lock", "bench", str(slots)))

    def recorded(self) -> int:
        return ask(self.directory / "kyoo.db", "SELECT count(*) FROM jobs WHERE status = 'succeeded' AND exit_code = 0")


class Pueue(Queue):
    """pueue."""

    name = "pueue"
    about = "a daemon that writes its whole state as one file at each change; output kept, looks three times a second"
    slow = True
    queued = 2_500

    def __init__(self, machine: Machine, directory: Path) -> None:
        super().__init__(machine, directory)
        self.config = directory / "pueue.yml"
        self.config.write_text(
            f"shared:\n  pueue_directory: {directory}\n  runtime_directory: {directory}\n  use_unix_socket: true\n"
            f"  unix_socket_path: {directory}/s\nclient: {{}}\ndaemon: {{}}\n"
        )

    def call(self, *argv: str) -> Call:
        """A call of its client."""
        return Call((self.machine.program("pueue"), "-c", str(self.config), *argv))

    def start(self) -> None:
        """Start the daemon."""
        (self.directory / "s").unlink(missing_ok=True)
        self.server = self.machine.start(Call((self.machine.program("pueued"), "-c", str(self.config))))
        self.machine.until((self.directory / "s").exists, "pueued", every=0.02)

    def hold(self) -> None:
        self.start()
        self.machine.run(self.call("pause"))

    def submit(self, command: Command) -> Call:
        return self.call("add", "--", shlex.join(command))

    def fill(self, commands: Sequence[Command]) -> None:
        if self.server is None:
            self.hold()
        self.add([], commands)

    def add(self, options: Sequence[str], commands: Sequence[Command]) -> None:
        """One `add` for each command, which is a line for a shell."""
        texts: list[Command] = [(shlex.join(command),) for command in commands]
        self.machine.run(shell(self.directory, self.call("add", *options, "--").argv, texts))

    def future(self, count: int) -> None:
        self.hold()
        self.add(["--delay", "365d"], [("true",)] * count)

    def serve(self, slots: int) -> None:
        if self.server is None:
            self.start()
        self.machine.run(self.call("parallel", str(slots)))
        self.machine.run(self.call("start"))

    def recorded(self) -> int:
        tasks = json.loads(self.machine.output(self.call("status", "--json")))["tasks"].values()
        return sum(task["status"].get("Done", {}).get("result") == "Success" for task in tasks)

    def finish(self, count: int) -> None:
        self.machine.until(lambda: self.recorded() >= count, "pueue", every=0.1, seconds=300)
