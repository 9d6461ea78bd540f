"""Which of its session's conversations a task goes on in, in words: said only if the session can have several."""

from __future__ import annotations

from agentq_cli.model.branches import FIRST
from agentq_cli.policy import pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.config.configuration import Config
    from agentq_cli.model.tasks import Task


def key(config: Config, task: Task) -> str | None:
    """The key of its conversation; None if that is the only one, or if any will do."""
    return task.conversation_key if _is_one_of_several(config, task) else None


def words(config: Config, task: Task) -> str:
    """Which one it is or will be, to be said after `session`; nothing if it is the only one."""
    if not _is_one_of_several(config, task):
        return ""
    key = task.conversation_key
    return ", in an idle conversation or a new one" if key is None else f", in conversation '{key}'"


def _is_one_of_several(config: Config, task: Task) -> bool:
    if not task.work.in_line:
        return False
    several = pool.size(config.options(task.session).get("parallel")) > 1
    return several or task.conversation_key not in (None, FIRST)
