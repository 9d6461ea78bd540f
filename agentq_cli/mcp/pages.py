"""What may be long, a part at a time: the output of a run and the difference that a task made."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.commands import diff as diff_command
from agentq_cli.commands import logs as logs_command
from agentq_cli.commands import reading
from agentq_cli.host.output import mark
from agentq_cli.mcp.tools import LONGEST_PAGE, MOST_ITEMS
from agentq_cli.model.statuses import RunStatus
from agentq_cli.options import values
from agentq_cli.show.harmless import harmless
from agentq_cli.trees import diffs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.cli.context import Context
    from agentq_cli.commands.reading import Reading
    from agentq_cli.host.output import Output
    from agentq_cli.options.table import Given

MOST_READ = 1 << 20
"""How many bytes of a transcript's events a call reads at most."""


class Page(NamedTuple):
    """A part of something long: its text, where the next part begins, and whether there is more now."""

    text: str
    next_offset: int
    more: bool


def logs(given: Given, at: Context) -> dict[str, Any]:
    """A part of what a run wrote, as `agentq logs` shows it. Raises Usage, NotFound."""
    stream = given["stream"] or "stdout"
    queue = at.open_queue()
    run = logs_command.ran(queue, *values.parse_run(given["run"]))
    ended = queue.run(run).status is not RunStatus.RUNNING
    with queue.output(run, stream) as output:
        if given["tail"] is not None:
            output.tail(given["tail"])
        else:
            output.offset = given["offset"] or 0
        begin = output.offset

        def open_reading(middle: bool) -> Reading:
            return reading.reading(queue, lambda: at.config, run, None, middle=middle)

        plain = bool(given["raw"]) or stream != "stdout" or open_reading(False).plain
        page = plain_page(output, ended=ended) if plain else transcript_page(output, open_reading)
        truncated = bool(output.cut_bytes())
    shown = "stderr" if stream == "stderr" else "stdout"
    return {
        "schema": "agentq.logs/1",
        "run": str(run),
        **dict.fromkeys(("stdout", "stderr"), ""),
        shown: page.text,
        "truncated": truncated,
        "stream": stream,
        "offset": begin,
        "next_offset": page.next_offset,
        "more": page.more,
        "ended": ended,
    }


def plain_page(output: Output, *, ended: bool) -> Page:
    """The output from its offset on, as it is. A character that is not complete yet is left to the next page."""
    end = output.size()
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    texts: list[str] = []
    room = LONGEST_PAGE
    while room > 0 and output.offset < end:
        missing, data = output.step(min(room, end - output.offset))
        if not missing and not data:
            break
        texts.append(decoder.decode(data if not missing else mark(missing)))
        room -= len(data)
    held = 0 if ended and output.offset >= end else len(decoder.getstate()[0])
    if not held:
        texts.append(decoder.decode(b"", final=True))
    offset = max(0, output.offset - held)
    return Page(harmless("".join(texts)), offset, output.offset < end)


def transcript_page(output: Output, open_reading: Callable[[bool], Reading]) -> Page:
    """The transcript of what was written from the offset on, in whole lines."""
    end, begin = output.size(), output.offset
    shown: list[bytes] = []
    if begin:
        output.offset = begin - 1
    before = output.step(1)[1] if begin else b"\n"
    output.offset = begin
    read = open_reading(before != b"\n")
    room = LONGEST_PAGE
    offset = begin
    for offset, line in _lines(output, end):
        piece = read.feed(line)
        shown.append(piece)
        room -= len(piece)
        if room <= 0 or offset - begin >= MOST_READ:
            break
    shown.append(read.end())
    text = harmless(b"".join(shown).decode("utf-8", "replace"))
    return Page(_cut(text), offset, offset < end and offset > begin)


def _lines(output: Output, end: int) -> Iterator[tuple[int, bytes]]:
    """The whole lines up to this place, and the marks of cuts, each with the offset behind it; of a longer line than a
    page reads, its pieces. What is not a whole line is not there, unless the output has ended."""
    rest, at = b"", output.offset
    while output.offset < end:
        missing, data = output.step(min(LONGEST_PAGE, end - output.offset))
        if missing:
            if rest:
                at += len(rest)
                yield at, rest
            at, rest = output.offset, b""
            yield at, mark(missing)
            continue
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            at += len(line) + 1
            yield at, line + b"\n"
        if len(rest) > MOST_READ:
            at += len(rest)
            yield at, rest
            rest = b""
    if rest and output.ended:
        yield at + len(rest), rest


def _cut(text: str) -> str:
    """A text that one line of events made much longer than a page."""
    if len(text) <= 2 * LONGEST_PAGE:
        return text
    return f"{text[:LONGEST_PAGE]}\n[{len(text) - LONGEST_PAGE} characters are not shown; raw has them]\n"


def diff(given: Given, at: Context) -> dict[str, Any]:
    """What `agentq diff --json` prints, and a part of the difference itself. Raises Usage, NotFound, WrongState,
    GitFailed, OSError."""
    found = diff_command.difference(given, at)
    document = diff_command.document(found)
    offset = given["offset"] or 0
    with closing(diff_command.pieces(found, [*diffs.PLAIN, *diff_command.kinds(given)])) as pieces:
        page = part(pieces, offset)
    return {
        "schema": "agentq.diff/1",
        **document,
        "files": document["files"][:MOST_ITEMS],
        "patch": page.text,
        "offset": offset,
        "next_offset": page.next_offset,
        "more": page.more,
    }


def part(pieces: Iterable[bytes], offset: int) -> Page:
    """A part of a stream of bytes that has to be read from its beginning."""
    found, passed, more = b"", 0, False
    for piece in pieces:
        skip = max(0, offset - passed)
        passed += len(piece)
        found += piece[skip:]
        if len(found) > LONGEST_PAGE:
            found, more = found[:LONGEST_PAGE], True
            break
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = decoder.decode(found)
    held = len(decoder.getstate()[0]) if more else 0
    if not held:
        text += decoder.decode(b"", final=True)
    return Page(harmless(text), offset + len(found) - held, more)
