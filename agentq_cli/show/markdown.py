"""Draws what an agent said as Markdown on a terminal; imported only if there is something to draw.

The text stays text: HTML in it is shown as it stands, links as words and address, and nothing is markup of rich.
"""

from __future__ import annotations

from markdown_it import MarkdownIt
from rich.markdown import CodeBlock, Markdown
from rich.text import Text

from agentq_cli.show.harmless import harmless
from agentq_cli.show.pen import BUSY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

    from rich.console import Console, ConsoleOptions, RenderResult

LONGEST = 64 << 10
"""The most characters of a text that is drawn at all."""

BEGINNING = 8 << 10
"""How many characters of it are drawn at most: more than a screen has room for, and laid out at once whatever they
are."""


class _Code(CodeBlock):
    """A block of code, not coloured by its language: what its words mean is the business of no program here."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("\n".join(f"  {line}" for line in str(self.text).rstrip().split("\n")), style=BUSY)


class _Said(Markdown):
    elements: ClassVar = {**Markdown.elements, "fence": _Code, "code_block": _Code}


def drawing(text: str) -> tuple[Markdown, bool]:
    """The drawing of the beginning of a text, and whether that is all of it."""
    begin = text if len(text) <= BEGINNING else text[:BEGINNING].rpartition("\n")[0] or text[:BEGINNING]
    drawn = _Said("", hyperlinks=False)
    # Entities and addresses in angle brackets would be decoded, after what they say was made harmless.
    parser = (
        MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).disable(["entity", "autolink"])
    )
    drawn.parsed = parser.parse(harmless(begin))
    return drawn, len(begin) == len(text)
