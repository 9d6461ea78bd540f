"""What there is of memory and processor time, and what a run's processes hold of it. Reads `/proc` and cgroup files."""

from __future__ import annotations

import os
from collections.abc import Iterable

from agentq_cli.identity import Identity
from agentq_cli.supervise import process

KIB = 1 << 10


def tree_memory(identities: Iterable[Identity]) -> int | None:
    """Bytes that these processes hold in memory together: the proportional set size of each, so that pages which they
    share count once, and the resident one where that is not ours to read. None where none of them is left."""
    held = [memory for identity in identities if (memory := _memory(identity)) is not None]
    return sum(held) if held else None


def _memory(identity: Identity) -> int | None:
    if not process.alive(identity):
        return None
    for line in (process.read_file(f"/proc/{identity.pid}/smaps_rollup") or b"").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * KIB
    pages = (process.read_file(f"/proc/{identity.pid}/statm") or b"").split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 else None
