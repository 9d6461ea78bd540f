"""`agentq logs`: what an attempt wrote, also while it runs and from any process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from agentq_cli import documents, output, values
from agentq_cli.commands.reasons import Reasons
from agentq_cli.context import Context, context
from agentq_cli.errors import NotFound
from agentq_cli.following import Pause
from agentq_cli.harmless import decoded
from agentq_cli.model import Address, RunId, RunStatus
from agentq_cli.output import Document, Raw, Result, Stream, StreamedText
from agentq_cli.queue import Queue
from agentq_cli.supervise.output import OutputReader, cut_bytes, tail_offset, whole
from agentq_cli.supervise.records import RunDirectory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.options.table import Given

STREAMS = ("stdout", "stderr")
EXAMPLES = (
    ("agentq logs 3", "What the last run of default/3 wrote."),
    ("agentq logs --follow docs/7", "Its output, as it comes."),
    ("agentq logs docs/7.1 --stderr --tail 20", "The end of an earlier run's stderr."),
)


def logs(given: Given) -> Result:
    """Print what an attempt wrote, also while it runs.

    Control characters are made harmless; the bytes as they were lie in the files that 'agentq runs --json' names.
    """
    follow, tail = given["follow"], given["tail"]
    at = context()
    address, attempt = values.parse_run(given["run"])
    queue = at.open_queue()
    stream = "stderr" if given["stderr"] else "stdout"
    if follow and at.as_json:
        return Stream("logs", _documents(at, queue, address, attempt, tail), line=str)
    if follow:
        pieces = _followed(at, queue, address, attempt, (stream,), tail)
        return Raw(piece for _, _, piece in pieces if piece)
    found = _run(queue, address, attempt)
    if found is None:
        raise NotFound(f"task '{address}': it has not run yet; `agentq show {address}` says why")
    directory = RunDirectory(queue.run_directory(found))
    if not at.as_json:
        return Raw(_told(at, found, directory, stream, _read(directory, stream, tail)))
    texts = {name: StreamedText(decoded(_read(directory, name, tail))) for name in STREAMS}
    return Document("logs", {"run": str(found), **texts, "truncated": _truncated(directory)})


def _run(queue: Queue, address: Address, attempt: int | None) -> RunId | None:
    """The run asked for, else the task's last one; None where it has none yet. Raises NotFound."""
    task = queue.task(address)
    if attempt is None:
        return RunId(*address, task.last_run) if task.last_run else None
    return queue.run(RunId(*address, attempt)).id


def _read(directory: RunDirectory, stream: str, tail: int | None) -> Iterator[bytes]:
    return whole(directory, stream, 0 if tail is None else tail_offset(directory, stream, tail))


def _truncated(directory: RunDirectory) -> bool:
    return any(cut_bytes(directory, name) for name in STREAMS)


def _told(at: Context, run: RunId, directory: RunDirectory, stream: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces; where there is none, a hint at the other stream, which may hold the reason."""
    empty = True
    for piece in pieces:
        empty = False
        yield piece
    if empty and stream == "stdout":
        with OutputReader(directory, "stderr") as other:
            if size := other.size():
                output.hint(f"nothing on stdout; {size} bytes on stderr: agentq logs {run} --stderr")


def _followed(
    at: Context, queue: Queue, address: Address, attempt: int | None, streams: tuple[str, ...], tail: int | None
) -> Iterator[tuple[RunId, str, bytes]]:
    """Run, stream and bytes, until the run has ended; waits for one that has not begun."""
    pause = Pause()
    reasons = Reasons(queue, at.config)
    while (run := _run(queue, address, attempt)) is None:
        task = queue.task(address)
        if task.status.ended and task.last_run is None:
            return
        reasons.look([task])
        pause.wait()
    directory = RunDirectory(queue.run_directory(run))
    with ExitStack() as stack:
        readers = {}
        for name in streams:
            offset = 0 if tail is None else tail_offset(directory, name, tail)
            readers[name] = stack.enter_context(OutputReader(directory, name, offset))
        over = False
        while not over:
            # Asked before reading: what was written before the end is still read after it.
            over = _ended(queue, run, directory)
            for name, reader in readers.items():
                while piece := reader.read():
                    pause.reset()
                    yield run, name, piece
            if not over:
                pause.wait()


def _ended(queue: Queue, run: RunId, directory: RunDirectory) -> bool:
    return directory.exit() is not None or queue.run(run).status is not RunStatus.RUNNING


def _documents(
    at: Context, queue: Queue, address: Address, attempt: int | None, tail: int | None
) -> Iterator[documents.Item]:
    """Each piece as a document with the keys of `logs --json`, the other stream's text empty."""
    for run, name, text in _texts(_followed(at, queue, address, attempt, STREAMS, tail)):
        directory = RunDirectory(queue.run_directory(run))
        texts = {stream: text if stream == name else "" for stream in STREAMS}
        yield {"run": str(run), **texts, "truncated": _truncated(directory)}


def _texts(pieces: Iterator[tuple[RunId, str, bytes]]) -> Iterator[tuple[RunId, str, str]]:
    import codecs

    decoders = {name: codecs.getincrementaldecoder("utf-8")(errors="replace") for name in STREAMS}
    run: RunId | None = None
    for run, name, piece in pieces:
        if text := decoders[name].decode(piece):
            yield run, name, text
    for name, decoder in decoders.items():
        if run is not None and (text := decoder.decode(b"", final=True)):
            yield run, name, text
