"""Runs git, the program: without hooks, prompts, pager, signing or upkeep, in a process group of its own, with a limit
of time and of output.

Everything that agentq asks of git goes through `Git`. Callers use plumbing commands and `-z` formats, and read bytes:
file names are bytes.
"""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass, replace
from agentq_cli.base.environment import find_program
from agentq_cli.base.errors import AgentqError, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from subprocess import Popen

READ_SECONDS = 60
WRITE_SECONDS = 600
"""How long git may take to answer, and to check out or pack something large."""

MOST_OUTPUT = 256 << 20
MOST_ERRORS = 64 << 10
"""In bytes. git is killed beyond the first; of its stderr more than the second is read and dropped."""

OLDEST = (2, 38)
"""The first git that has `merge-tree --write-tree`."""

NEEDED = f"--worktree needs git {OLDEST[0]}.{OLDEST[1]} or newer"

CONFIG = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "gc.auto=0", "maintenance.auto=false"),
    *("commit.gpgSign=false", "tag.gpgSign=false", "push.gpgSign=false", "log.showSignature=false"),
    # `checkout` and `read-tree` would descend into submodules, whose state is their own.
    "submodule.recurse=false",
)
"""What holds for all of agentq's own git calls, whatever the repository is configured to do."""

KEPT = frozenset(
    (
        *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR"),
        *("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_ALLOW_PROTOCOL"),
        *("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_PROXY_COMMAND"),
        *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_NO_VERIFY"),
    )
)
"""The variables of git that agentq's git sees: those of the machine and the user. All others belong to the call that
they were set for: the repository of a hook (`git rev-parse --local-env-vars`), an author, a trace, an editor."""

QUIET = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    # Empty: no program is asked, neither the one of `core.askPass`. ssh asks nobody either: it has no terminal.
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_MERGE_AUTOEDIT": "no",
    # What only refreshes the index does not take its lock: the agent or a person may be working there.
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
}


class GitMissing(Usage):
    """There is no git, or it is older than `OLDEST`."""

    kind = "git_missing"


class GitFailed(AgentqError):
    """git ended unsuccessfully. `command` is what was asked, `status` git's exit code (negative: the signal that ended
    git), `stderr` what it said."""

    code = 1
    kind = "git"

    def __init__(self, command: Sequence[str], status: int, stderr: str) -> None:
        self.command = tuple(command)
        self.status = status
        self.stderr = stderr
        super().__init__(f"git {_named(command)}: {first_line(stderr) or f'exit code {status}'}")


class GitTimedOut(GitFailed):
    """git did not end in time, and was killed."""

    kind = "git_timeout"

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        super().__init__(command, -9, f"not done after {seconds:g} s")


class GitTalkative(GitFailed):
    """git printed more than the caller can take, and was killed."""

    kind = "git_output"

    def __init__(self, command: Sequence[str], most: int) -> None:
        super().__init__(command, -9, f"more than {most} bytes of output")


@dataclass(frozen=True, slots=True)
class Answer:
    """How a git command ended. `out` is empty if its output went to a descriptor."""

    code: int
    out: bytes
    err: str

    def line(self) -> str:
        """The one line that was printed, such as an object's name or a path, without the newline at its end."""
        return os.fsdecode(self.out.removesuffix(b"\n"))

    def records(self) -> list[bytes]:
        """What was printed with `-z`: records that each end with NUL."""
        return self.out.split(b"\0")[:-1] if self.out else []


@dataclass(frozen=True, slots=True)
class Git:
    """git, started in a directory, with the environment that its user has.

    `inherit` are descriptors that git and whatever it starts keep open: a lock that is held through them is held until
    the last one of them has ended, even if agentq is killed meanwhile. `settings` are set for every call, in addition
    to the environment; an index of its own, for example. `umask` is that of the files that git makes, if not ours: the
    one that the task's files get.
    """

    directory: str
    environ: Mapping[str, str]
    inherit: tuple[int, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    umask: int = -1

    def at(self, directory: str) -> Git:
        """The same git in another directory."""
        return replace(self, directory=directory)

    def having(self, **settings: str) -> Git:
        """The same git with more variables, such as GIT_INDEX_FILE."""
        return replace(self, settings=(*self.settings, *settings.items()))

    def holding(self, *descriptors: int) -> Git:
        """The same git, whose processes keep these descriptors open as well."""
        return replace(self, inherit=(*self.inherit, *descriptors))

    def run(
        self,
        *command: str,
        stdin: bytes | int = b"",
        out: int | None = None,
        ok: Collection[int] = (0,),
        config: Sequence[str] = (),
        seconds: float = READ_SECONDS,
        most: int = MOST_OUTPUT,
    ) -> Answer:
        """Run a git command and return its answer.

        `stdin` are bytes or a descriptor; `out` is a descriptor that takes the output in place of the answer; `ok` are
        the exit codes that are answers; `config` are further `NAME=VALUE`; `most` is in bytes.

        Raises GitFailed for another exit code, for a directory that does not exist and for output beyond `most`,
        GitTimedOut after `seconds`, and GitMissing.
        """
        program = find_program("git", self.environ.get("PATH"))
        if program is None:
            raise GitMissing(f"git: no such program on PATH; {NEEDED}")
        options = [word for each in (*CONFIG, *config) for word in ("-c", each)]
        environ = environment(self.environ) | dict(self.settings)
        answer = _run((program, "--no-pager", *options), command, self, environ, stdin, out, seconds, most)
        if answer.code not in ok:
            raise GitFailed(command, answer.code, answer.err)
        return answer

    def line(self, *command: str) -> str:
        """The one line that a reading command prints. Raises as `run` does."""
        return self.run(*command).line()


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of agentq's git, made of a user's."""
    left = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name in KEPT}
    left.pop("SSH_ASKPASS", None)
    return left | QUIET


_versions: dict[str, tuple[int, int]] = {}


def require_git(environ: Mapping[str, str]) -> tuple[int, int]:
    """The version of git, such as (2, 39), asked for once in a process. Raises GitMissing for one older than `OLDEST`,
    GitFailed."""
    path = environ.get("PATH", "")
    if path not in _versions:
        _versions[path] = parse_version(Git("/", environ).line("version"))
    version = _versions[path]
    if version < OLDEST:
        raise GitMissing(f"git {version[0]}.{version[1]}: too old; {NEEDED}")
    return version


def parse_version(text: str) -> tuple[int, int]:
    """The two numbers of `git version 2.39.5 (Apple Git-154)`; (0, 0) if there are none."""
    first, _, rest = text.removeprefix("git version ").partition(".")
    second = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return (int(first), int(second)) if first.isdecimal() and second else (0, 0)


def first_line(stderr: str) -> str:
    """What git's error was: the first line that says so, else its first line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    for line in lines:
        if line.startswith(("fatal: ", "error: ")):
            return line.partition(": ")[2]
    return lines[0] if lines else ""


def _named(command: Sequence[str]) -> str:
    """The command, and the words up to its first long one: what was asked in a line."""
    shown = " ".join(command)
    return shown if len(shown) <= 100 else f"{shown[:99]}…"


def _run(
    program: Sequence[str],
    command: Sequence[str],
    git: Git,
    environ: Mapping[str, str],
    stdin: bytes | int,
    out: int | None,
    seconds: float,
    most: int,
) -> Answer:
    import contextlib
    import signal
    import subprocess

    given = _memory(stdin) if isinstance(stdin, bytes) else stdin
    try:
        child = subprocess.Popen(
            (*program, *command),
            cwd=git.directory,
            env=environ,
            stdin=given,
            stdout=subprocess.PIPE if out is None else out,
            stderr=subprocess.PIPE,
            pass_fds=git.inherit,
            umask=git.umask,
            start_new_session=True,
        )
    except OSError as error:
        raise GitFailed(command, -1, f"{error.filename or program[0]}: {error.strerror}") from error
    finally:
        if given is not stdin:
            os.close(given)
    try:
        said, complained = _read(child, command, seconds, most)
    finally:
        # Before the child is reaped: until then no other group can have its number. Nothing that git started goes on.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        code = child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
    return Answer(code, said, complained.decode(errors="replace"))


class _Pipe:
    """What a child writes to one of its descriptors, of which at most `room` bytes are kept."""

    def __init__(self, descriptor: int, room: int) -> None:
        self.descriptor = descriptor
        self.room = room
        self.open = True
        self._parts: list[bytes] = []
        os.set_blocking(descriptor, False)

    def take(self) -> bool:
        """Read once; False if there is nothing now, or nothing ever again."""
        try:
            part = os.read(self.descriptor, 1 << 20)
        except BlockingIOError:
            return False
        if self.room > 0:
            self._parts.append(part[: self.room])
        self.room -= len(part)
        self.open = part != b""
        return self.open

    def content(self) -> bytes:
        return b"".join(self._parts)


def _read(child: Popen[bytes], command: Sequence[str], seconds: float, most: int) -> tuple[bytes, bytes]:
    """The child's stdout and the beginning of its stderr, until it has ended. What it started may keep them open.

    Raises GitTimedOut and GitTalkative.
    """
    import select

    from agentq_cli.base.clock import awake_ms

    assert child.stderr is not None
    errors = _Pipe(child.stderr.fileno(), MOST_ERRORS)
    output = None if child.stdout is None else _Pipe(child.stdout.fileno(), most)
    pipes = {each.descriptor: each for each in (errors, output) if each is not None}
    ended = os.pidfd_open(child.pid)
    poll = select.poll()
    for descriptor in (*pipes, ended):
        poll.register(descriptor, select.POLLIN)
    deadline = awake_ms() + seconds * 1000
    try:
        ready: set[int] = set()
        while ended not in ready:
            left = deadline - awake_ms()
            ready = {each for each, _ in poll.poll(max(left, 0))}
            if not ready and left <= 0:
                raise GitTimedOut(command, seconds)
            for each in ready - {ended}:
                pipes[each].take()
                if not pipes[each].open:
                    poll.unregister(each)
            if output is not None and output.room < 0:
                raise GitTalkative(command, most)
    finally:
        os.close(ended)
    for pipe in pipes.values():
        while pipe.room >= 0 and pipe.take():
            pass
    if output is not None and output.room < 0:
        raise GitTalkative(command, most)
    return b"" if output is None else output.content(), errors.content()


def _memory(content: bytes) -> int:
    """A descriptor that `content` can be read from: nobody has to write it while git runs."""
    if not content:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    descriptor = os.memfd_create("agentq-git")
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
