"""`agentq run`: supervise in the foreground, or with --detach in the background."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.base.clock import rfc3339
from agentq_cli.base.errors import Busy, Deferred, Usage
from agentq_cli.model.statuses import Status
from agentq_cli.options import values
from agentq_cli.options.table import EVERYWHERE, row, rows
from agentq_cli.show import documents, notices
from agentq_cli.show.board import Live
from agentq_cli.show.results import Document, Result, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from agentq_cli.cli.context import Context
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.workers import Supervisor
    from agentq_cli.options.table import Given
    from agentq_cli.show.pen import Pen
    from agentq_cli.supervise.duty import Happening, Settings
    from agentq_cli.supervise.supervisor import Supervision


UNTIL = ("drain", "idle_exit", "max_tasks")
"""The options with which it ends by itself."""

EXAMPLES = (
    ("agentq run", "Run in the foreground until interrupted."),
    ("agentq run --drain -j 4", "Run four at a time until nothing is due."),
    ("agentq run --detach --idle-exit 10m", "Run in the background as long as there is work."),
    ("agentq run -s docs -s site --drain", "Run only two sessions."),
)


def run(given: Given, at: Context) -> Result:
    """Run what is due, N at a time, and record how it ended.

    On SIGTERM it exits and leaves the agents running; the next 'agentq run' or 'agentq sweep' takes them over. On the
    first SIGINT it waits for them, on the second it exits.
    """
    on_stop, idle_exit = given["on_stop"], given["idle_exit"]
    only_on_linux("run")
    if on_stop is not None:
        values.parse_choice(on_stop, row("run", "on_stop"), "--on-stop")
    sessions = tuple(dict.fromkeys(values.parse_session(name) for name in given["session"] or ()))
    idle_ms = None if idle_exit is None else values.parse_duration(idle_exit, "--idle-exit")
    from agentq_cli.host.resources import Resources
    from agentq_cli.supervise import gates

    # An invalid config is an error of this command, not of the supervisor that it starts.
    gates.check(at.config, Resources())
    if given["detach"]:
        return _detached(at, given)
    from agentq_cli.supervise.duty import Settings

    return _supervise(at, Settings(given["jobs"], sessions, bool(given["drain"]), idle_ms, given["max_tasks"], on_stop))


def _supervise(at: Context, settings: Settings) -> Result:
    import gc

    from agentq_cli.host.launch import Launcher
    from agentq_cli.supervise.supervisor import Supervision

    # It may run for months, so garbage cycles are collected at Python's own thresholds, which the entry point raised.
    gc.set_threshold(700, 10, 10)
    # Before any database is open, since a fork must not inherit one.
    launcher = Launcher()
    launcher.start()
    at.resources.callback(launcher.close)
    _name()
    queue = _open_patiently(at)
    supervision = Supervision(queue, launcher, config=at.config, clock=at.clock, settings=settings, environ=at.environ)

    def items() -> Iterator[documents.Item | None]:
        for happening in supervision.run():
            yield None if happening is None else _item(happening)
        if supervision.deferred_until is not None and not supervision.failed:
            until = rfc3339(supervision.deferred_until)
            raise Deferred(
                f"run --drain: the remaining tasks are held by a usage limit until {until}; run it again then"
            )

    def code() -> int:
        if supervision.signal is not None:
            return 128 + supervision.signal
        return int(settings.drain and supervision.failed > 0)

    return Stream("event", items(), _line, code=code, live=_live(queue, supervision), survives_reader=True)


def _name() -> None:
    """Show as `agentq run …` in ps, however the interpreter was started."""
    import sys

    from agentq_cli.host import kernel

    words = sys.argv[1:]
    if "run" in words:
        words.remove("run")
    kernel.name_process("agentq")
    from agentq_cli.base.database_url import without_password

    kernel.show_command(["agentq", "run", *(without_password(each) if "://" in each else each for each in words)])


def _open_patiently(at: Context) -> Queue:
    """The queue; waits as long as the index is locked."""
    told = False
    while True:
        try:
            return at.open_queue(create=True)
        except Busy as busy:
            if not told:
                notices.warn(f"{busy.message.removesuffix('; try again')}; retrying until it is free")
            told = True


def _live(queue: Queue, supervision: Supervision) -> Live:
    """The run on a terminal: what runs now, and above it a line for each task that ended and each notable event."""
    from agentq_cli.commands import watching
    from agentq_cli.show.pen import BUSY, DIM, ODD

    ended = watching.Counted()

    def begin() -> None:
        import signal

        supervision.ticking = True
        # The signal wakes the loop, which then draws for the new size.
        signal.signal(signal.SIGWINCH, lambda number, frame: None)

    def line(item: documents.Item, pen: Pen) -> Text | None:
        if item["event"] == "start" or (item["event"] == "depend" and not item["reason"]):
            return None  # the table already shows that the task may start now
        if item["event"] in ("finish", "expire", "depend"):
            if Status(item["to"]).ended:  # else it will be retried, and counts as waiting
                ended.by_status[item["to"]] += 1
            took = f"in {values.format_duration(item['duration_ms'])}" if item.get("duration_ms") is not None else ""
            detail = "; ".join(part for part in (took, item["reason"]) if part and part != item["to"])
            return watching.ended_line(item["to"], item["run"] or item["task"], detail)
        text = " ".join(part for part in (item["event"], item["run"] or item["task"], item["reason"]) if part)
        from agentq_cli.show import drawing

        return drawing.line((text, ODD if item["event"] in ("gate", "trouble", "overdue") else DIM))

    def screen(pen: Pen, width: int, height: int) -> list[RenderableType]:
        watched, now = supervision.watched, queue.now
        rows = [
            watching.running_item(queue, each.task, each.worker.id, each.worker.claimed_at) for each in watched[:height]
        ]
        counts = watching.waiting_counts(queue)
        counts.pop("running", None)
        head = f"{pen.spinner(now)} {len(watched)} running" if watched else "nothing runs"
        parts = [(head, BUSY if watched else DIM)]
        parts += [(f"{count} {status}", "") for status, count in counts.items()]
        parts += ended.parts()
        return watching.lines_of(rows, parts, pen, width, height, now, more=len(watched) - len(rows))

    def end(pen: Pen) -> list[Text]:
        from agentq_cli.show import drawing

        parts = [*ended.parts(), (f"in {ended.took}", DIM)]
        return [drawing.sentence(parts, pen)] if ended.by_status else []

    return Live(line=line, screen=screen, end=end, begin=begin)


def _item(happening: Happening) -> documents.Item:
    item = dict(documents.event(happening.event))
    outcome = happening.outcome
    if outcome is not None:
        item |= {"duration_ms": outcome.duration_ms, "exit_code": outcome.exit_code}
    return item


def _line(item: documents.Item) -> str:
    parts = [str(item["at"]), str(item["event"]), str(item["run"] or item["task"] or "")]
    if item["event"] in ("finish", "expire", "depend"):
        parts.append(str(item["to"]))
    if "duration_ms" in item:
        parts.append(f"in {values.format_duration(item['duration_ms'])}" if item["duration_ms"] else "in 0s")
    if item["reason"] and item["reason"] != item["to"]:
        parts.append(f"({item['reason']})")
    return " ".join(part for part in parts if part)


def _detached(at: Context, given: Given) -> Result:
    from agentq_cli.supervise import wake

    arguments: list[str] = []
    for option in rows("run"):
        if option.panel != EVERYWHERE and option.name not in ("detach", "another"):
            arguments += option.words(given[option.name])
    queue = at.open_queue(create=True)
    serving = None if given["another"] else _serving(queue, given)
    if serving is None:
        pid, started_at = wake.start_detached(queue, arguments, at.environ), at.now_ms()
    else:
        pid, started_at = serving.identity.pid, serving.started_at
        notices.note(f"agentq: supervisor {pid} serves these sessions already; --another starts one more")
    return Document("supervisor", {"pid": pid, "started_at": rfc3339(started_at)}, [str(pid)])


def _serving(queue: Queue, given: Given) -> Supervisor | None:
    """A supervisor that does what this one would. One that ends by itself does so only for one that would, too."""
    from agentq_cli.base import procfs

    wanted = set(given["session"] or ())
    ends = any(given[name] for name in UNTIL)
    for supervisor in queue.living():
        if supervisor.elsewhere or (supervisor.sessions and not (wanted and wanted.issubset(supervisor.sessions))):
            continue
        near = supervisor.identity.boot_id == procfs.realm()
        words = (procfs.read_file(f"/proc/{supervisor.identity.pid}/cmdline") or b"").split(b"\0") if near else []
        options = {word.partition(b"=")[0].decode(errors="replace") for word in words}
        if ends or options.isdisjoint(row("run", name).spellings for name in UNTIL):
            return supervisor
    return None


def only_on_linux(command: str) -> None:
    """Reject other systems, on which only reading commands work, and a /proc of another PID namespace. Raises Usage."""
    import sys

    from agentq_cli.base import procfs

    if sys.platform != "linux":
        raise Usage(f"{command}: needs Linux 5.4 or newer (pidfd, /proc, child subreaper), and this is {sys.platform}")
    if procfs.realm().endswith("?"):
        raise Usage(
            f"{command}: '/proc' shows the processes of another PID namespace than this one;"
            " mount one of its own (unshare --mount-proc)"
        )
