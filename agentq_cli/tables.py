"""Laying out tables and making foreign text harmless: pure functions from values to lines.

Widths are those of a terminal: a wide character takes two cells, a combining one none.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from agentq_cli.dataclass import NamedTuple, dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STATUS_COLOURS = {
    **dict.fromkeys(("completed", "success", "ok"), "32"),
    **dict.fromkeys(("failed", "error", "crashed", "timeout", "stalled", "oom", "spawn_error", "script_error"), "31"),
    **dict.fromkeys(("running",), "36"),
    **dict.fromkeys(("paused", "retrying", "rate_limited", "blocked", "missing"), "33"),
    **dict.fromkeys(("cancelled", "expired", "skipped"), "2"),
}

SMALLEST = 4
"""No column is cut to fewer cells than this."""

READABLE = 20
"""Cells that a long text is to have before columns that can be spared are shown beside it."""

TEXTS = {"text": READABLE, "waiting": 2 * READABLE}
"""The kinds of column that may be cut and still say something, each with the cells that it is to have before."""

NOTHING = "-"
"""A cell without a value: columns can be counted all the same."""

SCARCE = {2: 16, 3: 12}
"""The same before a column is left out that is spared late."""

# Patterns stay text until they are needed: most commands print plain ASCII, and compiling costs as much as that.
_COLOURS = r"\x1b\[[0-9;:]*m"
_UNFINISHED = r"(?:\x1b(?:\[[0-9;:]*)?|\r)\Z"
_LONGEST_COLOUR = 64

# Controls but for tab and newline, and what reorders or breaks lines: bidirectional marks, overrides, U+2028, U+2029.
BIDI = (0x061C, 0x200E, 0x200F, *range(0x2066, 0x206A))
_SHOWN = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_SHOWN |= {code: f"\\u{code:04x}" for code in (*range(0x80, 0xA0), *BIDI, *range(0x2028, 0x202F))}
_SHOWN[0x7F] = "\u2421"


class Change(NamedTuple):
    """A cell: from one status to another."""

    before: str | None
    after: str | None


class ZoneTime(NamedTuple):
    """A cell: a time as RFC 3339, and on the wall clock of a zone that matters; a person is told how far away it is."""

    at: str
    local: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header, and the key of the item or the function that gives its text.

    `kind` says how a value is shown: `text`, `status` (coloured), `time` (RFC 3339; relative on a terminal), `duration`
    (milliseconds), `size` (bytes), `number` (to the right), `waiting` (a WaitingFor in a few words). Where a terminal
    is too narrow, `spare` columns are left out, those of 3 after those of 2 after those of 1, then texts are cut, and
    `keep` ones last.
    A `sparse` column is left out on a terminal where the first page has nothing for it.
    """

    header: str
    value: str | Callable[[Mapping[str, Any]], object]
    kind: str = "text"
    keep: bool = False
    spare: int = False
    sparse: bool = False

    def of(self, item: Mapping[str, Any]) -> object:
        """The column's value of one item."""
        return item.get(self.value) if isinstance(self.value, str) else self.value(item)


def harmless(text: str) -> str:
    """The text with nothing left that a terminal obeys: newline and tab stay, colours go, other controls are shown."""
    if text.isprintable():
        return text
    if "\x1b" in text:
        text = re.sub(_COLOURS, "", text)
    return text.replace("\r\n", "\n").translate(_SHOWN)


def one_line(text: str) -> str:
    """The same on one line: every run of blanks is one space."""
    if text.isprintable() and "  " not in text:
        return text
    return harmless(" ".join(text.split()))


class Decoder:
    """Bytes as text, piece by piece; characters, colours and line ends that a boundary cut in two are put together."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def decode(self, piece: bytes) -> str:
        """What is whole now."""
        text = self._rest + self._decoder.decode(piece)
        match = re.search(_UNFINISHED, text[-_LONGEST_COLOUR:])
        end = len(text) - len(match[0]) if match else len(text)
        self._rest = text[end:]
        return text[:end]

    def end(self) -> str:
        """What is left once no more comes."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        return rest


def decoded(pieces: Iterable[bytes]) -> Iterator[str]:
    """The pieces as text."""
    decoder = Decoder()
    for piece in pieces:
        if text := decoder.decode(piece):
            yield text
    if text := decoder.end():
        yield text


def cells(text: str) -> int:
    """How many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    width = len(text)
    for character in text:
        if character < "\u0300":
            continue
        if unicodedata.combining(character):
            width -= 1
        elif unicodedata.east_asian_width(character) in "WF":
            width += 1
    return width


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """The text in at most `width` cells, an ellipsis (one cell) where something was left out."""
    if cells(text) <= width:
        return text
    room = width - 1
    kept = []
    for character in text:
        room -= cells(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + ellipsis if width > 0 else ""


def wrapped(text: str, width: int) -> str:
    """A line broken between words so that its parts fit `width`; a longer word stays whole, to be copied.

    The further parts are indented as the first one is, or stand below its second column where blanks set off a first.
    """
    if cells(text) <= width:
        return text
    column = re.match(r" *\S+ {2,}", text)
    head = column[0] if column is not None and cells(column[0]) <= width // 2 else ""
    head = head or text[: len(text) - len(text.lstrip(" "))]
    lines = [""]
    for word in text[len(head) :].split(" "):
        if lines[-1] and cells(head + lines[-1]) + 1 + cells(word) > width:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return head + ("\n" + " " * cells(head)).join(lines)


def is_plain(environ: Mapping[str, str], encoding: str) -> bool:
    """Whether to draw with ASCII alone: the locale is C or POSIX, or its encoding is not UTF-8.

    Python itself makes C.UTF-8 of a C locale and says so in LC_CTYPE (PEP 538), which is not what was asked for.
    """
    given = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "C"
    if given == "C.UTF-8" and not environ.get("LC_ALL") and environ.get("LANG", "C") in ("", "C", "POSIX"):
        given = "C"
    return given in ("C", "POSIX") or encoding.lower().replace("-", "") != "utf8"


def wants_colour(color: str, environ: Mapping[str, str], terminal: bool) -> bool:
    """Whether to colour: `--color`, then NO_COLOR, FORCE_COLOR, TERM=dumb, then whether it is a terminal."""
    if color != "auto":
        return color == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return environ["FORCE_COLOR"] != "0"
    return terminal and environ.get("TERM", "dumb") != "dumb"


class Table:
    """A table written page by page in bounded memory: columns are as wide as the widest seen, or fit into `width`."""

    def __init__(
        self,
        columns: Sequence[Column],
        show: Callable[[Column, object], str],
        paint: Callable[[Column, str, str], str],
        width: int | None,
        ellipsis: str = "…",
    ) -> None:
        self._ellipsis = ellipsis
        self._columns = list(columns)
        self._show = show
        self._paint = paint
        self._width = width
        self._natural = [cells(column.header) for column in columns]
        self._headed = False

    def page(self, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """The lines of some more items; the first page begins with the header."""
        rows = [[self._show(column, column.of(item)) for column in self._columns] for item in items]
        # The last column is followed by nothing, so that its width only matters where all must fit.
        measured = len(self._columns) - (self._width is None)
        for row in rows:
            for position in range(measured):
                self._natural[position] = max(self._natural[position], cells(row[position]))
        if not self._headed and self._width is not None:
            empty = [
                position
                for position, column in enumerate(self._columns)
                if column.sparse and all(row[position] == NOTHING for row in rows)
            ]
            for position in reversed(empty):
                self._drop(position, rows)
            for position in self._spared(self._width):
                self._drop(position, rows)
        widths = self._fitted()
        if not self._headed:
            self._headed = True
            yield self._line([column.header for column in self._columns], widths, header=True)
        for row in rows:
            yield self._line(row, widths, header=False)

    def _drop(self, position: int, rows: Sequence[list[str]]) -> None:
        del self._columns[position], self._natural[position]
        for row in rows:
            del row[position]

    def _spared(self, room: int) -> list[int]:
        """The positions of the columns to leave out, the last one first."""
        wanted = {
            position: width if column.keep else min(width, TEXTS.get(column.kind, width))
            for position, (column, width) in enumerate(zip(self._columns, self._natural, strict=True))
        }
        spared: list[int] = []
        able = [position for position in wanted if self._columns[position].spare]
        for position in sorted(able, key=lambda position: (self._columns[position].spare, -position)):
            # Those that are spared late go only where even texts that are cut short would not do.
            least = SCARCE.get(int(self._columns[position].spare))
            if least is not None:
                texts = [other for other in wanted if self._columns[other].kind in TEXTS]
                wanted |= {other: min(wanted[other], least) for other in texts if not self._columns[other].keep}
            if sum(wanted.values()) + 2 * (len(wanted) - 1) <= room:
                break
            del wanted[position]
            spared.append(position)
        return sorted(spared, reverse=True)

    def _fitted(self) -> list[int]:
        widths = list(self._natural)
        if self._width is None:
            return widths
        room = self._width - 2 * (len(widths) - 1)
        texts = [i for i, column in enumerate(self._columns) if column.kind in TEXTS and not column.keep]
        for group in (texts, range(len(widths))):
            while sum(widths) > room:
                widest = max(group, key=lambda i: widths[i], default=None)
                if widest is None or widths[widest] <= SMALLEST:
                    break
                widths[widest] -= 1
        return widths

    def _line(self, texts: Sequence[str], widths: Sequence[int], *, header: bool) -> str:
        parts = []
        last = len(texts) - 1
        room = self._width
        for position, (column, text, width) in enumerate(zip(self._columns, texts, widths, strict=True)):
            if self._width is not None:
                text = cut(text, width, self._ellipsis)
            part = self._paint(column, text, "header" if header else "cell")
            if column.kind in ("number", "duration", "size"):
                part = " " * (width - cells(text)) + part
            elif position != last:
                part += " " * (width - cells(text))
            if room is not None:
                room -= width + (2 if position else 0)
                if room < 0:
                    break
            parts.append(part)
        return "  ".join(parts).rstrip(" ")
