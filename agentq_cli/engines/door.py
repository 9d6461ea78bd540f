"""The door to the queue: what an engine must be able to do, and `open_queue`. Nobody outside `engines` knows one.

Behind it is where tasks are kept (today SQLite files of one machine, `local`); before it nobody knows of SQL, locks,
indexes, or how a process elsewhere is found alive. What is of this machine, whichever engine, is `here` (`place`):
directories of runs, outbound files, the wake lock, the mark that processes of its runs carry.

The verbs are listed in `verbs`, those of the sub-doors in `subdoors`. They take and return the model's values and those
of `values`; times are milliseconds UTC by `now`. Any verb may raise Busy (a lock was not free in time), Unreadable
(something is corrupt or newer) and Refused (the disk, or its permissions), besides what it names itself.

How the verbs go together:

- **Commits ring.** Every commit that may concern somebody who waits wakes all who hold a `bell`, but its maker.
- **A start** is `heads.pick` (what may start), `candidate` (the task and what its run may build on), the caller's plan,
  made while nothing is locked, and `claim`: one commit that takes the task only if all that allowed the pick still
  holds and the candidate is what the plan was made of. Until then nothing is taken: a process that dies over its plan
  leaves nothing behind. One that dies after it leaves a claim without a process, which the next look undoes without an
  attempt (`undo_claim`). Both, and `finish`, `adopt` and `request_stop`, are fenced: None or False says that somebody
  else was faster, and that nothing was changed.
- **Who lives** is the engine's to know: `living`, `watched`, `orphaned`; a supervisor is on duty from `join` to `leave`
  and says so again by `renew`.
- **What an agent printed** is read by `output`, while it runs and afterwards.
- **An engine tends itself**: `upkeep` says what it did as a sweep's actions. In a `rehearsal` the same is done to
  copies, so that a plan and its deed are one code; nothing rings then and no file is touched.
- What few callers need is behind sub-doors (`subdoors`): `hooks`, `voice`, `figures`, `upkeep`.
"""

from __future__ import annotations

from agentq_cli.model import Undone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.base.clock import Clock
    from agentq_cli.base.path import Path
    from agentq_cli.engines.verbs import Queue as Queue
    from agentq_cli.model import NewTask, Task
else:
    Queue = object  # its verbs are a type, which would only take time to load


def open_queue(
    path: Path, clock: Clock, *, create: bool, allow_network_fs: bool = False, rebuild: bool = False
) -> Queue:
    """Open the queue of a state dir, made with `create` if there is none; without it a missing one reads as empty and
    nothing is made. Raises Usage if it is unfit, and Unreadable if its index is lost, unless that is to be rebuilt."""
    from agentq_cli.engines.local.queue import LocalQueue

    return LocalQueue.open(path, clock, create=create, allow_network_fs=allow_network_fs, rebuild=rebuild)


def store_one(path: Path, new: NewTask, *, now: int, max_queued: int) -> tuple[int, bool] | None:
    """Store one task without opening the queue; its seq, and whether somebody will start it. None: nothing was stored,
    and whoever opens the queue can submit it or learn why not. Raises as its `submit`."""
    from agentq_cli.engines.local import express

    return express.store_new(str(path), new, now, max_queued=max_queued)


def done(found: Task | Undone) -> Task:
    """The task. Raises why it could not be done."""
    if isinstance(found, Undone):
        raise found.error
    return found
