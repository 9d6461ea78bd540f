"""The contract's errors for PostgreSQL's. Nothing else translates them."""

from __future__ import annotations

from agentq_cli.base import database_url
from agentq_cli.base.errors import AgentqError, Busy, Refused, Unreadable, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.fleet.driver import Error

CREATE = "`agentq fleet init` creates it"
NEEDED = "`agentq fleet init` prints what the role needs"
UPGRADE = "`agentq fleet upgrade` brings it up to date"

HOST = "23503"
LOCK = ("55P03", "40001", "40P01")
SLOW = ("57014", "25P03", "25P04")
GONE = ("08", "57P")
FULL = ("53",)
FORGOTTEN = ("26000", "42P05", "0A000")
"""The codes, and classes of codes, of PostgreSQL's appendix A."""

AWAY = (
    *("refused", "timeout", "timed out", "No such file", "unreachable", "closed the connection", "reset by peer"),
    *("starting up", "shutting down", "recovery", "too many", "remaining connection slots", "Broken pipe"),
    *("emporary failure", "No route", "server_login_retry", "pooler", "SSL SYSCALL", "not yet accepting", "is down"),
    *("query_wait_timeout", "terminating connection", "no more connections"),
)
"""What a library or a server that nobody can reach now says, before it tells a code."""


class Gone(Busy):
    """The connection was lost."""


class Forgotten(Busy):
    """A prepared statement is not what it was: the session has been changed, or the tables have."""


class Superseded(Busy):
    """This host was taken for lost, so that what refers to it has no row, or a run is another host's: `why`."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(at(url, why))
        self.why = why


def at(url: str, why: str) -> str:
    """The message about a database."""
    return f"url '{database_url.shown(url)}': {why}"


def of_connecting(error: Error, url: str) -> AgentqError:
    """The error of a connection that could not be made."""
    why = line(error)
    if any(each in why for each in AWAY):
        return Busy(at(url, f"the database does not answer ({why}); try again"))
    denied = "permission denied for database" in why
    return Usage(at(url, f"{why}; {NEEDED}" if denied else why))


def translate(error: Error, url: str) -> AgentqError:
    """The error of a statement."""
    code = error.pgcode or ""
    if code in LOCK:
        return Busy(at(url, "another process held its lock for too long; try again"))
    if code == HOST:
        return Superseded(url, f"others have taken this host for lost ({line(error)})")
    if code in SLOW:
        return Busy(at(url, f"it took too long ({line(error)}); try again"))
    if code in FORGOTTEN:
        return Forgotten(at(url, f"a prepared statement is of no use any more ({line(error)}); try again"))
    if not code or code.startswith(GONE):
        return Busy(at(url, f"the database does not answer ({line(error)}); try again"))
    if code == "42P01" or code.startswith("3F"):
        return Unreadable(at(url, f"it has no tables of agentq ({line(error)}); {CREATE}"))
    if code == "42703":
        return Unreadable(at(url, f"its tables are of another version ({line(error)}); {UPGRADE}"))
    if code == "42501":
        return Usage(at(url, f"{line(error)}; {NEEDED}"))
    if code == "25006":
        return Refused(at(url, f"it cannot be written ({line(error)})"))
    if code.startswith(FULL):
        return Refused(at(url, f"{line(error)}; nothing was stored"))
    return AgentqError(at(url, f"{line(error)} ({code})"))


def line(error: Exception) -> str:
    """Its message in one line, without the text of the statement, in which there are prompts."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    text = str(primary or error).strip()
    return " ".join(text.split())[:300] or type(error).__name__
