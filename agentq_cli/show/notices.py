"""Lines on stderr: errors, hints, and everything else that is not data. A closed stderr is not an error."""

from __future__ import annotations

import os
import sys

from agentq_cli.show.harmless import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TextIO

listener: Callable[[str], None] | None = None
"""Takes the lines in place of stderr, if there is one: a server tells them to the client whose call they are about."""


def hint(text: str) -> None:
    """One line of advice on stderr."""
    spill(f"agentq: hint: {one_line(text)}")


def warn(text: str) -> None:
    """One line on stderr about a problem that does not stop the command."""
    spill(f"agentq: warning: {one_line(text)}")


def note(text: str) -> None:
    """A line on stderr that is neither data nor advice."""
    spill(one_line(text))


def waiting(text: str) -> None:
    """A line on stderr about what a command is waiting for."""
    if _for_a_person():
        from agentq_cli.base.clock import from_environment
        from agentq_cli.options import moments

        text = moments.spoken(text, from_environment().now_ms())
    spill(f"agentq: waiting: {one_line(text)}")


def coming(at: int, zone: str, now: int) -> str:
    """A time to come for a line on stderr: exact on the wall clock of `zone`. A terminal shows it short, and as that
    zone has it too if the reader's clock differs."""
    from agentq_cli.options import moments

    exact = moments.in_zone(at, zone)
    if not _for_a_person():
        return exact
    short = moments.both(at, now)
    return short if moments.agrees(at, zone) else f"{exact}, here {short}"


def _for_a_person() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def error(text: str) -> None:
    """The one line of an error on stderr."""
    spill(f"agentq: error: {one_line(text)}")


def note_lines(lines: Iterable[str]) -> None:
    """Unchanged lines on stderr, such as a traceback."""
    spill("".join(lines).rstrip("\n"))


def spill(text: str, end: str = "\n") -> None:
    """Unchanged text on stderr."""
    if listener is not None:
        listener(text)
        return
    try:
        if sys.stderr is not None:
            print(text, end=end, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass


def spill_bytes(piece: bytes) -> bool:
    """The bytes as they are on stderr, unless that is a terminal; returns whether that was done."""
    try:
        if sys.stderr is not None and sys.stderr.isatty():
            return False
        if sys.stderr is not None:
            sys.stderr.flush()
            sys.stderr.buffer.write(piece)
            sys.stderr.flush()
    except (OSError, ValueError):
        pass
    return True


def forget(stream: TextIO) -> None:
    """Discard what the stream has buffered and all later output, so that no flush at exit can fail."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass
