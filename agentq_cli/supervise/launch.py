"""The supervisor's end of the launcher: what a run is started with, and the process that starts it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Mapping, Sequence

from agentq_cli.dataclass import NamedTuple

LENGTH = struct.Struct("!I")  # Before each request, which is JSON.
ANSWER = struct.Struct("!iI")  # The shim's pid with its pidfd attached, or 0 and the errno of the failed fork.
CLOSE_MS = 1_000
ANSWER_SECONDS = 5.0
"""How long a launcher may take for an answer: also for its own start, on a machine that has much else to do. Two of
them, and what may have passed since a supervisor last renewed its row, stay below its lease."""

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A launcher must not import what lies in the caller's directory, which -c would put first on sys.path.
PROGRAM = (
    "import sys; {root!r} in sys.path or sys.path.insert(0, {root!r});"
    " from agentq_cli.supervise.launcher import main; main({socket})"
)
# A shim lives through what a terminal, a service manager or a limit sends; only SIGKILL and its own faults end it.
HELD_SIGNALS = (
    signal.SIGCHLD,
    signal.SIGUSR1,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGPIPE,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGUSR2,
    signal.SIGIO,
    signal.SIGPWR,
    signal.SIGXCPU,
    signal.SIGXFSZ,
)


class LaunchRequest(NamedTuple):
    """Everything that one run needs; the agent gets exactly `env`, which carries the AGENTQ variables already.

    `run_dir`, `cwd` and `stdin_path` are absolute. `stdin_text` becomes the file `prompt`; without either, stdin is
    empty. `private_tmp` adds a TMPDIR that is removed with the run. `interrupt_first` spends half of the grace time
    on a SIGINT. `output_bytes` bounds stdout and stderr each. `fixed_now_ms` is the wall clock where that stands still.
    `script` runs first; `prompt_word` is where in `argv` the prompt is, if it is there, for the script's data.
    """

    run_dir: str
    run: str
    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    umask: int
    stdin_path: str | None
    stdin_text: str | None
    private_tmp: bool
    timeout_ms: int | None
    grace_ms: int
    interrupt_first: bool
    output_bytes: int
    fixed_now_ms: int | None = None
    script: str | None = None
    prompt_word: int | None = None

    def encode(self) -> bytes:
        """As it travels to the launcher; names that are no UTF-8 survive as lone surrogates."""
        return json.dumps(self._asdict() | {"argv": list(self.argv), "env": dict(self.env)}).encode()

    @classmethod
    def decode(cls, data: bytes) -> LaunchRequest:
        """The other direction."""
        return cls(**json.loads(data))


class LauncherGone(OSError):
    """The launcher process ended or gave no answer in time, and a new one did too."""


class Launcher:
    """A process that forks a shim for each run. Start it before opening any database; use it from one thread.

    The shims live on when it is closed or killed.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._pid = 0

    def start(self) -> None:
        """Start the process; returns before it is ready, and a request waits until it is. Raises OSError."""
        ours, theirs = socket.socketpair()
        try:
            # Above stdio, which becomes /dev/null, also where the caller had closed its own; and open across exec.
            descriptor = fcntl.fcntl(theirs, fcntl.F_DUPFD, 3)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        nothing = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)]
        arguments = [sys.executable, "-P", "-c", PROGRAM.format(root=ROOT, socket=descriptor)]
        try:
            # Held from its first instruction: a Ctrl-C for the supervisor's group is none for the runs.
            self._pid = os.posix_spawn(
                sys.executable, arguments, os.environ, file_actions=nothing, setsigmask=HELD_SIGNALS
            )
        except OSError:
            ours.close()
            raise
        finally:
            os.close(descriptor)
        ours.settimeout(ANSWER_SECONDS)
        self._socket = ours

    def launch(self, request: LaunchRequest) -> tuple[int, int]:
        """Start a run: the shim's pid, and a pidfd of it that the caller owns, readable once the shim has ended.

        Whether the run was taken shows in its `start` record alone. Raises OSError where no process can be had, and
        LauncherGone; the run may have been taken even so. A launcher that was killed, or that does not answer in
        time (somebody stopped it), is replaced once: a run that it had started, or starts yet, is not started twice,
        because the first `start` record stays.
        """
        data = request.encode()
        try:
            return self._ask(data)
        except (ConnectionError, LauncherGone):
            self.close()
            self.start()
        try:
            return self._ask(data)
        except (ConnectionError, LauncherGone):
            self.close()
            raise

    def fileno(self) -> int:
        """The socket to the launcher: readable means that it ended."""
        return -1 if self._socket is None else self._socket.fileno()

    def close(self) -> None:
        """End the launcher, not its shims; one that does not end by itself is killed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if not self._pid:
            return
        pid, self._pid = self._pid, 0
        try:
            pidfd = os.pidfd_open(pid)  # Our own child, not yet waited for: the pid is still its own.
        except OSError:
            # Out of descriptors: it sees the end of the socket, and what is left of it goes with this process.
            return
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        ended = poll.poll(CLOSE_MS)
        if not ended:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            ended = poll.poll(CLOSE_MS)
        if ended:
            os.waitpid(pid, 0)
        os.close(pidfd)

    def _ask(self, data: bytes) -> tuple[int, int]:
        if self._socket is None:
            raise LauncherGone("the launcher was not started")
        try:
            self._socket.sendall(LENGTH.pack(len(data)) + data)
            answer, pidfds, _, _ = socket.recv_fds(self._socket, ANSWER.size, 1)
        except TimeoutError:
            raise LauncherGone(f"the launcher gave no answer for {ANSWER_SECONDS:g} s") from None
        if len(answer) < ANSWER.size:
            raise LauncherGone("the launcher ended without an answer")
        pid, number = ANSWER.unpack(answer)
        if number:
            raise OSError(number, f"no process for the run: {os.strerror(number)}")
        if not pidfds:
            raise OSError(errno.EMFILE, f"no pidfd for the run: {os.strerror(errno.EMFILE)}")
        return pid, pidfds[0]
