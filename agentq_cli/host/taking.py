"""How a shim takes a run: by its `start` record, the first of which wins, once there is room for the `exit` record."""

from __future__ import annotations

import os

from agentq_cli.base.clock import Clock, monotonic_ms
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.host import process, tmpdir
from agentq_cli.host.exit_record import ExitSlot
from agentq_cli.host.launch import LaunchRequest
from agentq_cli.host.records import Start
from agentq_cli.host.run_directory import RunDirectory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.host.fuse import Fuse


class Taken(NamedTuple):
    """A run that this process has taken. `failure` is why it cannot be started, if that is known already; `fuse` ends
    it with the lease of its host, None on a machine that is no host."""

    directory: RunDirectory
    slot: ExitSlot
    start: Start
    private_tmp: str | None
    failure: str | None
    fuse: Fuse | None


def take(request: LaunchRequest, serves: int) -> Taken | None:
    """Take the run, for a keeper of which it is the run with this number. None if it is void, another shim has it, its
    directory cannot be written, or the lease of its host is over."""
    if request.lease is None:
        return _take(request, serves, None)
    from agentq_cli.host.fuse import Fuse

    try:
        fuse = Fuse.laid(request.lease)
    except OSError:
        return None
    if fuse is None:
        return None
    taken = _take(request, serves, fuse)
    if taken is None:
        fuse.disarm()
    return taken


def _take(request: LaunchRequest, serves: int, fuse: Fuse | None) -> Taken | None:
    directory = RunDirectory(request.run_dir)
    private, failure = None, None
    try:
        directory.create()
        slot = directory.reserve_exit()
    except OSError:
        return None
    clock = Clock(request.fixed_now_ms)
    start = Start(process.current(), clock.now_ms(), monotonic_ms(), serves=serves)
    if request.take > 1:
        start = _counted_on(directory, start)
    try:
        taken = directory.write_start(start, request.take, slot)
    except OSError as error:
        # The record is in place but perhaps not on disk: the run is taken, and fails.
        taken = has_taken(directory, start)
        failure = f"'{directory.file('start')}': {error.strerror}"
    if not taken:
        slot.release()
        return None
    if request.private_tmp:
        try:
            private = tmpdir.create(os.environ, request.run_dir)
        except OSError as error:
            failure = f"TMPDIR: {error.strerror}"
    return Taken(directory, slot, start, private, failure, fuse)


def _counted_on(directory: RunDirectory, start: Start) -> Start:
    """When the run began: a shim that takes over goes on counting its time, as far as that can be known."""
    before = directory.start()
    if not isinstance(before, Start) or not before.started_at:
        return start
    same = process.boot_of(before.identity.boot_id) == process.boot_id()
    return start._replace(
        started_at=before.started_at, monotonic_ms=before.monotonic_ms if same else start.monotonic_ms
    )


def has_taken(directory: RunDirectory, start: Start) -> bool:
    """Whether the shim with this record has the run."""
    found = directory.start()
    return isinstance(found, Start) and (found.identity, found.serves) == (start.identity, start.serves)
