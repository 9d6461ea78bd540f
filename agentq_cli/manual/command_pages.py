"""agentq-COMMAND(1): one page a command, from the same words as its `--help`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agentq_cli import __version__
from agentq_cli.cli import help
from agentq_cli.cli.help import Entry, Page
from agentq_cli.manual import mdoc
from agentq_cli.manual.surface import Command

LITERAL_WIDTH = 72

CODES = {
    "health": "0 if all is healthy, 1 if it is degraded, 2 if it is unhealthy.",
    "wait": (
        "With one task 0 if and only if it completed, else the task's own exit code, or 1 if that is 0 or there is "
        "none. 124 if the time-out expired."
    ),
    "submit": (
        "With --wait or --follow and one task 0 if and only if it completed, else the task's own exit code, or 1 if "
        "that is 0 or there is none."
    ),
    "run": (
        "With --drain 1 if a task that it ran ended unsuccessfully, and 75 if all remaining tasks are held by a usage "
        "limit of their agent. 128+n if signal n ended it."
    ),
    "sweep": "1 if a session could not be swept; the others were.",
}
"""The meaning of a command's exit codes beyond those that all commands share."""


def name_of(command: Command) -> str:
    """The page's file."""
    return f"agentq-{command.name}.1"


def render(command: Command, related: tuple[str, ...]) -> str:
    """The whole page; `related` are the commands of the same purpose."""
    page = command.page
    title = f"agentq-{command.name}"
    lines = [
        *mdoc.head(title, 1, __version__),
        ".Sh NAME",
        f".Nm {title}",
        f".Nd {_lowered(help.first_sentence(page.summary))}",
        ".Sh SYNOPSIS",
        *_synopsis(command),
        ".Sh DESCRIPTION",
        *mdoc.prose(page.summary),
        *(each for paragraph in page.paragraphs for each in (".Pp", *mdoc.prose(paragraph))),
        *panels(page),
        ".Sh EXIT STATUS",
        *(mdoc.prose(CODES[command.name]) if command.name in CODES else ()),
        "Every exit status is listed in",
        ".Xr agentq 1 .",
        ".Sh EXAMPLES",
        *examples(page),
        ".Sh SEE ALSO",
        *mdoc.see_also([("agentq", 1), *((f"agentq-{other}", 1) for other in related), ("agentq-config", 5)]),
    ]
    return "\n".join(lines) + "\n"


def panels(page: Page) -> Iterator[str]:
    """The options and arguments under their headings."""
    for panel in page.panels:
        yield f".Ss {panel.title}"
        yield from entries(panel.entries)


def examples(page: Page) -> Iterator[str]:
    """The text and the command line of each example."""
    for number, example in enumerate(page.examples):
        if number:
            yield ".Pp"
        yield from mdoc.prose(f"{example.text[:-1]}:" if example.text.endswith(".") else example.text)
        yield from mdoc.literal(part[4:] for part in help.command_line(example.line, LITERAL_WIDTH))


def entries(found: Sequence[Entry]) -> Iterator[str]:
    """A list of options or arguments."""
    return mdoc.tagged((_head(entry), _body(entry)) for entry in found)


def _head(entry: Entry) -> str:
    parts = " , ".join(mdoc.flag(name) for name in entry.names)
    return " ".join(part for part in (parts, f"Ar {mdoc.argument(entry.metavar)}" if entry.metavar else "") if part)


def _body(entry: Entry) -> Iterator[str]:
    yield from mdoc.prose(entry.text)
    if entry.default:
        yield mdoc.line(f"Default: {entry.default}.")


def _synopsis(command: Command) -> Iterator[str]:
    for usage in command.page.usages:
        yield ".Nm agentq"
        yield f".Cm {command.name}"
        yield from (_placed(word) for word in usage.split()[2:])


def _placed(word: str) -> str:
    """A word of the usage line as a macro."""
    if word == "[OPTIONS]":
        return ".Op Ar options"
    if found := re.fullmatch(r"\[(.*)\]", word):
        return f".Op Ar {mdoc.argument(found[1])}"
    return f".{mdoc.flag(word)}" if word.startswith("-") else f".Ar {mdoc.argument(word)}"


def _lowered(text: str) -> str:
    return mdoc.escaped(text[:1].lower() + text[1:])
