"""`agentq sweep`: one pass for cron and systemd timers."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.options import values
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq sweep", "Sweep once; from cron, do this every minute."),
    ("agentq sweep --dry-run", "Show what a sweep would do."),
    ("agentq sweep --reindex --no-wake", "Rebuild the index after files were restored from a copy."),
)


def sweep(given: Given, at: Context) -> Result:
    """Do one pass for cron and timers: settle what ended, and start a supervisor for due work.

    It settles runs that ended, recovers those that crashed, enforces limits, expires late tasks, re-arms schedules and
    starts a supervisor for due work. It is safe at any time, and any number of sweeps may run at once.
    """
    session, dry_run, reindex = given["session"], given["dry_run"], bool(given["reindex"])
    from agentq_cli.commands.run import only_on_linux
    from agentq_cli.host.resources import Resources
    from agentq_cli.supervise import gates
    from agentq_cli.supervise.sweep import Sweep

    only_on_linux("sweep")
    gates.check(at.config, Resources())
    only = None if session is None else values.parse_session(session)
    # A sweep of one session does not rebuild a lost index: the tasks of the other sessions would be missing from it.
    queue = at.open_queue(create=not dry_run, rebuild=reindex and only is None)
    if only is not None:
        queue.known(only)
    one = Sweep(queue, at.config, at.fleet.host, at.environ, only, wake=not given["no_wake"], reindex=reindex)

    def items() -> Iterator[documents.Item]:
        for action in one.plan() if dry_run else one.run():
            yield documents.sweep_action(action)

    return Items("sweep", items(), line=_line, code=lambda: int(bool(one.failed)))


def _line(item: documents.Item) -> str:
    target = item["run"] or item["task"] or item["session"]
    return f"{item['action']}{f' {target}' if target else ''}: {item['detail']}"
