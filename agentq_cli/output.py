"""The only place that prints. Commands return one of the results below; `Printer` writes it as text or as JSON.

Data goes to stdout, everything else to stderr. JSON is ASCII, so that no locale and no terminal can misread it.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice

from agentq_cli import documents, drawing
from agentq_cli.clock import monotonic_ms
from agentq_cli.dataclass import NamedTuple, dataclass, field
from agentq_cli.documents import encode
from agentq_cli.drawing import Pen
from agentq_cli.errors import AgentqError, Refused
from agentq_cli.model import TargetResult
from agentq_cli.tables import (
    STATUS_COLOURS,
    Column,
    Decoder,
    Table,
    cells,
    decoded,
    harmless,
    is_plain,
    one_line,
    wants_colour,
    wrapped,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, TextIO, TypeAlias

Item: TypeAlias = "Mapping[str, Any]"
Code: TypeAlias = "int | Callable[[], int]"
"""An exit code, or where it is known only after the last line, how to get it then."""

SECOND_MS = 1000
"""How often a terminal is drawn anew where nothing happens but time."""

PAGE = 500
"""Rows laid out at a time: what a listing holds in memory."""

KINDS = {2: "usage", 3: "not_found", 4: "wrong_state", 5: "busy", 6: "unreadable"}
"""The word of a target's exit code, for the error document of a command that had only that one."""


class ReaderGone(Exception):
    """Whoever read stdout has closed it, as `head` does: not an error."""


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON document. As text: its `lines`, where a pair is a label and a value, aligned and never cut, and below
    them `tables` of what the document has too. On a terminal values are broken between words, and lines too where they
    are `prose`; others, such as a script, are there to be copied.

    A value of `data` that is a `StreamedText` is written as it comes.
    """

    kind: str
    data: Item
    lines: Iterable[str | tuple[str, str]] = ()
    code: Code = 0
    tables: Sequence[tuple[Sequence[Column], Sequence[Item]]] = ()
    prose: bool = False


@dataclass(frozen=True, slots=True)
class StreamedText:
    """A long string of a document, in pieces."""

    pieces: Iterable[str]


@dataclass(frozen=True, slots=True)
class Section:
    """A second list of a document: under `key` in JSON, a table below the first one as text."""

    key: str
    items: Sequence[Item]
    columns: Sequence[Column]


@dataclass(frozen=True, slots=True)
class Items:
    """A list, written while it is read: a JSON document with `items`, and as text a table or one `line` an item.

    `empty` is told to a person, not to a pipe, when there is none.
    """

    kind: str
    items: Iterable[Item]
    columns: Sequence[Column] = ()
    line: Callable[[Item], str] | None = None
    empty: str = ""
    extra: Item = field(default_factory=dict)
    sections: Sequence[Section] = ()
    code: Code = 0


@dataclass(frozen=True, slots=True)
class Live:
    """How a stream is shown on a terminal: lines that stay, and below them some that are drawn anew.

    `begin` is called once where that is done at all; `line(item, pen, width)` gives the line of an item, or None for
    one that the screen shows; `screen(pen, width, height)` the lines below; `end(pen, width)` the last lines that stay.
    Their texts are harmless already, and fit.
    """

    line: Callable[[Item, Pen, int], str | None]
    screen: Callable[[Pen, int, int], Sequence[str]]
    end: Callable[[Pen, int], Sequence[str]] = lambda pen, width: ()
    begin: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Stream:
    """What comes while it happens: JSON Lines, or a `line` an item; flushed each time.

    An item of None prints nothing; it is when a terminal is drawn anew, at most once a second where nothing came. With
    `survives_reader` the stream is read to its end though nobody reads what it prints.
    """

    kind: str
    items: Iterable[Item | None]
    line: Callable[[Item], str]
    code: Code = 0
    live: Live | None = None
    survives_reader: bool = False


@dataclass(frozen=True, slots=True)
class Screen:
    """One JSON document. As text: `lines(width)`, laid out for so many columns; a line with True is a heading."""

    kind: str
    data: Item
    lines: Callable[[int], Iterable[tuple[str, bool]]]
    code: Code = 0


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that an agent wrote, in pieces of any size, made harmless. It has no JSON: use `Stream` there."""

    pieces: Iterable[bytes]
    code: Code = 0


@dataclass(frozen=True, slots=True)
class Followed:
    """What a task's runs write, as it comes: stream (`stdout`, `stderr`) and bytes, to ours of that name, harmless."""

    pieces: Iterable[tuple[str, bytes]]
    code: Code = 0


class Surface(NamedTuple):
    """What a screen is drawn on: `put` writes and flushes text that is harmless already, with this pen's colours."""

    put: Callable[[str], None]
    pen: Pen


@dataclass(frozen=True, slots=True)
class Interactive:
    """A screen that talks with a person until it ends with an exit code. Only for a terminal."""

    run: Callable[[Surface], int]


@dataclass(frozen=True, slots=True)
class Results:
    """What became of each target of a command that changes something; `code` follows from the items."""

    items: Sequence[TargetResult]
    extra: Item = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The exit code that the items give."""
        return results_code(self.items)


Result: TypeAlias = Document | Items | Stream | Screen | Raw | Followed | Interactive | Results | None


def results_code(items: Sequence[TargetResult]) -> int:
    """0 if all could be done; 1 if some could not; the errors' own code if nothing was done and they agree on it."""
    codes = [item.code for item in items if not item.ok]
    if not codes:
        return 0
    return codes[0] if len(codes) == len(items) and len(set(codes)) == 1 else 1


def hint(text: str) -> None:
    """One line of advice on stderr."""
    _stderr(f"agentq: hint: {one_line(text)}")


def warn(text: str) -> None:
    """One line on stderr about something odd that does not stop the command."""
    _stderr(f"agentq: warning: {one_line(text)}")


def note(text: str) -> None:
    """A line on stderr that is neither data nor advice."""
    _stderr(one_line(text))


def waiting(text: str) -> None:
    """A line on stderr about what a command that waits is waiting for."""
    _stderr(f"agentq: waiting: {one_line(text)}")


def error(text: str) -> None:
    """The one line of an error on stderr."""
    _stderr(f"agentq: error: {one_line(text)}")


def fail(failure: AgentqError, *, as_json: bool) -> None:
    """Writes an error: its line on stderr and, with `--json` and nothing written yet, its document on stdout."""
    error(failure.message)
    if as_json and not Printer.begun:
        printer = Printer(as_json=True, color="never", environ={}, now_ms=lambda: 0)
        printer.write(Document("error", documents.failure(failure)))


def note_lines(lines: Iterable[str]) -> None:
    """Lines on stderr as they are, such as a traceback."""
    _stderr("".join(lines).rstrip("\n"))


def _stderr(text: str, end: str = "\n") -> None:
    # A closed stderr must not turn success into failure.
    try:
        if sys.stderr is not None:
            print(text, end=end, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass


class Printer:
    """Writes results to stdout, as the shared options and the environment ask for."""

    begun: ClassVar[bool] = False
    """Whether this process has written to stdout: a document that is half there must not be followed by another."""

    def __init__(self, *, as_json: bool, color: str, environ: Mapping[str, str], now_ms: Callable[[], int]) -> None:
        self._json = as_json
        self._now_ms = now_ms
        self._out: TextIO = sys.stdout if sys.stdout is not None else io.StringIO()
        self._terminal = self._out.isatty()
        self._colours = wants_colour(color, environ, self._terminal)
        self._pen = Pen(self._colours, is_plain(environ, self._out.encoding or "utf-8"))
        self._drawable = self._terminal and environ.get("TERM", "dumb") != "dumb"

    def write(self, result: Result) -> int:
        """Writes the result and returns its exit code. Raises ReaderGone, and Refused where stdout takes no more."""
        match result:
            case None:
                return 0
            case Document():
                self._document(result.kind, result.data) if self._json else self._fields(result)
            case Items():
                self._items_json(result) if self._json else self._items_text(result)
            case Stream():
                self._stream(result)
            case Screen():
                self._document(result.kind, result.data) if self._json else self._screen(result)
            case Raw():
                self._raw(result)
            case Followed():
                self._followed(result)
            case Interactive():
                return result.run(Surface(self._put_now, self._pen))
            case Results():
                self._results(result)
        self._flush()
        return result.code() if callable(result.code) else result.code

    # JSON

    def _document(self, kind: str, data: Item) -> None:
        if not any(isinstance(value, StreamedText) for value in data.values()):
            self._put(encode({"schema": f"agentq.{kind}/1", **data}) + "\n")
            return
        self._put(f'{{"schema": "agentq.{kind}/1"')
        for key, value in data.items():
            self._put(f", {encode(key)}: ")
            if isinstance(value, StreamedText):
                self._put('"')
                for piece in value.pieces:
                    self._put(encode(piece)[1:-1])
                self._put('"')
            else:
                self._put(encode(value))
        self._put("}\n")

    def _items_json(self, result: Items) -> None:
        # The first item is read before anything is written, so that an error there still is the one document. A later
        # one, such as a session that cannot be read, is a key of the document, which stays a whole one.
        items = iter(result.items)
        first = list(islice(items, 1))
        self._put(f'{{"schema": "agentq.{result.kind}/1", "items": [')
        separator = "\n"
        trouble: AgentqError | None = None
        try:
            for item in chain(first, items):
                self._put(separator + encode(item))
                separator = ",\n"
        except AgentqError as failure:
            trouble = failure
        self._put("\n]" if separator != "\n" else "]")
        for key, value in result.extra.items():
            self._put(f", {encode(key)}: {encode(value)}")
        for section in result.sections:
            self._put(f", {encode(section.key)}: {encode(section.items)}")
        if trouble is not None:
            self._put(f', "error": {encode(documents.failure(trouble))}')
        self._put("}\n")
        if trouble is not None:
            self._flush()
            raise trouble

    # Text

    def _fields(self, result: Document) -> None:
        known = list(result.lines)
        width = max((len(line[0]) for line in known if isinstance(line, tuple)), default=0) + 1
        for line in known:
            if isinstance(line, str):
                line = harmless(line)
                self._put((self._wrapped(line, 0) if result.prose else line) + "\n")
                continue
            label, value = line
            text = harmless(value)
            plain, colour = text + self._distance(text), STATUS_COLOURS.get(text, "")
            first, *more = self._wrapped(plain, width + 1).split("\n")
            head = self._styled(f"{label}:".ljust(width), "2")
            self._put(f"{head} {self._styled(first, colour)}".rstrip(" ") + "\n")
            for text in more:
                self._put(f"{'':{width}} {text}".rstrip(" ") + "\n")
        for columns, items in result.tables:
            if items:
                self._put("\n")
                self._table(columns, items)

    def _wrapped(self, text: str, taken: int) -> str:
        """On a terminal broken between words into what `taken` cells of a line leave."""
        if not self._terminal:
            return text
        return "\n".join(wrapped(line, self._width() - taken) for line in text.split("\n"))

    def _distance(self, text: str) -> str:
        """To a person, a time of day says more beside how far away it is."""
        import re

        if not self._terminal or not re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", text):
            return ""
        return f" ({drawing.relative(text, self._now_ms())})"

    def _items_text(self, result: Items) -> None:
        if result.line is not None:
            for item in result.items:
                self._put(one_line(result.line(item)) + "\n")
        elif not self._table(result.columns, result.items) and result.empty and self._terminal:
            note(result.empty)
        for section in result.sections:
            if section.items:
                gap = "\n" if Printer.begun else ""
                self._put(f"{gap}{self._styled(section.key.capitalize(), '1')}\n")
                self._table(section.columns, section.items)

    def _table(self, columns: Sequence[Column], items: Iterable[Item]) -> bool:
        table = Table(
            columns, self._shown, self._painted, self._width() if self._terminal else None, self._pen.ellipsis
        )
        rows = iter(items)
        written = False
        while True:
            page: list[Item] = []
            trouble: AgentqError | None = None
            try:
                page.extend(islice(rows, PAGE))
            except AgentqError as error:
                # One session that cannot be read hides none of the others: what was read is shown first.
                trouble = error
            for line in table.page(page) if page else ():
                self._put(line + "\n")
            if trouble is not None:
                raise trouble
            if not page:
                return written
            written = True

    def _shown(self, column: Column, value: object) -> str:
        return drawing.shown(column, value, self._now_ms() if self._terminal else None, self._pen.arrow)

    def _painted(self, column: Column, text: str, part: str) -> str:
        if part == "header":
            return self._styled(text, "1")
        return self._styled(text, STATUS_COLOURS.get(text, "")) if column.kind == "status" else text

    def _styled(self, text: str, style: str) -> str:
        return self._pen(text, style)

    def _width(self) -> int:
        import shutil

        return max(shutil.get_terminal_size().columns, 20)

    # What comes while it happens

    def _stream(self, result: Stream) -> None:
        if result.live is not None and self._drawable and not self._json:
            self._stream_live(result, result.live)
            return
        for item in result.items:
            try:
                self._step(result, item)
            except ReaderGone:
                if not result.survives_reader:
                    raise

    def _step(self, result: Stream, item: Item | None) -> None:
        if item is None:
            return
        if self._json:
            self._put(encode({"schema": f"agentq.{result.kind}/1", **item}) + "\n")
        else:
            self._put(one_line(result.line(item)) + "\n")
        self._flush()

    def _stream_live(self, result: Stream, live: Live) -> None:
        board = Board(self._put, self._flush, self._out.fileno())
        live.begin()
        try:
            for item in result.items:
                if item is not None:
                    board.add(live.line(item, self._pen, board.width))
                elif board.due():
                    self._survive(result, lambda: board.draw(live.screen(self._pen, board.width, board.height)))
        finally:
            self._survive(result, lambda: board.finish(live.end(self._pen, board.width)))

    def _survive(self, result: Stream, draw: Callable[[], None]) -> None:
        """A terminal that is gone must not take along the agents that run, nor the exit code."""
        try:
            draw()
        except (ReaderGone, Refused):
            if not result.survives_reader:
                raise

    def _screen(self, result: Screen) -> None:
        for line, heading in result.lines(self._width()):
            self._put(self._styled(harmless(line), "1" if heading else "") + "\n")

    def _raw(self, result: Raw) -> None:
        for text in decoded(result.pieces):
            self._put(harmless(text))
            self._flush()

    def _followed(self, result: Followed) -> None:
        decoders = {"stdout": Decoder(), "stderr": Decoder()}
        for stream, piece in result.pieces:
            self._follow(stream, decoders[stream].decode(piece))
        for stream, decoder in decoders.items():
            self._follow(stream, decoder.end())

    def _follow(self, stream: str, text: str) -> None:
        if not text:
            return
        if stream == "stderr":
            _stderr(harmless(text), end="")
        else:
            self._put_now(harmless(text))

    def _results(self, result: Results) -> None:
        failed = [item for item in result.items if not item.ok]
        if self._json and len(result.items) == 1 and failed:
            only = failed[0]
            error(only.message)
            head = {"code": only.code, "kind": KINDS.get(only.code, "error"), "message": only.message}
            self._document("error", {**head, "items": [documents.target(only)], **result.extra})
            return
        if self._json:
            self._document("results", {"items": [documents.target(item) for item in result.items], **result.extra})
        for item in result.items:
            if not item.ok:
                error(item.message)
            elif not self._json:
                self._put(one_line(item.message) + "\n")

    def _put_now(self, text: str) -> None:
        self._put(text)
        self._flush()

    def _put(self, text: str) -> None:
        Printer.begun = True
        self._try(lambda: self._out.write(text))

    def _flush(self) -> None:
        self._try(self._out.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BrokenPipeError:
            forget(self._out)
            raise ReaderGone from None
        except (OSError, ValueError) as failure:
            forget(self._out)
            raise Refused(f"standard output: {getattr(failure, 'strerror', None) or 'closed'}") from None


LONGEST_HELD = 200
"""Lines kept for a terminal that takes nothing, being stopped by Ctrl-S; older ones are dropped."""


class Board:
    """The lower lines of a terminal, drawn anew where they stand, with lines that stay above them.

    Nothing is written while the terminal takes nothing: who draws has better things to do than to wait for it.
    """

    def __init__(self, put: Callable[[str], None], flush: Callable[[], None], descriptor: int) -> None:
        self._put = put
        self._flush = flush
        self._descriptor = descriptor
        self._held: list[str] = []
        self._drawn: list[int] = []
        self._size = (0, 0)
        self._drawn_at = monotonic_ms() - SECOND_MS

    @property
    def width(self) -> int:
        """Cells a line may take; the last column is left free, as some terminals wrap there and some do not."""
        return max(self._dimensions().columns or 80, 20) - 1

    @property
    def height(self) -> int:
        """Lines that a screen may take, with one left for what stands above it."""
        return max((self._dimensions().lines or 24) - 2, 1)

    def _dimensions(self) -> os.terminal_size:
        try:
            return os.get_terminal_size(self._descriptor)
        except OSError:
            return os.terminal_size((80, 24))  # the terminal is gone

    def add(self, line: str | None) -> None:
        """Put a line above the drawn ones when they are drawn next."""
        if line is not None:
            self._held = [*self._held[1 - LONGEST_HELD :], line]

    def due(self) -> bool:
        """Whether to draw: something was added, the size changed, or a second has gone."""
        fresh = bool(self._held) or (self.width, self.height) != self._size
        return (fresh or monotonic_ms() - self._drawn_at >= SECOND_MS) and self._takes()

    def draw(self, lines: Sequence[str]) -> None:
        """Draw these lines in the place of those before."""
        self._drawn_at = monotonic_ms()
        self._write(list(lines))
        self._size = (self.width, self.height)

    def finish(self, lines: Sequence[str]) -> None:
        """Take the drawn lines away and leave these."""
        for line in lines:
            self.add(line)
        if self._takes():
            self._write([])

    def _takes(self) -> bool:
        import select

        return bool(select.select([], [self._descriptor], [], 0)[1])

    def _write(self, lines: Sequence[str]) -> None:
        # Where a terminal became narrower it has broken the lines in two.
        above = sum(max(1, -(-length // (self.width + 1))) for length in self._drawn)
        back = f"\r\x1b[{above}A" if above else "\r"
        text = "".join(f"{line}\x1b[K\n" for line in (*self._held, *lines))
        self._held = []
        self._drawn = [cells(harmless(line)) for line in lines]
        self._put(f"{back}{text}\x1b[J")
        self._flush()


def forget(stream: TextIO) -> None:
    """Sends what the stream still holds, and all to come, nowhere, so that no flush at exit can fail."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
