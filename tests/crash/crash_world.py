"""A state dir to be crashed in: agentq's processes in it, the hook that stops them, and what its agents did."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from agentq_process import HOOK, ROOT, Process
from forked import Forked, Server

from agentq_cli.host import record_files

PYTHONPATH = f"{HOOK}:{ROOT}"
DEADLINE = 30.0

# Each run writes down, in one append each, that it began and that it ended; what it prints names it too.
EFFECT = """cd "$AGENTQ_STATE_DIR/.." && echo "begin $AGENTQ_RUN" >>effects && echo "out $AGENTQ_RUN" && {wait}
echo "end $AGENTQ_RUN" >>effects"""
QUICK = EFFECT.format(wait="")
GATED = EFFECT.format(wait="{ [ -e opened ] || read line <gate; } &&")

# A check writes down the same of itself.
CHECKING = """cd "$AGENTQ_STATE_DIR/.." && echo "check $AGENTQ_RUN" >>checks && {wait}
echo "passed $AGENTQ_RUN" >>checks"""
CHECK = CHECKING.format(wait="")
GATED_CHECK = CHECKING.format(wait="{ [ -e opened ] || read line <gate; } &&")


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """What `condition` returns once that is true. Raises TimeoutError after the deadline."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited in vain for {what}")
        select.poll().poll(3)
    return found


def fast_directory() -> Path | None:
    """A directory in memory: a killed process leaves the same there, and an fsync costs nothing."""
    directory = Path("/dev/shm")
    return directory if os.access(directory, os.W_OK) and shutil.disk_usage(directory).free > 1 << 30 else None


class Done(NamedTuple):
    """A command that has ended; `code` is negative for a signal."""

    code: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        """Whether the hook ended it."""
        return self.code == -signal.SIGKILL

    @property
    def addresses(self) -> tuple[str, ...]:
        """What a submit promised: half a line is none."""
        return tuple(line.strip() for line in self.out.splitlines(keepends=True) if line.endswith("\n"))


class Started:
    """A command that may still run."""

    def __init__(self, process: Process, out: Path, err: Path) -> None:
        self.pid = process.pid
        self.out = out
        self.err = err
        self._process = process

    def wait(self, seconds: float = DEADLINE) -> Done:
        """Wait for its end. Raises TimeoutError."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError("a command did not end in time") from None
        return Done(code, self.out.read_text(), self.err.read_text())

    def gone(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait(DEADLINE)


class Starter(Protocol):
    """What starts commands: a server that forks them, or the interpreter itself."""

    def start(self, argv: Sequence[str], env: Mapping[str, str], out: Path, err: Path) -> Started:
        """Start a command."""


class ForkServer:
    """Forks each command from a process that has everything loaded; for one thread. `prefix` goes before that one."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._server = Server({"LANG": "C.UTF-8", "PYTHONPATH": PYTHONPATH}, prefix)

    def start(self, argv: Sequence[str], env: Mapping[str, str], out: Path, err: Path) -> Started:
        """Start a command."""
        with out.open("a") as stdout, err.open("a") as stderr:
            streams = {"stdin": subprocess.DEVNULL, "stdout": stdout, "stderr": stderr}
            return Started(Forked(self._server, argv, argv, env=env, cwd=Path("/"), **streams), out, err)

    def close(self) -> None:
        """End the server."""
        self._server.close()

    def end_namespace(self) -> None:
        """SIGKILL one that was started by `unshare --kill-child`: its namespace ends, and all that is in it."""
        self._server.process.kill()
        self.close()


class Interpreter:
    """Starts each command as `python -m agentq_cli`, as a shell does; `prefix` goes before it."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._prefix = prefix
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, argv: Sequence[str], env: Mapping[str, str], out: Path, err: Path) -> Started:
        """Start a command."""
        with out.open("ab") as stdout, err.open("ab") as stderr:
            process = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", "agentq_cli", *argv],
                env=env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        self._processes.append(process)
        return Started(process, out, err)

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            process.kill()
            process.wait()


class World:
    """A state dir with its surroundings under one root, and how to act in it."""

    def __init__(self, root: Path, server: Starter) -> None:
        self.root = root
        self.state = root / "state"
        self.log = root / "log"
        self._server = server
        self._started: list[Started] = []
        self._commands = 0
        self._gate = -1
        for name in ("home", "runtime", "log", "streams"):
            (root / name).mkdir(parents=True, exist_ok=True)
        if not (root / "gate").exists():
            os.mkfifo(root / "gate")

    def environ(self, crash: dict[str, Any] | None = None) -> dict[str, str]:
        """The environment of a command; with `crash` the hook is told so."""
        values = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "home"),
            "LANG": "C.UTF-8",
            "PYTHONPATH": PYTHONPATH,
            "XDG_RUNTIME_DIR": str(self.root / "runtime"),
            "AGENTQ_STATE_DIR": str(self.state),
        }
        if crash is not None:
            values["AGENTQ_CRASH"] = json.dumps({"root": str(self.root), "log": str(self.log)} | crash)
        return values

    def start(
        self,
        *argv: str,
        crash: dict[str, Any] | None = None,
        starter: Starter | None = None,
        env: dict[str, str] | None = None,
    ) -> Started:
        """Start agentq, with the hook told `crash` and some more environment."""
        self._commands += 1
        streams = [self.root / "streams" / f"{self._commands}.{name}" for name in ("out", "err")]
        for stream in streams:
            stream.touch()
        started = (starter or self._server).start(argv, self.environ(crash) | (env or {}), *streams)
        self._started.append(started)
        return started

    def disown(self, lost: list[Started]) -> None:
        """Forget commands whose server is gone."""
        self._started = [each for each in self._started if each not in lost]

    def agentq(self, *argv: str, crash: dict[str, Any] | None = None, seconds: float = DEADLINE) -> Done:
        """Run agentq to its end."""
        return self.start(*argv, crash=crash).wait(seconds)

    def ok(self, *argv: str) -> str:
        """Run agentq, which must succeed; its output."""
        done = self.agentq(*argv)
        assert done.code == 0, (argv, done)
        return done.out

    def submit(self, *options: str, script: str = QUICK) -> str:
        """Submit a command; its address. What a crash does to it is seen as it is, unless `--on-crash` is given."""
        crash = () if "--on-crash" in options else ("--on-crash", "fail")
        return self.ok("submit", "-C", "/", *crash, *options, "--exec", "--", "sh", "-c", script).strip()

    def fired(self, rule: int = 0) -> str | None:
        """The pid and the label of the point where a rule was carried out."""
        path = self.log / f"fired.{rule}"
        return path.read_text() if path.exists() else None

    def forget(self) -> None:
        """Clear what the hook has noted."""
        for path in self.log.iterdir():
            path.unlink()

    def points(self, role: str) -> list[str]:
        """The labels of the points of the process of a role that had most of them; for a counting run."""
        lists = [path.read_text().splitlines() for path in self.log.glob(f"{role}.*")]
        return max(lists, key=len, default=[])

    def effects(self) -> list[tuple[str, str]]:
        """What the agents did, in order: ("begin" or "end", run)."""
        path = self.root / "effects"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(word, run) for word, _, run in (line.partition(" ") for line in lines)]

    def checks(self) -> list[str]:
        """What the checks did, in order: "check" or "passed", and the run."""
        path = self.root / "checks"
        return path.read_text().splitlines() if path.exists() else []

    def began(self, run: str) -> bool:
        """Whether a run's agent has begun."""
        return ("begin", run) in self.effects()

    def open_gate(self) -> None:
        """Let every agent go on that waits at the gate or comes to it later."""
        (self.root / "opened").touch()
        if self._gate < 0:
            # Read and write, so that neither an open nor a write of ours depends on who waits there.
            self._gate = os.open(self.root / "gate", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            os.write(self._gate, b"\n" * 64)

    def record(self, run: str, name: str) -> dict[str, Any] | None:
        """A record of a run's directory; None if it is not there or not whole. That of its `agent`, or of the program
        that came after it, is in the `start` record."""
        session, _, number = run.partition("/")
        file = self.state / "sessions" / session / "runs" / number / ("start" if name == "agent" else name)
        found = record_files.load(str(file)) or None
        return found and (found.get("agent") if name == "agent" else found)

    def pid(self, run: str, name: str) -> int:
        """The pid in a run's `start` or `agent` record, once it is there."""
        return int(until(lambda: self.record(run, name), f"the {name} record of {run}")["pid"])

    def kill_run(self, run: str) -> None:
        """Kill the keeper and the agent of a run. The agent may have begun before its keeper has recorded it, and the
        record has that of the stage before until then."""

        def agent() -> int | None:
            pid = (self.record(run, "agent") or {}).get("pid")
            return int(pid) if pid is not None and Path(f"/proc/{pid}").exists() else None

        pids = self.pid(run, "start"), int(until(agent, f"the agent of {run} on record"))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def processes(self) -> Iterator[int]:
        """The live processes that carry this state dir's marker: detached supervisors, launchers, shims, agents. One
        that a server forked does not."""
        return (int(name) for name in os.listdir("/proc") if name.isdigit() and self._marked(int(name)))

    def _marked(self, pid: int) -> bool:
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return f"AGENTQ_STATE_DIR={self.state}".encode() in environ.split(b"\0")

    def kill_one(self, pid: int) -> bool:
        """SIGKILL one of `processes`, and nobody else who got its pid meanwhile; whether there was one to kill."""
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return False
        try:
            if not self._marked(pid):
                return False
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            os.close(pidfd)
        return True

    def settled(self, seconds: float = DEADLINE) -> None:
        """Wait until no process is left. Raises TimeoutError."""
        until(lambda: not list(self.processes()), f"the end of every process of {self.state}", seconds)

    def close(self) -> None:
        """Leave no process behind."""
        if self._gate >= 0:
            os.close(self._gate)
            self._gate = -1
        for each in self._started:
            if not each.gone():
                each.kill()
        for pid in self.processes():
            self.kill_one(pid)

    def copied_to(self, root: Path) -> World:
        """The same state elsewhere; bells and gates are made anew."""
        for directory, _, files in os.walk(self.root):
            target = root / os.path.relpath(directory, self.root)
            target.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in files:
                source = os.path.join(directory, name)
                if os.path.isfile(source) and not directory.endswith(("/streams", "/log")):
                    shutil.copy2(source, target / name)
        return World(root, self._server)
