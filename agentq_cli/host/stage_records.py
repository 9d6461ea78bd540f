"""The records of a run that the program of the stages writes: of its tree, of what it left there, of its landing.

Each appears complete and durable, so that one that is missing means that the stage was interrupted. The agent can write
to their directory, so each is checked when it is read.
"""

from __future__ import annotations

import contextlib
import os

from agentq_cli.host import record_files as files
from agentq_cli.model.statuses import FailureClass
from agentq_cli.model.trees import Left, Made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    Record = TypeVar("Record")

TREE, LEFT = "tree", "left"
"""The names of the records."""

LONGEST = 2000
"""How many characters of a sentence are kept."""


def write(run_dir: str, name: str, document: Mapping[str, Any]) -> None:
    """Put a record in place, in that of an earlier one. Raises OSError."""
    path = f"{run_dir}/{name}"
    temporary = f"{path}.{os.getpid()}"
    files.write_new(temporary, document)
    with open(temporary, "rb") as written:
        os.fsync(written.fileno())
    os.replace(temporary, path)
    files.sync_directory(run_dir)


def remove(run_dir: str, name: str) -> None:
    """Remove a record that an earlier start of its stage has left. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{run_dir}/{name}")


def read_made(run_dir: str) -> Made | None:
    """The run's tree; None if making it was interrupted, or has not begun. Raises OSError."""
    return _read(run_dir, TREE, _made)


def read_left(run_dir: str) -> Left | None:
    """What the run left in its tree; None if that was not found out. Raises OSError."""
    return _read(run_dir, LEFT, _left)


def _read(run_dir: str, name: str, parse: Callable[[Mapping[str, Any]], Record]) -> Record | None:
    document = files.load(f"{run_dir}/{name}")
    if document is None:
        return None
    try:
        return parse(document)
    except (KeyError, TypeError, ValueError):
        return None


def _made(found: Mapping[str, Any]) -> Made:
    failed = None if found["failed"] is None else FailureClass(found["failed"])
    notes = tuple(_text(each) for each in found["notes"])
    error = None if found["error"] is None else _text(found["error"])
    return Made(_text(found["start"]), _whole(found["number"]), found["set_up"] is True, notes, failed, error)


COUNTS = ("commits", "files_changed", "insertions", "deletions")


def _left(found: Mapping[str, Any]) -> Left:
    known: dict[str, Any] = {}
    for name in Left._fields:
        value = found[name]
        if value is None and name in Left._field_defaults:
            continue
        if name in COUNTS:
            known[name] = _whole(value)
        elif name == "dirty":
            known[name] = value is True
        else:
            known[name] = _text(value)
    return Left(**known)


def _whole(value: object) -> int:
    """A non-negative integer that fits into a database column. Raises ValueError for anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise ValueError("not a whole number")
    return value


def _text(value: object) -> str:
    """A string that can be stored. Raises ValueError for anything else."""
    if not isinstance(value, str):
        raise ValueError("not text")
    return value.encode("utf-8", "replace").decode("utf-8")[:LONGEST]
