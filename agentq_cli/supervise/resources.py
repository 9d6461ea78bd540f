"""What runs take of the machine's memory. Reads `/proc`; raises OSError only where we are out of descriptors."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable

from agentq_cli.identity import Identity
from agentq_cli.supervise.process import read_file


def tree_memory(identities: Iterable[Identity]) -> int | None:
    """Bytes of memory of these processes together, pages that several share counted once between them (PSS).

    Of a process whose PSS is not ours to read all resident pages count. None where none of them can be read.
    """
    found = [size for size in map(_memory, identities) if size is not None]
    return sum(found) if found else None


def resident(identities: Iterable[Identity]) -> int:
    """Bytes that they hold resident, shared pages counted for each: never less than `tree_memory`, and far cheaper."""
    return sum(_resident(identity.pid) or 0 for identity in identities)


def _memory(identity: Identity) -> int | None:
    proportional = _proportional(identity.pid)
    return _resident(identity.pid) if proportional is None else proportional


def _proportional(pid: int) -> int | None:
    """PSS (proc(5), smaps_rollup); None where it cannot be had."""
    for line in (read_file(f"/proc/{pid}/smaps_rollup") or b"").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return None


def _resident(pid: int) -> int | None:
    """RSS (proc(5), statm); None where the process is gone."""
    fields = (read_file(f"/proc/{pid}/statm") or b"").split()
    return int(fields[1]) * _page_size() if len(fields) > 1 else None


@functools.cache
def _page_size() -> int:
    return os.sysconf("SC_PAGE_SIZE")
