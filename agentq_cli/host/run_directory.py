"""The directory of one run: small JSON records through which processes that never meet agree on what happened.

`start` and `stop` are hard-linked into place when complete, so the first one wins and no reader sees a partial record.
Nobody acts on a torn one, because acting waits for the fsync. `exit` has its place and its space from the start on; as
long as it is not complete, also after a power loss, it counts as missing.
"""

from __future__ import annotations

import errno
import os

from agentq_cli.base.context import suppress
from agentq_cli.base.identity import Identity
from agentq_cli.host import record_files as files
from agentq_cli.host import records
from agentq_cli.host.records import Cut, Exit, Start, Stop, Void
from agentq_cli.policy.stall import Silence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentq_cli.host.exit_record import ExitSlot
    from agentq_cli.model.checkpoints import Checkpoint
    from agentq_cli.model.runs import Check
    from agentq_cli.model.trees import Landing, Left, Made

OUTPUTS = ("stdout", "stderr", "check", "check.branch", "setup", "stages")
"""The files to which the programs of a run print."""

AFTER_AGENT = ("left", "checked", "landing")
"""The records of what comes after the agent."""

LOOKS = "looks"
"""The record of a run's silence."""

LINGERS = "lingers"
"""The record of how long a run has kept running after its final event."""


class RunDirectory:
    """`sessions/NAME/runs/N.K`. Writers raise OSError; readers return None for what does not exist or cannot be
    read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._made: list[str] = []
        self._lock: int | None = None
        self._place = 0

    def file(self, name: str) -> str:
        """The path of one of the run's files: `stdout`, `stderr`, `prompt`, `heartbeat`, `result`."""
        return f"{self.path}/{name}"

    def create(self) -> None:
        """Create the run's directory with mode 0700, and the `runs` directory above it. The session's directory must
        exist.

        A symbolic link in place of either is not followed: we must not write where it leads.
        """
        for path in (os.path.dirname(self.path), self.path):
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                files.require_directory(path)
                continue
            self._made.append(path)

    def start(self) -> Start | Void | None:
        """Who took the run, or took it over last."""
        found = files.read(self.file(self.taking()))
        return None if found is None else records.read_start(files.parse(files.without_agent(found)[0]))

    def takes(self) -> int:
        """How many shims have taken the run so far, one after the death of the other."""
        take = 0
        while os.path.lexists(self.file(_start_of(take + 1))):
            take += 1
        return take

    def taking(self) -> str:
        """The name of the record of who took the run last."""
        return _start_of(max(1, self.takes()))

    def write_start(self, start: Start, take: int = 1, slot: ExitSlot | None = None) -> bool:
        """Take the run for this shim, durably. False if another shim has it or it is void: then start nothing.

        `take` is 1, or one more than the `takes` of a run whose shim is dead and which this one takes over.

        The record stays locked until this process closes it, if the file system supports such locks. `slot` gets its
        place.
        """
        identity = start.identity
        document = {
            "pid": identity.pid,
            "start_time": identity.start_time,
            "boot_id": identity.boot_id,
            "started_at": start.started_at,
            "monotonic_ms": start.monotonic_ms,
            "serves": start.serves,
            "tmpdir": None,  # Older versions of agentq, which did not compute the path, expect this key.
        }
        return self._link(_start_of(take), document, locked=True, slot=slot)

    def holds_lock(self) -> bool:
        """Whether this process holds the lock on the `start` record, which it wrote."""
        return self._lock is not None and files.lock(self._lock)

    def keeper_holds_lock(self) -> bool:
        """Whether the writer of the `start` record is still alive, in any PID namespace."""
        return files.is_locked(self.file(self.taking()))

    def output_is_open(self) -> bool:
        """Whether a process of the run still has one of its outputs open, in any PID namespace."""
        return any(files.is_locked(self.file(name)) for name in OUTPUTS)

    def write_void(self, by: int, *, dry: bool = False) -> bool:
        """Make sure that a late shim starts nothing. False: a shim was faster, and the run should be adopted.

        With `dry` nothing is written, but problems are raised all the same. Raises OSError that names the directory.
        """
        try:
            if dry:
                self._check_writable()
                return True
            self.create()
            return self._link("start", {"void": True, "by": by})
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.path) from error

    def _check_writable(self) -> None:
        """Raises the OSError that writing a record would raise, as far as can be known without writing."""
        above = os.path.dirname(self.path)
        there = os.path.dirname(above)
        for path in (above, self.path):
            if not os.path.lexists(path):
                break
            files.require_directory(path)
            there = path
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def agent(self) -> Identity | None:
        """The agent's own process, alive or not; None if it is not recorded."""
        found = files.read(self.file(self.taking()))
        if found is None:
            return None
        record, agent = files.without_agent(found)
        start = records.read_start(files.parse(record))
        if not isinstance(start, Start):
            return None
        # An older version of agentq wrote a file of this name.
        document = self._load("agent") if agent is None else files.parse(agent)
        return None if document is None else records.read_agent(document, start.identity.boot_id)

    def pid(self) -> int | None:
        """The agent's own process; None if it is not recorded."""
        agent = self.agent()
        return None if agent is None else agent.pid

    def write_agent(self, pid: int, start_time: int) -> None:
        """Record the agent's process, or that of another program of the run which comes after it, in its place in the
        `start` record that this process holds. Not synced: the record means nothing after a reboot."""
        assert self._lock is not None
        agent = b'{"pid": %d, "start_time": %d}' % (pid, start_time)
        os.pwrite(self._lock, agent.ljust(len(files.NOBODY)), self._place)

    def stop(self) -> Stop | None:
        """The recorded request to end the run, or None; see `post_stop`."""
        document = self._load("stop")
        return None if document is None else records.read_stop(document)

    def post_stop(self, reason: str, at: int) -> bool:
        """Record, durably, that the run is to be ended. False if that was recorded already; the first reason stays."""
        self.create()
        return self._link("stop", {"reason": reason, "at": at})

    def set_stop_aside(self) -> None:
        """Forget a request that was about the agent, which has ended well all the same; see `told`."""
        with suppress(FileNotFoundError):
            os.rename(self.file("stop"), self.file("stop.agent"))

    def told(self, reason: str) -> bool:
        """Whether the run was told to end, for this reason or now for any."""
        if self.stop() is not None:
            return True
        document = self._load("stop.agent")
        return document is not None and records.read_stop(document).reason == reason

    def passed(self) -> Exit | None:
        """How the agent ended, in a run in which more comes after it; None if it has not ended."""
        document = self._load("passed")
        return None if document is None else records.read_exit(document)

    def write_passed(self, record: Exit) -> None:
        """Record, durably, how the agent ended, before what comes after it begins."""
        from agentq_cli.host.exit_record import shortened

        self._link("passed", shortened(record).document())

    def is_beside_agent(self) -> bool:
        """Whether what runs is not the agent: a stage of the run before or after it."""
        if any(os.path.lexists(self.file(name)) for name in ("check", "passed")):
            return True
        return os.path.lexists(self.file("stages")) and not os.path.lexists(self.file("stdout"))

    def stage(self) -> str | None:
        """The stage that a live run is in, by its name in `policy.stages`; None for its agent, and what is not
        known."""

        def is_there(name: str) -> bool:
            return os.path.lexists(self.file(name))

        if is_there("passed"):
            landing = any(map(is_there, ("checked", "reply", "landing")))
            return "land" if landing else "check" if is_there("check") else "snapshot"
        if not is_there("stages") or is_there("stdout") or is_there("script.stdout"):
            return "check" if is_there("check") else None
        return "setup" if is_there("setup") else "tree"

    def clear(self, output: str) -> None:
        """Remove what an interrupted program has printed to one of the files."""
        for name in (output, f"{output}.cut"):
            with suppress(FileNotFoundError):
                os.unlink(self.file(name))

    def forget_what_follows(self) -> None:
        """Remove what an agent may have put in the place of records that come after it."""
        for name in AFTER_AGENT:
            with suppress(FileNotFoundError):
                os.unlink(self.file(name))

    def checked(self) -> Check | None:
        """How the check of a run ended that passed; None if it has not passed."""
        document = self._load("checked")
        found = None if document is None else records.read_check(document)
        return found if found is not None and found.passed else None

    def left(self) -> Left | None:
        """What the run left in its tree; None if that is not recorded."""
        document = self._load("left")
        return None if document is None else records.read_left(document)

    def landing(self) -> Landing | None:
        """How the landing of the run ended; None if that is not recorded."""
        document = self._load("landing")
        return None if document is None else records.read_landing(document)

    def made(self) -> Made | None:
        """The run's tree; None if it has none, or if making it was interrupted or has not begun."""
        document = self._load("tree")
        return None if document is None else records.read_made(document)

    def checkpoint(self) -> Checkpoint | None:
        """Where the run found a repository and how it left that; None outside of any, or if that is not known."""
        document = self._load("checkpoint")
        return None if document is None else records.read_checkpoint(document)

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Record it in place of the one before. Not synced: nobody decides anything by it."""
        files.put(self.file("checkpoint"), checkpoint.document())

    def recorded_silence(self, name: str = LOOKS) -> Silence | None:
        """The silence, or the time since the final event, as last recorded by `record_silence`; see `policy.stall`."""
        document = self._load(name)
        return None if document is None else records.read_silence(document)

    def record_silence(self, silence: Silence, name: str = LOOKS) -> None:
        """Record a check for the next one to compare with. Not synced: the record means nothing after a reboot."""
        signs = silence.signs._asdict()
        files.put(self.file(name), signs | {"since": silence.since, "boot_id": silence.boot_id})

    def forget_silence(self, name: str) -> None:
        """Remove the record, so that the next check counts as the first."""
        with suppress(FileNotFoundError):
            os.unlink(self.file(name))

    def exit(self) -> Exit | None:
        """How the run ended; None if the record is missing, empty or torn."""
        document = self._load("exit")
        if document is None:  # its last name may have been lost with the power
            document = self._load(files.RESERVED_EXIT)
        return None if document is None else records.read_exit(document)

    def reserve_exit(self) -> ExitSlot:
        """Reserve the space for the exit record while there is some."""
        from agentq_cli.host.exit_record import ExitSlot  # which only keepers need

        return ExitSlot(self.path)

    def prompt(self) -> str | None:
        """What the agent read as its prompt on stdin; None if it was given otherwise, or cannot be read."""
        with suppress(OSError), open(self.file("prompt"), encoding="utf-8", errors="replace") as file:
            return file.read()
        return None

    def cut(self, stream: str) -> Cut | None:
        """What was cut from `stdout` or `stderr`, or None if nothing was."""
        document = self._load(f"{stream}.cut")
        return None if document is None else records.read_cut(document)

    def write_cut(self, stream: str, cut: Cut) -> None:
        """Record what is about to be cut. Written before the cut, so that a reader never takes a hole for output."""
        files.put(self.file(f"{stream}.cut"), cut._asdict())

    def _load(self, name: str) -> dict[str, Any] | None:
        return files.load(self.file(name))

    def _link(
        self, name: str, document: Mapping[str, Any], *, locked: bool = False, slot: ExitSlot | None = None
    ) -> bool:
        descriptor = files.link(self.file(name), document, locked=locked)
        if descriptor is None:
            return False
        if locked:
            self._lock = descriptor
            self._place = os.fstat(descriptor).st_size - len(files.NOBODY) - len(b"}\n")
        try:
            if slot is not None:
                slot.place()
            # Synced once everything is in place: one journal commit instead of three, and nobody acts before it.
            os.fsync(descriptor)
        finally:
            if not locked:
                os.close(descriptor)
        files.sync_directory(self.path)
        while self._made:
            files.sync_directory(os.path.dirname(self._made.pop()))
        return True


def _start_of(take: int) -> str:
    return "start" if take == 1 else f"start.{take}"
