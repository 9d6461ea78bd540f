"""What a task in a tree has changed, as the lines of a screen."""

from __future__ import annotations

from collections.abc import Callable

from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import Address
from agentq_cli.show.harmless import harmless
from agentq_cli.show.pen import BOLD, BUSY, DIM, GOOD, WRONG
from agentq_cli.top.printed import Line
from agentq_cli.trees import diffs
from agentq_cli.trees.place import trees_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context

MOST_BYTES = 256 * 1024
"""How long a difference may be that is shown line by line; of a longer one only the files are, with their counts."""

STYLES = {"diff ": BOLD, "+++": BOLD, "---": BOLD, "@@": BUSY, "+": GOOD, "-": WRONG}
"""The styles of lines by how they begin; the first that fits."""


def find(at: Context, queue: Queue, address: Address, attempt: int | None) -> Callable[[], list[Line]]:
    """A function that gives the lines of what a task has changed, or one run of it; it runs git and needs no queue.

    Raises, now or then, AgentqError and OSError.
    """
    found = diffs.find(queue, trees_directory(at.config, queue.here.path), at.environ, address, attempt)

    def read() -> list[Line]:
        notes = [Line(found.note, DIM)] if found.note else []
        text = harmless(diffs.text(found, MOST_BYTES)).rstrip("\n")
        return notes + ([_line(each) for each in text.split("\n")] if text else [Line("nothing has changed", DIM)])

    return read


def _line(text: str) -> Line:
    return Line(text, next((style for begin, style in STYLES.items() if text.startswith(begin)), ""))
