"""Lines on stderr: errors, hints, and whatever else is not data. A stderr that is closed fails nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from agentq_cli.show.harmless import one_line


def hint(text: str) -> None:
    """One line of advice on stderr."""
    spill(f"agentq: hint: {one_line(text)}")


def warn(text: str) -> None:
    """One line on stderr about something odd that does not stop the command."""
    spill(f"agentq: warning: {one_line(text)}")


def note(text: str) -> None:
    """A line on stderr that is neither data nor advice."""
    spill(one_line(text))


def waiting(text: str) -> None:
    """A line on stderr about what a command that waits is waiting for."""
    spill(f"agentq: waiting: {one_line(text)}")


def error(text: str) -> None:
    """The one line of an error on stderr."""
    spill(f"agentq: error: {one_line(text)}")


def note_lines(lines: Iterable[str]) -> None:
    """Lines on stderr as they are, such as a traceback."""
    spill("".join(lines).rstrip("\n"))


def spill(text: str, end: str = "\n") -> None:
    """Text on stderr as it is."""
    try:
        if sys.stderr is not None:
            print(text, end=end, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass
