"""The supervisor's side of the launcher: the request that starts a run, and the connection to the launcher process."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys

from agentq_cli.base import json_text
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.defaults import CHECK_TIMEOUT_MS
from agentq_cli.base.lean import signal, socket
from agentq_cli.host import handing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentq_cli.model.trees import Asked

ANSWER = struct.Struct("!I")  # 0 once a keeper has been given the run, or the errno of what failed.
CLOSE_MS = 1_000
ANSWER_SECONDS = 5.0
"""How long a launcher may take to answer, including its own start on a busy machine. Two such time-outs, plus the
time since a supervisor last renewed its row, stay below its lease."""

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A launcher must not import from the caller's directory, which -c would put first on sys.path.
PROGRAM = (
    "import sys; {root!r} in sys.path or sys.path.insert(0, {root!r});"
    " from agentq_cli.host.launcher import main; main({socket})"
)
# A shim survives the signals of a terminal, a service manager or a resource limit; only SIGKILL and its own faults end
# it.
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
    """Everything that one run needs. The agent gets exactly `env`, which already contains the AGENTQ variables.

    `run_dir` and `cwd` are absolute, and so is `stdin_path`, unless it is a dash and then a text, which is written to
    the file `stdin`. `stdin_text` is written to the file `prompt`; without either, stdin is empty. `private_tmp` adds a
    TMPDIR that is removed with the run. `interrupt_first` spends half of the grace time on a SIGINT. `output_bytes`
    limits stdout and stderr separately. `fixed_now_ms` is the wall clock if it stands still. `script` runs first.
    `prompt_word` is the index of the prompt in `argv`, if it is there, for adding the script's data.
    `check` is the shell command that runs after the agent has done its work, as far as its output tells the `reader` of
    its profile, which `streams` or not. `take` is 2 or more for a run whose agent has ended and whose shim died
    (`RunDirectory.takes`): it goes on with what comes then. `tree` is the tree in which the run works, and in which
    `cwd` lies. `lands`: no agent is started. `checkpoint`: what the agent leaves in a repository is recorded.
    `lease` is the file with the lease of this machine as a host of a fleet, with which the run ends (`fuse`).
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
    check: str | None = None
    check_timeout_ms: int = CHECK_TIMEOUT_MS
    reader: str = "none"
    streams: bool = False
    take: int = 1
    tree: Asked | None = None
    lands: bool = False
    checkpoint: bool = False
    lease: str | None = None

    def encode(self) -> bytes:
        """The form sent to the launcher; names that are not UTF-8 survive as lone surrogates."""
        tree = None if self.tree is None else self.tree._asdict()
        return json_text.dumps(self._asdict() | {"tree": tree}).encode()

    @classmethod
    def decode(cls, data: bytes) -> LaunchRequest:
        """The reverse of `encode`."""
        request = cls(**json_text.loads(data.decode()))
        if request.tree is None:
            return request
        from agentq_cli.model.trees import Asked

        return request._replace(tree=Asked(**request.tree))  # type: ignore[arg-type]


class LauncherGone(OSError):
    """The launcher process ended or did not answer in time, and so did its replacement."""


class Sent(NamedTuple):
    """A request that was sent to the launcher with this pid, and the run's line; -1 if it could not be sent."""

    data: bytes
    leased: bool
    line: int
    launcher: int


class Launcher:
    """The connection to a process that gives each run to a keeper, and forks those. Start it before opening any
    database; use it from one thread.

    The keepers live on after the launcher is closed or killed, until their runs have ended. One that has started runs
    with a lease is only let go: it stays until they have ended.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._pid = 0
        self._stays = False

    def start(self) -> None:
        """Start the process. Returns before it is ready; a request waits until it is. Raises OSError."""
        ours, theirs = socket.socketpair()
        try:
            # Choose a number above stdio, which becomes /dev/null, even if the caller had closed its own stdio. This
            # descriptor stays open across exec.
            descriptor = fcntl.fcntl(theirs, fcntl.F_DUPFD, 3)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        nothing = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)]
        arguments = [sys.executable, "-P", "-c", PROGRAM.format(root=ROOT, socket=descriptor)]
        try:
            # Signals are blocked from its first instruction, so that a Ctrl-C for the supervisor's process group does
            # not reach the runs.
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

    def launch(self, request: LaunchRequest) -> int:
        """Start a run. Returns a descriptor that the caller owns: the other end of the run's line (`handing`), which is
        readable once nobody keeps the run any more.

        Only the `start` record tells whether the run was taken. Raises OSError if no process can be created, and
        LauncherGone; the run may have been taken even then.
        """
        return self.line(self.ask(request))

    def ask(self, request: LaunchRequest) -> Sent:
        """Ask for a run without waiting for the answer, which is to be had by `line`, in the order in which the runs
        were asked for. Raises OSError if there is no descriptor for the run's line."""
        data, leased = request.encode(), request.lease is not None
        try:
            return self._send(data, leased=leased)
        except (ConnectionError, LauncherGone):
            return Sent(data, leased, -1, self._pid)

    def line(self, sent: Sent) -> int:
        """As `launch`, for a run that was asked for.

        A launcher that was killed, or that does not answer in time because it was stopped, is replaced once, and asked
        for what it left unanswered. A run that the old one had started, or starts later, is not started twice, because
        the first `start` record wins.
        """
        try:
            return self._hear(sent)
        except (ConnectionError, LauncherGone):
            if self._socket is None or sent.launcher == self._pid:
                self.close()
                self.start()
        try:
            return self._hear(self._send(sent.data, leased=sent.leased))
        except (ConnectionError, LauncherGone):
            self.close()
            raise

    def fileno(self) -> int:
        """The socket to the launcher; it becomes readable when the launcher ends."""
        return -1 if self._socket is None else self._socket.fileno()

    def close(self) -> None:
        """End the launcher but not its keepers; if it does not end by itself, it is killed. One that is to stay is let
        go."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if not self._pid:
            return
        pid, self._pid = self._pid, 0
        if self._stays:
            self._stays = False
            return
        try:
            pidfd = os.pidfd_open(pid)  # Our own child, not reaped yet, so its pid cannot have been reused.
        except OSError:
            # Out of descriptors. The launcher will notice the closed socket; its zombie disappears with this process.
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

    def _send(self, data: bytes, *, leased: bool) -> Sent:
        if self._socket is None:
            raise LauncherGone("the launcher was not started")
        self._stays = self._stays or leased
        line, kept = os.pipe()
        try:
            handing.send(self._socket, handing.Asked(data, leased, kept))
        except OSError:
            os.close(line)
            raise
        finally:
            os.close(kept)
        return Sent(data, leased, line, self._pid)

    def _hear(self, sent: Sent) -> int:
        try:
            if self._socket is None or sent.launcher != self._pid or sent.line < 0:
                raise LauncherGone("the launcher has gone")
            self._hear_answer(self._socket)
        except OSError:
            if sent.line >= 0:
                os.close(sent.line)
            raise
        return sent.line

    def _hear_answer(self, launcher: socket.socket) -> None:
        try:
            answer = launcher.recv(ANSWER.size)
        except TimeoutError:
            raise LauncherGone(f"the launcher did not answer within {ANSWER_SECONDS:g} s") from None
        if len(answer) < ANSWER.size:
            raise LauncherGone("the launcher ended without answering")
        (number,) = ANSWER.unpack(answer)
        if number:
            raise OSError(number, f"cannot create a process for the run: {os.strerror(number)}")
