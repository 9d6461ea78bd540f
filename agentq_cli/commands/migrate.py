"""`agentq migrate`: sessions go from one queue to another, a state dir or a fleet."""

from __future__ import annotations

import os

from agentq_cli.base import database_url, environment
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import Usage, WrongState
from agentq_cli.engines import door
from agentq_cli.options import values
from agentq_cli.show import notices
from agentq_cli.show.results import Items, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentq_cli.cli.context import Context
    from agentq_cli.engines.door import Queue
    from agentq_cli.engines.shared.cargo import Cargo
    from agentq_cli.options.table import Given
    from agentq_cli.show.results import Item

EXAMPLES = (
    ("agentq migrate ~/.local/state/agentq postgresql:///q --dry-run", "Say what would go into the fleet."),
    ("agentq migrate ~/.local/state/agentq postgresql:///q", "Move everything, with its history."),
    ("agentq migrate -s docs postgresql:///q ~/.local/state/agentq", "Bring one session back."),
)


@dataclass(frozen=True, slots=True)
class End:
    """One of the two queues, as it was named and as others are told of it."""

    name: str
    queue: Queue


def migrate(given: Given, at: Context) -> Result:
    """Move sessions, with their tasks, runs, events and schedules, to another queue.

    FROM and TO are each a state dir or the URL of a fleet. Addresses stay as they are. Nothing of the sessions may run
    meanwhile. What was moved can still be read in FROM; commands that would change it say where it is now, until it is
    moved back. Conversations go on where their files are: on this machine.
    """
    source, target = (_opened(given[name], at, create=name == "destination" and not given["dry_run"]) for name in ENDS)
    if source.name == target.name:
        raise Usage(f"migrate '{source.name}': it is already there")
    all_of_them = not given["session"]
    sessions = _chosen(source, target, [values.parse_session(name) for name in given["session"] or ()])
    _refuse(source, target, sessions)
    if not given["dry_run"]:
        source.queue.moving.leave(sessions, target.name, all_of_them=all_of_them)
    log_bytes = at.fleet.log_bytes if given["logs"] else None
    cargo = source.queue.moving.cargo(sessions, all_of_them=all_of_them, log_bytes=log_bytes)
    lacking: dict[str, list[str]] = {}
    if database_url.is_url(given["destination"]) and not at.fleet.store_env:
        secrets = at.config.secret_env
        lacking = cargo.leave_out(lambda name: environment.is_secret(name, secrets))
    if not given["dry_run"]:
        target.queue.moving.take_in(cargo, source=source.name, all_of_them=all_of_them)
    if lacking:
        notices.note("what looks like a secret was left out: the host of a run gives it ([host] env_file)")
    extra = {"from": source.name, "to": target.name, "dry_run": bool(given["dry_run"])}
    return Items("migrate", _items(cargo, lacking), line=_line, empty="nothing to move", extra=extra)


ENDS = ("source", "destination")


def _opened(name: str, at: Context, *, create: bool) -> End:
    url = name if database_url.is_url(name) else None
    if url is None and not name:
        raise Usage("migrate '': name a state dir or a URL")
    path = at.state_dir if url else os.path.realpath(os.path.expanduser(name))
    if url is None and not create and not os.path.isdir(path):
        raise Usage(f"migrate '{name}': no such directory")
    queue = door.open_queue(
        path,
        at.clock,
        create=create or url is not None,
        allow_network_fs=at.allow_network_fs,
        url=url,
        settings=at.fleet if url else None,
    )
    at.resources.callback(queue.close)
    return End(path if url is None else database_url.shown(url), queue)


def _chosen(source: End, target: End, named: Sequence[str]) -> list[str]:
    """The sessions that go: those that are there, and those on whose way something was killed."""
    left = source.queue.moving.left()
    arrived = target.queue.moving.sessions()
    begun = [session for session, to in left.items() if to == target.name and session not in arrived]
    there = [*source.queue.moving.sessions(), *begun]
    for session in named:
        if session in left and session not in begun:
            raise WrongState(f"session '{session}' has moved to '{left[session]}'")
        source.queue.known(session)
    return sorted(set(named) if named else set(there))


def _refuse(source: End, target: End, sessions: Sequence[str]) -> None:
    """Raises WrongState, by name, for what cannot go."""
    moving = source.queue.moving
    for session in sorted(set(sessions).intersection(target.queue.moving.sessions())):
        raise WrongState(f"session '{session}': there is one of that name in '{target.name}'")
    for run in moving.running(sessions):
        raise WrongState(f"run '{run}': it is running; wait for it, or cancel it")
    for waiting, other in moving.torn(sessions):
        raise WrongState(f"task '{waiting}': waits for '{other}', and one of them would stay behind")


def _items(cargo: Cargo, lacking: dict[str, list[str]]) -> Iterator[Item]:
    counts: dict[str, dict[str, int]] = {}
    for table in ("tasks", "task_runs", "events"):
        for session in cargo.column(table, "session"):
            of_it = counts.setdefault(session, {})
            of_it[table] = of_it.get(table, 0) + 1
    for session in cargo.column("sessions", "name"):
        found = counts.get(session, {})
        own = {task: names for task, names in lacking.items() if task.rpartition("/")[0] == session}
        yield {
            "session": session,
            "tasks": found.get("tasks", 0),
            "runs": found.get("task_runs", 0),
            "events": found.get("events", 0),
            "lacking": [{"task": task, "variables": names} for task, names in own.items()],
        }


def _line(item: Item) -> str:
    line = f"{item['session']}: {item['tasks']} tasks, {item['runs']} runs, {item['events']} events"
    lacking = "; ".join(f"{each['task']} lacks {', '.join(each['variables'])}" for each in item["lacking"])
    return f"{line}; {lacking}" if lacking else line
