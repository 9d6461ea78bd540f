"""The results that commands return: each defines its text and its JSON. `Printer` writes them."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple, dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeAlias

    from agentq_cli.model.actions import TargetResult
    from agentq_cli.show.board import Live
    from agentq_cli.show.tables import Column

Item: TypeAlias = "Mapping[str, Any]"
Code: TypeAlias = "int | Callable[[], int]"
"""An exit code, or a function that gives it after the last line."""


class Worded(str):
    """agentq's own words among the lines of a document: a terminal shows the times in them short and local."""

    __slots__ = ()


class Told(NamedTuple):
    """A text with exact times for a pipe, and the words that a person sees in its place."""

    exact: str
    words: str


@dataclass(frozen=True, slots=True)
class Said:
    """A text of which the beginning is shown; `rest` is the command that shows the rest. With `markdown` a terminal
    draws it. `cut`: it is itself a part of something longer."""

    text: str
    rest: str
    markdown: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON document. As text: its `lines`, and below them its `tables`. A pair among the lines is a label and a
    value, aligned and never cut. On a terminal values are wrapped between words; so are lines if they are `prose`.
    What is `Told` beside a label stays one line and is cut; a pair without a label goes on below the one before it.
    Other lines, such as a script, may be copied and are not wrapped. What an agent `Said` stands between blank lines.

    A `StreamedText` in `data` is written as it comes.
    """

    kind: str
    data: Item
    lines: Iterable[str | Told | tuple[str, str | Told] | Said] = ()
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
    """A list, written while it is read: a JSON document with `items`, or as text a table or a `line` for each item.

    `empty` is shown to a person, not to a pipe, if there are no items.
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
    """Items that are printed as they come: JSON Lines, or a `line` for each item; flushed each time.

    An item of None prints nothing, but lets a terminal be redrawn, at most once a second if nothing came. With
    `survives_reader` the stream is read to its end even after the reader of stdout is gone.
    """

    kind: str
    items: Iterable[Item | None]
    line: Callable[[Item], str]
    code: Code = 0
    live: Live | None = None
    survives_reader: bool = False


@dataclass(frozen=True, slots=True)
class Screen:
    """One JSON document. As text: `lines(width)`, laid out for this many columns; a line with True is a heading."""

    kind: str
    data: Item
    lines: Callable[[int], Iterable[tuple[str, bool]]]
    code: Code = 0


NOTE = "note"
"""The stream of agentq's own words about a run, one line a piece, which go to stderr."""


@dataclass(frozen=True, slots=True)
class Output:
    """What runs wrote, as it comes: stream (`stdout`, `stderr`, NOTE) and bytes, made harmless and written to agentq's
    own stream of that name. It has no JSON form; use `Stream` for that.

    `pieces(width)` gets the columns of the terminal, or None if stdout is none. With `raw` only a terminal gets
    harmless text, and all else the bytes as they are.
    """

    pieces: Callable[[int | None], Iterable[tuple[str, bytes]]]
    code: Code = 0
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Interactive:
    """An interactive screen, which `run` shows until it ends with an exit code. Only for a terminal."""

    run: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Results:
    """The result for each target of a command that changes something; `code` follows from the items."""

    items: Sequence[TargetResult]
    extra: Item = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The exit code of the items."""
        return results_code(self.items)


Result: TypeAlias = Document | Items | Stream | Screen | Output | Interactive | Results | None


def results_code(items: Sequence[TargetResult]) -> int:
    """0 if all targets succeeded; 1 if some failed; the errors' common code if all failed with the same one."""
    codes = [item.code for item in items if not item.ok]
    if not codes:
        return 0
    return codes[0] if len(codes) == len(items) and len(set(codes)) == 1 else 1
