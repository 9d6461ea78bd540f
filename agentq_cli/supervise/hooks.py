"""Running hooks: real processes beside the queue, a few at a time, each with a document on stdin and a time-out.

A hook changes no task, delays no start, and is waited for only at the end of a drain or a sweep. It is called after the
commit. Pending calls are stored in the engine, and are not lost with the process that would run them.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator, Mapping, Sequence

from agentq_cli.base.clock import awake_ms, monotonic_ms
from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.base.errors import AgentqError, Busy, NotFound, Refused, Unreadable
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import encode
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.model.tasks import Task
from agentq_cli.policy.hooks import Call, Ran
from agentq_cli.show import documents
from agentq_cli.supervise import variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

MOST = 4
"""How many hooks run at once; the others wait."""

LIMIT_MS = 10_000
"""How long a hook may run, in time during which the machine is awake; then its process group is killed."""

UNKILLABLE_MS = 5_000
"""How long to wait for a hook that was killed: a process of another user, or one that hangs in the kernel, may
remain."""

PATIENCE_MS = 20_000
"""How long a sweep continues to start hooks, and how long a drain that has nothing else to do waits for them; then the
rest is left to the next process."""

KILLED_MS = 1_000
"""How long an exiting process waits for the end of a hook that it has killed."""

READ_MS = 200
"""How often a running hook's output is read from its pipe: a hook that writes without end is slowed down, and we are
not."""

PIPE_BYTES = 65_536
TAIL_BYTES = 2_048
LONGEST_REASON = 300
AGAIN_MS = 1_000
MOST_TRIES = 10
"""How often recording the end of a hook is tried while the disk refuses; then the hook is run once more later."""

CANNOT_START = 127


@dataclass(slots=True)
class Running:
    """A hook's process, which leads its own process group; its pid is not reused until it is reaped."""

    call: Call
    program: str
    pid: int
    pidfd: int
    output: int
    deadline: int
    killed: bool = False
    tail: bytearray = field(default_factory=bytearray)

    def read(self) -> None:
        """Read up to a pipe full of its output; only the end of it is kept."""
        with contextlib.suppress(BlockingIOError):
            self.tail += os.read(self.output, PIPE_BYTES)
        del self.tail[:-TAIL_BYTES]

    def kill(self) -> None:
        """Kill its process group; call this only before the process is reaped."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> Ran:
        """Reap it and kill what it left running; a process that cannot be ended is left for init to reap."""
        self.kill()
        self.read()
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        os.close(self.pidfd)
        os.close(self.output)
        return Ran(self.call, self._failure(os.waitstatus_to_exitcode(status)) if ended else self._unkillable())

    def _unkillable(self) -> str:
        return f"'{self.program}' did not end within {LIMIT_MS // 1000} s and could not be killed (pid {self.pid})"

    def _failure(self, code: int) -> str | None:
        if self.killed:
            how = f"did not end within {LIMIT_MS // 1000} s and was killed"
        elif code == 0:
            return None
        else:
            how = f"was ended by {documents.signal_name(-code)}" if code < 0 else f"exited with {code}"
        lines = self.tail.decode(errors="replace").strip().splitlines()
        return f"'{self.program}' {how}{f': {lines[-1]}' if lines else ''}"[:LONGEST_REASON]


class Hooks:
    """The hooks that this process runs. Call `step` whenever something may have happened; it never waits."""

    def __init__(self, queue: Queue, owner: Identity, environ: Mapping[str, str], actor: Actor) -> None:
        self._queue = queue
        self._owner = owner
        self._environ = environ
        self._actor = actor
        self._running: dict[int, Running] = {}
        self._ended: list[Ran] = []
        self._tries = 0
        self._again_at = 0
        self._more = False
        self._checked_to = 0

    @property
    def busy(self) -> bool:
        """Whether any hook is running, or is this process's to run."""
        return bool(self._running or self._ended or self._more)

    def begin(self, config: Config) -> None:
        """Note the position in the events, so that everything from now on calls the hooks."""
        if config.hooks and not self._queue.hooks.begun():
            with contextlib.suppress(Busy, Refused):
                self._collect(config)

    def step(self, config: Config, *, start: bool = True) -> Iterator[Ran]:
        """Reap ended hooks, find new calls, and start them while there is room; yields how hooks ended."""
        if not (config.hooks or self.busy):
            return
        yield from self._reap()
        if self._again_at > monotonic_ms():
            return
        try:
            self._record()
            if start:
                if config.hooks:
                    self._find(config)
                self._start(config)
        except Busy:
            self._again_at = monotonic_ms() + AGAIN_MS
        except (Refused, OSError):
            self._again_at = monotonic_ms() + AGAIN_MS
            self._tries += 1
            if self._tries >= MOST_TRIES:
                self._ended.clear()
                self._more = False

    def planned(self, config: Config) -> list[Call]:
        """The calls to run, for a rehearsal: found as by `step`, and not run."""
        if not config.hooks:
            return []
        self._find(config)
        return [call for call in self._queue.hooks.own(self._owner, limit=-1) if call.hook in config.hooks]

    def descriptors(self) -> Iterator[int]:
        """Descriptors to poll for reading: readable once a hook has ended."""
        return (each.pidfd for each in self._running.values())

    def moments(self) -> Iterator[int]:
        """When to call `step` even if nothing has happened, in monotonic milliseconds."""
        now, awake = monotonic_ms(), awake_ms()
        for each in self._running.values():
            yield now + (READ_MS if each.killed else min(READ_MS, max(0, each.deadline - awake)))
        if (self._ended or self._more) and len(self._running) < MOST:
            yield max(now, self._again_at)

    def finish(self, config: Config, *, until: int) -> Iterator[Ran]:
        """Run all pending hooks, starting none after `until` (monotonic milliseconds)."""
        while True:
            start = monotonic_ms() < until
            yield from self.step(config, start=start)
            if not (self.busy if start else self._running):
                return
            self._wait()

    def close(self, signals: int) -> Iterator[Ran]:
        """Let running hooks end within their time, or kill them once a signal arrives; the rest is left to others."""
        try:
            while self._running:
                yield from self._reap()
                if self._running and self._wait(signals):
                    break
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Kill running hooks. The next process runs them again, as well as those that were not run: their owner is gone
        then."""
        for each in self._running.values():
            each.kill()
        for each in self._running.values():
            _readable(each.pidfd, KILLED_MS)
            each.end()
        self._running.clear()
        with contextlib.suppress(AgentqError):
            self._record()

    def _wait(self, signals: int | None = None) -> bool:
        """Sleep until there is something to do; returns whether that is a signal."""
        poll = select.poll()
        for descriptor in self.descriptors():
            poll.register(descriptor, select.POLLIN)
        if signals is not None:
            poll.register(signals, select.POLLIN)
        ready = poll.poll(max(1, min(self.moments(), default=monotonic_ms()) - monotonic_ms()))
        return any(descriptor == signals for descriptor, _ in ready)

    def _reap(self) -> Iterator[Ran]:
        for key, each in list(self._running.items()):
            each.read()
            if _readable(each.pidfd) or (each.killed and awake_ms() >= each.deadline + UNKILLABLE_MS):
                del self._running[key]
                ran = each.end()
                self._ended.append(ran)
                yield ran
            elif not each.killed and awake_ms() >= each.deadline:
                each.killed = True
                each.kill()

    def _record(self) -> None:
        if self._ended:
            self._queue.hooks.record(self._ended, self._owner, actor=self._actor)
            self._ended.clear()
        self._tries = 0

    def _find(self, config: Config) -> None:
        self._queue.hooks.inherit(self._owner)
        last = self._queue.last_event()
        if last == self._checked_to:
            return
        if self._queue.hooks.wait(config.hooks, after=self._checked_to, configured_at=configured_at(config)):
            self._collect(config)
        self._checked_to = last

    def _collect(self, config: Config) -> None:
        self._queue.hooks.collect(config.hooks, self._owner, configured_at=configured_at(config))

    def _start(self, config: Config) -> None:
        held = {*self._running, *(ran.call.id for ran in self._ended)}
        room = MOST - len(self._running)
        calls = self._queue.hooks.own(self._owner, limit=len(held) + room + 1)
        waiting = [call for call in calls if call.id not in held]
        for call in waiting[:room]:
            argv = config.hooks.get(call.hook)
            if argv is None:
                self._ended.append(Ran(call, None))  # disabled since
                continue
            task = self._task(call)
            try:
                document = self._document(call, task)
                self._running[call.id] = spawn(call, argv, document, *self._surroundings(call, task, config))
            except OSError as error:
                self._ended.append(Ran(call, f"'{argv[0]}' could not be started: {error.strerror}"))
        self._more = len(waiting) > room

    def _task(self, call: Call) -> Task | None:
        """The task as it is now; None if it is pruned or cannot be read. Raises Busy."""
        try:
            return None if call.address is None else self._queue.task(call.address, background=True)
        except (NotFound, Unreadable):
            return None

    def _document(self, call: Call, task: Task | None) -> str:
        """`agentq.hook/1`: the event, and task and run as they are now; null if there is none, or none any more."""
        run = None
        with contextlib.suppress(NotFound):
            if call.run is not None:
                directory = self._queue.files(call.run).path
                prompt = None if task is None else task.work.prompt
                run = documents.run(self._queue.run(call.run), prompt=prompt, directory=directory, pid=None)
        found = None if task is None else documents.task(task, now=self._queue.now, waiting_for=None)
        return encode(documents.hook(call, task=found, run=run))

    def _surroundings(self, call: Call, task: Task | None, config: Config) -> tuple[dict[str, str], str]:
        """Its environment and its directory: that of the config file, because its program may be named relative to
        it."""
        values = {name: value for name, value in self._environ.items() if variables.passes(name, config)}
        values |= variables.told_url(config.url)
        # A hook that submits what calls it again reaches the same depth limit as agents that submit one another.
        depth = 1 if task is None else task.work.launch.depth + 1
        values.update(AGENTQ_HOOK=call.hook, AGENTQ_STATE_DIR=self._queue.here.path, AGENTQ_DEPTH=str(depth))
        values["AGENTQ_CONFIG"] = os.path.abspath(config.path)
        return values, os.path.dirname(values["AGENTQ_CONFIG"])


def _readable(descriptor: int, wait_ms: int = 0) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(wait_ms))


def configured_at(config: Config) -> int:
    """The latest time at which the hooks were configured: the time of the file."""
    return 0 if config.stamp is None else config.stamp[2] // 1_000_000


def spawn(call: Call, argv: Sequence[str], document: str, environ: dict[str, str], directory: str) -> Running:
    """Start a hook. Raises OSError if no process can be created; a program that cannot be started exits with 127.

    A direct fork: Popen would wait for the exec, which may hang on a dead mount.
    """

    words = [os.path.expanduser(argv[0]) if argv[0].startswith("~/") else argv[0], *argv[1:]]
    with contextlib.ExitStack() as opened:
        stdin = os.memfd_create("agentq-hook")
        opened.callback(os.close, stdin)
        with open(stdin, "wb", closefd=False) as file:
            file.write(document.encode())
        os.lseek(stdin, 0, os.SEEK_SET)
        output, theirs = os.pipe()
        opened.callback(os.close, theirs)
        os.set_blocking(output, False)
        parent = os.getpid()
        opened_output = opened.enter_context(contextlib.ExitStack())
        opened_output.callback(os.close, output)
        # A pidfd must be available once the hook runs: without room for it nothing is forked.
        os.close(os.dup(stdin))
        pid = os.fork()
        if pid == 0:
            _become(words, environ, directory, stdin, theirs, parent)
        pidfd = os.pidfd_open(pid)
        opened_output.pop_all()
    return Running(call, argv[0], pid, pidfd, output, awake_ms() + LIMIT_MS)


def _become(
    words: Sequence[str], environ: dict[str, str], directory: str, stdin: int, output: int, parent: int
) -> NoReturn:
    """In the child: the hook, or a line on stderr and 127."""
    from agentq_cli.host import kernel

    try:
        os.setsid()
        # It ends when we do: the next process runs it again, and two must not run side by side.
        kernel.die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(CANNOT_START)
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        for standard, descriptor in enumerate((stdin, output, output)):
            os.dup2(descriptor, standard)
        os.chdir(directory)
        os.execvpe(words[0], list(words), environ)
    except BaseException as error:
        text = getattr(error, "strerror", None) or str(error)
        with contextlib.suppress(OSError):
            os.write(output, text.encode(errors="replace"))
    finally:
        os._exit(CANNOT_START)
