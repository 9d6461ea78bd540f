"""`agentq report`: what ran, as a summary to read or one page to keep or send."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from agentq_cli.base.errors import AgentqError, NotFound, Refused, Usage
from agentq_cli.commands import filters, run_document
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import RunId
from agentq_cli.model.runs import PastRun, Run
from agentq_cli.model.trees import Came
from agentq_cli.options import values
from agentq_cli.show import documents, report_page, report_runs
from agentq_cli.show import report as reporting
from agentq_cli.show.results import Document, Output, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.model.tasks import Task
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq report --since 1d", "Read what the last day brought."),
    ("agentq report --since yesterday --status failed", "Read what went wrong."),
    ("agentq report --html report.html", "Write a page about all runs."),
    ("agentq report --html - -s docs --since 7d", "Write one session's last week to standard output."),
)


def report(given: Given, at: Context) -> Result:
    """Report what ran: the failures, and each run with its cost and the first lines of its answer.

    With --html this is a page that needs no network, with a timeline, durations, tokens and cost too; an existing file
    is replaced. Without a filter the report covers all runs on record. --since and --until are about when a run
    started; --status takes the words of `runs`. A cost is what agents said; '?' stands for the runs of which they did
    not.
    """
    html = given["html"]
    if html == "-" and at.as_json:
        raise Usage("--html '-': the page and a JSON document cannot both go to standard output; name a file")
    path = html if html in (None, "-") else values.parse_path(html, "--html")
    if path not in (None, "-") and os.path.isdir(path):
        raise Usage(f"--html '{path}': is a directory")
    queue = at.open_queue()
    which = filters.which_runs(at, queue, given)
    zone, now = at.zone(), queue.now
    local = _clock(zone)
    runs = iter(()) if which is None else islice(queue.figures.history(**which), given["limit"])
    numbers = reporting.count(runs, lambda moment: local(moment)[:10])
    what = _what(given, filters.when(at, given), local)
    failed, newest, changed = (
        _listed(queue, some) for some in (numbers.failed, numbers.drawn[: reporting.LISTED], numbers.changed.values())
    )
    pieces = report_page.page(
        numbers,
        now=now,
        what=what,
        zone=zone,
        local=local,
        works=_works(queue, numbers.slowest),
        more=report_runs.tables(numbers, failed, newest, changed, local=local),
    )
    if path == "-":
        return Output(lambda width: (("stdout", piece.encode()) for piece in pieces))
    size = None if path is None else _write(path, pieces)
    data = {
        "path": None if path is None else os.path.abspath(path),
        "bytes": size,
        **_data(numbers, failed, newest, changed),
    }
    if path is None:
        heading = f"agentq: {what}, as of {local(now)} ({zone})"
        lines = report_runs.text(numbers, failed, newest, changed, heading=heading, local=local)
        return Document("report", data, list(lines))
    return Document(
        "report",
        data,
        [f"{path}: {report_runs.counted(numbers.total.runs)}, {numbers.total.bad} failed"],
    )


def _data(
    numbers: reporting.Numbers,
    failed: Sequence[report_runs.Listed],
    newest: Sequence[report_runs.Listed],
    changed: Sequence[report_runs.Listed],
) -> documents.Item:
    total = numbers.total
    return {
        "runs": total.runs,
        "failed": total.bad,
        "left_out_of_timeline": numbers.left_out,
        "from": documents.moment(numbers.first_at),
        "to": documents.moment(numbers.last_at),
        "tokens_in": total.tokens_in,
        "tokens_out": total.tokens_out,
        "cost_usd": total.cost_usd if total.priced else None,
        "priced_runs": total.priced,
        "unpriced_runs": total.unpriced,
        "list_price_runs": total.listed,
        "landed": total.landings[Came.LANDED],
        "nothing_to_land": total.landings[Came.NOTHING],
        "conflicts": total.landings[Came.CONFLICT],
        "checks_failed": total.unfit,
        "changes": [report_runs.changed(each) for each in changed],
        "failures": [report_runs.document(each) for each in failed],
        "items": [report_runs.document(each) for each in newest],
    }


def _clock(zone: str) -> Callable[[int], str]:
    """A function that writes a time on the wall clock of a zone."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    there = ZoneInfo(zone)

    def local(moment_ms: int) -> str:
        return f"{datetime.fromtimestamp(moment_ms / 1000, there):%Y-%m-%d %H:%M}"

    return local


def _what(given: Given, times: Mapping[str, int | None], local: Callable[[int], str]) -> str:
    """Which runs the report is about."""
    chosen = [f"{name} {given[name]}" for name in ("session", "series", "agent", "label") if given[name] is not None]
    if given["status"]:
        chosen.append(f"status {' or '.join(given['status'])}")
    what = f"runs of {', '.join(chosen)}" if chosen else "all runs"
    if given["limit"] is not None:
        what = f"the newest {given['limit']} of {what}"
    return what + "".join(f" {name} {local(moment)}" for name, moment in times.items() if moment is not None)


def _listed(queue: Queue, runs: Iterable[PastRun]) -> list[report_runs.Listed]:
    """These runs with what they answered and were to do; without those that have been pruned meanwhile."""
    found = []
    for run in runs:
        with contextlib.suppress(NotFound):
            found.append(queue.run(run.id))
    tasks = queue.readable([run.id.address for run in found])
    return [report_runs.Listed(run, _title(queue, run, tasks.get(run.id.address))) for run in found]


def _title(queue: Queue, run: Run, task: Task | None) -> str:
    prompt = None if task is None else run_document.asked(run, task, queue.files(run.id))
    return documents.title(run.argv if run.agent is None else None, prompt)


def _works(queue: Queue, runs: Iterable[PastRun]) -> dict[RunId, str]:
    """What these runs did; runs whose task was pruned or cannot be read are missing."""
    found = {}
    for run in runs:
        with contextlib.suppress(AgentqError):
            task = queue.task(run.id.address, background=True)
            prompt = run_document.asked(run, task, queue.files(run.id))
            found[run.id] = documents.brief_work(task.work.argv, prompt)
    return found


def _write(path: str, pieces: Iterable[str]) -> int:
    """Write a file completely or not at all, and return its size. A file that is not regular, such as a pipe, is
    written directly.

    Raises Usage, and Refused if the file cannot be written.
    """
    import tempfile

    target = os.path.realpath(path)
    size = 0
    temporary = None
    try:
        if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        else:
            descriptor, temporary = tempfile.mkstemp(prefix=".agentq-report-", dir=os.path.dirname(target))
        with open(descriptor, "wb") as file:
            for piece in pieces:
                size += file.write(piece.encode())
            file.flush()
            if temporary is not None:
                os.fsync(file.fileno())
        if temporary is not None:
            os.replace(temporary, target)
            temporary = None
    except FileNotFoundError:
        raise Usage(f"--html '{path}': no such directory") from None
    except OSError as error:
        raise Refused(f"--html '{path}': {error.strerror}") from None
    finally:
        if temporary is not None:
            os.unlink(temporary)
    return size
