"""Driving agentq from outside: real processes, the words of the contract, and nothing of its own modules."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from agentq_process import Agentq, Process

Thing = TypeVar("Thing")
Object = dict[str, Any]

DEADLINE = 30.0
"""Seconds after which what a test waits for has failed to come; nothing that works needs a tenth of them."""

HELD = """
mkfifo "$HOME/$1.gate" 2>/dev/null
exec 3<>"$HOME/$1.gate"
echo $$ > "$HOME/$1.started.new" && mv "$HOME/$1.started.new" "$HOME/$1.started"
[ -e "$HOME/$1.go" ] || read -r _ <&3
exit ${2:-0}
"""
"""A command that tells its pid and goes on only once it is let: `sh -c HELD - NAME [EXIT CODE]`. What is written into
its gate before it reads stays there, as it holds both ends open."""


def until(predicate: Callable[[], Thing], deadline: float = DEADLINE, *, what: str = "") -> Thing:
    """The first true value of `predicate`, asked again and again; fails when the deadline has passed."""
    end = time.monotonic() + deadline
    while True:
        begun = time.monotonic()
        if found := predicate():
            return found
        now = time.monotonic()
        assert now < end, f"{what or predicate} did not come true in {deadline} s"
        # A command that is asked must not take the machine from what it asks for.
        time.sleep(max(0.02, 2 * (now - begun)))


def alive(pid: int) -> bool:
    """Whether a process exists and is more than a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def held(name: str, code: int = 0) -> list[str]:
    """The command line of a task that runs until `let_go(name)`."""
    return ["sh", "-c", HELD, "-", name, str(code)]


IMPATIENT = {"base.defaults:BUSY_MS": 300}
"""A command that waits for a lock gives up soon."""


class Driven:
    """agentq in one state dir, and what its commands say about it."""

    def __init__(self, agentq: Agentq) -> None:
        self.agentq = agentq
        self.home: Path = agentq.home
        self.state_dir: Path = agentq.state_dir

    def __call__(self, *arguments: str, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; it must exit with `code`, and an error is one line."""
        done = self.agentq(*arguments, **options)
        assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *arguments: str, code: int = 0, **options: Any) -> Object:
        """The one document that a command with `--json` prints."""
        name = arguments[:1]
        document = json.loads(self(*name, "--json", *arguments[1:], code=code, **options).stdout)
        assert isinstance(document, dict)
        return document

    def items(self, *arguments: str, **options: Any) -> list[Object]:
        """The items of that document."""
        return self.json(*arguments, **options)["items"]

    def refused(self, *arguments: str, code: int, **options: Any) -> str:
        """The one line of an error."""
        done = self(*arguments, code=code, **options)
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("agentq: error: "), done.stderr
        assert done.stdout == ""
        return lines[0]

    def submit(self, *arguments: str, **options: Any) -> str:
        """The address of a new task."""
        (line,) = self("submit", *arguments, **options).stdout.splitlines()
        return line

    def exec(self, *argv: str, given: Sequence[str] = (), **options: Any) -> str:
        """The address of a new command."""
        return self.submit(*given, "--exec", "--", *argv, **options)

    def batch(self, *lines: Mapping[str, Any], given: Sequence[str] = (), **options: Any) -> list[str]:
        """The addresses of the tasks of a batch on stdin."""
        text = "".join(json.dumps(line) + "\n" for line in lines)
        return self("submit", "--batch", "-", *given, input=text, **options).stdout.splitlines()

    def task(self, address: str) -> Object:
        """What `show` says."""
        return self.json("show", address)

    def tasks(self) -> dict[str, Object]:
        """Every task, by address."""
        return {item["id"]: item for item in self.items("list", "--all")}

    def runs(self, *arguments: str) -> dict[str, Object]:
        """The audit log, by run."""
        return {item["id"]: item for item in self.items("runs", "--limit", "10000", *arguments)}

    def statuses(self) -> dict[str, str]:
        """The status of every task."""
        return {address: task["status"] for address, task in self.tasks().items()}

    def drain(self, *arguments: str, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """`run --drain` to its end."""
        return self("run", "--drain", *arguments, code=code, **options)

    def stdout(self, run: Object) -> str:
        """What a run wrote to its stdout, as it lies on disk."""
        return Path(run["stdout_path"]).read_text()

    # Processes that go on

    def start(self, *arguments: str, **options: Any) -> Process:
        """Start a command that goes on."""
        return self.agentq.start(*arguments, **options)

    def supervise(self, *arguments: str, **options: Any) -> Process:
        """A supervisor that goes on, with what it prints thrown away."""
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return self.start("run", *arguments, **(streams | options))

    def started(self, name: str) -> int:
        """The pid of the held task of that name, once it runs."""
        path = self.home / f"{name}.started"
        return int(until(lambda: path.read_text() if path.exists() else "", what=f"start of {name}"))

    def has_started(self, name: str) -> bool:
        """Whether it has begun."""
        return (self.home / f"{name}.started").exists()

    def let_go(self, *names: str) -> None:
        """Let held tasks end."""
        for name in names:
            (self.home / f"{name}.go").touch()
            with contextlib.suppress(OSError):  # nobody waits there
                gate = os.open(self.home / f"{name}.gate", os.O_WRONLY | os.O_NONBLOCK)
                os.write(gate, b"\n" * 8)
                os.close(gate)

    def ended(self, process: Process, code: int | None = None) -> int:
        """The exit code of a process that is about to end."""
        found = process.wait(timeout=DEADLINE)
        assert code is None or found == code, f"{process.args}: exit {found}"
        return found

    def signal(self, process: Process, number: signal.Signals) -> None:
        """Signal one process, unless it has ended."""
        process.send_signal(number)

    def kill_hard(self, process: Process) -> None:
        """SIGKILL, and gone when this returns."""
        process.kill()
        process.wait()
