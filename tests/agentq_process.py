"""agentq as a real process, for tests that drive it by its command line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Agentq:
    """Runs agentq as a process, in an environment that holds nothing of the machine's own settings."""

    def __init__(self, home: Path, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.home = home
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "AGENTQ_STATE_DIR": str(state_dir),
        }
        self._started: list[subprocess.Popen[str]] = []

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
        """Run it to its end."""
        return subprocess.run(
            self.command(*arguments),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            env=self.environ | dict(env or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.home,
            **options,
        )

    def start(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start it; what still runs when the test ends is killed."""
        return self.start_as(self.command(*arguments), env=env, **options)

    def start_as(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """The same by a command line of the test's own."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            command,
            env=self.environ | dict(env or {}),
            text=True,
            cwd=self.home,
            **(streams | options),
        )
        self._started.append(process)
        return process

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
