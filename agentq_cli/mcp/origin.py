"""What a new task has of the task whose agent asks for it: a client that is an agent in a run stays where that works.

Outside of a run a task gets what `agentq submit` would give it in the server's directory.
"""

from __future__ import annotations

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError
from agentq_cli.options.values import parse_address
from agentq_cli.supervise.requests import tree_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentq_cli.cli.context import Context
    from agentq_cli.model.tasks import Task


def surroundings(at: Context) -> Context:
    """The same, but within a run with the environment that the run's own task was submitted with, and with its depth:
    what an agent CLI or a repository's settings add to the environment of a server does not reach the next task."""
    task = _asking(at)
    stored = None if task is None else at.open_queue().environment(task)
    if task is None or stored is None:
        return at
    at.config  # as this process's environment names it  # noqa: B018
    own = {name: value for name, value in at.environ.items() if name.startswith("AGENTQ_")}
    return replace(at, environ={**stored, **own, "AGENTQ_DEPTH": str(task.work.launch.depth + 1)})


def inherited(given: Mapping[str, Any], at: Context) -> dict[str, Any]:
    """The agent, directory, tree and environment of the task in whose run the server is, as far as neither the client
    nor the config names others; nothing for a task in another session."""
    task = _asking(at)
    if task is None or task.session != given["session"]:
        return {}
    options = at.config.options(task.session)
    found: dict[str, Any] = {"env": {name: _as_given(value) for name, value in task.work.launch.env.items()}}
    found["env"] |= given.get("env", {})
    is_prompt = "exec" not in given and "shell" not in given
    names = ("agent", "cwd") if is_prompt and task.work.agent is not None else ("cwd",)
    found |= {name: getattr(task.work, name) for name in names if name not in given and options.get(name) is None}
    if "cwd" in found:
        found |= {
            name: value
            for name, value in tree_options(task.work, options, given.get("context")).items()
            if name not in given and value is not None
        }
    return found


def _as_given(value: str | None) -> str | bool:
    return True if value is None else value


def _asking(at: Context) -> Task | None:
    """The task in whose run this process is; None outside of one, or if it is of another state dir."""
    named = at.environ.get("AGENTQ_TASK")
    if not named:
        return None
    try:
        return at.open_queue().task(parse_address(named))
    except AgentqError:
        return None
