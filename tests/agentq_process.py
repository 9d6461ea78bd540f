"""agentq as a real process, for tests that drive it by its command line.

Where a test says nothing of the process itself, it is forked from one that has everything loaded (`forked.py`), which
takes a tenth of the time. Started by exec, as a shell does, is what is marked `exec`, what is given options that only
exec can keep, and what gets an environment that an interpreter reads at its start.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forked import Forked, Server, at_start

ROOT = Path(__file__).resolve().parent.parent
HOOK = ROOT / "tests" / "crash" / "hook"
"""A `sitecustomize` that changes what agentq does, if it is told so."""

PYTHON = (sys.executable, "-S")
"""An interpreter for what agents of tests do; with nothing of what a site adds it starts in half the time."""

Process = subprocess.Popen[str] | Forked

FORKED = frozenset(("stdin", "stdout", "stderr", "umask", "prepare"))
"""The options of a start that a fork can keep."""


@functools.cache
def server() -> Server:
    """The one of this process."""
    started = Server({"LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)})
    atexit.register(started.close)
    return started


class Agentq:
    """Runs agentq as a process, in an environment that holds nothing of the machine's own settings.

    With `by_exec` each one is a new interpreter.
    """

    inside: int | None = None
    """A process whose namespaces they enter."""

    def __init__(self, home: Path, state_dir: Path, *, by_exec: bool = False) -> None:
        self.by_exec = by_exec
        self.state_dir = state_dir
        self.home = home
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "AGENTQ_STATE_DIR": str(state_dir),
        }
        self._started: list[Process] = []

    def constants(self, **values: int) -> dict[str, str]:
        """The environment in which constants of agentq have these values, such as `**{"base.defaults:BUSY_MS": 500}`.

        For a test that says what comes of a wait, and not how long that is: another one says it.
        """
        plan = {"set": {f"agentq_cli.{name}": value for name, value in values.items()}}
        return {"PYTHONPATH": f"{HOOK}:{self.environ['PYTHONPATH']}", "AGENTQ_CRASH": json.dumps(plan)}

    def command(self, *arguments: str) -> Sequence[str]:
        """The command line of agentq."""
        return [sys.executable, "-m", "agentq_cli", *arguments]

    def __call__(
        self,
        *arguments: str,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        **options: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end. Raises subprocess.TimeoutExpired, and then it is killed."""
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        streams = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self._process(self.command(*arguments), env, **streams, **options) as process:
            try:
                out, err = process.communicate(input, timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> Process:
        """Start it; what still runs when the test ends is killed."""
        return self.start_as(self.command(*arguments), env=env, **options)

    def start_as(self, command: Sequence[str], env: Mapping[str, str] | None = None, **options: Any) -> Process:
        """The same by a command line of the test's own."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = self._process(command, env, **(streams | options))
        self._started.append(process)
        return process

    def _process(self, command: Sequence[str], env: Mapping[str, str] | None, **options: Any) -> Process:
        environ = self.environ | dict(env or {})
        plain = self.command()
        argv = command[len(plain) :]
        same = [*plain, *argv] == list(command) and FORKED.issuperset(options)
        if same and not self.by_exec and at_start(environ) == server().at_start:
            where = {"env": environ, "cwd": self.home, "inside": self.inside}
            return Forked(server(), command, argv, **where, **options)
        return subprocess.Popen(command, env=environ, text=True, cwd=self.home, **options)

    def stop(self) -> None:
        """Kill and reap everything that `start` started."""
        for process in self._started:
            process.kill()
            process.communicate()
        for pid in self.left_over():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def left_over(self) -> list[int]:
        """The processes that live in this state dir: detached supervisors, keepers, agents."""
        mark = f"AGENTQ_STATE_DIR={os.path.realpath(self.state_dir)}".encode()
        found = []
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                    found.append(int(name))
        return found
