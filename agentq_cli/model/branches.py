"""The branches of conversations and tasks by name.

The name of a session, or of a conversation in it, is put into a ref such that git takes it and that no two names
meet: git refuses two dots in a row, a dot at the end and `.lock` at the end (git-check-ref-format(1)), so such a dot is
written as `%2E`. No such name contains a percent sign.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.addresses import Address
    from agentq_cli.model.work import Work

OF_SESSIONS = "agentq/s/"
OF_CONVERSATIONS = "agentq/c/"
OF_TASKS = "agentq/t/"
DOT = "%2E"


FIRST = "1"
"""The key of the first conversation of a session that is given none: a session that has one at a time has this one."""


def encoded(name: str) -> str:
    """The name of a session or a conversation as a component of a ref."""
    return "".join(DOT if _refused_dot(name, place) else letter for place, letter in enumerate(name))


def _refused_dot(name: str, place: int) -> bool:
    return name[place] == "." and (name[place + 1 :] in ("", "lock") or name[place + 1] == ".")


def decoded(component: str) -> str:
    """The name that `encoded` made a component of."""
    return component.replace(DOT, ".")


def conversation_branch(session: str, key: str | None) -> str:
    """The branch of a conversation of a session by its key, None for the first one."""
    if key in (None, FIRST):
        return f"{OF_SESSIONS}{encoded(session)}"
    return f"{OF_CONVERSATIONS}{encoded(session)}/{encoded(str(key))}"


def task_branch(session: str, number: int) -> str:
    """The branch of an isolated task."""
    return f"{OF_TASKS}{encoded(session)}/{number}"


def is_own(work: Work) -> bool:
    """Whether a task has a tree of its own, and not that of a conversation of its session."""
    return work.context == "isolated"


def branch_of(work: Work, address: Address, key: str | None) -> str:
    """The branch of a task that has a tree; `key` is its conversation's, None if it has none or no other yet."""
    if work.launch.branch is not None:
        return work.launch.branch
    return task_branch(*address) if is_own(work) else conversation_branch(address.session, key)
