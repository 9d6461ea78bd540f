"""`agentq logs`: what an attempt wrote, also while it runs and from any process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from agentq_cli.base.errors import NotFound
from agentq_cli.commands import following
from agentq_cli.commands.following import STREAMS, Pause
from agentq_cli.commands.reasons import Reasons
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import RunStatus
from agentq_cli.options import values
from agentq_cli.show import documents, notices
from agentq_cli.show.harmless import decoded
from agentq_cli.show.results import Document, Raw, Result, Stream, StreamedText

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.host.output import OutputReader
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq logs 3", "Print what the last run of default/3 wrote."),
    ("agentq logs --follow docs/7", "Print the output as it comes."),
    ("agentq logs docs/7.1 --stderr --tail 20", "Print the end of an earlier run's stderr."),
)


def logs(given: Given, at: Context) -> Result:
    """Print what an attempt wrote, also while it runs.

    Control characters are made harmless. The unchanged bytes are in the files that 'agentq runs --json' names.
    """
    follow, tail = given["follow"], given["tail"]
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
        raise NotFound(f"task '{address}': has not run yet; `agentq show {address}` says why")
    if not at.as_json:
        return Raw(_told(queue, found, stream, _from(queue, found, stream, tail).whole()))
    texts = {name: StreamedText(decoded(_from(queue, found, name, tail).whole())) for name in STREAMS}
    return Document("logs", {"run": str(found), **texts, "truncated": _truncated(queue, found)})


def _run(queue: Queue, address: Address, attempt: int | None) -> RunId | None:
    """The requested run, else the task's last one; None if it has none yet. Raises NotFound."""
    task = queue.task(address)
    if attempt is None:
        return RunId(*address, task.last_run) if task.last_run else None
    return queue.run(RunId(*address, attempt)).id


def _from(queue: Queue, run: RunId, stream: str, tail: int | None) -> OutputReader:
    """A stream of a run, from its beginning or from its last lines."""
    output = queue.output(run, stream)
    return output if tail is None else output.tail(tail)


def _truncated(queue: Queue, run: RunId) -> bool:
    return any(queue.output(run, name).cut_bytes() for name in STREAMS)


def _told(queue: Queue, run: RunId, stream: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces; if there are none, also a hint at the other stream, which may contain the reason."""
    empty = True
    for piece in pieces:
        empty = False
        yield piece
    if empty and stream == "stdout":
        with queue.output(run, "stderr") as other:
            if size := other.size():
                notices.hint(f"nothing on stdout; {size} bytes on stderr: agentq logs {run} --stderr")


def _followed(
    at: Context, queue: Queue, address: Address, attempt: int | None, streams: tuple[str, ...], tail: int | None
) -> Iterator[tuple[RunId, str, bytes]]:
    """Run, stream and bytes, until the run has ended; waits for a run that has not begun."""
    pause = Pause()
    reasons = Reasons(queue, at.config)
    while (run := _run(queue, address, attempt)) is None:
        task = queue.task(address)
        if task.status.ended and task.last_run is None:
            return
        reasons.update([task])
        pause.wait()
    with ExitStack() as stack:
        readers = {name: stack.enter_context(_from(queue, run, name, tail)) for name in streams}

        def has_ended() -> bool:
            return readers[streams[0]].ended or queue.run(run).status is not RunStatus.RUNNING

        for name, piece in following.output(readers, has_ended, pause.wait):
            pause.reset()
            yield run, name, piece


def _documents(
    at: Context, queue: Queue, address: Address, attempt: int | None, tail: int | None
) -> Iterator[documents.Item]:
    """Each piece as a document with the keys of `logs --json`; the other stream's text is empty."""
    for run, name, text in _texts(_followed(at, queue, address, attempt, STREAMS, tail)):
        texts = {stream: text if stream == name else "" for stream in STREAMS}
        yield {"run": str(run), **texts, "truncated": _truncated(queue, run)}


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
