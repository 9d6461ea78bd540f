"""`agentq schedule`: hand in work that comes again, or once at a time."""

from __future__ import annotations

from agentq_cli import documents, output, values
from agentq_cli.clock import rfc3339
from agentq_cli.commands.submit import PLAN, dry, plan_of, put, told, work_of
from agentq_cli.context import Context, context
from agentq_cli.dataclass import replace
from agentq_cli.errors import Usage
from agentq_cli.model import Task
from agentq_cli.new_schedule import OCCURRENCE, make_schedule
from agentq_cli.new_task import TaskMaker, spelled
from agentq_cli.output import Document, Items, Result
from agentq_cli.policy import schedule as policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.commands import options

SHOWN = 3
USAGES = (
    "[OPTIONS] --cron EXPR PROMPT",
    "[OPTIONS] --every DURATION PROMPT",
    "[OPTIONS] --at TIME PROMPT",
    "[OPTIONS] --cron EXPR --exec -- ARGV...",
)
EXAMPLES = (
    (
        'agentq schedule --cron "0 9 * * 1-5" --tz Europe/Berlin -a claude "Triage the new issues"',
        "Every weekday at nine, in Berlin.",
    ),
    ("agentq schedule --every 15m --exec -- make check", "Every 15 minutes, on a grid that never drifts."),
    (
        'agentq schedule --every 1h --script ./new.sh -a claude "Read the new mail"',
        "Only where a script finds something to do.",
    ),
    (
        'agentq schedule --cron "0 9 * * *" --tz America/New_York --next 5',
        "The next times of an expression; nothing is stored.",
    ),
)


def schedule(
    words: options.Words = None,
    exec_: options.Exec = False,
    file: options.File = None,
    cron: options.Cron = None,
    every: options.Every = None,
    at: options.FireAt = None,
    tz: options.Tz = None,
    start: options.Start = None,
    until: options.Until = None,
    max_runs: options.MaxRuns = None,
    missed: options.Missed = None,
    overlap: options.Overlap = None,
    pause_after: options.PauseAfter = None,
    next_: options.Next = None,
    session: options.TaskSession = None,
    agent: options.Agent = None,
    cwd: options.Cwd = None,
    env: options.Env = None,
    env_file: options.EnvFile = None,
    priority: options.Priority = None,
    expires: options.Expires = None,
    key: options.Key = None,
    replace_: options.Replace = False,
    context_: options.ContextKind = None,
    timeout: options.Timeout = None,
    grace: options.Grace = None,
    stall_timeout: options.StallTimeout = None,
    memory: options.Memory = None,
    stdin: options.Stdin = None,
    script: options.Script = None,
    agent_arg: options.AgentArg = None,
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
    dry_run: options.DryRun = False,
) -> Result:
    """Schedule work: --cron, --every or --at.

    Prints the address; the next fire times go to stderr. Each occurrence is a task with an address of its own, and any
    address of the series means the live one.
    """
    here = context()
    when: dict[str, Any] = {"cron": cron, "every": every, "at": at, "tz": tz, "start": start, "until": until}
    when |= {"max_runs": max_runs, "missed": missed, "overlap": overlap, "pause_after": pause_after}
    given: dict[str, Any] = {"session": session, "agent": agent, "cwd": cwd, "env": env, "env_file": env_file}
    given |= {"priority": priority, "tz": tz, "expires": expires, "key": key, "replace": replace_}
    given |= {"context": context_, "timeout": timeout, "grace": grace, "stdin": stdin, "script": script}
    given |= {"stall_timeout": stall_timeout, "memory": memory}
    given |= {"agent_arg": agent_arg, "label": label}
    given |= {"after": after, "after_any": after_any, "after_failure": after_failure}
    given |= {"on_dep_failure": on_dep_failure, "retries": retries, "backoff": backoff}
    given |= {"max_backoff": max_backoff, "on_crash": on_crash, "max_cost": max_cost}
    if replace_ and key is None:
        raise Usage("--replace: only together with --key")
    made = make_schedule(here, when, session=session)
    if next_ is not None and not dry_run:
        return _times(here, made, next_)
    first = policy.first(made, here.now_ms())
    if first is None:
        raise Usage(f"--until '{until}': nothing fires before then")
    maker = TaskMaker(here, OCCURRENCE, counted_from=first)
    task = maker.make(given | work_of(words, exec_, file, agent), spelled)
    if made.type == "at" and first <= here.now_ms():
        output.warn(f"--at '{at}': that is past; it runs at once")
    task = replace(task, schedule=made, due_at=first, anchored=start is not None or at is not None)
    if dry_run:
        return dry([plan_of(here, task, next_ or SHOWN)], here)
    queue, ((address, _),) = put(here, [task])
    stored = queue.task(address)
    for moment in documents.coming(stored, queue.now):
        output.note(f"next: {_shown(moment, stored)}")
    return told(here, queue, [address])


def _times(here: Context, made: policy.Schedule, count: int) -> Result:
    """The next times of a schedule alone, for which nothing has to be said of any work."""
    first = policy.first(made, here.now_ms())
    moments = [] if first is None else policy.fires(made, first - 1, count)
    plan = dict.fromkeys(PLAN) | {"session": None, "schedule": documents.schedule_of(made, moments)}
    if here.as_json:
        return Items("plan", [plan])
    return Document("plan", plan, [f"{values.format_local(at, made.tz)}  {rfc3339(at)}" for at in moments])


def _shown(moment: int, task: Task) -> str:
    zone = "UTC" if task.recurrence is None else task.recurrence.schedule.tz
    return f"{values.format_local(moment, zone)} ({rfc3339(moment)})"
