"""`agentq show`: everything about one task or run, why it is not running, and what it answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from agentq_cli.base.clock import rfc3339
from agentq_cli.commands import answer, following, of_line, reading, run_document, tree_fields
from agentq_cli.diagnose.next_environment import NextEnvironment
from agentq_cli.diagnose.next_environment import lines as environment_lines
from agentq_cli.diagnose.why import Why
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import RunId
from agentq_cli.model.runs import Run
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.options import values
from agentq_cli.policy import checked, retry
from agentq_cli.show import documents
from agentq_cli.show.results import Document, Result, Said, Worded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.config.configuration import Config
    from agentq_cli.engines.door import Queue
    from agentq_cli.options.table import Given

LAST_RUNS = 5

EXAMPLES = (
    ("agentq show", "Show the task of the newest run, and what it answered."),
    ("agentq show 3", "Show the task default/3, and what it waits for."),
    ("agentq show docs/7 --json", "Print it as one JSON document."),
)


def show(given: Given, at: Context) -> Result:
    """Show everything about one task, why it is not running, and what its last run answered.

    Without an ID this is the task of the newest run. SESSION/N.K is one run.
    """
    queue = at.open_queue()
    address, attempt = values.parse_run(given["run"]) if given["run"] else (following.newest_run(queue)[0], None)
    if attempt is not None:
        run = queue.run(RunId(*address, attempt))
        task = queue.readable([address]).get(address)
        data = {**run_document.of(queue, run, task), "checkpoint": _checkpoint(queue, run.id)}
        return Document("run", data, _run_lines(queue, at.config, run))
    found = queue.task(address)
    why = Why(queue, at.config)
    data = dict(documents.task(found, now=queue.now, waiting_for=why.exactly(found), host=why.host(found)))
    data["environment"] = NextEnvironment(queue, at.config, at.environ).of_task(found)
    data["reason"] = _overdue(queue, at.config, found) or data["reason"]
    runs = list(queue.runs(address=address, limit=LAST_RUNS))
    data["checkpoint"] = _checkpoint(queue, runs[0].id) if runs else None
    lines = _lines(queue, at.config, found, data, runs)
    return Document("task", data, [*lines, *(answer.lines(queue, at.config, runs[0]) if runs else ())])


def _run_lines(queue: Queue, config: Config, run: Run) -> Iterator[tuple[str, str] | Said]:
    yield "Run", str(run.id)
    yield "Status", run.status.value
    if run.error:
        yield "Reason", run.error
    yield "Command", " ".join(map(documents.shell_word, run.argv))
    if run.agent:
        yield "Agent", run.agent
    yield "Directory", run.cwd
    if config.url is not None:
        yield "Host", run.host
    yield "Started", rfc3339(run.started_at)
    if run.finished_at is not None:
        yield "Ended", rfc3339(run.finished_at)
    if run.duration_ms is not None:
        yield "Took", values.format_duration(run.duration_ms)
    if run.exit_code is not None:
        yield "Exit code", str(run.exit_code)
    if run.checked is not None:
        yield "Check", run.checked.command
        yield "Checked", f"{checked.ending(run.checked)}; `agentq logs {run.id} --check` prints its output"
    yield from tree_fields.of_run(queue, run)
    yield from answer.lines(queue, config, run)


def _checkpoint(queue: Queue, run: RunId) -> Mapping[str, object] | None:
    """What the run left in its repository; None outside of one, or if that is not known."""
    found = queue.files(run).checkpoint()
    return None if found is None else found.document()


def _overdue(queue: Queue, config: Config, task: Task) -> str | None:
    """Why its run should have ended, and which of its processes cannot be ended; None if no run is overdue."""
    if task.status is not Status.RUNNING:
        return None
    from agentq_cli.supervise import overdue

    found = overdue.of_task(queue, config, task)
    return None if found is None else str(found)


def _live(queue: Queue, task: Task) -> Iterator[tuple[str, str]]:
    """What a person should know about a live run: the stage that it is in, and its keeper."""
    worker = queue.worker(task.address)
    if worker is None:
        return
    from agentq_cli.host import keeper

    if (stage := tree_fields.stage(queue, worker.id)) is not None:
        yield "Stage", stage
    if not worker.elsewhere and keeper.run_is_foreign(queue.here.run(worker.id)):
        yield "Keeper", keeper.ELSEWHERE


def _lines(
    queue: Queue, config: Config, task: Task, data: documents.Item, runs: list[Run]
) -> Iterator[tuple[str, str]]:
    yield "Task", data["id"]
    yield "Status", data["status"]
    if task.status is Status.RUNNING:
        yield from _live(queue, task)
    if data["reason"]:
        yield "Reason", data["reason"]
    if data["waiting_for"]:
        yield "Waiting for", Worded(f"{data['waiting_for']['kind']}: {data['waiting_for']['detail']}")
        if data["waiting_for"]["until"]:
            yield "Until", data["waiting_for"]["until"]
    if task.cancel_requested and not task.status.ended:
        yield "Cancel", "requested"
    yield ("Command" if task.work.kind == "exec" else "Prompt"), documents.work(data)
    yield from _agent(config, task, data)
    yield "Directory", data["cwd"]
    yield from _host(config, data, runs)
    if data["check"]:
        yield "Check", data["check"]
    yield from tree_fields.of_task(queue, config, task, runs)
    if data["labels"]:
        yield "Labels", ", ".join(data["labels"])
    for label, key in (("Priority", "priority"), ("Key", "key"), ("Series", "series")):
        if data[key]:
            yield label, str(data[key])
    for label, limit in (
        ("Timeout", task.work.launch.timeout_ms),
        ("Stall timeout", task.work.launch.stall_timeout_ms),
        ("Grace", task.work.launch.grace_ms),
    ):
        if limit is not None:
            yield label, values.format_duration(limit)
    if task.work.launch.memory_bytes is not None:
        yield "Memory", values.format_size(task.work.launch.memory_bytes)
    if task.work.launch.max_cost_usd is not None:
        yield "Cost", f"{values.format_cost(queue.spent(task))} of {values.format_cost(task.work.launch.max_cost_usd)}"
    for each in data["after"]:
        yield "After", each["id"] if each["on"] == "success" else f"{each['id']} ({each['on']})"
    most = retry.most(runs[0].failure_class if runs else None, task.work.launch)
    if data["attempts"] > 1 or task.work.launch.retries is not None:
        yield "Attempts", f"{data['attempts']} of {most + 1}"
    if data["schedule"]:
        yield "Schedule", _schedule(data["schedule"])
        for at in data["schedule"]["next"]:
            yield "Next", at
    for label, key in (("Created", "created_at"), ("Due", "due_at"), ("Expires", "expires_at")):
        if data[key]:
            yield label, data[key]
    if task.ended_at is not None:
        yield "Ended", rfc3339(task.ended_at)
    if data["exit_code"] is not None:
        yield "Exit code", str(data["exit_code"])
    for line in environment_lines(data["environment"]):
        yield "Environment", line
    for run in runs:
        yield f"Run {run.id}", Worded(reading.how_it_ended(run, rfc3339(run.started_at)))


def _agent(config: Config, task: Task, data: documents.Item) -> Iterator[tuple[str, str]]:
    if data["agent"]:
        yield "Agent", data["agent"]
    line = of_line.words(config, task)
    if data["agent"] or line:
        yield "Context", data["context"] + line


def _host(config: Config, data: documents.Item, runs: Sequence[Run]) -> Iterator[tuple[str, str]]:
    if data["on"]:
        yield "On", ", ".join(data["on"])
    if config.url is not None and (data["host"] or runs):
        yield "Host", data["host"] or runs[0].host


def _schedule(data: documents.Item) -> str:
    every = values.format_duration(data["every_ms"]) if data["every_ms"] else ""
    what = {"cron": f"cron '{data['expr']}'", "every": f"every {every}", "at": "once"}[data["type"]]
    return f"{what}, zone {data['tz']}, missed {data['missed']}, overlap {data['overlap']}"
