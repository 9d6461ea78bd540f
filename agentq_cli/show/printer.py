"""The only place that prints results, as text or as JSON: data to stdout, everything else through `notices`.

JSON is ASCII, so that no locale and no terminal can misread it.
"""

from __future__ import annotations

import io
import sys

from agentq_cli.base.errors import AgentqError, Refused
from agentq_cli.base.json_text import encode
from agentq_cli.show.harmless import Decoder, harmless, one_line
from agentq_cli.show.notices import error, forget, note, spill, spill_bytes
from agentq_cli.show.pen import BOLD, DIM, STATUS_STYLES, Pen, is_plain, wants_colour
from agentq_cli.show.results import (
    NOTE,
    Document,
    Interactive,
    Item,
    Items,
    Output,
    Result,
    Results,
    Said,
    Screen,
    Stream,
    StreamedText,
    Told,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import ClassVar, TextIO

    from agentq_cli.show.board import Live
    from agentq_cli.show.drawing import Canvas
    from agentq_cli.show.tables import Column

PAGE = 500
"""How many rows are laid out at a time, and kept in memory by a listing."""

LONGEST_SAID = 40
"""How many lines of a text are shown."""

KINDS = {2: "usage", 3: "not_found", 4: "wrong_state", 5: "busy", 6: "unreadable"}
"""The `kind` of a target's exit code, for the error document of a command with only one target."""


class ReaderGone(Exception):
    """The reader of stdout has closed it, as `head` does; this is not an error."""


class Printer:
    """Writes results to stdout, or `out`, as the shared options and the environment ask for."""

    begun: ClassVar[bool] = False
    """Whether this process has written to stdout: a partial document must not be followed by another."""

    def __init__(
        self,
        *,
        as_json: bool,
        color: str,
        environ: Mapping[str, str],
        now_ms: Callable[[], int],
        out: TextIO | None = None,
    ) -> None:
        self._json = as_json
        self._now_ms = now_ms
        self._out: TextIO = out or sys.stdout or io.StringIO()
        self._terminal = self._out.isatty()
        self._pen = Pen(wants_colour(color, environ, self._terminal), is_plain(environ, self._out.encoding or "utf-8"))
        self._drawable = self._terminal and environ.get("TERM", "dumb") != "dumb"

    def write(self, result: Result) -> int:
        """Write the result and return its exit code. Raises ReaderGone, and Refused if stdout cannot be written."""
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
            case Output():
                self._output(result)
            case Interactive():
                return result.run()
            case Results():
                self._results(result)
        self._flush()
        return result.code() if callable(result.code) else result.code

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
        # The first item is read before anything is written, so that an error there is the only document. A later error,
        # such as a session that cannot be read, becomes a key of the document, which stays complete.
        items = iter(result.items)
        item = next(items, None)
        self._put(f'{{"schema": "agentq.{result.kind}/1", "items": [')
        separator = "\n"
        trouble: AgentqError | None = None
        try:
            while item is not None:
                self._put(separator + encode(item))
                separator = ",\n"
                item = next(items, None)
        except AgentqError as failure:
            trouble = failure
        self._put("\n]" if separator != "\n" else "]")
        for key, value in result.extra.items():
            self._put(f", {encode(key)}: {encode(value)}")
        for section in result.sections:
            self._put(f", {encode(section.key)}: {encode(section.items)}")
        if trouble is not None:
            from agentq_cli.show import documents

            self._put(f', "error": {encode(documents.failure(trouble))}')
        self._put("}\n")
        if trouble is not None:
            self._flush()
            raise trouble

    def _fields(self, result: Document) -> None:
        known = list(result.lines)
        width = max((len(line[0]) for line in known if type(line) is tuple), default=0) + 1
        for line in known:
            if isinstance(line, Said):
                self._said(line)
                continue
            if isinstance(line, str | Told):
                line = harmless(self._timed(line))
                self._put((self._wrapped(line, 0) if result.prose else line) + "\n")
                continue
            label, value = line
            text = harmless(self._timed(value))
            style = STATUS_STYLES.get(text, "")
            laid = self._cut if isinstance(value, Told) else self._wrapped
            first, *more = laid(text, width + 1).split("\n")
            head = self._pen((f"{label}:" if label else "").ljust(width), DIM)
            self._put(f"{head} {self._pen(first, style)}".rstrip(" ") + "\n")
            for text in more:
                self._put(f"{'':{width}} {text}".rstrip(" ") + "\n")
        for columns, items in result.tables:
            if items:
                self._put("\n")
                self._table(columns, items)

    def _said(self, said: Said) -> None:
        lines, whole = self._laid_out(said)
        self._put("\n" + "".join(f"{line}\n" for line in lines[:LONGEST_SAID]))
        if said.cut or not whole or len(lines) > LONGEST_SAID:
            self._put(self._pen(f"{self._pen.ellipsis} the rest: {said.rest}", DIM) + "\n")
        self._put("\n")

    def _laid_out(self, said: Said) -> tuple[list[str], bool]:
        """The lines of a text for this terminal or pipe, or of its beginning, and whether they are all."""
        if said.markdown and self._drawable and not self._pen.plain:
            from agentq_cli.show import markdown

            if len(said.text) <= markdown.LONGEST:
                drawing, whole = markdown.drawing(said.text)
                return self._canvas().wrapped(drawing, self._width()), whole
        lines = (self._wrapped(line, 0).split("\n") for line in harmless(said.text).split("\n")[: LONGEST_SAID + 1])
        return [part for wrapped in lines for part in wrapped], True

    def _wrapped(self, text: str, taken: int) -> str:
        """The text; on a terminal wrapped between words to the width that `taken` cells of a line leave."""
        if not self._terminal:
            return text
        from agentq_cli.show.tables import wrapped

        return "\n".join(wrapped(line, self._width() - taken) for line in text.split("\n"))

    def _cut(self, text: str, taken: int) -> str:
        """The text in one line, on a terminal cut to the width that `taken` cells of a line leave."""
        if not self._terminal:
            return text
        from agentq_cli.show.tables import cut

        return cut(text, self._width() - taken, self._pen.ellipsis)

    def _timed(self, text: str | Told) -> str:
        """The text as whoever reads it gets its times."""
        if not self._terminal:
            return text.exact if isinstance(text, Told) else text
        from agentq_cli.show.timed import timed

        return timed(text, self._now_ms())

    def _items_text(self, result: Items) -> None:
        if result.line is not None:
            for item in result.items:
                self._put(one_line(result.line(item)) + "\n")
        elif not self._table(result.columns, result.items) and result.empty and self._terminal:
            note(result.empty)
        for section in result.sections:
            if section.items:
                gap = "\n" if Printer.begun else ""
                self._put(f"{gap}{self._pen(section.key.capitalize(), BOLD)}\n")
                self._table(section.columns, section.items)

    def _table(self, columns: Sequence[Column], items: Iterable[Item]) -> bool:
        from itertools import islice

        laid = self._pages(columns)
        rows = iter(items)
        written = False
        while True:
            page: list[Item] = []
            trouble: AgentqError | None = None
            try:
                page.extend(islice(rows, PAGE))
            except AgentqError as error:
                # One unreadable session must not hide the others: the items that were read are shown first.
                trouble = error
            for line in laid(page) if page else ():
                self._put(line + "\n")
            if trouble is not None:
                raise trouble
            if not page:
                return written
            written = True

    def _pages(self, columns: Sequence[Column]) -> Callable[[Sequence[Item]], Iterable[str]]:
        """A function that turns pages of items into the lines of one table."""
        if not self._terminal:
            from agentq_cli.show.tables import Table

            return Table(columns, self._pen).page
        from agentq_cli.show.drawing import Pages

        return Pages(columns, self._canvas(), width=self._width(), now=self._now_ms()).lines

    def _canvas(self) -> Canvas:
        from agentq_cli.show.drawing import Canvas

        return Canvas(self._pen)

    def _width(self) -> int:
        import shutil

        return max(shutil.get_terminal_size().columns, 20)

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
        from agentq_cli.show.board import Board

        board = Board(self._put_now, self._out.fileno(), self._canvas())
        live.begin()
        try:
            for item in result.items:
                if item is not None:
                    board.add(live.line(item, self._pen))
                elif board.due():
                    self._survive(result, lambda: board.draw(live.screen(self._pen, board.width, board.height)))
        finally:
            self._survive(result, lambda: board.finish(live.end(self._pen)))

    def _survive(self, result: Stream, draw: Callable[[], None]) -> None:
        """Read the stream to its end: losing the terminal must neither end the running agents nor change the exit
        code."""
        try:
            draw()
        except (ReaderGone, Refused):
            if not result.survives_reader:
                raise

    def _screen(self, result: Screen) -> None:
        for line, heading in result.lines(self._width()):
            self._put(self._pen(harmless(line), BOLD if heading else "") + "\n")

    def _output(self, result: Output) -> None:
        decoders = {"stdout": Decoder(), "stderr": Decoder()}
        complete = dict.fromkeys(decoders, True)

        def put(stream: str, text: str) -> None:
            if text:
                complete[stream] = text.endswith("\n")
                if stream == "stdout":
                    self._put_now(harmless(text))
                else:
                    spill(harmless(text), end="")

        for stream, piece in result.pieces(self._width() if self._terminal else None):
            if stream == NOTE:
                for name, decoder in decoders.items():
                    put(name, decoder.end())
                if not complete["stderr"] or (self._terminal and not complete["stdout"]):
                    spill("")
                note(piece.decode())
            elif not (result.raw and self._put_bytes(stream, piece)):
                put(stream, decoders[stream].decode(piece))
        for name, decoder in decoders.items():
            put(name, decoder.end())

    def _put_bytes(self, stream: str, piece: bytes) -> bool:
        """Write bytes as they are, unless to a terminal; returns whether that was done."""
        if stream == "stderr":
            return spill_bytes(piece)
        out = getattr(self._out, "buffer", None)
        if self._terminal or out is None:
            return False
        Printer.begun = True
        self._try(lambda: out.write(piece) and out.flush())
        return True

    def _results(self, result: Results) -> None:
        from agentq_cli.show import documents

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


def fail(failure: AgentqError, *, as_json: bool) -> None:
    """Write an error: its line on stderr and, with `--json` if nothing was written yet, its document on stdout."""
    for part in failure.parts or (failure,):
        error(part.message)
    if failure.more:
        error(f"{failure.more} more, which are not shown")
    if as_json and not Printer.begun:
        from agentq_cli.show import documents

        printer = Printer(as_json=True, color="never", environ={}, now_ms=lambda: 0)
        printer.write(Document("error", documents.failure(failure)))
