"""`agentq top`: a live view of the queue, redrawn each second, with keys to follow, cancel and pause."""

from __future__ import annotations

import sys

from agentq_cli.base.errors import Usage
from agentq_cli.commands import overview
from agentq_cli.show.results import Document, Interactive, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq top", "Watch the queue; '?' lists the keys."),
    ("agentq top --json", "Print one snapshot, for a script."),
)


def top(given: Given, at: Context) -> Result:
    """Watch supervisors, runs and the queue live; follow, cancel and pause tasks with keys.

    '?' lists the keys. With --json it prints one snapshot.
    """
    if at.as_json:
        return Document("top", overview.snapshot(at, at.open_queue()).document())
    keyboard = sys.stdin is not None and sys.stdin.isatty()
    screen = sys.stdout is not None and sys.stdout.isatty() and at.environ.get("TERM", "dumb") != "dumb"
    if not (keyboard and screen):
        raise Usage("top: needs a terminal; see `agentq list` and `agentq workers`, or `agentq top --json`")
    from agentq_cli.commands.top_screen import Dashboard

    return Interactive(Dashboard(at).run)
