"""The door to the queue: what an engine must be able to do, and `open_queue`. Code outside `engines` knows no engine.

The engine keeps the tasks (today `local`: SQLite files on one machine). Callers of the door know nothing of SQL, locks,
indexes, or how to find out that a process elsewhere is alive. What belongs to this machine, whatever the engine, is
`here` (`place`): the directories of runs, the outbound files, the wake lock, the marker in the environment of its runs'
processes.

The verbs are listed in `verbs`, those of the sub-doors in `subdoors`. They take and return the model's values and those
of `nouns`; times are milliseconds UTC by `now`. Any verb may raise Busy (a lock was not free in time), Unreadable
(something is corrupt or newer) and Refused (the disk, or its permissions), in addition to what its docstring names.

How the verbs work together:

- **Commits ring.** Every commit that may concern a waiting process wakes every process that has a `bell`, except the
  one that made the commit.
- **A start** takes four steps: `heads.pick` (what may start), `candidate` (the task and what its run may build on), the
  caller's plan, made while nothing is locked, and `claim`. The claim is one commit that takes the task only if
  everything that allowed the pick is still true and the candidate is still what the plan was made from. Until then
  nothing is taken: a process that dies while planning leaves nothing behind. A process that dies after the claim leaves
  a claim without a process, which the next check undoes without using an attempt (`undo_claim`). `claim`, `undo_claim`,
  `finish`, `adopt` and `request_stop` are fenced: None or False means that another process was faster and that nothing
  was changed.
- **The engine knows who is alive:** `living`, `watched`, `orphaned`. A supervisor is on duty from `join` to `leave` and
  confirms it with `renew`.
- **What an agent printed** is read with `output`, during the run and afterwards.
- **An engine maintains itself**: `upkeep` reports what it did as a sweep's actions. In a `rehearsal` the same is done
  to copies, so that the plan and the deed are the same code; nothing rings then and no file is touched.
- What few callers need is behind sub-doors (`subdoors`): `hooks`, `voice`, `figures`, `upkeep`.
"""

from __future__ import annotations

from agentq_cli.model.actions import Undone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.base.clock import Clock
    from agentq_cli.engines.verbs import Queue as Queue
    from agentq_cli.model.tasks import NewTask, Task
else:
    Queue = object  # its verbs are a type, which would only take time to load


def open_queue(
    path: str, clock: Clock, *, create: bool, allow_network_fs: bool = False, rebuild: bool = False
) -> Queue:
    """Open the queue of a state dir. With `create` a missing state dir is created; without it a missing one reads as
    empty and nothing is created. Raises Usage if the state dir is unfit, and Unreadable if its index is lost, unless
    `rebuild` is set."""
    from agentq_cli.engines.local.queue import LocalQueue

    return LocalQueue.open(path, clock, create=create, allow_network_fs=allow_network_fs, rebuild=rebuild)


def store_one(path: str, new: NewTask, *, now: int, max_queued: int) -> tuple[int, bool] | None:
    """Store one task without opening the queue; its seq, and whether somebody will start it. None: nothing was stored,
    and whoever opens the queue can submit it or learn why not. Raises as its `submit`."""
    from agentq_cli.engines.local import express

    return express.store_new(path, new, now, max_queued=max_queued)


def done(found: Task | Undone) -> Task:
    """The task. Raises the error if the action could not be done."""
    if isinstance(found, Undone):
        raise found.error
    return found
