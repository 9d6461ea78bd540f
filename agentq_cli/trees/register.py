"""The records of all trees, each a file beside its tree: `.NAME.json` in the directory of the trees.

An agent can write there, so a record is checked when it is read, and one that is damaged hides no other.
"""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base.errors import AgentqError
from agentq_cli.git.tree_lock import beside
from agentq_cli.host import record_files
from agentq_cli.trees.records import TreeRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

WHAT = "json"
SUFFIX = f".{WHAT}"
NUMBERS = ".numbers.lock"
"""The lock of whoever gives a number. No tree has a name to which a file of this name would belong."""


class BadRecord(AgentqError):
    """The record of a tree is damaged, or is that of another tree."""

    code = 1
    kind = "bad_record"


def read(path: str) -> TreeRecord | None:
    """The record of the tree at `path`; None if there is none. Raises BadRecord, OSError."""
    return read_file(path, beside(path, WHAT))


def read_file(path: str, file: str) -> TreeRecord | None:
    """The record of the tree at `path` that lies in this file; None if there is none. Raises BadRecord, OSError."""
    found = record_files.load(file)
    if found is None:
        return None
    try:
        record = _checked(found)
    except (KeyError, ValueError) as error:
        raise BadRecord(f"tree '{path}': its record '{file}' is damaged") from error
    if record.path != path:
        raise BadRecord(f"tree '{path}': its record '{file}' is that of '{record.path}'")
    return record


def write(record: TreeRecord, file: str | None = None) -> None:
    """Write the record of a tree to its place, or to another file there, durably and complete at any moment. Raises
    OSError."""
    file = file or beside(record.path, WHAT)
    record_files.put(file, {name: getattr(record, name) for name in FIELDS}, synced=True)
    record_files.sync_directory(os.path.dirname(file))


def add(trees: str, made: Callable[[int], TreeRecord]) -> TreeRecord:
    """Write a new record, which `made` makes of the smallest number that no other tree has. Raises OSError."""
    os.makedirs(trees, mode=0o700, exist_ok=True)
    descriptor = os.open(f"{trees}/{NUMBERS}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        record_files.lock(descriptor)
        taken = {each.number for each in records(trees)}
        record = made(next(number for number in range(1, len(taken) + 2) if number not in taken))
        write(record)
    finally:
        os.close(descriptor)
    return record


def remove(path: str) -> None:
    """Remove the record of the tree at `path`, if there is one. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside(path, WHAT))


def records(trees: str) -> Iterator[TreeRecord]:
    """All records that can be read, by path. Raises OSError."""
    yield from (each for each in entries(trees) if isinstance(each, TreeRecord))


def entries(trees: str) -> Iterator[TreeRecord | BadRecord]:
    """All records by path, and for one that cannot be read, why. Raises OSError."""
    for name in _listed(trees):
        if name.startswith(".") and name.endswith(SUFFIX):
            try:
                record = read(os.path.join(trees, name.removeprefix(".").removesuffix(SUFFIX)))
            except BadRecord as bad:
                yield bad
            else:
                if record is not None:
                    yield record


def _listed(trees: str) -> list[str]:
    try:
        return sorted(os.listdir(trees))
    except FileNotFoundError:
        return []


FIELDS: dict[str, str] = {name: str(kind) for name, kind in TreeRecord.__annotations__.items()}
"""The fields of a record, each with its type as it is written there."""


def _checked(found: dict[str, Any]) -> TreeRecord:
    """A record of a document. Raises KeyError for a field that is missing, ValueError for one of another type."""
    optional = {name: found.get(name) for name, kind in FIELDS.items() if "None" in kind}
    values = {name: found[name] for name in FIELDS if name not in optional} | optional
    for name, kind in FIELDS.items():
        value = values[name]
        if type(value).__name__ not in kind.replace("None", "NoneType").split(" | "):
            raise ValueError(name)
        if type(value) is int and not 0 <= value < 1 << 62:
            raise ValueError(name)
    if not os.path.isabs(values["repository"]) or not values["branch"]:
        raise ValueError("repository and branch")
    return TreeRecord(**values)
