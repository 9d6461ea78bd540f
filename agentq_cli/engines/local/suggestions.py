"""What a shell can offer while a person types: bounded queries on the index alone, which change nothing.

The completion files ask at every TAB, so neither the door's types nor the model is loaded. What is read may be text of
an agent: the caller decides what is harmless.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from agentq_cli.base.names import is_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

LABELLED = 2000
"""How many live tasks, and how many ended tasks, labels are collected from."""

MOST_STEPS = 30_000_000
"""Steps of SQLite's virtual machine, about a second; a longer query is given up."""

BUSY_SECONDS = 0.2


def suggest(path: str, kind: str, prefix: str, most: int) -> Iterator[object]:
    """Names of sessions, or addresses of tasks or runs, that begin with the prefix, or all labels or keys of
    conversations; some twice, `most`
    from each query. Nothing if there is no index. Raises sqlite3.Error."""
    index = os.path.join(path, "agentq.db")
    if not os.path.isfile(index):
        return
    import sqlite3
    from urllib.parse import quote

    # Read-only, because completion must not roll back what a dead writer left behind; commands do that.
    connection = sqlite3.connect(f"file:{quote(index)}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    try:
        connection.set_progress_handler(lambda: 1, MOST_STEPS)
        yield from _found(connection, kind, prefix, most)
    finally:
        connection.close()


def _found(connection: sqlite3.Connection, kind: str, prefix: str, most: int) -> Iterable[object]:
    if kind == "labels":
        return _labels(connection)
    if kind == "keys":
        return (key for name in ("keys_live", "keys_ended") for (key,) in _rows(connection, name, limit=LABELLED))
    if kind == "sessions":
        return (name for (name,) in _rows(connection, "sessions", prefix=prefix, limit=most))
    address, dot, _ = prefix.rpartition(".")
    session, slash, seq = address.rpartition("/")
    if dot and slash and seq.isdecimal() and kind in ("live", "tasks"):
        rows = _rows(connection, "attempts", session=session, seq=int(seq), limit=most)
        return (f"{address}.{attempt}" for (attempt,) in rows if is_name(session))
    return _addresses(connection, kind, prefix, most)


def _addresses(connection: sqlite3.Connection, kind: str, prefix: str, most: int) -> Iterator[str]:
    for query in ("live", "ended") if kind == "tasks" else (kind,):
        if prefix.isdecimal():
            # A bare number means a task of the session `default`.
            for session, seq in _rows(connection, query, prefix=f"default/{prefix}", limit=most):
                if session == "default" and isinstance(seq, int):
                    yield str(seq)
        for session, seq in _rows(connection, query, prefix=prefix, limit=most):
            if isinstance(session, str) and is_name(session) and isinstance(seq, int):
                yield f"{session}/{seq}"


def _labels(connection: sqlite3.Connection) -> Iterator[object]:
    import json

    for query in ("labels_live", "labels_ended"):
        for (text,) in _rows(connection, query, limit=LABELLED):
            if isinstance(text, str) and text != "[]":
                yield from json.loads(text)


def _rows(connection: sqlite3.Connection, query: str, **parameters: object) -> Iterator[tuple[object, ...]]:
    from agentq_cli.engines.local.queries import statements

    yield from connection.execute(statements("complete")[query], parameters)
