"""Every way in which a command can fail, with its exit code; `failures` turns these into one line and a code.

An error's message is `WHAT: WHY` with the offending value quoted (CONTRACT, exit codes).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class AgentqError(Exception):
    """The base class: `code` is the exit code, `kind` the word that scripts match in JSON. If it stands for several
    errors, `parts` are those that are told, and `more` is how many others there are."""

    code = 70
    kind = "bug"
    parts: tuple[AgentqError, ...] = ()
    more = 0

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Usage(AgentqError):
    """A bad option, value or configuration; nothing was stored."""

    code = 2
    kind = "usage"


class NotAnAddress(Usage):
    """A word that should name a task is no address. `what` wanted it; the word may be the name of a session."""

    def __init__(self, message: str, what: str = "", word: str = "") -> None:
        super().__init__(message)
        self.what = what
        self.word = word


class NotFound(AgentqError):
    """The named session, task, run or agent does not exist."""

    code = 3
    kind = "not_found"


class WrongState(AgentqError):
    """The task's state does not allow this."""

    code = 4
    kind = "wrong_state"


class LimitReached(AgentqError):
    """A configured limit, such as `max_queued`, would be exceeded."""

    code = 4
    kind = "limit"


class Busy(AgentqError):
    """A lock was not free in time; the same call may succeed later."""

    code = 5
    kind = "busy"


class Unreadable(AgentqError):
    """A state file is corrupt or was written by a newer agentq; it was left unchanged."""

    code = 6
    kind = "unreadable"


class Deferred(AgentqError):
    """All remaining work waits for an agent's limit."""

    code = 75
    kind = "deferred"


class Refused(AgentqError):
    """The operating system refused: no space, no permission, a read-only file system."""

    code = 1
    kind = "refused"


class TimedOut(AgentqError):
    """`wait --timeout` ran out before the tasks ended."""

    code = 124
    kind = "timeout"


LONGEST_NEAR = 200
"""No nearest name is searched for words longer than this, since the cost grows with the square of the length."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'X'?` for the known name closest to `word`, or an empty string."""
    if len(word) > LONGEST_NEAR:
        return ""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def of_line(error: AgentqError, number: int) -> AgentqError:
    """The same error, prefixed with the line of the batch that it is about."""
    prefix = f"--batch line {number}: "
    return error if error.message.startswith(prefix) else type(error)(prefix + error.message.removeprefix("--"))
