"""agentq itself, as it is installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from machine import Call, Machine, tree

from queues.queue import Command, Queue, lines


class Agentq(Queue):
    """agentq, by its public commands only."""

    name = "agentq"
    about = "submit, run; every change durable and an event, stdout, stderr and exit code of every run kept"
    program = Path()

    def __init__(self, machine: Machine, directory: Path) -> None:
        super().__init__(machine, directory)
        self.state = directory / "state"

    def call(self, *argv: str, stdin: Path | None = None) -> Call:
        """A call of agentq with this queue's state directory."""
        return Call((str(self.program), *argv), (("AGENTQ_STATE_DIR", str(self.state)),), stdin)

    def submit(self, command: Command) -> Call:
        return self.call("submit", "--exec", "--", *command)

    def batch(self, count: int, sessions: int) -> Call:
        names = [f"s{number}" for number in range(sessions)] if sessions > 1 else ["default"]
        tasks = [{"exec": ["true"], "session": names[number % len(names)]} for number in range(count)]
        return self.store(tasks)

    def store(self, tasks: Sequence[object]) -> Call:
        """The call that submits a batch."""
        return self.call("submit", "--batch", str(lines(self.directory, [json.dumps(task) for task in tasks])))

    def fill(self, commands: Sequence[Command]) -> None:
        self.machine.run(self.store([{"exec": command} for command in commands]))

    def fill_sessions(self, count: int, sessions: int) -> None:
        """So many `true` over so many sessions."""
        self.machine.run(self.batch(count, sessions))

    def future(self, count: int) -> None:
        self.machine.run(self.store([{"exec": ["true"], "in": "365d"}] * count))

    def serve(self, slots: int) -> None:
        server = self.server = self.machine.start(self.call("run", "-j", str(slots)))
        # Asking it by a command would take the processor from its start.
        self.machine.until(lambda: any((self.state / "bells").glob(f"{server.pid}-*")), "agentq run")

    def document(self, *argv: str) -> dict[str, list[dict[str, object]]]:
        """What a reading command says."""
        found: dict[str, list[dict[str, object]]] = json.loads(self.machine.output(self.call(*argv, "--json")))
        return found

    def recorded(self) -> int:
        runs = self.document("runs", "--status", "success", "--limit", "1000000")["items"]
        return sum(run["exit_code"] == 0 for run in runs)

    def work_off(self, count: int, slots: int) -> None:
        self.machine.run(self.call("run", "--drain", "-j", str(slots)))

    def finish(self, count: int) -> None:
        self.machine.run(self.call("wait", "-s", "default"), ok=(0, 1))

    def pids(self) -> list[int]:
        return [each for pid in super().pids() for each in tree(pid)]
