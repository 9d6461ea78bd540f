"""From a shim to the agent: the fork, and everything between fork and exec."""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Mapping, Sequence

from agentq_cli.host import kernel
from agentq_cli.host.bound import create_regular
from agentq_cli.host.launch import LaunchRequest
from agentq_cli.host.process import own_start
from agentq_cli.host.run_directory import RunDirectory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

FAILED = 127
SET_MASK = getattr(signal.pthread_sigmask, "__wrapped__", signal.pthread_sigmask)
LONGEST_REASON = 4096


class SpawnError(Exception):
    """The agent could not be started; the message names the cause."""


class Agent:
    """The agent's own process. It leads its own process group and session, and its `pid` cannot be reused until it
    is reaped."""

    def __init__(self, pid: int, report: int) -> None:
        self.pid = pid
        self._report = report

    def signal(self, number: int) -> None:
        """Signal its process group; call this only before the process is reaped."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # It does not lead a process group yet.
            os.kill(self.pid, number)
        except PermissionError:  # The whole group now belongs to another user.
            return

    def failure(self) -> str | None:
        """Why exec failed, None if it succeeded; call this once the process has ended."""
        reason = os.read(self._report, LONGEST_REASON)
        return reason.decode(errors="replace") or None


def spawn(request: LaunchRequest, directory: RunDirectory, env: Mapping[str, str], stdout: int, stderr: int) -> Agent:
    """Fork the agent into its own process session. Raises SpawnError.

    Returns before exec, which may hang on a dead mount: an exec failure is known once the process has ended.
    """
    stdin = _open_stdin(request, directory)
    reader, writer = os.pipe()
    shim = os.getpid()
    # As much as possible is done before the fork: every page that the child writes to is copied.
    programs = _programs(request.argv[0] if request.argv else "", env)
    try:
        pid = os.fork()
    except OSError as error:
        raise SpawnError(f"cannot fork the agent: {error.strerror}") from error
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
        elif path[:1] == "-":
            text, path = path[1:], directory.file("stdin")
            _write(path, text.encode(errors="surrogateescape"))
        # Non-blocking: a FIFO without a writer would hold up the run before its time limit counts.
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
    """In the forked child: become the agent, or report why not and exit."""
    try:
        _prepare(request, directory, stdio, shim)
        _execute(request, env, programs)
    except SpawnError as error:
        os.write(report, str(error).encode(errors="replace")[:LONGEST_REASON])
    finally:
        os._exit(FAILED)


def _prepare(request: LaunchRequest, directory: RunDirectory, stdio: tuple[int, int, int], shim: int) -> None:
    # Until its record is written, only the shim can find this process, which carries no marker yet; so let it die with
    # the shim.
    kernel.die_with_parent(signal.SIGKILL)
    if os.getppid() != shim:
        os._exit(FAILED)
    os.setsid()
    for number, descriptor in enumerate(stdio):
        os.dup2(descriptor, number)
    try:
        # Written by the process itself before exec, so that no agent ever runs without its record.
        directory.write_agent(*own_start())
    except OSError as error:
        raise SpawnError(f"record '{directory.file('agent')}': {error.strerror}") from error
    if request.lease is None:
        kernel.die_with_parent(0)
    os.umask(request.umask)
    try:
        os.chdir(request.cwd)
    except OSError as error:
        raise SpawnError(f"directory '{request.cwd}': {error.strerror}") from error
    # The launcher has already reset the signal handlers. This unwrapped call is used since the wrapper turns the old
    # mask into enums.
    SET_MASK(signal.SIG_SETMASK, ())


def _programs(program: str, env: Mapping[str, str]) -> list[str]:
    """The files that a command may mean, in the order in which execvp(3) tries them: one per directory of the
    agent's own PATH."""
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
                    # In a directory without search permission the program counts as missing, as it does for a shell.
                    error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                # A program that exists but cannot be run is more informative than one that is missing.
                if failure is None or failure.errno in (errno.ENOENT, errno.ENOTDIR):
                    failure = error
    except ValueError as error:  # A NUL byte, an empty name, or "=" in the name of a variable.
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
