"""Real runs for these tests: handles that wait for records and ends with a deadline."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentq_cli.host import keeper, process, tree
from agentq_cli.host.launch import Launcher, LaunchRequest
from agentq_cli.host.records import Exit, Start
from agentq_cli.host.run_directory import RunDirectory

DEADLINE = 10.0
GRACE_MS = 200


def until(condition: Callable[[], Any], what: str) -> Any:
    """What `condition` returns once that is true; fails the test after the deadline."""
    end = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for: {what}"
        select.poll().poll(2)
    return found


class RunHandle:
    """One launched run."""

    def __init__(self, request: LaunchRequest, line: int) -> None:
        self.request = request
        self.directory = RunDirectory(request.run_dir)
        self.line = line

    def path(self, name: str) -> Path:
        return Path(self.directory.file(name))

    def text(self, name: str = "stdout") -> str:
        return self.path(name).read_text() if self.path(name).exists() else ""

    def says(self, word: str) -> None:
        """Wait until the agent has printed a word, and is on record."""
        until(lambda: word in self.text(), f"{word!r} in {self.text()!r} of {self.request.argv}")
        self.agent_pid()

    def start(self) -> Start:
        found = until(lambda: self.directory.start(), "the start record")
        assert isinstance(found, Start)
        return found

    @property
    def shim_pid(self) -> int:
        return self.start().identity.pid

    def agent_pid(self) -> int:
        return int(until(self.directory.agent, "the agent record").pid)

    def shim_ended(self) -> None:
        """Wait until nobody keeps the run."""
        poll = select.poll()
        poll.register(self.line, select.POLLIN)
        assert poll.poll(DEADLINE * 1000), f"the run of {self.request.argv} is still kept"

    def ended(self) -> Exit:
        """Wait until nobody keeps the run; the exit record."""
        self.shim_ended()
        record = self.directory.exit()
        assert record is not None, "the shim left no exit record"
        return record


class Runs:
    """Starts runs under one state dir, each `s/N.1`."""

    def __init__(self, state_dir: Path, launcher: Launcher) -> None:
        self.state_dir = state_dir
        self.launcher = launcher
        self.handles: list[RunHandle] = []
        (state_dir / "s").mkdir(parents=True)

    def request(self, *argv: str, **changes: Any) -> LaunchRequest:
        seq = len(self.handles) + 1
        run = changes.pop("run", f"s/{seq}.1")
        env = {"PATH": os.environ["PATH"], "AGENTQ_RUN": run, "AGENTQ_STATE_DIR": str(self.state_dir)}
        request = LaunchRequest(
            run_dir=str(self.state_dir / "s" / "runs" / run.partition("/")[2]),
            run=run,
            argv=argv,
            cwd="/",
            env=env | changes.pop("env", {}),
            umask=0o022,
            stdin_path=None,
            stdin_text=None,
            private_tmp=False,
            timeout_ms=None,
            grace_ms=GRACE_MS,
            interrupt_first=False,
            output_bytes=64 << 20,
        )
        return request._replace(**changes)

    def launch(self, *argv: str, **changes: Any) -> RunHandle:
        return self.send(self.request(*argv, **changes))

    def send(self, request: LaunchRequest) -> RunHandle:
        handle = RunHandle(request, self.launcher.launch(request))
        self.handles.append(handle)
        return handle

    def shell(self, script: str, **changes: Any) -> RunHandle:
        return self.launch("/bin/sh", "-c", script, **changes)

    def python(self, program: str, **changes: Any) -> RunHandle:
        return self.launch(sys.executable, "-I", "-S", "-c", program, **changes)

    def close(self) -> None:
        """Leave no process behind, whatever the test found."""
        for handle in self.handles:
            start = handle.directory.start()
            if isinstance(start, Start) and keeper.hold(handle.directory, start):
                process.send(start.identity, signal.SIGKILL)
                handle.shim_ended()
            os.close(handle.line)
            tree.kill_orphans(handle.request.run, str(self.state_dir), grace_ms=0)
