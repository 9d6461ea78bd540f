"""Which tables and columns a fresh file of each kind has, as its migrations made them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.engines.local.migrations import latest
from agentq_cli.engines.local.opening import connect
from agentq_cli.engines.local.queries import statements


class Column(NamedTuple):
    """A column: `type` as declared, empty if it takes anything."""

    name: str
    type: str
    required: bool
    key: bool


def tables(kind: str) -> Mapping[str, tuple[Column, ...]]:
    """The tables of a new file of `kind` (index, inbound, outbound)."""
    queries = statements("describe")
    with tempfile.TemporaryDirectory() as directory:
        connection = connect(f"{directory}/{kind}.db", kind, create=True)
        with contextlib.closing(connection):
            names = [name for (name,) in connection.execute(queries["tables"]).fetchall()]
            return {
                name: tuple(
                    Column(column, type_, bool(required or key), bool(key))
                    for column, type_, required, key in connection.execute(
                        queries["columns"], {"table": name}
                    ).fetchall()
                )
                for name in names
            }


def version(kind: str) -> int:
    """The schema version (`PRAGMA user_version`) of a file of `kind`."""
    return latest(kind)
