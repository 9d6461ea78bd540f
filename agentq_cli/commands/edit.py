"""`agentq edit`: change tasks that have not started."""

from __future__ import annotations

from collections.abc import Callable

from agentq_cli import documents
from agentq_cli.commands import targets
from agentq_cli.context import Context, context
from agentq_cli.dataclass import replace
from agentq_cli.errors import Usage, WrongState
from agentq_cli.model import NewTask, Task
from agentq_cli.new_schedule import make_schedule
from agentq_cli.new_task import AFTER, TaskMaker, environment, spelled
from agentq_cli.output import Items, Result
from agentq_cli.supervise.ring import ring
from agentq_cli.why import Why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.commands import options

FIELDS = {
    "prompt": "prompt",
    "agent": "agent",
    "cwd": "cwd",
    "priority": "priority",
    "context": "context",
    "key": "key",
    "expires": "expires_at",
    "label": "labels",
    "on_dep_failure": "on_dep_failure",
    **dict.fromkeys(AFTER, "after"),
}
"""The field of a task's work that an option changes."""

LAUNCH = {
    "env": "env",
    "env_file": "env",
    "timeout": "timeout_ms",
    "grace": "grace_ms",
    "stall_timeout": "stall_timeout_ms",
    "memory": "memory_bytes",
    "stdin": "stdin",
    "agent_arg": "agent_args",
    "tz": "tz",
    "script": "script",
    "retries": "retries",
    "backoff": "backoff_ms",
    "max_backoff": "max_backoff_ms",
    "on_crash": "on_crash",
    "max_cost": "max_cost_usd",
}
"""The field of its launch that another one changes."""

KEEPS = True
"""What is not given stays as it is, so that the options have no defaults here."""

EXAMPLES = (
    ("agentq edit 7 --priority 50", "Let it go before the others."),
    ('agentq edit docs/4 --prompt "Shorter, please"', "Another prompt for a task that waits."),
    ('agentq edit 12 --cron "0 7 * * *"', "Another time for a schedule."),
    ("agentq edit 12 --once", "The next occurrence is the last."),
)


def edit(
    id_: options.Id,
    prompt: options.NewPrompt = None,
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
    stall_timeout: options.StallTimeout = None,
    memory: options.Memory = None,
    stdin: options.Stdin = None,
    agent_arg: options.AgentArg = None,
    script: options.Script = None,
    after: options.After = None,
    after_any: options.AfterAny = None,
    after_failure: options.AfterFailure = None,
    on_dep_failure: options.OnDepFailure = None,
    retries: options.Retries = None,
    backoff: options.Backoff = None,
    max_backoff: options.MaxBackoff = None,
    on_crash: options.OnCrash = None,
    max_cost: options.MaxCost = None,
    label: options.Labels = None,
    cron: options.Cron = None,
    every: options.Every = None,
    start: options.Start = None,
    until: options.Until = None,
    max_runs: options.MaxRuns = None,
    missed: options.Missed = None,
    overlap: options.Overlap = None,
    pause_after: options.PauseAfter = None,
    once: options.Once = False,
) -> Result:
    """Change a waiting task, or the next occurrence of a running one.

    What is not given stays. -e and --env-file add to the environment. Any address of a series means its live
    occurrence.
    """
    here = context()
    given: dict[str, Any] = {"prompt": prompt, "agent": agent, "cwd": cwd, "env": env, "env_file": env_file}
    given |= {"priority": priority, "at": at, "in": in_, "tz": tz, "expires": expires, "key": key}
    given |= {"context": context_, "timeout": timeout, "grace": grace, "stdin": stdin}
    given |= {"stall_timeout": stall_timeout, "memory": memory}
    given |= {"agent_arg": agent_arg, "label": label}
    given |= {"script": script}
    given |= {"after": after, "after_any": after_any, "after_failure": after_failure}
    given |= {"on_dep_failure": on_dep_failure, "retries": retries, "backoff": backoff}
    given |= {"max_backoff": max_backoff, "on_crash": on_crash, "max_cost": max_cost}
    when: dict[str, Any] = {"cron": cron, "every": every, "start": start, "until": until, "max_runs": max_runs}
    when |= {"missed": missed, "overlap": overlap, "pause_after": pause_after}
    given = {name: value for name, value in given.items() if value is not None}
    when = {name: value for name, value in when.items() if value is not None}
    if not given and not when and not once:
        raise Usage("edit: nothing to change was given; see 'agentq edit --help'")
    address = targets.address(id_)
    queue = here.open_queue()
    before = queue.live(address)
    _recurs(before, given, when, once)
    # The whole is made anew outside the lock, so that every value is checked as submit checks it. A duration of
    # --expires counts from the slot of an occurrence.
    counted_from = before.scheduled_for if before.rearms else None
    made = TaskMaker(here, counted_from=counted_from).make(_whole(before, given), spelled)
    task = queue.edit(address, _change(here, given, made, when, once))
    ring(queue.state.bells)
    document = documents.task(task, now=queue.now, waiting_for=Why(queue, here.config).exactly(task))
    return Items("tasks", [document], line=lambda item: str(item["id"]))


def _whole(task: Task, given: dict[str, Any]) -> dict[str, Any]:
    """The options that would submit the task as it is, with the changes in it."""
    known: dict[str, Any] = {"session": task.session, "cwd": task.work.cwd, "priority": task.work.priority}
    known |= {"context": task.work.context, "label": list(task.work.labels)}
    if task.work.kind == "exec":
        if "prompt" in given or "agent" in given:
            raise Usage(f"--{'prompt' if 'prompt' in given else 'agent'}: {task.address} is a command")
        return known | {"exec": list(task.work.argv or ())} | given
    # Checked again even where only the agent changes: another one may report no cost.
    return (
        known
        | {"prompt": task.work.prompt, "agent": task.work.agent, "max_cost": task.work.launch.max_cost_usd}
        | given
    )


def _recurs(before: Task, given: dict[str, Any], when: dict[str, Any], once: bool) -> None:
    """Move the times of a series from what was given to what makes its schedule. Raises Usage where it has none."""
    if before.recurrence is None or before.extra:
        if when or once:
            name = next(iter(when), "once").replace("_", "-")
            raise Usage(f"--{name}: {before.address} has no schedule; `agentq schedule` makes one")
        return
    if once:
        if when:
            raise Usage(f"--once: not together with --{next(iter(when)).replace('_', '-')}")
        return
    if "at" in given:
        when["at"] = given.pop("at")
    if "tz" in given:
        when["tz"] = given["tz"]


def _change(
    here: Context, given: dict[str, Any], made: NewTask, when: dict[str, Any], once: bool
) -> Callable[[Task], Task]:
    """The edit as a function of the task under the lock: only what was given is taken over."""

    # What the config adds to the environment of a new task it has added to this one.
    added = environment(given, {}, spelled, private_tmp=made.work.kind == "prompt")

    def change(task: Task) -> Task:
        if (task.work.kind == "exec") is not (made.work.kind == "exec"):
            raise WrongState(f"task '{task.address}': it was changed meanwhile")
        values: dict[str, Any] = {field: getattr(made.work, field) for name, field in FIELDS.items() if name in given}
        launch = {field: getattr(made.work.launch, field) for name, field in LAUNCH.items() if name in given}
        if "env" in launch:
            launch["env"] = {**task.work.launch.env, **added}
        changed = replace(task, work=replace(task.work, **values, launch=replace(task.work.launch, **launch)))
        if made.due_at is not None and not given.keys().isdisjoint(("at", "in")):
            changed = replace(changed, due_at=made.due_at)
        if once:
            return replace(changed, recurrence=None)
        if not when:
            return changed
        if task.recurrence is None:
            raise WrongState(f"task '{task.address}': its recurrence was dropped meanwhile")
        schedule = make_schedule(here, when, session=task.session, before=task.recurrence.schedule)
        return replace(changed, recurrence=replace(task.recurrence, schedule=schedule))

    return change
