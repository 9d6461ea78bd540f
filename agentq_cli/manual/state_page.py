"""agentq-state(5): the state directory, with every table and column of a new one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping

from agentq_cli import __version__
from agentq_cli.engines.local import describe
from agentq_cli.engines.local.describe import Column
from agentq_cli.manual import mdoc
from agentq_cli.manual.template import TEMPLATES, filled

NAME = "agentq-state.5"
KINDS = ("index", "inbound", "outbound")


def render() -> str:
    """The whole page. Raises ValueError if a table or column has no description."""
    described = tomllib.loads((TEMPLATES / "columns.toml").read_text(encoding="utf-8"))
    found = {kind: describe.tables(kind) for kind in KINDS}
    missing = [name for kind in KINDS for name in _undescribed(kind, found[kind], described[kind])]
    if missing:
        raise ValueError(f"columns.toml does not say what these mean: {', '.join(missing)}")
    return filled(
        NAME,
        HEAD=mdoc.head("agentq-state", 5, __version__),
        INDEX=list(_tables(found["index"], described["index"])),
        INBOUND=list(_tables(found["inbound"], described["inbound"])),
        OUTBOUND=list(_tables(found["outbound"], described["outbound"])),
        VERSIONS=", ".join(f"{describe.version(kind)} for {kind}" for kind in KINDS)
        .replace("for index", "for agentq.db")
        .replace("for inbound", "for inbound.db")
        .replace("for outbound", "for outbound.db"),
        SEE=mdoc.see_also([("agentq", 1), ("agentq-config", 5), ("agentq-sweep", 1)]),
    )


def _undescribed(
    kind: str, tables: Mapping[str, tuple[Column, ...]], described: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    for table, columns in tables.items():
        known = described.get(table, {})
        yield from (
            f"{kind}.{table}.{name}" for name in ("_", *(column.name for column in columns)) if name not in known
        )


def _tables(tables: Mapping[str, tuple[Column, ...]], described: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for table, columns in tables.items():
        yield f".Ss {table}"
        yield from mdoc.prose(described[table]["_"])
        yield from mdoc.tagged((_head(column), mdoc.prose(described[table][column.name])) for column in columns)


def _head(column: Column) -> str:
    kind = " ".join(
        part for part in (column.type, "key" if column.key else "", "" if column.required else "or NULL") if part
    )
    return f"Va {mdoc.argument(column.name)} Pq {mdoc.argument(kind or 'any')}"
