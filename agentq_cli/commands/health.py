"""`agentq health`: whether anything is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.base.dataclass import asdict
from agentq_cli.base.errors import AgentqError, Unreadable
from agentq_cli.diagnose.health import Issue, Severity, issues
from agentq_cli.show.results import Document, Result, Worded

STATUSES = ("healthy", "degraded", "unhealthy")

PUT_BACK = "restore the file from a copy; if agentq.db is missing, `agentq sweep --reindex` rebuilds it"

UP_TO_DATE = "`agentq fleet upgrade`, or upgrade agentq here if its tables are newer"

EXAMPLES = (
    ("agentq health", "Show whether anything is wrong."),
    ("agentq health --json", "Print the same as a JSON document, for a monitor."),
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given


def health(given: Given, at: Context) -> Result:
    """Show what is wrong, and what to do about it.

    Exits with 0 if all is healthy, 1 if it is degraded, 2 if it is unhealthy.
    """
    found = list(_found(at))
    code = 0 if not found else 2 if any(issue.severity is Severity.ERROR for issue in found) else 1
    data = {"status": STATUSES[code], "issues": [asdict(issue) for issue in found]}
    return Document("health", data, _lines(STATUSES[code], found), code=code, prose=True)


def _found(at: Context) -> Iterator[Issue]:
    part, put_back, page = (
        ("state dir", PUT_BACK, "agentq") if at.url is None else ("database", UP_TO_DATE, "agentq-fleet")
    )
    try:
        queue = at.open_queue()
        yield from issues(queue, at.config)
    except Unreadable as error:
        yield Issue(Severity.ERROR, part, error.message, put_back)
    except AgentqError as error:
        if error.code == 2:
            raise
        yield Issue(Severity.ERROR, part, error.message, f"try again; if it persists, see `man {page}`")


def _lines(status: str, found: list[Issue]) -> Iterator[str]:
    yield status
    for issue in found:
        yield Worded(f"{issue.severity}: {issue.component}: {issue.message}")
        yield f"  {issue.recommendation}"
