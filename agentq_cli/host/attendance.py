"""Whether anything will start a session's tasks. Loaded by processes that must start at once."""

from __future__ import annotations

import os

from agentq_cli.base import procfs
from agentq_cli.base.clock import monotonic_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

LEASE_MS = 30_000
"""A supervisor that watches runs and has not renewed its row for this long is treated as gone."""

RENEW_MS = 10_000
"""How often a supervisor that watches runs renews its row."""

SWEEP_RECENT_MS = 5 * 60_000
"""If a sweep ran within this time, another one is expected."""

HINT_MS = 3_600_000
"""How often somebody at a terminal is told that nothing will start what was queued."""


def lapsed(renewed_at: int) -> bool:
    """Whether a supervisor that renewed its row then, in milliseconds since boot, would be treated as gone if it
    watched runs."""
    return monotonic_ms() - renewed_at > LEASE_MS


def lives(identity: tuple[int, int, str], bells: str | os.PathLike[str]) -> bool:
    """Whether a process that has a doorbell in the directory `bells` is still running.

    Within this realm its pid is enough. For another realm, such as a container's, only the bell shows it: the kernel
    knows whether a process has the bell open, in any PID namespace.
    """
    if identity[2] == procfs.realm():
        return procfs.alive(*identity)
    from agentq_cli.base.identity import Identity
    from agentq_cli.host.ring import held

    return held(f"{bells}/{Identity(*identity).name}")


def counts(identity: tuple[int, int, str], renewed_at: int, *, busy: bool, bells: str | os.PathLike[str]) -> bool:
    """Whether a supervisor can be relied on: alive, and not stopped while it has runs to watch (`busy`)."""
    return lives(identity, bells) and not (busy and lapsed(renewed_at))


def all_served(serving: Iterable[Collection[str]], sessions: Iterable[str]) -> bool:
    """Whether supervisors that serve these sessions (an empty collection: all sessions) cover all of `sessions`."""
    known = list(serving)
    return bool(known) and (not all(known) or {name for names in known for name in names}.issuperset(sessions))


def swept_lately(swept_at: int | None, now: int) -> bool:
    """Whether the time of the last sweep means that there will be another one."""
    return swept_at is not None and now - swept_at <= SWEEP_RECENT_MS


def may_hint(state_dir: str, now: int) -> bool:
    """Whether to say that nothing will start what was queued: to a person at a terminal, once an hour. A file of the
    state dir has the time of the last hint as the time of its change."""
    if not os.isatty(2):
        return False
    path = f"{state_dir}/hinted"
    try:
        if abs(now - os.stat(path).st_mtime_ns // 1_000_000) < HINT_MS:
            return False
    except OSError:
        pass  # the first one
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        os.utime(file, ns=(now * 1_000_000, now * 1_000_000))
        os.close(file)
    except OSError:
        pass  # a state dir that nobody can write is told more often
    return True
