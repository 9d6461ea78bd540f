"""From a shim to the agent: the fork, and what stands between it and exec."""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Mapping, Sequence

from agentq_cli.supervise import kernel
from agentq_cli.supervise.bound import create_regular
from agentq_cli.supervise.launch import LaunchRequest
from agentq_cli.supervise.process import own_start
from agentq_cli.supervise.records import RunDirectory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

FAILED = 127
SET_MASK = getattr(signal.pthread_sigmask, "__wrapped__", signal.pthread_sigmask)
LONGEST_REASON = 4096


class SpawnError(Exception):
    """The agent could not be started; the message names what was missing."""


class Agent:
    """The agent's own process. Its `pid` is its group and session too, and stays its own until it is reaped."""

    def __init__(self, pid: int, report: int) -> None:
        self.pid = pid
        self._report = report

    def signal(self, number: int) -> None:
        """Signal its group; call it only before the process is reaped."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # Not yet the leader of a group.
            os.kill(self.pid, number)
        except PermissionError:  # The whole group has become another user's.
            return

    def failure(self) -> str | None:
        """Why it never became the agent, once it has ended; None where exec succeeded."""
        reason = os.read(self._report, LONGEST_REASON)
        return reason.decode(errors="replace") or None


def spawn(request: LaunchRequest, directory: RunDirectory, env: Mapping[str, str], stdout: int, stderr: int) -> Agent:
    """Fork the agent into a process session of its own. Raises SpawnError.

    Returns before exec, which may hang on a dead mount: a failure there shows when the process has ended.
    """
    stdin = _open_stdin(request, directory)
    reader, writer = os.pipe()
    shim = os.getpid()
    # All that can be is done before the fork: each page that the child writes to is copied for it.
    programs = _programs(request.argv[0] if request.argv else "", env)
    try:
        pid = os.fork()
    except OSError as error:
        raise SpawnError(f"no process for the agent: {error.strerror}") from error
    if pid == 0:
        _become(request, directory, env, programs, (stdin, stdout, stderr), writer, shim)
    os.close(stdin)
    os.close(writer)
    return Agent(pid, reader)


def _open_stdin(request: LaunchRequest, directory: RunDirectory) -> int:
    path = request.stdin_path or os.devnull
    try:
        if request.stdin_text is not None:
            path = directory.file("prompt")
            _write(path, request.stdin_text.encode(errors="surrogateescape"))
        # Not blocking: a FIFO that nobody writes to would hold the run before its time limit counts.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise SpawnError(f"stdin '{path}': {error.strerror}") from error
    os.set_blocking(descriptor, True)
    return descriptor


def _write(path: str, data: bytes) -> None:
    descriptor = create_regular(path, os.O_TRUNC)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _become(
    request: LaunchRequest,
    directory: RunDirectory,
    env: Mapping[str, str],
    programs: Sequence[str],
    stdio: tuple[int, int, int],
    report: int,
    shim: int,
) -> NoReturn:
    """In the forked child: become the agent, or say why not and end."""
    try:
        _prepare(request, directory, stdio, shim)
        _execute(request, env, programs)
    except SpawnError as error:
        os.write(report, str(error).encode(errors="replace")[:LONGEST_REASON])
    finally:
        os._exit(FAILED)


def _prepare(request: LaunchRequest, directory: RunDirectory, stdio: tuple[int, int, int], shim: int) -> None:
    # Until its record is there nobody but the shim can find it, as it carries no marker yet: it dies with the shim.
    kernel.die_with_parent(signal.SIGKILL)
    if os.getppid() != shim:
        os._exit(FAILED)
    os.setsid()
    for number, descriptor in enumerate(stdio):
        os.dup2(descriptor, number)
    try:
        # By the process itself and before exec, so that the record is never missing while an agent runs.
        directory.write_agent(*own_start())
    except OSError as error:
        raise SpawnError(f"record '{directory.file('agent')}': {error.strerror}") from error
    kernel.die_with_parent(0)
    os.umask(request.umask)
    try:
        os.chdir(request.cwd)
    except OSError as error:
        raise SpawnError(f"directory '{request.cwd}': {error.strerror}") from error
    # Their handlers are the defaults since the launcher's start. The bare call: the other makes enums of the old mask.
    SET_MASK(signal.SIG_SETMASK, ())


def _programs(program: str, env: Mapping[str, str]) -> list[str]:
    """The files that a command may mean, as execvp(3) looks for them: each directory of the agent's own PATH."""
    if "/" in program:
        return [program]
    return [f"{folder}/{program}" if folder else program for folder in env.get("PATH", os.defpath).split(":")]


def _execute(request: LaunchRequest, env: Mapping[str, str], programs: Sequence[str]) -> NoReturn:
    program = request.argv[0] if request.argv else ""
    failure: OSError | None = None
    try:
        for each in programs:
            try:
                os.execve(each, list(request.argv), env)
            except OSError as error:
                if "/" not in program and error.errno == errno.EACCES and not os.path.exists(each):
                    # Of a directory that may not be searched nothing is known: as for a shell, it is not there.
                    error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                # One that is there and cannot be run says more than one that is not there.
                if failure is None or failure.errno in (errno.ENOENT, errno.ENOTDIR):
                    failure = error
    except ValueError as error:  # A NUL byte, an empty name, "=" in a variable's name.
        raise SpawnError(f"command '{program}': {error}") from error
    assert failure is not None
    raise SpawnError(f"command '{program}': {_reason(program, env, failure)}") from failure


def _reason(program: str, env: Mapping[str, str], error: OSError) -> str:
    if error.errno == errno.ENOEXEC:
        return "neither a program for this machine nor a script with a #! line"
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return os.strerror(error.errno or 0)
    if "/" in program:
        return "the interpreter of its #! line is missing" if os.path.exists(program) else os.strerror(errno.ENOENT)
    if any(os.path.exists(f"{folder}/{program}") for folder in os.get_exec_path(env)):
        return "the interpreter of its #! line is missing"
    return "not found on PATH"
