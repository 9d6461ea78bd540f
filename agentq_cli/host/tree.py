"""The processes of a run, and how to end all of them.

Agents start their tools in separate process sessions, so neither the process group nor the session of an agent is its
tree. The tree is every descendant of a process, and every process that carries the run's environment marker.
"""

from __future__ import annotations

import os
import select
import stat as stat_modes

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.context import suppress
from agentq_cli.base.identity import Identity
from agentq_cli.base.lean import signal
from agentq_cli.base.procfs import GONE
from agentq_cli.host.process import Stat, alive, current, identity_of, open_pidfd, processes, read_file, realm, send
from agentq_cli.model.addresses import RunId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

DEFAULT_GRACE_MS = 5_000
PATIENCE_MS = 5_000
# A killed process in uninterruptible sleep dies late; a later check finds what it started meanwhile.
KILL_AGAIN_MS = 200
SETTLE_MS = 10  # During exec, a process briefly shows an empty environment.
MOST_ROUNDS = 10
MOST_PIDFDS = 256  # A fork bomb must not use up our own descriptors.


def below(roots: Iterable[Identity]) -> set[Identity]:
    """Every live process that descends from one of `roots`, not including the roots."""
    return set().union(*below_each(roots).values())


def below_each(roots: Iterable[Identity]) -> dict[Identity, set[Identity]]:
    """The live descendants of each root that exists, in one pass over all processes."""
    parents: dict[int, list[Identity]] = {}
    dead, seen = set(), set()
    for stat in processes():
        identity = Identity(stat.pid, stat.start_time, realm())
        seen.add(identity)
        parents.setdefault(stat.parent, []).append(identity)
        if stat.state in ("Z", "X") and not alive(identity):
            dead.add(identity)
    trees = {}
    for root in seen.intersection(roots):
        found: set[Identity] = set()
        pending = [root.pid]
        while pending:
            children = [child for child in parents.get(pending.pop(), ()) if child not in found]
            found.update(children)
            pending.extend(child.pid for child in children)
        trees[root] = found - dead
    return trees


def descendants(pid: int) -> set[Identity]:
    """Every live descendant of `pid`."""
    root = identity_of(pid)
    return set() if root is None else below([root])


def marked(run: str, state_dir: str) -> set[Identity]:
    """Every live process that was started with this run's `AGENTQ_RUN` and `AGENTQ_STATE_DIR`, except this one."""
    name = b"AGENTQ_RUN=" + os.fsencode(run)
    return {
        Identity(stat.pid, stat.start_time, realm())
        for stat, environment in _marked(state_dir)
        if name in environment and stat.pid != os.getpid()
    }


def runs_here(state_dir: str) -> set[RunId]:
    """The runs whose marker some live process carries, except this one and those whose marker is no run's."""
    name = b"AGENTQ_RUN="
    words = (word for stat, words in _marked(state_dir) if stat.pid != os.getpid() for word in words)
    runs = (RunId.read(os.fsdecode(word.removeprefix(name))) for word in words if word.startswith(name))
    return {run for run in runs if run is not None}


def _marked(state_dir: str) -> Iterator[tuple[Stat, list[bytes]]]:
    """Every process that was started in a run of a state dir, with its environment."""
    wanted = b"AGENTQ_STATE_DIR=" + os.fsencode(state_dir)
    for stat in processes():
        environment = (read_file(f"/proc/{stat.pid}/environ") or b"").split(b"\0")
        if wanted in environment:
            yield stat, environment


def writing(directory: str, names: Iterable[str]) -> set[Identity]:
    """Every live process, except this one, that has one of these files of a directory open for writing, as far as that
    can be seen.

    What a keeper starts has the run's start record open before its exec, and prints to the run's outputs after it.
    """
    folder = os.path.realpath(directory)
    files = [found for name in names if (found := regular(f"{folder}/{name}")) is not None]
    return {
        Identity(stat.pid, stat.start_time, realm())
        for stat in processes()
        if stat.pid != os.getpid() and any(_is_written(each, folder, files) for each in _descriptors(stat.pid))
    }


def _descriptors(pid: int) -> list[str]:
    """From the last to the first: one that closes the last ones by its exec is then met as the program."""
    folder = f"/proc/{pid}/fd"
    try:
        return [f"{folder}/{number}" for number in sorted(map(int, os.listdir(folder)), reverse=True)]
    except GONE:
        return []


def _is_written(descriptor: str, folder: str, files: Collection[os.stat_result]) -> bool:
    """Whether a descriptor of a process is one for writing to one of these files, which are in one folder."""
    with suppress(*GONE):
        # Nothing else is looked at, as it may be on a file system that hangs. The permissions of the link tell how it
        # was opened (proc(5)).
        if os.path.dirname(os.readlink(descriptor)) == folder and os.lstat(descriptor).st_mode & stat_modes.S_IWUSR:
            found = os.stat(descriptor)
            return any(os.path.samestat(found, each) for each in files)
    return False


def regular(path: str) -> os.stat_result | None:
    """The file of this name itself; None if it is a link or anything else."""
    with suppress(OSError):
        found = os.lstat(path)
        if stat_modes.S_ISREG(found.st_mode):
            return found
    return None


def always() -> bool:
    """Whether nobody else may have taken the run, when that cannot be."""
    return True


def kill_found(find: Callable[[], set[Identity]], mine: Callable[[], bool] = always) -> set[Identity]:
    """SIGKILL everything that `find` returns, after stopping all of it so that nothing can fork out of reach. Returns
    the targets. Only what was found before the run was not `mine` any more is one.

    If new processes still appear after `MOST_ROUNDS` rounds, the rest is left to the caller's next attempt.
    """
    held: set[Identity] = set()
    for _ in range(MOST_ROUNDS):
        new = find() - held
        if not new or not mine():
            break
        for identity in new:
            send(identity, signal.SIGSTOP)
        held |= new
    for identity in held:
        send(identity, signal.SIGKILL)
    return held


def terminate(targets: Iterable[Identity]) -> None:
    """Send SIGTERM, then SIGCONT so that stopped processes react to it."""
    for identity in targets:
        send(identity, signal.SIGTERM)
        send(identity, signal.SIGCONT)


def wait_gone(targets: Collection[Identity], timeout_ms: int) -> None:
    """Return when all of `targets` have ended, or after the time-out."""
    deadline = monotonic_ms() + timeout_ms
    poll = select.poll()
    waiting: set[int] = set()
    try:
        for identity in list(targets)[:MOST_PIDFDS]:
            if (pidfd := open_pidfd(identity)) is not None:
                waiting.add(pidfd)
                poll.register(pidfd, select.POLLIN)
        while waiting and (left := deadline - monotonic_ms()) > 0:
            for pidfd, _ in poll.poll(left):
                poll.unregister(pidfd)
                waiting.remove(pidfd)
                os.close(pidfd)
    finally:
        for pidfd in waiting:
            os.close(pidfd)


class Orphans:
    """What a run without a shim has left behind: every process with its marker, its agent, and all their descendants.

    For an event loop: call `step` until it returns True, every `SETTLE_MS` or less often. `left` holds what the last
    step found. Processes that were found once are remembered, so a child is tracked even if its parent dies and no link
    to it remains. This process is spared even if it carries the marker (an agent may have started it). `mine` tells
    whether the run is still without a shim: what another recoverer has started in it is not killed.
    """

    def __init__(
        self,
        run: str,
        state_dir: str,
        grace_ms: int,
        known: Iterable[Identity] = (),
        mine: Callable[[], bool] = always,
    ) -> None:
        self.left: set[Identity] = set()
        self.mine = mine
        self._run = run
        self._state_dir = state_dir
        self._deadline = monotonic_ms() + grace_ms
        self._seen = set(known)
        self._told: set[Identity] = set()
        self._empty_rounds = 0

    def remember(self, more: Iterable[Identity]) -> None:
        """Take these processes for its own too."""
        self._seen |= set(more)

    def step(self) -> bool:
        """Find and signal what is left: TERM, or KILL after the grace time. True once two steps in a row found
        nothing."""
        if monotonic_ms() >= self._deadline:
            self.left = kill_found(self._find, self.mine)
        else:
            self.left = self._find()
            if self.mine():
                terminate(self.left - self._told)
                self._told |= self.left
        self._empty_rounds = 0 if self.left else self._empty_rounds + 1
        return self._empty_rounds >= 2

    def _find(self) -> set[Identity]:
        roots = {identity for identity in self._seen | marked(self._run, self._state_dir) if alive(identity)}
        found = (roots | below(roots)) - {current()}
        self._seen |= found
        return found


def kill_orphans(
    run: str,
    state_dir: str,
    *,
    grace_ms: int = DEFAULT_GRACE_MS,
    known: Iterable[Identity] = (),
    mine: Callable[[], bool] = always,
) -> bool:
    """End what a run without a shim has left behind (see `Orphans`). `known` is its agent, if the record names one.

    True once nothing is left. False if the run is not `mine` any more, or if something still exists `PATIENCE_MS` after
    the first KILL (a process of another user, or one that hangs in the kernel): then slot and session are not free, and
    the caller tries again.
    """
    orphans = Orphans(run, state_dir, grace_ms, known, mine)
    started = monotonic_ms()
    while not orphans.step():
        left = started + grace_ms - monotonic_ms()
        if left <= -PATIENCE_MS or not mine():
            return False
        wait_gone(orphans.left, left if left > 0 else KILL_AGAIN_MS)
        select.poll().poll(SETTLE_MS)
    return mine()
