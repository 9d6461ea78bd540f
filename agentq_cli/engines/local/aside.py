"""The directories of runs that are being pruned: moved aside in the transaction that forgets them, removed after it.

They are moved from `runs/N.K` to `sessions/NAME/pruned/N.K`. If the task still exists later, the transaction was not
committed, and the directory is put back; otherwise it is removed. So a task whose prune failed has lost nothing, and no
files are left without a task.
"""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base.errors import Refused
from agentq_cli.engines.local.state_dir import sync_directory
from agentq_cli.host.place import refuse_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.base.path import Path
    from agentq_cli.engines.local.session_write import SessionWrite


def place(session: Path) -> Path:
    """The directory in which they wait to be removed."""
    return session / "pruned"


def move(session: Path, seq: int, runs: int) -> bool:
    """Move the directories of a task's runs aside; returns whether there were any. Raises Refused, Usage, having moved
    none."""
    source, target = session / "runs", place(session)
    moved: list[str] = []
    try:
        refuse_link(source)
        refuse_link(target)
        for name in (f"{seq}.{attempt}" for attempt in range(1, runs + 1)):
            if os.path.lexists(source / name):
                target.mkdir(mode=0o700, exist_ok=True)
                os.rename(source / name, target / name)
                moved.append(name)
    except OSError as error:
        for name in moved:
            os.rename(target / name, source / name)
        raise Refused(f"'{source}': {error.strerror}; nothing of {session.name}/{seq} was removed") from error
    return bool(moved)


def sync(session: Path) -> None:
    """Sync the moves to disk, before the commit that forgets the task. Raises Refused."""
    try:
        for directory in (session / "runs", place(session), session):
            sync_directory(directory)
    except OSError as error:
        raise Refused(f"'{session}': {error.strerror}") from error


def names(session: Path) -> list[str]:
    """The names of the directories that were moved aside."""
    try:
        return [name for name in sorted(os.listdir(place(session))) if _is_run(name)]
    except OSError:
        return []


def _is_run(name: str) -> bool:
    seq, _, attempt = name.partition(".")
    return name.isascii() and seq.isdecimal() and attempt.isdecimal()


def settle(write: SessionWrite, *, dry: bool = False) -> tuple[list[str], list[str]]:
    """Put back the directories of existing tasks, while the session is locked; returns the names of these runs, and of
    those that are to be removed. With `dry` nothing is moved."""
    source, target = write.home / "runs", place(write.home)
    back, gone = [], []
    for name in names(write.home):
        if not write.has(int(name.partition(".")[0])):
            gone.append(name)
            continue
        with contextlib.suppress(OSError):
            if not dry:
                os.rename(target / name, source / name)
            back.append(name)
    if not dry:
        with contextlib.suppress(OSError):
            os.rmdir(target)
    return back, gone
