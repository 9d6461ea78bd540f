"""From a keeper to a program of its run: everything between a request and the exec."""

from __future__ import annotations

import errno
import os
import stat

from agentq_cli.base.context import suppress
from agentq_cli.base.lean import signal
from agentq_cli.host import kernel
from agentq_cli.host.bound import create_regular
from agentq_cli.host.launch import LaunchRequest
from agentq_cli.host.process import stat_of
from agentq_cli.host.run_directory import RunDirectory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import NoReturn

FAILED = 127
LONGEST_REASON = 4096
OWN_UMASK = 0o077
OWN_DIRECTORY = "/"


class SpawnError(Exception):
    """The agent could not be started; the message names the cause."""


class Agent:
    """The agent's own process. It leads its own process group and session, and its `pid` cannot be reused until it
    is reaped."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def signal(self, number: int) -> None:
        """Signal its process group; call this only before the process is reaped."""
        with suppress(PermissionError):  # The whole group now belongs to another user.
            os.killpg(self.pid, number)


def spawn(request: LaunchRequest, directory: RunDirectory, env: Mapping[str, str], stdout: int, stderr: int) -> Agent:
    """Start the agent in its own process session, and record it. Raises SpawnError.

    Returns once its program runs. A directory or a program on a dead mount holds up the keeper for as long as it hangs.
    """
    stdin = _open_stdin(request, directory)
    start = _spawn if request.lease is None else _fork
    # The keeper itself goes there: then a relative name means what it means to the agent, and no step is left between
    # the new process and its program.
    os.umask(request.umask)
    try:
        _enter(request.cwd)
        pid = start(request.argv[0] if request.argv else "", request.argv, env, (stdin, stdout, stderr))
    finally:
        os.umask(OWN_UMASK)
        os.chdir(OWN_DIRECTORY)
        os.close(stdin)
    # An agent that is not on record, as this process may end before it is, is found by what it prints to.
    with suppress(OSError):
        if (found := stat_of(pid)) is not None:
            directory.write_agent(pid, found.start_time)
    return Agent(pid)


def _enter(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise SpawnError(f"directory '{directory}': {error.strerror}") from error


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
            os.close(descriptor)
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


def _spawn(program: str, argv: Sequence[str], env: Mapping[str, str], stdio: Sequence[int]) -> int:
    """Start it without copying this process."""
    return _first(program, env, lambda path: kernel.spawn(path, argv, env, stdio))


def _fork(program: str, argv: Sequence[str], env: Mapping[str, str], stdio: Sequence[int]) -> int:
    """Start it so that it dies with this process, of which only a copy of this process can take care."""
    keeper = os.getpid()
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        raise _no_process(error) from error
    if pid == 0:
        _become(program, argv, env, stdio, writer, keeper)
    os.close(writer)
    try:
        reason = os.read(reader, LONGEST_REASON)
    finally:
        os.close(reader)
    if reason:
        os.waitpid(pid, 0)
        raise SpawnError(reason.decode(errors="replace"))
    return pid


def _become(
    program: str, argv: Sequence[str], env: Mapping[str, str], stdio: Sequence[int], report: int, keeper: int
) -> NoReturn:
    """In the forked child: become the agent, or report why not and exit."""
    try:
        kernel.die_with_parent(signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(FAILED)
        os.setsid()
        for number, descriptor in enumerate(stdio):
            os.dup2(descriptor, number)
        # The launcher has already reset the signal handlers.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _first(program, env, lambda path: os.execve(path, list(argv), env))
    except SpawnError as error:
        os.write(report, str(error).encode(errors="replace")[:LONGEST_REASON])
    finally:
        os._exit(FAILED)


def _programs(program: str, env: Mapping[str, str]) -> Iterator[str]:
    """The files that a command may mean, in the order in which execvp(3) tries them: those that exist in the
    directories of the agent's own PATH. What is in a directory without search permission does not exist, as for a
    shell."""
    if "/" in program or not program:
        yield program
        return
    for folder in env.get("PATH", os.defpath).split(":"):
        if os.path.exists(path := f"{folder}/{program}" if folder else program):
            yield path


def _first(program: str, env: Mapping[str, str], start: Callable[[str], int]) -> int:
    """What `start` returns for the first of the files that it can start. Raises SpawnError."""
    failure: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        for path in _programs(program, env):
            try:
                return start(path)
            except OSError as error:
                # A program that exists but cannot be run is more informative than one whose interpreter is missing.
                if failure.errno in (errno.ENOENT, errno.ENOTDIR):
                    failure = error
    except ValueError as error:  # A NUL byte, an empty name, or "=" in the name of a variable.
        raise SpawnError(f"command '{program}': {error}") from error
    if failure.errno == errno.EAGAIN:
        raise _no_process(failure) from failure
    raise SpawnError(f"command '{program}': {_reason(program, env, failure)}") from failure


def _no_process(error: OSError) -> SpawnError:
    return SpawnError(f"cannot fork the agent: {error.strerror}")


def _reason(program: str, env: Mapping[str, str], error: OSError) -> str:
    if error.errno == errno.ENOEXEC:
        return "neither a program for this machine nor a script with a #! line"
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return os.strerror(error.errno or 0)
    if "/" in program:
        return "the interpreter of its #! line is missing" if os.path.exists(program) else os.strerror(errno.ENOENT)
    return "the interpreter of its #! line is missing" if any(_programs(program, env)) else "not found on PATH"
