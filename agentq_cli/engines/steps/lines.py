"""The lines of work of a session: the one that a task is in, and the one that it comes to by what it waits for."""

from __future__ import annotations

from agentq_cli.base.dataclass import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.engines.transaction import Reading, Transaction
    from agentq_cli.model.tasks import Task
    from agentq_cli.policy.dependencies import Found
    from agentq_cli.policy.pool import Choice, End, Pool


def choose(reading: Reading, task: Task, pool: Pool, now: int, *, goes_on: str | None) -> Choice | None:
    """The line that a run of a task would be in now; None if it is in none, or if none is free. `goes_on` is the
    conversation that the task was interrupted in."""
    if not task.work.in_line:
        return None
    from agentq_cli.model.branches import FIRST
    from agentq_cli.policy import pool as policy

    agent, key = task.work.agent or "", task.conversation_key
    found = reading.ask("dispatch.known_lines", {"agent": agent})
    known = [policy.Known(*row[:3]) for row in found if row[3]]
    taken, held = set[tuple[str, str]](), set[str]()
    if pool.size > 1 or key not in (None, FIRST) or any(each.key != FIRST for each in known):
        in_use = reading.ask("dispatch.lines_in_use", {"session": task.session, "now": now})
        # As `order.lane_open`: a retry does not wait for others, and in `default` nothing waits for a retry.
        first = not task.begun and pool.parallel is not None
        taken = {(of, line) for of, line, waits in in_use if first or not waits}
        held = {line for of, line, waits in in_use if waits and of == agent}
    elsewhere = [row[0] for row in found if not row[3]]
    wanted: set[str] = set()
    if len({each.key for each in known} | {line for _, line in taken} | ({key} if key else set())) > pool.size:
        # One of them may have to make room.
        wanted = {row[0] for row in reading.ask("dispatch.wanted_lines", {"session": task.session, "agent": agent})}
    begins = bool(agent) and task.work.launch.continues is None  # what begins no conversation ends none
    pool = pool if begins else pool._replace(ttl_ms=None)
    choice = policy.choose(
        agent, key, known, taken, pool, now, goes_on=goes_on, held=held, elsewhere=elsewhere, wanted=wanted
    )
    return choice if choice is None or begins else choice._replace(ends=())


def of_conversation(reading: Reading, agent: str | None, conversation: str) -> str | None:
    """The line of which a conversation of an agent is the present one; None if it is that of none."""
    found = reading.ask("dispatch.known_lines", {"agent": agent})
    return next((str(key) for key, id, *_ in found if id == conversation), None)


def end(write: Transaction, agent: str, ends: Sequence[End]) -> None:
    """End conversations of an agent; their ids are in the events."""
    for known, why in ends:
        write.tell("dispatch.forget_conversation", {"agent": agent, "key": known.key})
        what = f"conversation '{known.id}' of agent '{agent}' in line '{known.key}' is not continued: {why}"
        write.record("conversation_ended", None, reason=what, agent=agent)


def bound(task: Task, found: Sequence[Found]) -> str | None:
    """The line that a task is bound to before it has started: the one that was named for it, else that of the first
    task which it waits for (`found`) that is in one of this session; None if any will do."""
    if not task.work.in_line or task.work.given_key is not None:
        return task.work.given_key
    keys = {each.of.address: each.key for each in found}
    of_session = (each.address for each in task.work.after if each.address and each.address.session == task.session)
    return next((key for key in map(keys.get, of_session) if key is not None), None)


def follow(task: Task, found: Sequence[Found]) -> Task:
    """The task as it is queued, in the line of what it has waited for unless it has one already."""
    key = bound(task, found) if task.conversation_key is None else None
    return task if key is None else replace(task, conversation_key=key)


def moved(before: Task, after: Task) -> Task:
    """The changed task: in the line that it now names, if it names another one or is in none any more; and in that of
    what it waits for by now, if it has not been in one itself."""
    if (before.work.given_key, before.work.in_line) == (after.work.given_key, after.work.in_line):
        waits_anew = before.work.after != after.work.after and before.last_run is None
        return replace(after, conversation_key=after.work.given_key) if waits_anew else after
    # The conversation in which somebody replied is that of the line that it leaves.
    work = replace(after.work, launch=replace(after.work.launch, continues=None))
    return replace(after, work=work, conversation_key=work.given_key)
