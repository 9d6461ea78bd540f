"""Text as mdoc(7) source: characters that a formatter would interpret are escaped, and each sentence is a line."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

DATE = "November 22, 2026"
"""The date of the manual's last change by hand."""

BEYOND_ASCII = {"…": "...", "−": "\\-", "→": "\\(->", "×": "x"}


def escaped(text: str) -> str:
    """The text for the middle of a line. Raises ValueError on a character that the manual cannot contain."""
    text = text.replace("\\", "\\e")
    for letter, written in BEYOND_ASCII.items():
        text = text.replace(letter, written)
    if not text.isascii():
        raise ValueError(f"not ASCII: {text!r}")
    # An escaped dash can be copied from the page as a dash.
    return re.sub(r"(?<![\w\\])-(?=[\w-])|(?<=-)-|(?<=\\-)-", r"\\-", text)


def line(text: str) -> str:
    """The text as a line of its own, never a request."""
    done = escaped(text)
    return f"\\&{done}" if done[:1] in (".", "'") else done


def prose(text: str) -> list[str]:
    """A paragraph, each sentence on lines of its own."""
    sentences = re.split(r"(?<=[.?!]) +(?=[A-Z'\"0-9-])", " ".join(text.split()))
    return [line(part) for each in sentences for part in textwrap.wrap(each, 76, break_on_hyphens=False)]


def argument(text: str) -> str:
    """A word for the line of a macro, on which two letters could be a macro's name and quotes have a meaning."""
    done = escaped(text).replace('"', "\\(dq")
    return (
        f'"{done}"' if " " in done else f"\\&{done}" if re.fullmatch(r"[A-Z%][a-z0-9]|[.,;:()?!|\[\]]", done) else done
    )


def literal(lines: Iterable[str]) -> list[str]:
    """Unchanged lines, such as a command to type."""
    return [".Bd -literal -offset indent", *(line(each) for each in lines), ".Ed"]


def tagged(entries: Iterable[tuple[str, Iterable[str]]], width: str = "Ds") -> Iterator[str]:
    """A list of heads, each a macro line without its `.It`, and their texts."""
    yield f".Bl -tag -width {width}"
    for head, body in entries:
        yield f".It {head}"
        yield from body
    yield ".El"


def flag(name: str) -> str:
    """An option's spelling on the line of a macro: `-s` is `Fl s`, `--session` is `Fl -session`."""
    return f"Fl {escaped(name[1:])}"


def head(title: str, section: int, version: str) -> list[str]:
    """The beginning of a page."""
    return [
        '.\\" Generated from the application by `python -m agentq_cli.manual.pages`; do not edit.',
        f".Dd {DATE}",
        f".Dt {title.upper()} {section}",
        f".Os agentq {version}",
    ]


def see_also(pages: Iterable[tuple[str, int]]) -> list[str]:
    """Cross references, by section, then name."""
    ordered = sorted(pages, key=lambda page: (page[1], page[0]))
    return [
        f".Xr {name} {section}{'' if number == len(ordered) else ' ,'}"
        for number, (name, section) in enumerate(ordered, 1)
    ]
