"""`agentq schedule`: submit work that runs repeatedly, or once at a given time."""

from __future__ import annotations

from agentq_cli.base.clock import rfc3339
from agentq_cli.base.errors import Usage
from agentq_cli.commands.submit import PLAN, asked, dry, plans, put, told
from agentq_cli.model.tasks import Task
from agentq_cli.options.new_schedule import OCCURRENCE, make_schedule, series
from agentq_cli.options.new_task import TaskMaker, spelled
from agentq_cli.options.tree_options import check_series
from agentq_cli.policy import schedule as policy
from agentq_cli.show import documents, notices
from agentq_cli.show.results import Document, Items, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

SHOWN = 3
USAGES = (
    "[OPTIONS] --cron EXPR PROMPT",
    "[OPTIONS] --every DURATION PROMPT",
    "[OPTIONS] --at TIME PROMPT",
    "[OPTIONS] --cron EXPR --exec -- ARGV...",
    "[OPTIONS] --cron EXPR -c LINE",
)
EXAMPLES = (
    (
        'agentq schedule --cron "0 9 * * 1-5" --tz Europe/Berlin -a claude "Triage the new issues"',
        "Run every weekday at nine, in Berlin.",
    ),
    ("agentq schedule --every 15m --exec -- make check", "Run every 15 minutes, on a grid that never drifts."),
    (
        'agentq schedule --every 1h --script ./new.sh -a claude "Read the new mail"',
        "Run only if a script finds something to do.",
    ),
    (
        'agentq schedule --cron "0 9 * * *" --tz America/New_York --next 5',
        "Show the next times of an expression; store nothing.",
    ),
)


def schedule(given: Given, here: Context) -> Result:
    """Schedule work: repeatedly with --cron or --every, once with --at.

    Prints the address; the next fire times go to stderr. Each occurrence is a task with its own address, and any
    address of the series means the live occurrence.
    """
    made = make_schedule(here, series("schedule", given) | {"tz": given["tz"]}, session=given["session"])
    if given["next"] is not None and not given["dry_run"]:
        return _times(here, made, given["next"])
    first = policy.first(made, here.now_ms())
    if first is None:
        raise Usage(f"--until '{given['until']}': nothing fires before then")
    maker = TaskMaker(here, OCCURRENCE, counted_from=first, admit=here.admission(dry=bool(given["dry_run"])))
    task = maker.make(asked("schedule", given), spelled)
    if made.type != "at":
        check_series(task.work, spelled)
    if made.type == "at" and first <= here.now_ms():
        notices.warn(f"--at '{given['at']}': that is past; it runs at once")
    anchored = given["start"] is not None or given["at"] is not None
    task = task._replace(schedule=made, due_at=first, anchored=anchored)
    if given["dry_run"]:
        return dry(plans(here, [task], given["next"] or SHOWN), here)
    queue, placed = put(here, [task], attended=task.held)
    ((address, _),) = placed
    stored = queue.task(address)
    for moment in documents.coming(stored, queue.now):
        notices.note(f"next: {_shown(moment, stored, queue.now)}")
    return told(here, queue, placed)


def _times(here: Context, made: policy.Schedule, count: int) -> Result:
    """The next times of a schedule, for which no work has to be given."""
    first = policy.first(made, here.now_ms())
    times = [] if first is None else policy.fires(made, first - 1, count)
    plan = dict.fromkeys(PLAN) | {"session": None, "schedule": documents.schedule_of(made, times)}
    if here.as_json:
        return Items("plan", [plan])
    return Document("plan", plan, [documents.coming_time(at, made.tz, here.now_ms()) for at in times])


def _shown(moment: int, task: Task, now: int) -> str:
    zone = "UTC" if task.recurrence is None else task.recurrence.schedule.tz
    exact = rfc3339(moment)
    return f"{notices.coming(moment, zone, now)} ({exact})"
