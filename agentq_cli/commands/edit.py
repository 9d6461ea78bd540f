"""`agentq edit`: change tasks that have not started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import typer

from agentq_cli import documents
from agentq_cli.commands import options, targets
from agentq_cli.context import context
from agentq_cli.errors import Usage, WrongState
from agentq_cli.model import NewTask, Task
from agentq_cli.new_task import TaskMaker, spelled
from agentq_cli.output import Items, Result
from agentq_cli.supervise import bells
from agentq_cli.why import Why

Prompt = Annotated[str | None, typer.Option("--prompt", metavar="TEXT", help="The new prompt.")]

LAUNCH = {"timeout": "timeout_ms", "grace": "grace_ms", "stdin": "stdin", "agent_arg": "agent_args", "tz": "tz"}


def edit(
    id_: options.Id,
    prompt: Prompt = None,
    agent: options.Agent = None,
    cwd: options.Cwd = None,
    env: options.Env = None,
    env_file: options.EnvFile = None,
    priority: options.Priority = None,
    at: options.At = None,
    in_: options.In = None,
    tz: options.Tz = None,
    expires: options.Expires = None,
    key: options.Key = None,
    context_: options.ContextKind = None,
    timeout: options.Timeout = None,
    grace: options.Grace = None,
    stdin: options.Stdin = None,
    agent_arg: options.AgentArg = None,
    label: options.Labels = None,
) -> Result:
    """Change a waiting task; what is not given stays. -e and --env-file add to its environment."""
    here = context()
    given: dict[str, Any] = {"prompt": prompt, "agent": agent, "cwd": cwd, "env": env, "env_file": env_file}
    given |= {"priority": priority, "at": at, "in": in_, "tz": tz, "expires": expires, "key": key}
    given |= {"context": context_, "timeout": timeout, "grace": grace, "stdin": stdin}
    given |= {"agent_arg": agent_arg, "label": label}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        raise Usage("edit: nothing to change was given; see 'agentq edit --help'")
    address = targets.address(id_)
    queue = here.open_queue()
    before = queue.task(address)
    # The whole is made anew outside the lock, so that every value is checked as submit checks it.
    made = TaskMaker(here).make(_whole(before, given), spelled)
    task = queue.edit(address, _change(given, made))
    bells.ring(queue.state.bells)
    document = documents.task(task, now=queue.now, waiting_for=Why(queue, here.config).exactly(task))
    return Items("tasks", [document], line=lambda item: str(item["id"]))


def _whole(task: Task, given: dict[str, Any]) -> dict[str, Any]:
    """The options that would submit the task as it is, with the changes in it."""
    known: dict[str, Any] = {"session": task.session, "cwd": task.cwd, "priority": task.priority}
    known |= {"context": task.context, "label": list(task.labels)}
    if task.kind == "exec":
        if "prompt" in given or "agent" in given:
            raise Usage(f"--{'prompt' if 'prompt' in given else 'agent'}: {task.address} is a command")
        return known | {"exec": list(task.argv or ())} | given
    return known | {"prompt": task.prompt, "agent": task.agent} | given


def _change(given: dict[str, Any], made: NewTask) -> Callable[[Task], Task]:
    """The edit as a function of the task under the lock: only what was given is taken over."""

    def change(task: Task) -> Task:
        if (task.kind == "exec") is not (made.kind == "exec"):
            raise WrongState(f"task '{task.address}': it was changed meanwhile")
        values: dict[str, Any] = {
            name: getattr(made, field)
            for name, field in (
                *(("prompt", "prompt"), ("agent", "agent"), ("cwd", "cwd"), ("priority", "priority")),
                *(("context", "context"), ("key", "key"), ("expires", "expires_at")),
            )
            if name in given
        }
        if "expires" in values:
            values["expires_at"] = values.pop("expires")
        if "label" in given:
            values["labels"] = made.labels
        if "at" in given or "in" in given:
            values["due_at"] = made.due_at
        launch = {field: getattr(made.launch, field) for name, field in LAUNCH.items() if name in given}
        if "env" in given or "env_file" in given:
            launch["env"] = {**task.launch.env, **made.launch.env}
        return replace(task, **values, launch=replace(task.launch, **launch))

    return change
