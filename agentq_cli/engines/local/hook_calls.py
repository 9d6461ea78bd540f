"""Which hooks are to be run: found in the events, each assigned to one process, removed in a commit once it has run.

Nothing is written if no hook is configured: the events are there anyway, and a cursor records up to which event they
have been checked. If a process dies, the next one takes over its hooks. So each hook is run at least once, and twice
only if the process that ran it died before it could record that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agentq_cli.base.dataclass import asdict
from agentq_cli.base.identity import Identity
from agentq_cli.engines.local import connection
from agentq_cli.engines.local.queries import statements
from agentq_cli.policy import hooks as policy
from agentq_cli.policy.hooks import Call, Failure, HookEvent, Ran

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    from agentq_cli.model.actions import Actor

HOOKS = statements("hooks")
WRITE = statements("write")
PAGE = 500


def begun(index: sqlite3.Connection) -> bool:
    """Whether any process has checked for hooks before."""
    return index.execute(HOOKS["cursor"]).fetchone() is not None


def begin(index: sqlite3.Connection, *, now: int, configured_at: int) -> int:
    """The event after which to check; if nobody has checked before, that is from when hooks were configured."""
    row = index.execute(HOOKS["cursor"]).fetchone()
    moment = now - policy.OLDEST_MS
    if row is None:
        moment = max(moment, configured_at)
    else:
        # The other query reads a whole day backwards: it runs only if an event is that old.
        following = index.execute(HOOKS["next_at"], {"id": row[0]}).fetchone()
        if following is None or following[0] >= moment:
            return int(row[0])
    before = index.execute(HOOKS["last_before"], {"moment": moment}).fetchone()
    return max(0 if row is None else int(row[0]), 0 if before is None else int(before[0]))


def find(index: sqlite3.Connection, names: Collection[str], *, after: int, now: int) -> list[tuple[str, HookEvent]]:
    """The hooks that the events after `after` call, in their order."""
    told: list[HookEvent] = []
    while page := index.execute(HOOKS["telling"], {"after": after, "limit": PAGE}).fetchall():
        told.extend(HookEvent(*row) for row in page)
        after = page[-1][0]
    drained = set()
    if policy.DRAINED in names:
        drained = {session for session in policy.emptied(told) if not _live(index, session, now)}
    return list(policy.called(told, names, drained=drained))


def _live(index: sqlite3.Connection, session: str, now: int) -> bool:
    (live,) = index.execute(HOOKS["undrained"], {"session": session, "now": now}).fetchone()
    return bool(live)


def collect(
    index: sqlite3.Connection, path: str, names: Collection[str], owner: Identity, *, now: int, configured_at: int
) -> None:
    """Assign everything that the new events call to `owner`, and move the cursor, in one commit."""
    with connection.transaction(index, path):
        after = begin(index, now=now, configured_at=configured_at)
        for hook, told in find(index, names, after=after, now=now):
            index.execute(HOOKS["add"], asdict(told) | {"hook": hook} | key(owner))
        index.execute(HOOKS["set_cursor"], {"id": _last(index)})


def _last(index: sqlite3.Connection) -> int:
    (last,) = index.execute(statements("read")["last_event"]).fetchone()
    return int(last)


def owners(index: sqlite3.Connection) -> list[Identity | None]:
    """The processes that have hooks to run; None: nobody owns these."""
    found = index.execute(HOOKS["owners"]).fetchall()
    return [None if row[0] is None else Identity(*row) for row in found]


def take(index: sqlite3.Connection, path: str, gone: Sequence[Identity | None], owner: Identity) -> None:
    """Take over the hooks of dead processes."""
    with connection.transaction(index, path):
        for old in gone:
            values = {f"old_{name}": value for name, value in key(old).items()}
            index.execute(HOOKS["take"], key(owner) | values)


def mine(index: sqlite3.Connection, owner: Identity, *, limit: int) -> list[Call]:
    """The next hooks that `owner` has to run, including those that it is running."""
    values = key(owner) | {"limit": limit}
    return [Call(*row) for row in index.execute(HOOKS["mine"], values).fetchall()]


def record(
    index: sqlite3.Connection, path: str, ran: Sequence[Ran], owner: Identity, *, now: int, actor: Actor
) -> None:
    """Remove hooks that have run; a failure is an event, and stays on record until that hook succeeds."""
    with connection.transaction(index, path):
        for each in ran:
            call = each.call
            if not index.execute(HOOKS["ran"], key(owner) | {"id": call.id}).rowcount:
                continue
            if each.failure is None:
                index.execute(HOOKS["succeeded"], {"hook": call.hook})
                continue
            index.execute(HOOKS["failed"], {"hook": call.hook, "at": now, "reason": each.failure})
            values = {"at": now, "session": call.session, "seq": call.seq, "attempt": call.attempt}
            values |= {"from": None, "to": None, "event": "hook_failed", "actor": actor, "hook": None, "agent": None}
            index.execute(WRITE["event"], values | {"reason": f"{call.hook}: {each.failure}"})


def failures(index: sqlite3.Connection) -> list[Failure]:
    """The hooks whose last run failed."""
    return [Failure(*row) for row in index.execute(HOOKS["failures"]).fetchall()]


def key(owner: Identity | None) -> dict[str, object]:
    """The columns that identify a process."""
    pid, start_time, boot_id = (None, None, None) if owner is None else owner
    return {"pid": pid, "start_time": start_time, "boot_id": boot_id}
