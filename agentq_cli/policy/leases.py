"""The times of a host's lease in a fleet, in milliseconds of the boot-time clock of that host. Pure.

A host is dead `DEADLINE` of a lease, and what its kernel needs, after it last asked for a renewal that was answered.
Nobody takes its runs before a whole lease has passed since that renewal was written. What lies between the two is to
spare for clocks that run at different rates.
"""

from __future__ import annotations

KERNEL_MS = 1_000

LONGEST_MS = 3_600_000
"""The longest lease that the config may ask for; what promises more was not written by agentq."""


def renewal_ms(lease_ms: int) -> int:
    """How old a renewal may become before the next one, and how long before the deadline nothing is started any
    more."""
    return lease_ms // 6


def deadline(asked_at: int, lease_ms: int) -> int:
    """When everything is to be dead, if the renewal that was asked for at this time is the last one."""
    return asked_at + lease_ms * 4 // 5


def kernel_at(deadline: int, lease_ms: int) -> int:
    """When the kernel ends a keeper that has not kept the deadline."""
    return deadline + min(KERNEL_MS, lease_ms // 12)


def look_at(now: int, deadline: int, lease_ms: int) -> int:
    """When to look whether the lease was renewed: first while there is time left, and then at the deadline."""
    early = deadline - renewal_ms(lease_ms)
    return early if now < early else deadline


def may_start(now: int, deadline: int, lease_ms: int) -> bool:
    """Whether a run may still be started."""
    return now < deadline - renewal_ms(lease_ms)
