"""`agentq logs`: what a run said and did, also while it runs and from any process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.errors import NotFound, Usage
from agentq_cli.commands import following
from agentq_cli.commands.following import STREAMS, Pause
from agentq_cli.commands.reasons import Reasons
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import RunStatus
from agentq_cli.options import values
from agentq_cli.show import documents
from agentq_cli.show.harmless import decoded
from agentq_cli.show.results import Document, Output, Result, Stream, StreamedText

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.commands.reading import Reading
    from agentq_cli.host.output import Output as RunOutput
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq logs", "Read what the newest run said and did."),
    ("agentq logs --follow docs/7", "Read it as it comes."),
    ("agentq logs docs/7.1 --stderr --tail 20", "Print the end of an earlier run's stderr."),
    ("agentq logs 3 --raw > events.jsonl", "Keep the bytes that the last run of default/3 printed."),
)

FILES = {
    "stdout": {"stdout": "stdout"},
    "stderr": {"stderr": "stdout"},
    "script": {"script.stdout": "stdout", "script.stderr": "stdout"},
    "check": {"check": "stdout"},
    "setup": {"setup": "stdout"},
}
"""The files of a run that an option chooses, each with the stream on which it is shown."""


WINDOW = 256 << 10
"""How many of the last bytes of a transcript are read first for its last lines."""

BEFORE = 20
"""So many lines more are read: the first of those that begin in the middle may lack what came before."""


class Wanted(NamedTuple):
    """The files that are shown, each with its stream; at most so many last lines of each (None: all); and whether an
    agent's own events are printed."""

    files: Mapping[str, str]
    tail: int | None
    raw: bool


def logs(given: Given, at: Context) -> Result:
    """Read what a run said and did, also while it runs; without an ID the newest run.

    Of a prompt this is its transcript: what the agent said, a line for each tool call, and the end with its cost.
    --raw prints the agent's own events instead. What a command wrote is printed as it is, but control characters are
    made harmless. The run's stdout goes to stdout, its stderr to stderr.
    """
    follow, tail = given["follow"], given["tail"]
    wanted = Wanted(_files(given), tail, bool(given["raw"]))
    queue = at.open_queue()
    address, attempt = values.parse_run(given["run"]) if given["run"] else following.newest_run(queue)
    if follow and at.as_json:
        return Stream("logs", _documents(at, queue, address, attempt, tail), line=str)
    if follow:
        return Output(lambda width: _followed(at, queue, address, attempt, wanted, width), raw=wanted.raw)
    found = ran(queue, address, attempt)
    if not at.as_json:
        return Output(lambda width: _so_far(at, queue, found, wanted, width), raw=wanted.raw)
    texts = {name: StreamedText(decoded(_from(queue, found, name, tail).whole())) for name in STREAMS}
    return Document("logs", {"run": str(found), **texts, "truncated": _truncated(queue, found)})


def _files(given: Given) -> Mapping[str, str]:
    """The chosen files. Raises Usage."""
    chosen = [name for name in FILES if given[name]]
    if len(chosen) > 1:
        raise Usage(f"--{chosen[0]}: not together with --{chosen[1]}; without either, both streams are printed")
    return FILES[chosen[0]] if chosen else {name: name for name in STREAMS}


def _run(queue: Queue, address: Address, attempt: int | None) -> RunId | None:
    """The requested run, else the task's last one; None if it has none yet. Raises NotFound."""
    if attempt is not None:
        return queue.run(RunId(*address, attempt)).id
    last = queue.task(address).last_run
    return RunId(*address, last) if last else None


def ran(queue: Queue, address: Address, attempt: int | None) -> RunId:
    """The requested run, else the task's last one. Raises NotFound."""
    found = _run(queue, address, attempt)
    if found is None:
        raise NotFound(f"task '{address}': has not run yet; {_instead(queue, address)}")
    return found


def _instead(queue: Queue, address: Address) -> str:
    """What a person reads instead of a task that has not run: the newest run of its schedule, else why."""
    series = queue.task(address).series
    of_series = None if series is None else next(queue.runs(session=address.session, series=series, limit=1), None)
    if of_series is None:
        return f"`agentq show {address}` says why"
    return f"the newest of its schedule that has is {of_series.id}: `agentq logs {of_series.id}`"


def _from(queue: Queue, run: RunId, stream: str, tail: int | None) -> RunOutput:
    """A file of a run, from its beginning or from its last lines."""
    output = queue.output(run, stream)
    return output if tail is None else output.tail(tail)


def _truncated(queue: Queue, run: RunId) -> bool:
    return any(queue.output(run, name).cut_bytes() for name in STREAMS)


def _reading(at: Context, queue: Queue, run: RunId, raw: bool, width: int | None, *, middle: bool = False) -> Reading:
    from agentq_cli.commands import reading

    if raw:
        return reading.Reading(None, width)
    return reading.reading(queue, lambda: at.config, run, width, middle=middle)


def _so_far(at: Context, queue: Queue, run: RunId, wanted: Wanted, width: int | None) -> Iterator[tuple[str, bytes]]:
    """Stream and bytes of what a run has written so far, or of the last lines of each file."""
    files, tail, raw = wanted
    read = _reading(at, queue, run, raw, width)
    for name, stream in files.items():
        pieces: Iterable[bytes]
        if name == "stdout" and not read.plain and tail is not None:
            read, _, last = tail_of(
                lambda middle: _reading(at, queue, run, raw, width, middle=middle), queue, run, tail
            )
            pieces = _last([*last, read.end()], tail)
        elif name == "stdout" and not read.plain:
            pieces = read.whole(queue.output(run, name).whole())
        else:
            pieces = _from(queue, run, name, tail).whole()
        yield from ((stream, piece) for piece in pieces)


def _last(pieces: Iterable[bytes], lines: int) -> deque[bytes]:
    """The last lines of pieces that are whole lines."""
    return deque((line + b"\n" for piece in pieces for line in piece.split(b"\n")[:-1]), maxlen=lines)


def tail_of(
    open_reading: Callable[[bool], Reading], queue: Queue, run: RunId, lines: int
) -> tuple[Reading, int, deque[bytes]]:
    """The last lines of a transcript so far, read from the end of its file: with the reading, and where it stands."""
    window = WINDOW
    while True:
        output = queue.output(run, "stdout")
        begin = output.offset = max(0, output.size() - window)
        read = open_reading(begin > 0)
        found = _last((read.feed(piece) for piece in output.whole()), lines + BEFORE)
        if not begin or len(found) == lines + BEFORE:
            return read, output.offset, deque(found, maxlen=lines)
        window *= 4


def _followed(
    at: Context, queue: Queue, address: Address, attempt: int | None, wanted: Wanted, width: int | None
) -> Iterator[tuple[str, bytes]]:
    """Stream and bytes of a run as they come, and how it ended."""
    from agentq_cli.commands import reading

    run = _begun(at, queue, address, attempt)
    if run is None:
        return
    files, tail, raw = wanted
    read = _reading(at, queue, run, raw, width)
    with ExitStack() as stack:
        readers = {name: stack.enter_context(queue.output(run, name)) for name in files}
        if tail is not None:
            for name, reader in readers.items():
                if name != "stdout" or read.plain:
                    reader.tail(tail)
                    continue
                read, reader.offset, so_far = tail_of(
                    lambda middle: _reading(at, queue, run, raw, width, middle=middle), queue, run, tail
                )
                yield from ((files[name], piece) for piece in so_far)
        for name, piece in _pieces(queue, run, readers, _stages(queue, run)):
            yield files.get(name, name), read.feed(piece) if name == "stdout" else piece
    yield files.get("stdout", "stdout"), read.end()
    yield from reading.note_of_end(queue, run, Pause().wait)


def _begun(at: Context, queue: Queue, address: Address, attempt: int | None) -> RunId | None:
    """The requested run once it has begun; None if the task ended without one."""
    pause = Pause()
    reasons = Reasons(queue, at.config)
    while (run := _run(queue, address, attempt)) is None:
        task = queue.task(address)
        if task.status.ended and task.last_run is None:
            break
        reasons.update([task])
        pause.wait()
    return run


def _stages(queue: Queue, run: RunId) -> Callable[[], str | None]:
    """A function that says the stage of a live run when that has changed."""
    from agentq_cli.commands import tree_fields

    last: str | None = None

    def changed() -> str | None:
        nonlocal last
        now = tree_fields.stage(queue, run)
        if now == last:
            return None
        last = now
        return None if now is None else f"{run}: {now}"

    return changed


def _pieces(
    queue: Queue, run: RunId, readers: Mapping[str, RunOutput], note: Callable[[], str | None] = lambda: None
) -> Iterator[tuple[str, bytes]]:
    """Name of the file and bytes, until the run has ended."""
    first = next(iter(readers.values()))
    pause = Pause(first.pace)

    def has_ended() -> bool:
        return first.ended or queue.run(run).status is not RunStatus.RUNNING

    for name, piece in following.output(readers, has_ended, pause.wait, note):
        pause.reset()
        yield name, piece


def _documents(
    at: Context, queue: Queue, address: Address, attempt: int | None, tail: int | None
) -> Iterator[documents.Item]:
    """Each piece as a document with the keys of `logs --json`; the other stream's text is empty."""
    run = _begun(at, queue, address, attempt)
    if run is None:
        return
    with ExitStack() as stack:
        readers = {name: stack.enter_context(_from(queue, run, name, tail)) for name in STREAMS}
        for name, text in _texts(_pieces(queue, run, readers)):
            texts = {stream: text if stream == name else "" for stream in STREAMS}
            yield {"run": str(run), **texts, "truncated": _truncated(queue, run)}


def _texts(pieces: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, str]]:
    import codecs

    decoders = {name: codecs.getincrementaldecoder("utf-8")(errors="replace") for name in STREAMS}
    for name, piece in pieces:
        if text := decoders[name].decode(piece):
            yield name, text
    for name, decoder in decoders.items():
        if text := decoder.decode(b"", final=True):
            yield name, text
