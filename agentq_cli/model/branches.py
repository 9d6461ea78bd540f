"""The branches of sessions and tasks by name.

A session's name is put into a ref such that git takes it and that no two sessions meet: git refuses two dots in a row,
a dot at the end and `.lock` at the end (git-check-ref-format(1)), so such a dot is written as `%2E`. No session's name
contains a percent sign.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.addresses import Address
    from agentq_cli.model.work import Work

OF_SESSIONS = "agentq/s/"
OF_TASKS = "agentq/t/"
DOT = "%2E"


def encoded(session: str) -> str:
    """The name of a session as a component of a ref."""
    return "".join(DOT if _refused_dot(session, place) else letter for place, letter in enumerate(session))


def _refused_dot(session: str, place: int) -> bool:
    return session[place] == "." and (session[place + 1 :] in ("", "lock") or session[place + 1] == ".")


def decoded(component: str) -> str:
    """The name of the session that `encoded` made a component of."""
    return component.replace(DOT, ".")


def session_branch(session: str) -> str:
    """The branch of a session with a conversation."""
    return f"{OF_SESSIONS}{encoded(session)}"


def task_branch(session: str, number: int) -> str:
    """The branch of an isolated task."""
    return f"{OF_TASKS}{encoded(session)}/{number}"


def is_own(work: Work) -> bool:
    """Whether a task has a tree of its own, and not its session's."""
    return work.context == "isolated"


def branch_of(work: Work, address: Address) -> str:
    """The branch of a task that has a tree."""
    if work.launch.branch is not None:
        return work.launch.branch
    return task_branch(*address) if is_own(work) else session_branch(address.session)
