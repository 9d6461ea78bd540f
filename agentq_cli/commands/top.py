"""`agentq top`: a live view of the queue, with keys to open, cancel, retry, pause and order tasks."""

from __future__ import annotations

import sys

from agentq_cli.base.errors import Usage
from agentq_cli.show.results import Document, Interactive, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq top", "Watch the queue; '?' lists the keys."),
    ("agentq top --read-only", "Watch it without keys that change anything."),
    ("agentq top --json", "Print one snapshot, for a script."),
)


def top(given: Given, at: Context) -> Result:
    """Watch supervisors, runs, the queue, schedules and what ended; open, cancel, retry and pause tasks with keys.

    '?' lists the keys. With --json it prints one snapshot.
    """
    if at.as_json:
        from agentq_cli.top import snapshot

        return Document("top", snapshot.take(at, at.open_queue()).document())
    keyboard = sys.stdin is not None and sys.stdin.isatty()
    screen = sys.stdout is not None and sys.stdout.isatty() and at.environ.get("TERM", "dumb") != "dumb"
    if not (keyboard and screen):
        raise Usage("top: needs a terminal; see `agentq list` and `agentq workers`, or `agentq top --json`")
    return Interactive(lambda: _watch(at, read_only=bool(given["read_only"])))


def _watch(at: Context, *, read_only: bool) -> int:
    """Run the screen until the person leaves it; returns the exit code."""
    import os

    from agentq_cli.show.pen import Pen, is_plain, wants_colour

    colours = wants_colour(at.color, at.environ, terminal=True)
    # How textual is told; agentq itself has read its environment.
    os.environ.pop("NO_COLOR", None)
    if not colours:
        os.environ["NO_COLOR"] = "1"
    from agentq_cli.top.app import Top

    app = Top(at, read_only=read_only, pen=Pen(colours, is_plain(at.environ, sys.stdout.encoding or "utf-8")))
    code = app.run()
    return app.return_code or 1 if code is None else code
