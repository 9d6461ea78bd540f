"""Why a task is not running, in the order in which the supervisor checks. Pure."""

from __future__ import annotations

from agentq_cli.base.clock import rfc3339
from agentq_cli.base.dataclass import dataclass
from agentq_cli.model.addresses import DEFAULT_SESSION, Address
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task, WaitingFor
from agentq_cli.model.work import Condition
from agentq_cli.policy.directories import Directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.workers import Worker
    from agentq_cli.policy.admission import Gate
    from agentq_cli.policy.dependencies import Found
    from agentq_cli.policy.placement import PassedOver
    from agentq_cli.policy.pool import Line

SHOWN_DEPENDENCIES = 5
SHOWN_HOSTS = 5


@dataclass(frozen=True, slots=True)
class Hold:
    """A row of `holds`: something that keeps an agent's tasks, or all tasks, from starting."""

    scope: str
    name: str
    kind: str
    until: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else is going on while a task waits. `lines` are the runs of the session that are in a line of work, and
    `retrying` the tasks of it that wait for a retry, each with its line (key '': in none). `jobs` is 0 if no
    supervisor lives; `gate` is the first closed gate.

    `editing` are the runs that edit where this task would, each with the real path of its directory. With several hosts
    `hosts` are the names of those with a supervisor for the session, and `passed_over` is what they cannot run of it.
    """

    session_paused: bool
    session_reason: str | None
    holds: Sequence[Hold]
    session_runs: Sequence[RunId]
    lines: Sequence[tuple[RunId, Line]]
    retrying: Mapping[str, Line]
    parallel: int | None
    workers: int
    jobs: int
    ahead: int
    depends: Sequence[Found] = ()
    gate: Gate | None = None
    editing: Sequence[tuple[RunId, str]] = ()
    hosts: Sequence[str] = ()
    passed_over: Sequence[PassedOver] = ()


def width(session: str, configured: int | None) -> int | None:
    """How many tasks of a session may run at once; None means as many as the cap allows."""
    if configured is not None:
        return configured
    return None if session == DEFAULT_SESSION else 1


def waiting_for(task: Task, around: Surroundings, now: int) -> WaitingFor | None:
    """The first thing that keeps a task from running at `now`; None if it is running or has ended."""
    if task.status.ended or task.status is Status.RUNNING:
        return None
    if task.status is Status.PAUSED:
        detail = f"the task is paused{_because(task.reason)}; `agentq resume {task.address}`"
        return WaitingFor("paused", detail, brief="paused", note=task.reason)
    if task.status is Status.BLOCKED:
        return _dependency(around.depends)
    if task.due_at > now:
        kind = "retry" if task.begun else "time"
        what = "its next attempt" if task.begun else "it"
        brief = "retry" if task.begun else ""
        return WaitingFor(kind, f"{what} is due at {rfc3339(task.due_at)}", until=task.due_at, brief=brief)
    return (
        _held(task, around)
        or _lane(task, around)
        or _host(task, around)
        or _directory(task, around)
        or _slot(task, around)
    )


ENDS = {Condition.SUCCESS: "complete", Condition.ANY: "end", Condition.FAILURE: "fail"}


def _dependency(depends: Sequence[Found]) -> WaitingFor:
    from agentq_cli.policy.dependencies import Standing, standing

    pending = [each.of for each in depends if standing(each.of.on, each.status) is Standing.PENDING]
    what = ", ".join(f"{of.address} to {ENDS[of.on]}" for of in pending[:SHOWN_DEPENDENCIES])
    more = f" and {len(pending) - SHOWN_DEPENDENCIES} more" if len(pending) > SHOWN_DEPENDENCIES else ""
    ids = tuple(dict.fromkeys(str(of.address) for of in pending))
    others = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
    detail = f"it waits for {what}{more}" if what else "it is about to be released"
    return WaitingFor("dependency", detail, ids=ids, brief=f"after {ids[0]}{others}" if ids else "")


def _held(task: Task, around: Surroundings) -> WaitingFor | None:
    for hold in around.holds:
        if hold.scope == "queue":
            detail = f"the queue is paused{_because(hold.reason)}; `agentq resume --all`"
            return WaitingFor("paused", detail, brief="queue paused", note=hold.reason)
        if hold.name != task.work.agent:
            continue
        if hold.kind == "paused":
            detail = f"agent '{hold.name}' is paused{_because(hold.reason)}; `agentq resume --agent {hold.name}`"
            return WaitingFor("paused", detail, brief=f"{hold.name} paused", note=hold.reason)
        until = f"until {rfc3339(hold.until)}" if hold.until is not None else f"`agentq resume --agent {hold.name}`"
        detail = f"agent '{hold.name}' is held by {hold.kind}{_because(hold.reason)}; {until}"
        return WaitingFor("limit", detail, until=hold.until, brief=f"{hold.name} held", note=hold.kind)
    if around.session_paused:
        resume = f"`agentq resume -s {task.session}`"
        detail = f"session '{task.session}' is paused{_because(around.session_reason)}; {resume}"
        return WaitingFor("paused", detail, brief="session paused", note=around.session_reason)
    return None


def _lane(task: Task, around: Surroundings) -> WaitingFor | None:
    # A start that came between two looks is no reason to wait.
    users = {str(run.address): line for run, line in around.lines if run.address != task.address}
    if (found := _line(task, users, around)) is not None or around.parallel is None:
        return found
    others = () if task.begun else tuple(around.retrying)
    running = tuple(str(run.address) for run in around.session_runs if run.address != task.address)
    if len(running) + len(others) >= around.parallel:
        what = f"{running[0]} is running" if running else f"{others[0]} will be retried first"
        ids = running + others
        return WaitingFor("session", f"{what} in session '{task.session}'", ids=ids, brief=f"behind {ids[0]}")
    return None if task.begun else _line(task, around.retrying, around)


def _line(task: Task, users: Mapping[str, Line], around: Surroundings) -> WaitingFor | None:
    """What there is to say if the conversation of a task, or each one of its session, is in use by runs or retries."""
    if not task.work.in_line or not users:
        return None
    from agentq_cli.policy import pool

    agent, key, most = task.work.agent or "", task.conversation_key or "", pool.size(around.parallel)
    taken = {address: line for address, line in users.items() if line[1]}
    if pool.has_room(agent, key, set(taken.values()), most):
        return None
    in_way = [address for address, line in taken.items() if not pool.has_room(agent, key, {line}, most)]
    ids = tuple(in_way or [address for address, (of, _) in taken.items() if of == agent])
    if not in_way and len(ids) > 1:
        what = f"the {len(ids)} conversations of '{task.session}' are in use, by {', '.join(ids)}"
        return WaitingFor("session", what, ids=ids, brief=f"behind {ids[0]}")
    which = "the conversation" if most == 1 else f"conversation '{taken[ids[0]][1]}'"
    what = which if task.work.shares_conversation else f"the tree of {which}"
    verb = "will be retried first in" if ids[0] in around.retrying else "is using"
    return WaitingFor("session", f"{ids[0]} {verb} {what} of '{task.session}'", ids=ids, brief=f"behind {ids[0]}")


def _unfit(task: Task, around: Surroundings) -> dict[int, dict[str, str]]:
    """Which hosts have passed over which tasks of the session, and why: also this one, if one that needs the same."""
    found: dict[int, dict[str, str]] = {}
    if not around.passed_over:
        return found
    from agentq_cli.policy import placement

    same = (task.work.agent or "", placement.needs(task.work).text)
    for each in around.passed_over:
        for seq in {each.seq, task.seq} if (each.agent, each.needs) == same else {each.seq}:
            found.setdefault(seq, {})[each.host] = each.reason or ""
    return found


def _host(task: Task, around: Surroundings) -> WaitingFor | None:
    """What there is to say if each of the hosts has passed over the task, or one that comes first in its session."""
    found = _unfit(task, around)
    nowhere = {seq: why for seq, why in found.items() if around.hosts and why.keys() >= set(around.hosts)}
    if task.seq in nowhere:
        return WaitingFor("host", f"no host fits: {_why(nowhere[task.seq])}", brief="no host fits")
    first = min(nowhere, default=task.seq)
    if around.parallel == 1 and not task.begun and first < task.seq:
        before = str(Address(task.session, first))
        detail = f"{before} comes first in session '{task.session}', and no host fits it"
        return WaitingFor("session", detail, ids=(before,), brief=f"behind {before}")
    return None


def _why(reasons: Mapping[str, str]) -> str:
    why = sorted(reasons.items())
    shown = "; ".join(f"{host}: {reason}" for host, reason in why[:SHOWN_HOSTS])
    return f"{shown}; and {len(why) - SHOWN_HOSTS} more" if len(why) > SHOWN_HOSTS else shown


def _directory(task: Task, around: Surroundings) -> WaitingFor | None:
    if not around.editing:
        return None
    ids = tuple(str(run.address) for run, _ in around.editing)
    if task.work.launch.repository is not None:
        detail = f"{ids[0]} is in '{around.editing[0][1]}'; two runs are never in one tree"
        return WaitingFor("directory", detail, ids=ids, brief=f"behind {ids[0]}", note="same tree")
    detail = f"{ids[0]} is editing in '{around.editing[0][1]}'; with --shared it would not wait"
    return WaitingFor("directory", detail, ids=ids, brief=f"behind {ids[0]}", note="same directory")


def editing(workers: Sequence[Worker], directory: str | None, host: str | None = None) -> list[tuple[RunId, str]]:
    """The live runs that edit in a directory (its real path; None: in none), inside it or around it, each with its own:
    those on a `host`, or None: on this machine."""
    if directory is None:
        return []
    own = Directories((directory,))
    there = (each for each in workers if (each.host == host if host is not None else not each.elsewhere))
    return [(each.id, each.directory) for each in there if each.directory and own.overlap(each.directory)]


def _slot(task: Task, around: Surroundings) -> WaitingFor:
    if not around.jobs:
        return WaitingFor("slot", "no supervisor is running; start one with `agentq run`")
    if around.gate is not None and around.workers < around.jobs:
        gate = around.gate
        return WaitingFor("gate", f"{gate.name}: {gate.detail}", until=gate.until, brief=f"{gate.name} gate")
    ahead = f"; {around.ahead} due before it" if around.ahead else ""
    unfit = {host: why for host, why in _unfit(task, around).get(task.seq, {}).items() if host in around.hosts}
    others = f"; passed over by {_why(unfit)}" if unfit else ""
    return WaitingFor("slot", f"{around.workers} of {around.jobs} slots are in use{ahead}{others}")


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""
