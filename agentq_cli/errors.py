"""Every way a command can fail, with its exit code; `failures` turns these into one line and a code.

The message of an error is `WHAT: WHY` with the offending value quoted (CONTRACT, exit codes).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class AgentqError(Exception):
    """The base: `code` is the exit status, `kind` the word scripts match in JSON."""

    code = 70
    kind = "bug"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Usage(AgentqError):
    """A bad option, value or configuration; nothing was stored."""

    code = 2
    kind = "usage"


class NotFound(AgentqError):
    """The session, task, run or agent named does not exist."""

    code = 3
    kind = "not_found"


class WrongState(AgentqError):
    """The task is not in a state that allows this."""

    code = 4
    kind = "wrong_state"


class LimitReached(AgentqError):
    """A configured bound, such as `max_queued`, would be passed."""

    code = 4
    kind = "limit"


class Busy(AgentqError):
    """A lock was not free in time; the same call may succeed later."""

    code = 5
    kind = "busy"


class Unreadable(AgentqError):
    """A state file is corrupt or written by a newer agentq; it was left as it is."""

    code = 6
    kind = "unreadable"


class Deferred(AgentqError):
    """Only work that waits for an agent's limit is left."""

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
"""Characters of a word that a nearest name is looked for: the search takes the square of it."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'X'?` for the known name closest to `word`, or an empty string."""
    if len(word) > LONGEST_NEAR:
        return ""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def of_line(error: AgentqError, number: int) -> AgentqError:
    """The same error, with the line of a batch that it is about."""
    prefix = f"--batch line {number}: "
    return error if error.message.startswith(prefix) else type(error)(prefix + error.message.removeprefix("--"))
