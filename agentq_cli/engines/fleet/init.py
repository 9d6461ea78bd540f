"""Creating the schema of the fleet, and bringing an older one up to date. Both may be repeated."""

from __future__ import annotations

import uuid

from agentq_cli import __version__
from agentq_cli.base.errors import Refused, Unreadable, WrongState
from agentq_cli.engines.fleet import errors, schema
from agentq_cli.engines.fleet.connection import LOCK_MS, Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.fleet import FleetSettings

ROLE = "agentq"
"""The role that the printed GRANTs name."""

OLDER = "SELECT name, version FROM agentq.hosts WHERE left_at IS NULL AND version <> %(version)s ORDER BY name"
VERSION = "SELECT value FROM agentq.meta WHERE name = 'version'"


def init(url: str, settings: FleetSettings) -> bool:
    """Create the schema with its tables; returns whether there were none. Raises Usage if the role may not, and
    Refused if the database does not store UTF-8."""
    with Connection(url, settings.schema) as connection:
        if connection.send("SHOW server_encoding") != [("UTF8",)]:
            raise Refused(errors.at(url, "the database does not store UTF-8: create it with ENCODING 'UTF8'"))
        return _up(connection, create=True)


def upgrade(url: str, settings: FleetSettings) -> bool:
    """Take the steps that an existing schema lacks; returns whether there were any. Raises Unreadable if there is no
    schema, or a newer one, and WrongState if one removes what an older host that is up still uses."""
    with Connection(url, settings.schema) as connection:
        return _up(connection, create=False)


def _up(connection: Connection, *, create: bool) -> bool:
    connection.begin(LOCK_MS)
    try:
        ((there,),) = connection.send(_filled(connection, "SELECT to_regclass('agentq.meta') IS NOT NULL"))
        if not there and not create:
            raise Unreadable(errors.at(connection.url, f"it has no schema '{connection.schema}'; {errors.CREATE}"))
        before = int(connection.send(_filled(connection, VERSION))[0][0]) if there else 0
        if before > schema.latest():
            raise newer(connection.url, before)
        steps = [step for step in schema.steps() if step.number > before]
        if there and any(step.removes for step in steps):
            _refuse_older_hosts(connection)
        todo = [step.sql for step in steps]
        if not there:
            # Not IF NOT EXISTS alone: that asks for the right to create even where nothing is to be.
            exists = "SELECT 1 FROM pg_namespace WHERE nspname = %(schema)s"
            if not connection.send(connection.filled(exists, {"schema": connection.schema})):
                todo.insert(0, f'CREATE SCHEMA "{connection.schema}"')
        for sql in todo:
            connection.send(_filled(connection, sql))
        values = {"version": str(schema.latest()), "id": str(uuid.uuid4())}
        stored = (
            "INSERT INTO agentq.meta (name, value) VALUES ('version', %(version)s), ('id', %(id)s)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE meta.name = 'version';"
        )
        last = connection.filled(connection.in_schema(stored), values) if todo else b""
    except BaseException:
        connection.roll_back()
        raise
    connection.commit(last)
    return bool(todo)


def _refuse_older_hosts(connection: Connection) -> None:
    asked = connection.filled(_filled(connection, OLDER), {"version": __version__})
    for name, version in connection.send(asked):
        raise WrongState(
            errors.at(connection.url, f"host '{name}' works with agentq {version}; upgrade or stop it first")
        )


def _filled(connection: Connection, sql: str) -> str:
    return connection.in_schema(sql)


def newer(url: str, version: int) -> Unreadable:
    """The error about a schema of a later version."""
    return Unreadable(errors.at(url, f"its schema is {version}, newer than {schema.latest()}; upgrade agentq here"))


def grants(settings: FleetSettings, role: str = ROLE) -> list[str]:
    """What lets a role work with the schema that it does not own, as SQL."""
    name = settings.schema
    return [
        f"GRANT USAGE ON SCHEMA {name} TO {role};",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO {role};",
        # `migrate` keeps the numbers of runs and events.
        f"GRANT USAGE, UPDATE ON ALL SEQUENCES IN SCHEMA {name} TO {role};",
    ]
