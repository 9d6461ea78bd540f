"""`agentq fleet`: creates the tables of a fleet in its database, or brings them up to date."""

from __future__ import annotations

from agentq_cli.base.errors import Usage
from agentq_cli.options.table import row
from agentq_cli.options.values import parse_choice
from agentq_cli.show import notices
from agentq_cli.show.results import Document, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

ROLE = "agentq"
"""The role of the hosts if the URL of the owner is given, and none of the hosts names one."""

USAGES = ("[OPTIONS] init [URL]", "[OPTIONS] upgrade [URL]")
EXAMPLES = (
    ("agentq fleet init postgresql://root@db/q", "Create the tables, and print the GRANTs."),
    ("agentq fleet init postgresql:///q | psql q", "The same, and let the role do its work."),
    ("agentq fleet upgrade postgresql://root@db/q", "Bring them up to date with this version."),
)


def fleet(given: Given, at: Context) -> Result:
    """Create the tables of a fleet in a PostgreSQL database, or bring them up to date.

    'init' creates them in the schema 'agentq', or that of [fleet] in the config, as a role that may do that. It prints
    the GRANTs that the role of the hosts needs. 'upgrade' takes the steps that a newer version of agentq wants. Both
    may be repeated.
    """
    from agentq_cli.engines import door

    action = parse_choice(given["action"], row("fleet", "action"), "fleet")
    url = given["owner"] or at.url
    if url is None:
        raise Usage(f"fleet {action}: name the database, as in postgresql://postgres@db.example/agentq")
    changed, role, grants = door.prepare_fleet(url, at.fleet, role=_role(given, at), create=action == "init")
    done = {"init": "created", "upgrade": "upgraded"}[action]
    notices.note(f"schema '{at.fleet.schema}': {done if changed else 'nothing to do'}")
    data = {"schema_name": at.fleet.schema, "changed": changed, "role": role, "grants": grants}
    return Document("fleet", data, grants)


def _role(given: Given, at: Context) -> str | None:
    """The role that hosts log in with; None: that of the URL in use, as no other one is given for the owner."""
    from agentq_cli.base import database_url

    if given["role"] or not given["owner"]:
        return given["role"] or None
    return (at.url and database_url.user_of(at.url)) or ROLE
