"""The lock file of a ref (`refs/heads/X.lock`) that a git left which was killed: nobody could ever move the ref again.

git holds such a lock for moments, and does not say who holds it.
"""

from __future__ import annotations

import os

from agentq_cli.base.clock import awake_ms

STALE_MS = 10_000
AGAIN_MS = 20


def free_ref(common: str, ref: str) -> None:
    """Wait up to `STALE_MS` until nobody holds the lock of a ref, and remove a lock that is older. For refs that agentq
    made, and no others. Raises OSError."""
    import time

    path = f"{common}/{ref}.lock"
    deadline = awake_ms() + STALE_MS
    while (age := _age_ms(path)) is not None:
        if age >= STALE_MS:
            os.unlink(path)
        if age >= STALE_MS or awake_ms() >= deadline:
            return
        time.sleep(AGAIN_MS / 1000)


def _age_ms(path: str) -> float | None:
    from agentq_cli.base.clock import file_time_ns

    try:
        return (file_time_ns() - os.stat(path, follow_symlinks=False).st_mtime_ns) / 1_000_000
    except (FileNotFoundError, NotADirectoryError):
        return None
