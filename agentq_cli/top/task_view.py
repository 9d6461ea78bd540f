"""All that the screen of one task shows, read at once."""

from __future__ import annotations

import json
from collections.abc import Sequence

from agentq_cli.base.dataclass import NamedTuple, dataclass
from agentq_cli.base.errors import AgentqError
from agentq_cli.diagnose.why import Why
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.runs import Run
from agentq_cli.model.statuses import RunStatus
from agentq_cli.model.tasks import Task
from agentq_cli.options import values
from agentq_cli.show import documents
from agentq_cli.show.changes import of_run
from agentq_cli.show.costs import together
from agentq_cli.show.harmless import harmless, one_line
from agentq_cli.show.pen import DIM, STATUS_STYLES, WRONG
from agentq_cli.show.tables import Change, Column
from agentq_cli.top.panes import cost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.show.documents import Item

MOST_RUNS = 50
MOST_EVENTS = 200
LARGEST_ANSWER = 64 * 1024
"""How many characters of an answer are shown, and up to which it is read as Markdown."""

ATTEMPTS = (
    Column("RUN", "id", keep=True),
    Column("STATUS", "status", kind="status", keep=True),
    Column("STARTED", "started_at", kind="time", spare=2),
    Column("TOOK", "duration_ms", kind="duration"),
    Column("COST", cost, kind="number"),
    Column("CHANGES", "changes", kind="number", spare=1, sparse=2),
    Column("EXIT", "exit_code", kind="number", spare=1, sparse=True),
    Column("ERROR", "error"),
)
EVENTS = (
    Column("AT", "at", kind="time", keep=True),
    Column("EVENT", "event", keep=True),
    Column("STATUS", lambda item: Change(item["from"], item["to"])),
    Column("BY", "actor", spare=1),
    Column("REASON", lambda item: item["reason"] or ""),
)


class Answer(NamedTuple):
    """What a run said at its end; `markdown` if it is to be read as such."""

    text: str
    markdown: bool


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as it is now; `run` is the chosen one or its last, None before the first."""

    task: Task
    status: str
    run: Run | None
    facts: tuple[tuple[str, str], ...]
    answer: Answer
    runs: Sequence[Item]
    events: Sequence[Item]
    now: int

    @property
    def in_tree(self) -> bool:
        """Whether it has a tree."""
        return self.task.work.launch.repository is not None

    @property
    def goes_on(self) -> bool:
        """Whether the run goes on."""
        return self.run is not None and self.run.status is RunStatus.RUNNING


def read(at: Context, queue: Queue, address: Address, attempt: int | None) -> TaskView:
    """The task, and the run of that number or the last one. Raises NotFound, Busy, Unreadable."""
    task = queue.task(address)
    status = task.shown_status(queue.now).value
    number = attempt or task.last_run
    run = None if not number else queue.run(RunId(*address, number))
    costs: list[float | None] = []
    runs: list[Item] = []
    for each in queue.runs(address=address, limit=MOST_RUNS):
        runs.append(_attempt(each))
        if each.agent is not None:
            costs.append(each.cost_usd)
    events = [documents.event(each) for each in queue.events(address=address, limit=MOST_EVENTS)]
    facts = _facts(task, status, run, costs)
    answer = _answer(run) if run is not None else Answer(_unbegun(at, queue, task, status), False)
    return TaskView(task, status, run, facts, answer, runs, events, queue.now)


def _attempt(run: Run) -> Item:
    return {
        "id": str(run.id),
        "agent": run.agent,
        "status": run.status.value,
        "started_at": documents.moment(run.started_at),
        "duration_ms": run.duration_ms,
        "cost_usd": run.cost_usd,
        "changes": of_run(run.left),
        "exit_code": run.exit_code,
        "error": run.error,
    }


def _facts(task: Task, status: str, run: Run | None, costs: Sequence[float | None]) -> tuple[tuple[str, str], ...]:
    """What stands above the tabs: texts with their styles."""
    facts = [(str(task.address if run is None else run.id), "bold"), (status, STATUS_STYLES.get(status, ""))]
    if run is not None and run.status.value not in (status, "success"):
        facts.append((run.status.value, STATUS_STYLES.get(run.status.value, "")))
    if task.work.agent is not None:
        facts.append((task.work.agent, ""))
    if run is not None and run.duration_ms is not None:
        facts.append((values.format_duration(run.duration_ms), ""))
    if costs:
        known = [each for each in costs if each is not None]
        facts.append((together(sum(known), len(known), len(costs) - len(known)), ""))
    if task.work.priority:
        facts.append((f"priority {task.work.priority}", ""))
    work = documents.brief_work(task.work.argv, task.work.prompt)
    facts.append((one_line(work.strip()), DIM))
    if run is not None and run.error:
        facts.append((one_line(run.error), WRONG))
    return tuple(facts)


def _answer(run: Run) -> Answer:
    if run.status is RunStatus.RUNNING:
        return Answer("It is still running.", False)
    if run.result is None:
        return Answer(harmless(run.error or f"It ended with {run.status.value} and left no answer."), False)
    said = run.result if isinstance(run.result, str) else json.dumps(run.result, indent=2, ensure_ascii=False)
    text = harmless(said)
    if len(text) > LARGEST_ANSWER:
        return Answer(text[:LARGEST_ANSWER] + "\n[the rest is not shown; v shows all]", False)
    return Answer(text, isinstance(run.result, str))


def _unbegun(at: Context, queue: Queue, task: Task, status: str) -> str:
    try:
        reason = Why(queue, at.config).exactly(task)
    except AgentqError:
        reason = None
    told = task.reason if reason is None else reason.detail
    return harmless(f"It has not run yet ({status})" + (f": {told}" if told else "."))
