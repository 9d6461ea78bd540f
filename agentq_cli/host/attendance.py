"""Whether somebody will start a session's tasks. Loaded by processes that must start at once."""

from __future__ import annotations

from agentq_cli.base import procfs
from agentq_cli.base.clock import monotonic_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable

LEASE_MS = 30_000
"""A supervisor that watches runs and has not renewed its row for so long is treated as gone."""

SWEEP_RECENT_MS = 5 * 60_000
"""Whoever swept within this time is expected to sweep again."""


def lapsed(renewed_at: int) -> bool:
    """Whether a supervisor that renewed its row then, in milliseconds since boot, would be gone if it watched runs."""
    return monotonic_ms() - renewed_at > LEASE_MS


def lives(identity: tuple[int, int, str], bells: str | os.PathLike[str]) -> bool:
    """Whether a process that has a doorbell in the directory `bells` still runs.

    Of this realm its pid tells; of another one, a container's perhaps, only the bell does: the kernel knows who holds
    it open, whichever PID namespace that lives in.
    """
    if identity[2] == procfs.realm():
        return procfs.alive(*identity)
    from agentq_cli.base.identity import Identity
    from agentq_cli.host.ring import held

    return held(f"{bells}/{Identity(*identity).name}")


def counts(identity: tuple[int, int, str], renewed_at: int, *, busy: bool, bells: str | os.PathLike[str]) -> bool:
    """Whether a supervisor can be counted on: alive, and not stopped while it has runs to watch (`busy`)."""
    return lives(identity, bells) and not (busy and lapsed(renewed_at))


def all_served(serving: Iterable[Collection[str]], sessions: Iterable[str]) -> bool:
    """Whether supervisors that serve these sessions, an empty one of them all, look after all of those."""
    known = list(serving)
    return bool(known) and (not all(known) or {name for names in known for name in names}.issuperset(sessions))


def swept_lately(swept_at: int | None, now: int) -> bool:
    """Whether a last sweep then means that there will be another one."""
    return swept_at is not None and now - swept_at <= SWEEP_RECENT_MS
