"""Creating the schema of the fleet, and bringing an older one up to date. Both may be repeated."""

from __future__ import annotations

import uuid

from agentq_cli import __version__
from agentq_cli.base.errors import Refused, Unreadable, Usage, WrongState
from agentq_cli.engines.fleet import errors, schema
from agentq_cli.engines.fleet.connection import LOCK_MS, Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.fleet import FleetSettings

OLDER = "SELECT name, version FROM agentq.hosts WHERE left_at IS NULL AND version <> %(version)s ORDER BY name"
OWNERS = """
SELECT current_user, has_database_privilege(current_database(), 'CREATE'),
       (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %(schema)s)
"""
VERSION = "SELECT value FROM agentq.meta WHERE name = 'version'"


def init(url: str, settings: FleetSettings) -> bool:
    """Create the schema with its tables; returns whether there were none. Raises Usage if the role may not, or if
    another one owns the schema, and Refused if the database does not store UTF-8."""
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
        missing = create and not _is_own(connection)
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
        if missing:
            todo.insert(0, f"CREATE SCHEMA {quoted(connection.schema)}")
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


def _is_own(connection: Connection) -> bool:
    """Whether the schema exists, and is this role's: who owns it can have every host run what it likes.

    Raises Usage if it is another role's, or if there is none and this role may not create it.
    """
    me, may, owner = connection.send(connection.filled(OWNERS, {"schema": connection.schema}))[0]
    if owner is None and not may:
        why = f"permission denied: role '{me}' may not create a schema; type `agentq fleet init` as one that may"
    elif owner not in (None, me):
        why = (
            f"schema '{connection.schema}' belongs to role '{owner}', not to '{me}': if that role is to own the fleet,"
        )
        why += " type `agentq fleet init` as it; if not, name another schema in [fleet]"
    else:
        return owner is not None
    raise Usage(errors.at(connection.url, why))


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


def names(url: str, settings: FleetSettings) -> tuple[str, str]:
    """The database that a URL leads to, and the role that it logs in with."""
    with Connection(url, settings.schema) as connection:
        ((database, role),) = connection.send("SELECT current_database(), current_user")
    return database, role


def grants(settings: FleetSettings, role: str, database: str) -> list[str]:
    """What lets a role work with the schema that it does not own, and no other role connect, as SQL."""
    named, role, database = quoted(settings.schema), quoted(role), quoted(database)
    return [
        # Who can connect can hold the writers' lock, and hear and send wake-ups, without any right to a table.
        f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC;",
        f"GRANT CONNECT ON DATABASE {database} TO {role};",
        f"GRANT USAGE ON SCHEMA {named} TO {role};",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {named} TO {role};",
        # `migrate` keeps the numbers of runs and events.
        f"GRANT USAGE, UPDATE ON ALL SEQUENCES IN SCHEMA {named} TO {role};",
    ]


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever its letters."""
    return '"' + name.replace('"', '""') + '"'
