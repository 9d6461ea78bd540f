"""Which hooks are to be run: found in the events, each assigned to one process, removed in a commit once it has run.

Nothing is written if no hook is configured: the events are there anyway, and a cursor records up to which event they
have been checked. If a process dies, the next one takes over its hooks. So each hook is run at least once, and twice
only if the process that ran it died before it could record that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agentq_cli.base.dataclass import asdict
from agentq_cli.base.identity import Identity
from agentq_cli.engines.steps import rows
from agentq_cli.model.sessions import Event
from agentq_cli.policy import hooks as policy
from agentq_cli.policy.hooks import Call, Failure, HookEvent, Ran

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.transaction import Reading, Writing

PAGE = 500


def begun(reading: Reading) -> bool:
    """Whether any process has checked for hooks before."""
    return bool(reading.ask("hooks.cursor"))


def begin(reading: Reading, *, now: int, configured_at: int) -> int:
    """The event after which to check; if nobody has checked before, that is from when hooks were configured."""
    cursor = reading.ask("hooks.cursor")
    known = int(cursor[0][0]) if cursor else 0
    moment = now - policy.OLDEST_MS
    if not cursor:
        moment = max(moment, configured_at)
    else:
        # The other query reads a whole day backwards: it runs only if an event is that old.
        following = reading.ask("hooks.next_at", {"id": known})
        if not following or following[0][0] >= moment:
            return known
    before = reading.ask("hooks.last_before", {"moment": moment})
    return max(known, int(before[0][0]) if before else 0)


def find(reading: Reading, names: Collection[str], *, after: int, now: int) -> list[tuple[str, HookEvent]]:
    """The hooks that the events after `after` call, in their order."""
    told: list[HookEvent] = []
    while page := reading.ask("hooks.telling", {"after": after, "limit": PAGE}):
        told.extend(HookEvent(*row) for row in page)
        after = page[-1][0]
    drained = set()
    if policy.DRAINED in names:
        drained = {session for session in policy.emptied(told) if not _live(reading, session, now)}
    return list(policy.called(told, names, drained=drained))


def _live(reading: Reading, session: str, now: int) -> bool:
    ((live,),) = reading.ask("hooks.undrained", {"session": session, "now": now})
    return bool(live)


def collect(write: Writing, names: Collection[str], owner: Identity, *, configured_at: int) -> None:
    """Assign everything that the new events call to `owner`, and move the cursor, in one commit."""
    after = begin(write, now=write.now, configured_at=configured_at)
    for hook, told in find(write, names, after=after, now=write.now):
        write.tell("hooks.add", asdict(told) | {"hook": hook} | rows.identity_columns(owner))
    ((last,),) = write.ask("read.last_event")
    write.tell("hooks.set_cursor", {"id": last})


def owners(reading: Reading) -> list[Identity | None]:
    """The processes that have hooks to run; None: nobody owns these."""
    return [None if row[0] is None else Identity(*row) for row in reading.ask("hooks.owners")]


def take(write: Writing, gone: Sequence[Identity | None], owner: Identity) -> None:
    """Take over the hooks of dead processes."""
    for old in gone:
        write.tell("hooks.take", rows.identity_columns(owner) | rows.identity_columns(old, "old_"))


def mine(reading: Reading, owner: Identity, *, limit: int) -> list[Call]:
    """The next hooks that `owner` has to run, including those that it is running."""
    return [Call(*row) for row in reading.ask("hooks.mine", rows.identity_columns(owner) | {"limit": limit})]


def record(write: Writing, ran: Sequence[Ran], owner: Identity) -> None:
    """Remove hooks that have run; a failure is an event, and stays on record until that hook succeeds."""
    for each in ran:
        call = each.call
        if not write.change("hooks.ran", rows.identity_columns(owner) | {"id": call.id}):
            continue
        if each.failure is None:
            write.tell("hooks.succeeded", {"hook": call.hook})
            continue
        write.tell("hooks.failed", {"hook": call.hook, "at": write.now, "reason": each.failure})
        why = f"{call.hook}: {each.failure}"
        told = Event(0, write.now, call.session, call.seq, call.attempt, None, None, "hook_failed", write.actor, why)
        write.tell("write.event", rows.event_columns(told))


def failures(reading: Reading) -> list[Failure]:
    """The hooks whose last run failed."""
    return [Failure(*row) for row in reading.ask("hooks.failures")]
