"""`agentq report`: what ran, as one page to keep or send."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable

from agentq_cli.base.errors import AgentqError, Refused, Usage
from agentq_cli.commands import filters
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import RunId
from agentq_cli.model.runs import PastRun
from agentq_cli.options import values
from agentq_cli.show import documents, report_page
from agentq_cli.show import report as reporting
from agentq_cli.show.results import Document, Output, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq report --html report.html", "Write a page about all runs."),
    ("agentq report --html - -s docs --since 7d", "Write one session's last week to standard output."),
)


def report(given: Given, at: Context) -> Result:
    """Report what ran: a timeline, failures, durations, tokens and cost, as one page that needs no network.

    An existing file is replaced. Without --since the report covers all runs on record.
    """
    html, session, since = given["html"], given["session"], given["since"]
    if not html:
        raise Usage("report: name a file with --html; '-' is standard output")
    if html == "-" and at.as_json:
        raise Usage("--html '-': the page and a JSON document cannot both go to standard output; name a file")
    path = html if html == "-" else values.parse_path(html, "--html")
    if path != "-" and os.path.isdir(path):
        raise Usage(f"--html '{path}': is a directory")
    queue = at.open_queue()
    begin = filters.since(at, since)
    there = session is None or filters.has_session(at, queue, session)
    zone, now = at.zone(), queue.now
    local = _clock(zone)
    runs = queue.figures.history(session=session if there else None, since=begin) if there else iter(())
    numbers = reporting.count(runs, lambda moment: local(moment)[:10])
    what = "all runs" if session is None else f"runs of session {session}"
    if begin is not None:
        what += f" since {local(begin)}"
    pieces = report_page.page(numbers, now=now, what=what, zone=zone, local=local, works=_works(queue, numbers.slowest))
    if path == "-":
        return Output(lambda width: (("stdout", piece.encode()) for piece in pieces))
    size = _write(path, pieces)
    data = {
        "path": os.path.abspath(path),
        "bytes": size,
        "runs": numbers.total.runs,
        "failed": numbers.total.bad,
        "left_out_of_timeline": numbers.left_out,
        "from": documents.moment(numbers.first_at),
        "to": documents.moment(numbers.last_at),
        "tokens_in": numbers.total.tokens_in,
        "tokens_out": numbers.total.tokens_out,
        "cost_usd": numbers.total.cost_usd if numbers.total.priced else None,
    }
    return Document(
        "report",
        data,
        [f"{path}: {numbers.total.runs} {'run' if numbers.total.runs == 1 else 'runs'}, {numbers.total.bad} failed"],
    )


def _clock(zone: str) -> Callable[[int], str]:
    """A function that writes a time on the wall clock of a zone."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    there = ZoneInfo(zone)

    def local(moment_ms: int) -> str:
        return f"{datetime.fromtimestamp(moment_ms / 1000, there):%Y-%m-%d %H:%M}"

    return local


def _works(queue: Queue, runs: Iterable[PastRun]) -> dict[RunId, str]:
    """What these runs did; runs whose task was pruned or cannot be read are missing."""
    found = {}
    for run in runs:
        with contextlib.suppress(AgentqError):
            task = queue.task(run.id.address, background=True)
            found[run.id] = documents.brief_work(task.work.argv, task.work.prompt)
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
