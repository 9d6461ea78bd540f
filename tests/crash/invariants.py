"""What must hold in a state dir after any crash and the recovery from it, read from the files themselves."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crash_repository import damage
from crash_world import World

ENDED = {"completed", "failed", "cancelled", "expired", "skipped"}
SHOWN_AS = {"scheduled": "queued", "retrying": "queued"}


@dataclass(frozen=True)
class Expected:
    """What the tasks may have become: `statuses` for any that `of` does not name.

    `strict`: no agent and no keeper was harmed, so that every completed task has exactly one run, which did its work
    exactly once. `printed` are addresses that a submit has promised, `counts` how many tasks there may be, `gone`
    those that may have been pruned.
    """

    statuses: frozenset[str] = frozenset({"completed"})
    of: Mapping[str, frozenset[str]] = field(default_factory=dict)
    strict: bool = True
    printed: tuple[str, ...] = ()
    counts: frozenset[int] | None = None
    gone: frozenset[str] = frozenset()


@contextlib.contextmanager
def reading(path: Path, timeout: float = 15) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=timeout)
    database.row_factory = sqlite3.Row
    try:
        yield database
    finally:
        database.close()


def rows(path: Path, query: str, timeout: float = 15) -> list[dict[str, Any]]:
    """The rows of a query as dicts."""
    with reading(path, timeout) as database:
        return [dict(row) for row in database.execute(query).fetchall()]


def hot(journal: Path) -> bool:
    """Whether a journal may have to be rolled back; one that was never synced begins with a zero (pager.c)."""
    return journal.read_bytes()[:1] not in (b"", b"\0")


class State:
    """Everything that a state dir says, read once."""

    def __init__(self, world: World) -> None:
        self.world = world
        index = world.state / "agentq.db"
        self.databases = sorted(world.state.rglob("*.db"))
        self.index_tasks = rows(index, "SELECT * FROM tasks ORDER BY session, seq")
        self.runs = rows(index, "SELECT * FROM task_runs ORDER BY id")
        self.workers = rows(index, "SELECT * FROM workers")
        self.supervisors = rows(index, "SELECT * FROM supervisors")
        self.batches = rows(index, "SELECT * FROM batches")
        self.events = rows(index, "SELECT * FROM events ORDER BY id")
        self.tasks: dict[str, dict[str, Any]] = {}
        self.results: dict[str, dict[str, Any]] = {}
        for inbound in sorted(world.state.glob("sessions/*/inbound.db")):
            if not inbound.stat().st_size:
                continue
            session = inbound.parent.name
            for row in rows(inbound, "SELECT * FROM messages_in"):
                self.tasks[f"{session}/{row['seq']}"] = row
            outbound = inbound.with_name("outbound.db")
            posted = "SELECT * FROM messages_out WHERE kind = 'result'"
            for row in rows(outbound, posted) if outbound.exists() else ():
                self.results[row["id"]] = json.loads(row["content"])

    @staticmethod
    def name(row: Mapping[str, Any]) -> str:
        """The address of a row's run."""
        return f"{row['session']}/{row['seq']}.{row['attempt']}"


def violations(world: World, expected: Expected) -> list[str]:
    """Everything that is wrong, each in a sentence."""
    if not (world.state / "agentq.db").exists():
        return ["there is no agentq.db"]
    found = [f"'{path.name}' is still hot" for path in world.state.rglob("*-journal") if hot(path)]
    found += _whole(world)
    if found:
        return found
    state = State(world)
    found += _tasks(state, expected)
    found += _runs(state, expected)
    found += _effects(state, expected)
    found += _checks(state)
    found += _lines(state)
    found += _dependencies(state)
    found += _events(state)
    found += _supervisors(state)
    found += _results(state)
    found += _leftovers(state)
    found += _hooks(world, state)
    found += _index(world, state)
    found += damage(world, [run for word, run in world.effects() if word == "begin" and _has_tree(state, run)])
    return found


def _has_tree(state: State, run: str) -> bool:
    task = state.tasks.get(run.partition(".")[0])
    return task is not None and "repository" in json.loads(task["launch"])


def _whole(world: World) -> Iterator[str]:
    for path in world.state.rglob("*.db"):
        with reading(path) as database:
            for check in ("quick_check", "integrity_check", "foreign_key_check"):
                answer = [tuple(row) for row in database.execute(f"PRAGMA {check}").fetchall()]
                if answer not in ([], [("ok",)]):
                    yield f"{path.name}: {check} says {answer}"


def _tasks(state: State, expected: Expected) -> Iterator[str]:
    for address in expected.printed:
        if address not in state.tasks:
            yield f"{address} was printed and is lost"
    if expected.counts is not None and len(state.tasks) not in expected.counts:
        yield f"there are {len(state.tasks)} tasks, not {sorted(expected.counts)}"
    for address, task in state.tasks.items():
        allowed = expected.of.get(address, expected.statuses)
        if task["status"] not in allowed:
            yield f"{address} is {task['status']} ({task['reason']}), not {'/'.join(sorted(allowed))}"
        if (task["status"] in ENDED) != (task["ended_at"] is not None):
            yield f"{address} is {task['status']} and its ended_at is {task['ended_at']}"


def _runs(state: State, expected: Expected) -> Iterator[str]:
    of_task: dict[str, list[dict[str, Any]]] = {}
    for run in state.runs:
        of_task.setdefault(f"{run['session']}/{run['seq']}", []).append(run)
        if run["finished_at"] is None or run["status"] == "running":
            yield f"run {state.name(run)} is not closed: {run['status']}"
    for address in of_task.keys() - state.tasks.keys():
        yield f"runs of {address}, which does not exist"
    for directory in state.world.state.glob("sessions/*/runs/*"):
        address = f"{directory.parent.parent.name}/{directory.name.partition('.')[0]}"
        if address not in state.tasks:
            yield f"'{directory}' belongs to no task"
    for directory in state.world.state.glob("sessions/*/pruned"):
        yield f"'{directory}' is left: {[path.name for path in directory.iterdir()]}"
    for run in state.runs:
        directory = state.world.state / "sessions" / run["session"] / "runs" / f"{run['seq']}.{run['attempt']}"
        if run["status"] == "success" and not (directory / "stdout").exists():
            yield f"{state.name(run)} has lost its output"
    for address, task in state.tasks.items():
        runs = of_task.get(address, [])
        last = runs[-1] if runs else None
        if task["last_run"] != (last and last["attempt"]):
            yield f"{address} names {task['last_run']} as its last run, the audit log {last and last['attempt']}"
        if task["status"] == "completed" and (last is None or last["status"] != "success"):
            yield f"{address} is completed by {last and last['status']}"
        if task["attempts"] != len(runs) and task["trigger"] != "retry":
            yield f"{address} used {task['attempts']} attempts and has {len(runs)} runs"
        if expected.strict and task["status"] == "completed" and len(runs) != 1:
            yield f"{address} took {len(runs)} runs"


def _effects(state: State, expected: Expected) -> Iterator[str]:
    runs = {state.name(run): run for run in state.runs}
    under_way: dict[str, list[str]] = {}
    seen: set[tuple[str, str]] = set()
    for word, run in state.world.effects():
        if (word, run) in seen:
            yield f"{run} has a second '{word}'"
        seen.add((word, run))
        if run not in runs and run.partition(".")[0] not in expected.gone - state.tasks.keys():
            yield f"{run} did something and is not on record"
        lane = under_way.setdefault(_lane(state, run), [])
        if word == "begin":
            lane.append(run)
        elif not run.startswith("default/") and lane and lane[-1] != run:
            # Whoever began later in the same lane should have waited; one that died in between ends nothing.
            yield f"{lane[-1]} began before {run} had ended"
    for name, run in runs.items():
        whole = ("begin", name) in seen and ("end", name) in seen
        if run["status"] == "success" and not whole and run["argv"].startswith('["sh"'):
            yield f"{name} is a success and its work was not done"
        if run["status"] == "success" and r"echo \"out" in run["argv"] and run["stdout_bytes"] != len(f"out {name}\n"):
            yield f"{name} has {run['stdout_bytes']} bytes of output"
        if whole and run["status"] != "success" and expected.strict and run["status"] != "cancelled":
            yield f"{name} did its work and is {run['status']}"


def _lane(state: State, run: str) -> str:
    """Where a run had to wait for others: in its session, or in its line of a pool."""
    session = run.partition("/")[0]
    task = state.tasks.get(run.partition(".")[0])
    return f"{session} {task['conversation_key']}" if session.startswith("pool") and task else session


def _lines(state: State) -> Iterator[str]:
    """A conversation belongs to one line for ever; a session keeps one an agent and line, and no more than it may."""
    lines: dict[tuple[str, str], set[str]] = {}
    for run in state.runs:
        task = state.tasks.get(f"{run['session']}/{run['seq']}")
        if task is None or task["context"] != "session" or run["agent"] is None:
            continue
        if task["conversation_key"] is None:
            yield f"{state.name(run)} was in no line"
        elif run["conversation"] is not None:
            lines.setdefault((run["session"], run["conversation"]), set()).add(task["conversation_key"])
    for (session, conversation), keys in lines.items():
        if len(keys) > 1:
            yield f"conversation {conversation} of '{session}' was used in lines {sorted(keys)}"
    for inbound in state.world.state.glob("sessions/*/inbound.db"):
        known = rows(inbound, "SELECT agent, key, id FROM conversations") if inbound.stat().st_size else []
        of_agent = Counter(row["agent"] for row in known)
        for agent, kept in of_agent.items():
            if kept > (2 if inbound.parent.name.startswith("pool") else 1):
                yield f"'{inbound.parent.name}' keeps {kept} conversations with '{agent}'"
        for row in known:
            line = lines.get((inbound.parent.name, row["id"]), {row["key"]})
            if line != {row["key"]}:
                yield f"conversation {row['id']} of '{inbound.parent.name}' is kept in line {row['key']}, not {line}"


def _checks(state: State) -> Iterator[str]:
    """Nothing is completed whose check has not passed, however often that was interrupted."""
    passed = {line.partition(" ")[2] for line in state.world.checks() if line.startswith("passed ")}
    for run in state.runs:
        task = state.tasks.get(f"{run['session']}/{run['seq']}")
        if run["status"] != "success" or task is None or "check" not in json.loads(task["launch"]):
            continue
        found = json.loads(run["checked"] or "{}")
        if state.name(run) not in passed or (found.get("exit_code"), found.get("stopped")) != (0, None):
            yield f"{state.name(run)} is a success and its check is {found}"


MEETS = {"success": {"completed"}, "any": set(ENDED), "failure": {"failed"}}


def _dependencies(state: State) -> Iterator[str]:
    """Nothing ran before what it waits for, was cancelled without a cause, or waits for what has ended."""
    if pending := rows(state.world.state / "agentq.db", "SELECT * FROM unsettled"):
        yield f"{pending} are still to be told of an end"
    for row in rows(state.world.state / "agentq.db", "SELECT * FROM dependencies"):
        if f"{row['session']}/{row['seq']}" not in state.tasks:
            yield f"{row} is left of a task that does not exist: what it names is never pruned"
    first_starts: dict[str, int] = {}
    ends: dict[str, list[dict[str, Any]]] = {}
    for run in state.runs:
        first_starts.setdefault(f"{run['session']}/{run['seq']}", run["started_at"])
        ends.setdefault(f"{run['session']}/{run['seq']}", []).append(run)
    for address, task in state.tasks.items():
        waits_for = [(f"{session}/{seq}", on) for session, seq, on in json.loads(task["after"] or "[]")]
        decided = [other not in state.tasks or state.tasks[other]["status"] in MEETS[on] for other, on in waits_for]
        ended = [other not in state.tasks or state.tasks[other]["status"] in ENDED for other, on in waits_for]
        if task["status"] == "blocked" and all(ended):
            yield f"{address} is blocked, and {waits_for} have ended"
        if task["dep_failed"] and task["status"] == "cancelled" and all(ended) and all(decided):
            yield f"{address} was cancelled by {task['dep_failed']}, and nothing of {waits_for} forbids it"
        if not task["dep_failed"] and str(task["reason"]).startswith("dependency "):
            yield f"{address} is {task['status']}: {task['reason']}, without a cause on record"
        for other, on in waits_for:
            if on == "success" and address in first_starts and task["on_dep_failure"] != "run":
                if task["trigger"] == "retry":
                    continue  # a person knew better
                done = [run["finished_at"] for run in ends.get(other, []) if run["status"] == "success"]
                if not done or min(done) > first_starts[address]:
                    yield f"{address} began before {other}, which it waits for, had succeeded"


def _events(state: State) -> Iterator[str]:
    at: dict[str, str | None] = {}
    for event in state.events:
        if event["to_status"] is None or event["seq"] is None:
            continue
        address = f"{event['session']}/{event['seq']}"
        before, after = (SHOWN_AS.get(text, text) for text in (event["from_status"], event["to_status"]))
        if at.get(address) != before:
            yield f"{address}: event '{event['event']}' is from {before}, and it was {at.get(address)}"
        at[address] = after
    for address, task in state.tasks.items():
        if at.get(address) != task["status"]:
            yield f"{address} is {task['status']} and by its events {at.get(address)}"


AT_WORK = {"idle", "running", "paused"}
STATES = {
    None: {"idle"},
    "ended": {"idle"},  # it stood still for so long that others took it for dead, and is back
    "draining": {"ended"},
    **{each: AT_WORK - {each} | {"draining", "ended"} for each in AT_WORK},
}
"""What a supervisor may become."""


def _supervisors(state: State) -> Iterator[str]:
    """Each change of a supervisor is legal and is told, and its end at the latest by whoever finds it dead."""
    at: dict[str, str] = {}
    for event in state.events:
        if event["event"] == "supervisor":
            name = str(event["reason"]).partition(":")[0]
            before, told, after = at.get(name), event["from_status"], event["to_status"]
            if after not in STATES[before] or told != (None if before == "ended" else before):
                yield f"{name} was {before}, and is told to change from {told} to {after}"
            at[name] = after
    for name, last in at.items():
        if last != "ended":
            yield f"{name} is gone, and told to be {last}"


def _results(state: State) -> Iterator[str]:
    finished = {state.name(run): run["status"] for run in state.runs if run["finished_at"] is not None}
    # What an agent's session has said stays when the task is pruned.
    there = {name: run for name, run in state.results.items() if run["task"] in state.tasks}
    posted = {name: content["status"] for name, content in there.items()}
    if finished != posted:
        yield f"the runs are {finished} and outbound.db has {posted}"
    unposted = [state.name(run) for run in state.runs if not run["posted"]]
    if unposted:
        yield f"{unposted} are not posted"


def _hooks(world: World, state: State) -> Iterator[str]:
    """Where there are hooks: each end was told, once, and once more only where the one that told it was killed."""
    config = world.root / "home" / ".config" / "agentq" / "config.toml"
    if not config.exists() or "[hooks]" not in config.read_text():
        return
    path = world.root / "told"
    told = [json.loads(line)["task"]["id"] for line in path.read_text().splitlines()] if path.exists() else []
    ended = {
        f"{event['session']}/{event['seq']}"
        for event in state.events
        if event["to_status"] in ENDED and event["from_status"] not in ENDED
    }
    if set(told) != ended or any(told.count(address) > 2 for address in ended):
        yield f"{sorted(ended)} have ended, and hooks were told {sorted(told)}"
    if left := rows(world.state / "agentq.db", "SELECT * FROM hooks"):
        yield f"hooks are left to be run: {left}"


def _leftovers(state: State) -> Iterator[str]:
    if state.workers:
        yield f"workers are left: {state.workers}"
    if state.supervisors:
        yield f"supervisors are left: {state.supervisors}"
    if state.batches:
        yield f"batches are left: {state.batches}"
    if processes := list(state.world.processes()):
        yield f"processes are left: {processes}"


def _index(world: World, state: State) -> Iterator[str]:
    done = world.agentq("sweep", "--no-wake", "--reindex")
    if done.code:
        yield f"sweep --reindex ended with {done.code}: {done.err}"
        return
    rebuilt = rows(world.state / "agentq.db", "SELECT * FROM tasks ORDER BY session, seq")
    if rebuilt != state.index_tasks:
        yield f"the index was {state.index_tasks} and is {rebuilt} once rebuilt"
    if rows(world.state / "agentq.db", "SELECT * FROM workers"):
        yield "the rebuilt index has workers"
