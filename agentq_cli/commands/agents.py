"""`agentq agents`: the agents that tasks can name, and whether each could start here."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.agents import profile
from agentq_cli.agents.probe import version
from agentq_cli.base.defaults import BUILT_IN
from agentq_cli.base.errors import Usage
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result
from agentq_cli.show.tables import Column

COLUMNS = (
    Column("AGENT", "name", keep=True),
    Column("STATE", lambda agent: "ok" if agent["found"] else "missing", kind="status"),
    Column("DEFAULT", "default", spare=2),
    Column("VERSION", "version", spare=True),
    Column("SOURCE", "source", spare=True),
    Column("PROGRAM", lambda agent: agent["program"] or agent["argv"][0]),
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq agents", "Show which agents could start here."),
    ("agentq agents --json", "Include each agent's command line."),
)


def agents(given: Given, at: Context) -> Result:
    """List the agents, and whether each one's program is found.

    Also shows where each profile comes from, the program's version, and which agent is the default.
    """
    return Items("agents", _items(at), COLUMNS)


def _items(at: Context) -> Iterator[documents.Item]:
    path = at.environ.get("PATH")
    default = _default(at, path)
    for name, found in profile.profiles(at.config).items():
        program = profile.find_program(found, path)
        command = profile.version_command(found)
        yield {
            "name": name,
            "source": _source(at, name),
            "found": program is not None,
            "program": program,
            "version": version(command) if program is not None and command is not None else None,
            "default": name == default,
            "argv": list(found.argv),
            "prompt": found.prompt,
            "reader": found.reader,
            "continues": found.continues,
            "reports_cost": found.reports_cost,
            "edits": found.edits,
            "asks": found.asks,
            "trust": list(found.trust),
            "env_keys": sorted(found.env),
        }


def _source(at: Context, name: str) -> str:
    if name not in at.config.agents:
        return "built in"
    return "built in, config" if name in BUILT_IN else "config"


def _default(at: Context, path: str | None) -> str | None:
    """The agent of a prompt in the session `default` that names none."""
    try:
        return profile.default_agent(at.config, "default", path)
    except Usage:
        return None
