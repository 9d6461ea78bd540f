"""The SQL of the fleet against a real server."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import postgres
import pytest

from agentq_cli.engines.fleet import init, queries, statements
from agentq_cli.model.fleet import FleetSettings

pytestmark = pytest.mark.skipif(postgres.why_not() is not None, reason=str(postgres.why_not()))

FILES = sorted(Path(queries.__file__).parent.glob("*.sql"))
PARTS = {
    "read.which_runs": "SELECT * FROM agentq.task_runs AS task_runs WHERE {}",
    "output.piece": "SELECT * FROM (VALUES {}) AS given (begin, size, bytes)",
}
"""What is no statement, but a part of one."""

SCHEMA = FILES[0].parents[1] / "schema"
COLUMNS = "".join(file.read_text() for file in sorted(SCHEMA.glob("*.sql")))
LIKE = {
    "after_session",
    "from",
    "to",
    "before_status",
    "old_boot_id",
    "bound",
    "host_key",
    "cause",
    "label",
    "prefix",
    "channel",
    "boot",
}
TEXTS = {*re.findall(r'(?:^  |ADD COLUMN )"?(\w+)"? +text', COLUMNS, re.MULTILINE), *LIKE, "target_session"}
"""The values that are texts: those of columns, and others."""

LISTS = {
    "passed": "[]",
    "numbers": "[1]",
    "signs": "[]",
    "seqs": "[1]",
    "gone": "[1]",
    "ids": '["a"]',
    "names": '["a"]',
    "firsts": '[["a", 1]]',
    "addresses": '[["a", 1]]',
    "status": '["failed"]',
}


def every_statement() -> list[str]:
    return [f"{file.stem}.{name}" for file in FILES for name in queries.statements(file.stem)]


def values(text: str) -> dict[str, object]:
    """A value for each name: a number, or a text that is one, which the server takes for either."""
    found: dict[str, object] = {}
    for name in re.findall(r"%\((\w+)\)s", text):
        found[name] = LISTS[name] if name in LISTS and "json" in text else "1" if name in TEXTS else 1
    return found


def test_the_server_accepts_every_statement() -> None:
    """As it is, with values or without, and prepared; and no two columns have the same name, so that it may be one of
    several whose answers are JSON."""
    of, kept = postgres.shared(), statements.Statements()
    with postgres.schema() as schema:
        init.init(of.url(), FleetSettings(schema=schema))
        with closing(of.connect()) as connection, connection.cursor() as cursor:
            refused, prepared = {}, 0
            for name in every_statement():
                text = queries.statement(name, schema)
                text = queries.in_schema(PARTS.get(name, "{}").format(text), schema) if name in PARTS else text
                text = text.replace("{now}", "1").replace("{columns}", "reason = %(reason)s")
                text = text.replace("{pieces}", "(1, 1, CAST('' AS bytea))")
                for given in (values(text), dict.fromkeys(values(text))):
                    try:
                        cursor.execute(text if text.startswith("SET ") else f"EXPLAIN {text}", given)
                    except Exception as error:
                        refused[name] = f"{error} {given}"
                if statements.OPTIONAL in text or name in PARTS:
                    continue
                try:
                    cursor.execute(kept.prepare(text))
                    kept.done(text)
                    prepared += 1
                except Exception as error:
                    refused[name] = f"prepared: {error}"
                if text.startswith(("SELECT", "WITH RECURSIVE")) and "FOR UPDATE" not in text:
                    cursor.execute(f"SELECT * FROM ({text}) AS one LIMIT 0", values(text))
                    names = [column.name for column in cursor.description]
                    if len({*names}) < len(names):
                        refused[name] = f"its columns are {names}"
    assert refused == {} and prepared > 100


def test_every_table_is_qualified() -> None:
    tables = re.findall(r"CREATE TABLE agentq\.(\w+)", COLUMNS)
    bare = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE|REFERENCES|ON)\s+(?:{'|'.join(tables)})\s*[\s(]")
    texts = {file.name: file.read_text() for file in [*FILES, *SCHEMA.glob("*.sql")]}
    assert len(tables) > 15
    assert {name: bare.findall(text) for name, text in texts.items() if bare.search(text)} == {}
