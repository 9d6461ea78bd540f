"""A batch over several sessions: one transaction over all of them."""

from __future__ import annotations

from agentq_cli.base.errors import Usage
from agentq_cli.engines.fleet import moving
from agentq_cli.engines.steps import dependencies, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.engines.fleet.transaction import Writing
    from agentq_cli.model.addresses import Address
    from agentq_cli.model.tasks import NewTask


def store(
    write: Writing, tasks: Sequence[NewTask], sessions: Sequence[str], *, max_queued: int
) -> list[tuple[Address, bool]]:
    """Store tasks of several sessions, and return each with whether it is new (False: a live task with its key was
    found)."""
    for task in tasks:
        if task.replace:
            with submit.of_line(task):
                raise Usage("--replace: not in a batch over several sessions")
    moving.refuse_left(write, sessions)
    submit.check_room(write, tasks, max_queued)
    parts = {session: write.part(session) for session in sessions}
    own: dict[str, dict[int, NewTask]] = {session: {} for session in sessions}
    for position, task in enumerate(tasks):
        own[task.session][position] = task
    stored: dict[int, tuple[Address, bool]] = {}
    first: dict[str, int] = {}
    for session, part in parts.items():
        part.tell("write.create_session", {"name": session, "at": part.now})
        found = submit.insert(part, own[session].values())
        stored.update(zip(own[session], found, strict=True))
        new = [address.seq for address, is_new in found if is_new]
        if new:
            first[session] = min(new)
    waits = dict.fromkeys(task.session for task in tasks if task.work.after)
    waiting = [(parts[session], seq) for session in waits for seq in submit.enter_waits(parts[session], tasks, stored)]
    for session, seq in first.items():
        parts[session].publish(seq)
    for part, seq in waiting:
        dependencies.settle(part, seq)
    return [stored[position] for position in range(len(tasks))]
