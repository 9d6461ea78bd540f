"""A state dir to be crashed in: agentq's processes in it, the hook that stops them, and what its agents did."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DEADLINE = 30.0

# Each run writes down, in one append each, that it began and that it ended; what it prints names it too.
EFFECT = """cd "$AGENTQ_STATE_DIR/.." && echo "begin $AGENTQ_RUN" >>effects && echo "out $AGENTQ_RUN" && {wait}
echo "end $AGENTQ_RUN" >>effects"""
QUICK = EFFECT.format(wait="")
GATED = EFFECT.format(wait="{ [ -e opened ] || read line <gate; } &&")


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


class Starter(Protocol):
    """What starts commands: a server that forks them, or the interpreter itself."""

    def start(self, argv: Sequence[str], env: dict[str, str], out: Path, err: Path) -> Started:
        """Start a command."""

    def wait(self, pid: int, seconds: float) -> int:
        """The exit code of a command. Raises TimeoutError."""

    def kill(self, pid: int) -> None:
        """SIGKILL a command that it started, and nobody who has its pid after it."""


class Started:
    """A command that may still run."""

    def __init__(self, server: Starter, pid: int, out: Path, err: Path) -> None:
        self.pid = pid
        self.out = out
        self.err = err
        self._server = server

    def wait(self, seconds: float = DEADLINE) -> Done:
        """Wait for its end. Raises TimeoutError."""
        code = self._server.wait(self.pid, seconds)
        return Done(code, self.out.read_text(), self.err.read_text())

    def gone(self) -> bool:
        """Whether it has ended."""
        try:
            self._server.wait(self.pid, 0.001)
        except TimeoutError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._server.kill(self.pid)
        self._server.wait(self.pid, DEADLINE)


class ForkServer:
    """The client of `forkserver.py`; one a thread. `prefix` goes before its command line."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._socket, theirs = socket.socketpair()
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{HERE / 'hook'}:{ROOT}", "LANG": "C.UTF-8"}
        command = [*prefix, sys.executable, str(HERE / "forkserver.py"), str(theirs.fileno())]
        self._process = subprocess.Popen(command, env=environ, pass_fds=[theirs.fileno()])
        theirs.close()
        self._pending = b""
        self._started: deque[int] = deque()
        self._codes: dict[int, int] = {}

    def start(self, argv: Sequence[str], env: dict[str, str], out: Path, err: Path) -> Started:
        """Start a command."""
        request = {"argv": list(argv), "env": env, "out": str(out), "err": str(err)}
        self._socket.settimeout(DEADLINE)
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while not self._started:
            self._read(DEADLINE)
        return Started(self, self._started.popleft(), out, err)

    def wait(self, pid: int, seconds: float) -> int:
        """The exit code of a command. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while pid not in self._codes:
            self._read(end - time.monotonic())
        return self._codes[pid]

    def kill(self, pid: int) -> None:
        """SIGKILL, by the server, which alone knows whether it still runs."""
        self._socket.settimeout(DEADLINE)
        self._socket.sendall(json.dumps({"kill": pid}).encode() + b"\n")

    def close(self) -> None:
        """End the server."""
        self._socket.close()
        self._process.wait(DEADLINE)

    def end_namespace(self) -> None:
        """SIGKILL one that was started by `unshare --kill-child`: its namespace ends, and all that is in it."""
        self._process.kill()
        self.close()

    def _read(self, seconds: float) -> None:
        if seconds <= 0:
            raise TimeoutError("a command did not end in time")
        self._socket.settimeout(seconds)
        data = self._socket.recv(65536)
        assert data, "the fork server is gone"
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "pid" in message:
                self._started.append(message["pid"])
                # A pid may come again; its old code is not the new one's.
                self._codes.pop(message["pid"], None)
            else:
                self._codes[message["ended"]] = message["code"]


class Interpreter:
    """Starts each command as `python -m agentq_cli`, as a shell does; `prefix` goes before it."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._prefix = prefix
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, argv: Sequence[str], env: dict[str, str], out: Path, err: Path) -> Started:
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
        self._processes[process.pid] = process
        return Started(self, process.pid, out, err)

    def wait(self, pid: int, seconds: float) -> int:
        """The exit code of a command. Raises TimeoutError."""
        try:
            return self._processes[pid].wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError("a command did not end in time") from None

    def kill(self, pid: int) -> None:
        """SIGKILL; it is not reaped before `wait`."""
        self._processes[pid].kill()

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._processes.values():
            process.kill()
            process.wait()


class Mixed:
    """`run` and `sweep` by the interpreter, as they are started in earnest; what only sets up or looks is forked."""

    def __init__(self, server: ForkServer, interpreter: Interpreter) -> None:
        self._server = server
        self._interpreter = interpreter

    def start(self, argv: Sequence[str], env: dict[str, str], out: Path, err: Path) -> Started:
        """Start a command."""
        starter = self._interpreter if argv[0] in ("run", "sweep") else self._server
        return starter.start(argv, env, out, err)

    def wait(self, pid: int, seconds: float) -> int:
        """Never called: what is started knows who started it."""
        raise NotImplementedError(pid)

    def kill(self, pid: int) -> None:
        """Never called."""
        raise NotImplementedError(pid)


class World:
    """A state dir with its surroundings under one root, and how to act in it."""

    def __init__(self, root: Path, server: Starter) -> None:
        self.root = root
        self.state = root / "state"
        self.log = root / "log"
        self._server = server
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
            "PYTHONPATH": f"{HERE / 'hook'}:{ROOT}",
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
        return (starter or self._server).start(argv, self.environ(crash) | (env or {}), *streams)

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
        """A record of a run's directory, None where it is not there or not whole."""
        session, _, number = run.partition("/")
        try:
            found = json.loads((self.state / "sessions" / session / "runs" / number / name).read_text())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def pid(self, run: str, name: str) -> int:
        """The pid in a run's `start` or `agent` record, once it is there."""
        return int(until(lambda: self.record(run, name), f"the {name} record of {run}")["pid"])

    def processes(self) -> Iterator[int]:
        """The live processes that carry this state dir's marker: detached supervisors, launchers, shims, agents."""
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
