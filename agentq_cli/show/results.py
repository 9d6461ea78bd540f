"""What commands return: a result, which says what is written as text and what as JSON. `Printer` writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.model import TargetResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from agentq_cli.show.board import Live
    from agentq_cli.show.drawing import Canvas
    from agentq_cli.show.tables import Column

Item: TypeAlias = "Mapping[str, Any]"
Code: TypeAlias = "int | Callable[[], int]"
"""An exit code, or where it is known only after the last line, how to get it then."""


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


@dataclass(frozen=True, slots=True)
class Interactive:
    """A screen that talks with a person until it ends with an exit code. Only for a terminal.

    `run(put, canvas)` gets what writes and flushes text, and what makes lines of what is drawn.
    """

    run: Callable[[Callable[[str], None], Canvas], int]


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
