"""The door to the queue: what an engine must be able to do, and `open_queue`. Code outside `engines` knows no engine.

The engine keeps the tasks: `local`, SQLite files on one machine, or `fleet`, a PostgreSQL database that many machines
share. Callers of the door know nothing of SQL, locks, indexes, or how to find out that a process elsewhere is alive.
What belongs to this machine, whatever the engine, is `here` (`place`): the directories of runs, the outbound files, the
wake lock, the marker in the environment of its runs' processes.

The verbs are listed in `verbs`, those of the sub-doors in `subdoors`. They take and return the model's values and those
of `nouns`; times are milliseconds UTC by `now`. Any verb may raise Busy (a lock was not free in time), Unreadable
(something is corrupt or newer) and Refused (the disk, or its permissions), in addition to what its docstring names.

How the verbs work together:

- **Commits ring.** Every commit that may concern a waiting process wakes every process that has a `bell`, except the
  one that made the commit.
- **A start** takes four steps: `heads.pick` (what may start), `candidate` (the task and what its run may build on), the
  caller's plan, and `claim`. The claim takes the task only if everything that allowed the pick is still true and the
  candidate is still what the plan was made from. A process that dies after the claim leaves a claim without a process,
  which the next check undoes without using an attempt (`undo_claim`). `claim`, `undo_claim`, `finish`, `adopt` and
  `request_stop` are fenced: None or False means that another process was faster and that nothing was changed.
- **A turn** is one commit of a session for many of these steps: its runs that have ended are finished, and its next
  tasks picked and claimed, from what the turn has made of the queue. A process that dies before the commit leaves
  nothing behind. `claim` and `finish` by themselves are turns of one step.
- **The engine knows who is alive:** `living`, `watched`, `orphaned`. A supervisor is on duty from `join` to `leave` and
  confirms it with `renew`.
- **With several machines a run belongs to its host.** What `renew` answers says until when it does: after that deadline
  the run is dead, and later others may take it over (`rescue`). A host that others took for lost (`superseded`) ends
  what it runs and joins again, as another one. Nobody looks a process of another machine up (`elsewhere`).
- **What an agent printed** is read with `output`, during the run and afterwards, and what else the files of its run say
  with `files`: from any machine. For that the run's supervisor calls `put_output`, and once more before `finish`.
- **An engine maintains itself**: `upkeep` reports what it did as a sweep's actions. In a `rehearsal` the same is done
  to copies, so that the plan and the deed are the same code; nothing rings then and no file is touched.
- What few callers need is behind sub-doors (`subdoors`): `hooks`, `voice`, `figures`, `upkeep`.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentq_cli.base.clock import Clock
    from agentq_cli.engines.verbs import Queue as Queue
    from agentq_cli.model.actions import Undone
    from agentq_cli.model.fleet import FleetSettings
    from agentq_cli.model.tasks import NewTask, Task
else:
    Queue = object  # its verbs are a type, which would only take time to load


def open_queue(
    path: str,
    clock: Clock,
    *,
    create: bool,
    allow_network_fs: bool = False,
    rebuild: bool = False,
    url: str | None = None,
    settings: FleetSettings | None = None,
) -> Queue:
    """Open the queue of a state dir, or with a `url` that of the fleet, whose place on this machine is in the state
    dir. With `create` a missing state dir is created; without it a missing one reads as empty and nothing is created.
    Raises Usage if the state dir is unfit, the URL is wrong or a login is refused; Unreadable if the index of a state
    dir is lost, unless `rebuild` is set, or if the database has no schema of this version; and Busy if the database
    does not answer."""
    if url is not None:
        from agentq_cli.engines.fleet.queue import FleetQueue
        from agentq_cli.model.fleet import FleetSettings

        return FleetQueue.open(
            path, url, clock, settings=settings or FleetSettings(), create=create, allow_network_fs=allow_network_fs
        )
    from agentq_cli.engines.local.queue import LocalQueue

    return LocalQueue.open(path, clock, create=create, allow_network_fs=allow_network_fs, rebuild=rebuild)


def prepare_fleet(url: str, settings: FleetSettings, *, role: str | None, create: bool) -> tuple[bool, str, list[str]]:
    """Create the tables of a fleet, or bring existing ones up to date. Returns whether there was anything to do, the
    role of the hosts, by default that of the URL, and the SQL that lets it work with the tables.

    Raises Usage if the login is refused or may not do that, Busy if the database does not answer, and Unreadable if its
    schema is newer, or missing without `create`."""
    from agentq_cli.engines.fleet import init

    changed = init.init(url, settings) if create else init.upgrade(url, settings)
    database, own = init.names(url, settings)
    role = role or own
    return changed, role, init.grants(settings, role, database)


def store_one(path: str, new: NewTask, *, now: int, max_queued: int) -> tuple[int, bool] | None:
    """Store one task without opening the queue; its seq, and whether somebody will start it. None: nothing was stored,
    and whoever opens the queue can submit it or learn why not. Raises as its `submit`."""
    from agentq_cli.engines.local import express

    return express.store_new(path, new, now, max_queued=max_queued)


def submit_at_once(given: Mapping[str, object], shared: Mapping[str, object], umask: int) -> bool:
    """Do what `submit` does, before anything else is loaded. False: nothing was done or printed, and the command itself
    must run. `given` and `shared` are the options as far as given. Raises as the command."""
    from agentq_cli.base.environment import configured

    if configured(os.environ):
        return False  # it may name a database, for one
    from agentq_cli.engines.local import express

    return express.submit(given, shared, umask)


def sweep_at_once(given: Mapping[str, object], shared: Mapping[str, object]) -> bool:
    """The same for a `sweep` that finds nothing to do; a repeated sweep does no harm, so False is always safe."""
    from agentq_cli.engines.local import idle

    return idle.sweep(given, shared)


def suggest(path: str, kind: str, prefix: str, most: int) -> Iterator[object]:
    """What may begin with the prefix: `sessions`, `labels`, or addresses of tasks: `live`, `ended`, of `series`, or all
    (`tasks`). The caller checks what it gets and takes the first `most`. Nothing is changed; any error of the
    engine's database may be raised."""
    from agentq_cli.engines.local import suggestions

    return suggestions.suggest(path, kind, prefix, most)


def check_place(path: str, *, allow_network_fs: bool = False) -> str:
    """The kind of file system of a state dir that exists or could be created. Raises Usage if it is unfit."""
    from agentq_cli.engines.local import file_systems
    from agentq_cli.engines.local.state_dir import StateDir

    StateDir(path).check(allow_network_fs=allow_network_fs)
    return file_systems.kind_of(path)


def done(found: Task | Undone) -> Task:
    """The task. Raises the error if the action could not be done."""
    from agentq_cli.model.actions import Undone

    if isinstance(found, Undone):
        raise found.error
    return found
