"""The only place that prints. Commands return one of the results below; `Printer` writes it as text or as JSON.

Data goes to stdout, everything else to stderr. JSON is ASCII, so that no locale and no terminal can misread it.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, ClassVar, TextIO, TypeAlias

from agentq_cli import documents, values
from agentq_cli.documents import encode
from agentq_cli.errors import AgentqError, Refused
from agentq_cli.model import TargetResult
from agentq_cli.tables import STATUS_COLOURS, Column, Table, decoded, harmless, one_line, wants_colour

Item: TypeAlias = Mapping[str, Any]
Code: TypeAlias = int | Callable[[], int]
"""An exit code, or where it is known only after the last line, how to get it then."""

PAGE = 500
"""Rows laid out at a time: what a listing holds in memory."""

KINDS = {2: "usage", 3: "not_found", 4: "wrong_state", 5: "busy", 6: "unreadable"}
"""The word of a target's exit code, for the error document of a command that had only that one."""


NOBODY_THERE = "nobody is there to run it: start `agentq run`, or have cron or systemd call `agentq sweep`"
"""The hint of a command that queued work which nobody will start."""


class ReaderGone(Exception):
    """Whoever read stdout has closed it, as `head` does: not an error."""


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON document. As text: its `lines`, where a pair is a label and a value, aligned and never cut.

    A value of `data` that is a `StreamedText` is written as it comes.
    """

    kind: str
    data: Item
    lines: Iterable[str | tuple[str, str]] = ()
    code: Code = 0


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
class Stream:
    """What comes while it happens: JSON Lines, or a `line` an item; flushed each time.

    An item of None prints nothing; it lets a `screen` be drawn anew. On a terminal `screen(width)` gives the lines kept
    below the others. With `survives_reader` the stream is read to its end though nobody reads what it prints.
    """

    kind: str
    items: Iterable[Item | None]
    line: Callable[[Item], str]
    code: Code = 0
    screen: Callable[[int], Sequence[str]] | None = None
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
class Results:
    """What became of each target of a command that changes something; `code` follows from the items."""

    items: Sequence[TargetResult]
    extra: Item = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The exit code that the items give."""
        return results_code(self.items)


Result: TypeAlias = Document | Items | Stream | Screen | Raw | Results | None


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


def _stderr(text: str) -> None:
    # A closed stderr must not turn success into failure.
    try:
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)
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
        self._drawable = self._terminal and environ.get("TERM", "dumb") != "dumb"

    def write(self, result: Result) -> int:
        """Writes the result and returns its exit code. Raises ReaderGone, and Refused where stdout takes no more."""
        match result:
            case None:
                return 0
            case Document():
                self._document(result.kind, result.data) if self._json else self._fields(result.lines)
            case Items():
                self._items_json(result) if self._json else self._items_text(result)
            case Stream():
                self._stream(result)
            case Screen():
                self._document(result.kind, result.data) if self._json else self._screen(result)
            case Raw():
                self._raw(result)
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

    def _fields(self, lines: Iterable[str | tuple[str, str]]) -> None:
        known = list(lines)
        width = max((len(line[0]) for line in known if isinstance(line, tuple)), default=0) + 1
        for line in known:
            if isinstance(line, str):
                self._put(harmless(line) + "\n")
                continue
            label, value = line
            first, *more = harmless(value).split("\n")
            head = self._styled(f"{label}:".ljust(width), "2")
            self._put(f"{head} {self._styled(first, STATUS_COLOURS.get(first, ''))}".rstrip(" ") + "\n")
            for text in more:
                self._put(f"{'':{width}} {text}".rstrip(" ") + "\n")

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
        table = Table(columns, self._shown, self._painted, self._width() if self._terminal else None)
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
        if value is None or value == "" or value == []:
            return "-"
        if column.kind == "time" and self._terminal and str(value).endswith("Z"):
            from datetime import datetime

            # A time in a zone of its own is shown as it is: there the wall clock is what was asked for.
            moment = datetime.fromisoformat(str(value)).timestamp()
            return values.format_relative(round(moment * 1000), self._now_ms())
        if column.kind == "duration" and isinstance(value, int):
            return values.format_duration(value)
        if column.kind == "size" and isinstance(value, int):
            return values.format_size(value)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list):
            return one_line(", ".join(map(str, value)))
        return one_line(str(value))

    def _painted(self, column: Column, text: str, part: str) -> str:
        if part == "header":
            return self._styled(text, "1")
        return self._styled(text, STATUS_COLOURS.get(text, "")) if column.kind == "status" else text

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colours and style and text else text

    def _width(self) -> int:
        import shutil

        return max(shutil.get_terminal_size().columns, 20)

    # What comes while it happens

    def _stream(self, result: Stream) -> None:
        drawn = 0
        for item in result.items:
            try:
                drawn = self._step(result, item, drawn)
            except ReaderGone:
                if not result.survives_reader:
                    raise

    def _step(self, result: Stream, item: Item | None, drawn: int) -> int:
        screen = result.screen if self._drawable and not self._json else None
        if drawn and screen:
            self._put(f"\x1b[{drawn}A\x1b[J")
        if item is not None and self._json:
            self._put(encode({"schema": f"agentq.{result.kind}/1", **item}) + "\n")
        elif item is not None:
            self._put(one_line(result.line(item)) + "\n")
        lines = screen(self._width()) if screen else []
        for line in lines:
            self._put(one_line(line) + "\n")
        if item is not None or lines:
            self._flush()
        return len(lines)

    def _screen(self, result: Screen) -> None:
        for line, heading in result.lines(self._width()):
            self._put(self._styled(harmless(line), "1" if heading else "") + "\n")

    def _raw(self, result: Raw) -> None:
        for text in decoded(result.pieces):
            self._put(harmless(text))
            self._flush()

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


def forget(stream: TextIO) -> None:
    """Sends what the stream still holds, and all to come, nowhere, so that no flush at exit can fail."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
