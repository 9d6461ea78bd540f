"""A batch over several sessions: one transaction over all of them."""

from __future__ import annotations

from agentq_cli.base.errors import Usage
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.fleet import moving
from agentq_cli.engines.steps import dependencies, environments, submit
from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentq_cli.engines.fleet.transaction import SessionWrite, Writing
    from agentq_cli.engines.steps.entering import Entering
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
    write.tell("write.create_sessions", {"names": dumps(list(sessions)), "at": write.now})
    next_seqs: dict[str, int] = dict(write.ask("write.next_seqs", {"names": dumps(list(sessions))}))
    new: list[Entering] = []
    for session, part in parts.items():
        found, seqs = _insert(part, own[session].values(), next_seqs[session], new)
        stored.update(zip(own[session], found, strict=True))
        if seqs:
            first[session] = min(seqs)
        if len(new) >= submit.MOST_ROWS:
            write.store(new)
            new.clear()
    write.store(new)
    write.tell("write.took_seqs_of_new", {"firsts": dumps(list(first.items()))})
    waits = dict.fromkeys(task.session for task in tasks if task.work.after)
    waiting = [(parts[session], seq) for session in waits for seq in submit.enter_waits(parts[session], tasks, stored)]
    write.tell("write.events_of_all_new", {"firsts": dumps(list(first.items())), "at": write.now, "actor": write.actor})
    write.wake()
    for part, seq in waiting:
        dependencies.settle(part, seq)
    return [stored[position] for position in range(len(tasks))]


def _insert(
    part: SessionWrite, tasks: Collection[NewTask], seq: int, new: list[Entering]
) -> tuple[list[tuple[Address, bool]], list[int]]:
    """The addresses of the tasks of one session from `seq` on, and the seqs of those that are new: these are added to
    `new`, to be stored with those of the other sessions, unless one has a key, which may be taken."""
    if any(task.work.key is not None for task in tasks):
        found = submit.insert(part, tasks)
        return found, [address.seq for address, is_new in found if is_new]
    stored = zip(tasks, environments.stored(part, tasks), strict=True)
    new += [submit.begun(task, number, at, part.now) for at, (task, number) in enumerate(stored, seq)]
    seqs = list(range(seq, seq + len(tasks)))
    return [(Address(part.session, each), True) for each in seqs], seqs
