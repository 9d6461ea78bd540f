"""`agentq hosts`: the machines that run tasks."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.base.dataclass import replace
from agentq_cli.show import documents, duty_documents
from agentq_cli.show.results import Items, Result
from agentq_cli.show.tables import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.model.hosts import Host
    from agentq_cli.options.table import Given

COLUMNS = (
    Column("HOST", "name", keep=True),
    Column("STATE", "state", kind="status", keep=True),
    Column("LABELS", "labels", spare=2),
    Column("AGENTS", "agents", spare=2),
    Column("RUNNING", lambda host: f"{host['running']}/{host['jobs']}", kind="number"),
    Column("LAST SIGN", "last_seen_at", kind="time", spare=3),
    Column("VERSION", "version", spare=1),
)

EXAMPLES = (
    ("agentq hosts", "List the hosts of the fleet, and how many tasks run on each."),
    ("agentq hosts --json", "Include the lease of each host."),
)


def hosts(given: Given, at: Context) -> Result:
    """List the machines that run tasks, their labels, and the agents that they have.

    A machine is a host of the fleet while 'agentq run' or a sweep works there. It is 'late' after one missed sign,
    'lost' once its lease is over and others take over what it ran, and 'left' after its last supervisor has ended.
    Without a fleet this machine is the only one.
    """
    queue = at.open_queue()

    def items() -> Iterator[documents.Item]:
        for host in queue.hosts():
            yield duty_documents.host(host if at.url is not None else _alone(host, at))

    return Items("hosts", items(), COLUMNS, empty="no hosts; `agentq run` makes this machine one")


def _alone(host: Host, at: Context) -> Host:
    """The only host, with what the configuration and the PATH say of it."""
    from agentq_cli.agents.profile import available

    settings, jobs = at.fleet, host.jobs or at.config.jobs
    agents = available(at.config, at.environ.get("PATH"))
    return replace(host, name=settings.host, labels=settings.labels, agents=agents, jobs=jobs)
