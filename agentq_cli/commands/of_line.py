"""Which of its session's conversations a task goes on in, in words: said only if the session can have several."""

from __future__ import annotations

from agentq_cli.model.branches import FIRST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.config.configuration import Config
    from agentq_cli.model.tasks import Task

ANY = "the idle one used last, else a new one"


def key(config: Config, task: Task) -> str | None:
    """The key of its conversation; None if that is the only one, or if any will do."""
    return task.conversation_key if _is_one_of_several(config, task) else None


def words(config: Config, task: Task) -> str | None:
    """Its key, or which one it will be; None if it is the only one."""
    return (task.conversation_key or ANY) if _is_one_of_several(config, task) else None


def _is_one_of_several(config: Config, task: Task) -> bool:
    if not task.work.in_line:
        return False
    return task.conversation_key not in (None, FIRST) or config.options(task.session).get("parallel", 1) > 1
