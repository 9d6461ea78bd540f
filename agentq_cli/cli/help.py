"""The help of a command, taken from its declaration, and its layout on a screen.

One `Page` serves the help screen, its JSON, the man page and the completions. Imported only if help is requested.
"""

from __future__ import annotations

import inspect
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from typer import _click as click
from typer.core import TyperArgument, TyperOption

from agentq_cli.base.dataclass import dataclass
from agentq_cli.options.table import EVERYWHERE, PANELS

ARGUMENTS, OPTIONS = "Arguments", "Options"
"""The headings of the arguments, and of options without a panel."""

WIDEST = 100
"""The most cells of a line; longer lines are hard to read."""

NARROWEST = 20

STACKED = 60
"""On a screen narrower than this, an option's text is below its name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An argument, an option or a listed command: `names` are shortest first; `metavar` is empty for a flag."""

    names: tuple[str, ...]
    metavar: str
    text: str
    default: str = ""
    repeatable: bool = False

    @property
    def head(self) -> str:
        """How it is typed: `-s, --session NAME`."""
        return " ".join(part for part in (", ".join(self.names), self.metavar) if part)

    @property
    def body(self) -> str:
        """Its description, with its default."""
        return f"{self.text} [default: {self.default}]" if self.default else self.text


@dataclass(frozen=True, slots=True)
class Panel:
    """Entries that serve one purpose."""

    title: str
    entries: tuple[Entry, ...]

    @property
    def of_commands(self) -> bool:
        """Whether its entries are commands, not options or arguments."""
        return any(name[:1] != "-" for entry in self.entries for name in entry.names)


@dataclass(frozen=True, slots=True)
class Example:
    """A command line that can be typed as it is, and its purpose."""

    line: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """The complete help of a command. `usages` are the ways to call it, each with the command's name."""

    name: str
    usages: tuple[str, ...]
    summary: str
    paragraphs: tuple[str, ...]
    panels: tuple[Panel, ...]
    examples: tuple[Example, ...]
    see: str = ""

    def lines(self, width: int) -> Iterator[tuple[str, bool]]:
        """The lines of the help screen, each with whether it is a heading. A line is only longer than `width` if a
        single word is."""
        width = max(NARROWEST, min(width, WIDEST))
        for number, usage in enumerate(self.usages):
            head = "Usage: " if number == 0 else "       "
            yield from _plain(textwrap.wrap(head + usage, width, subsequent_indent=" " * 9, break_on_hyphens=False))
        for paragraph in (self.summary, *self.paragraphs):
            yield "", False
            yield from _plain(_wrapped(paragraph, width, "  "))
        for panel in self.panels:
            yield "", False
            yield f"{panel.title}:", True
            yield from _plain(_rows(panel.entries, width, self._column(panel, width)))
        if self.examples:
            yield "", False
            yield "Examples:", True
        for number, example in enumerate(self.examples):
            if number:
                yield "", False
            yield from _plain(_wrapped(example.text, width, "  "))
            yield from _plain(command_line(example.line, width))
        if self.see:
            yield "", False
            yield from _plain(_wrapped(self.see, width, ""))

    def _column(self, panel: Panel, width: int) -> int:
        """The column where the texts begin, the same for all options; 0 if the texts are below the names."""
        room = width * 2 // 5
        alike = (each for each in self.panels if each.of_commands is panel.of_commands)
        heads = [len(entry.head) + 4 for each in alike for entry in each.entries]
        return 0 if width < STACKED else max((head for head in heads if head <= room), default=0)


def page(command: click.Command, ctx: click.Context) -> Page:
    """The help page of a command, including the `EXAMPLES`, `USAGES` and `KEEPS` of its module."""
    first, *rest = _paragraphs(command.help or "")
    name = ctx.command_path
    arguments = [each for each in command.get_params(ctx) if isinstance(each, TyperArgument)]
    usages = getattr(command, "usages", ()) or (" ".join(["[OPTIONS]", *(_placed(each, ctx) for each in arguments)]),)
    return Page(
        name=name,
        usages=tuple(f"{name} {usage}" for usage in usages),
        summary=first,
        paragraphs=tuple(rest),
        panels=tuple(_panels(command, ctx)),
        examples=tuple(Example(line, text) for line, text in getattr(command, "examples", ())),
        see=getattr(command, "see", ""),
    )


def _paragraphs(text: str) -> list[str]:
    cleaned = inspect.cleandoc(text)
    return [" ".join(part.split()) for part in cleaned.split("\n\n")]


def first_sentence(text: str) -> str:
    """The text up to its first full stop, without it."""
    return text.split(". ")[0].removesuffix(".")


def _placed(argument: TyperArgument, ctx: click.Context) -> str:
    metavar = argument.metavar or (argument.name or "").upper()
    return metavar if argument.required else f"[{metavar}]"


def _panels(command: click.Command, ctx: click.Context) -> Iterator[Panel]:
    found: dict[str, list[Entry]] = {title: [] for title in (ARGUMENTS, *getattr(command, "groups", ()), *PANELS)}
    for title, entries in getattr(command, "groups", {}).items():
        found[title].extend(entries)
    keeps = bool(getattr(command, "keeps", False))
    for parameter in command.get_params(ctx):
        if not isinstance(parameter, TyperArgument | TyperOption) or parameter.hidden:
            continue
        title = parameter.rich_help_panel or (ARGUMENTS if isinstance(parameter, TyperArgument) else OPTIONS)
        found.setdefault(title, []).append(_entry(parameter, keeps=keeps))
    # Headings that are not in PANELS follow those that are; the options of every command come last.
    last = found.pop(EVERYWHERE, [])
    for title, entries in (*found.items(), (EVERYWHERE, last)):
        if entries:
            yield Panel(title, tuple(entries))


def _entry(parameter: TyperArgument | TyperOption, *, keeps: bool) -> Entry:
    metavar = parameter.metavar or ""
    if isinstance(parameter, TyperArgument):
        names: Sequence[str] = ()
        metavar = metavar or (parameter.name or "").upper()
    else:
        names = sorted((*parameter.opts, *parameter.secondary_opts), key=lambda name: (len(name), name))
    default = parameter.show_default if isinstance(parameter.show_default, str) and not keeps else ""
    text = (parameter.help or "").strip()
    repeatable = parameter.nargs == -1 or bool(getattr(parameter, "multiple", False))
    return Entry(tuple(names), metavar, text, default, repeatable)


def _plain(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    return ((line, False) for line in lines)


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _rows(entries: Sequence[Entry], width: int, column: int) -> Iterator[str]:
    for entry in entries:
        head = _wrapped(entry.head, width, "  ")
        body = _wrapped(entry.body, width, " " * (column or 6))
        if body and len(entry.head) + 4 <= column:
            yield head[0].ljust(column) + body.pop(0).lstrip()
        else:
            yield from head
        yield from body


def command_line(line: str, width: int) -> list[str]:
    """A command line on several lines, as a shell reads it: all but the last end with a backslash."""
    lines = [" " * 4]
    for word in words_of(line):
        blank = "" if lines[-1].isspace() else " "
        if blank and len(lines[-1]) + 1 + len(word) + 2 > width:
            lines[-1] += " \\"
            lines.append(" " * 6)
            blank = ""
        lines[-1] += blank + word
    return lines


def words_of(line: str) -> list[str]:
    """The words of a command line with their quotes."""
    lexer = shlex.shlex(line, posix=False, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)
