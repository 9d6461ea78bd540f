"""Whose tree a person means: a task's, or that of a session's conversation."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.errors import Usage
from agentq_cli.options import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.addresses import Address
    from agentq_cli.options.table import Given


class Target(NamedTuple):
    """`line` is a task or the name of a session, `key` that of a conversation of the session, None for the only one
    with a tree. `attempt` is the number of a run of the task, None for all of them."""

    line: Address | str
    key: str | None = None
    attempt: int | None = None


def target(command: str, given: Given) -> Target:
    """What the arguments of a command mean. Raises Usage."""
    runs = "run" in given
    name, session, key = given["run" if runs else "id"], given["session"], given["conversation"]
    if (name is None) is (session is None):
        what = "a task, one of its runs," if runs else "a task,"
        raise Usage(f"{command}: name {what} or a session with -s; only one of these")
    if session is not None:
        return Target(values.parse_session(session), conversation(given))
    if key is not None:
        raise Usage(f"--conversation '{key}': only together with --session")
    address, attempt = values.parse_run(name) if runs else (values.parse_address(name), None)
    return Target(address, None, attempt)


def conversation(given: Given) -> str | None:
    """The key of the conversation that is meant; None if none is named. Raises Usage."""
    return None if given["conversation"] is None else values.parse_conversation(given["conversation"])
