"""The times in a text, as a person reads them on a terminal: short and on the reader's wall clock."""

from __future__ import annotations

from agentq_cli.options import moments
from agentq_cli.show.results import Told, Worded


def timed(text: str | Told, now: int) -> str:
    """The text with its times as a person reads them. A text that is nobody's knows none but one that is all of it."""
    if isinstance(text, Told):
        return text.words
    return moments.spoken(text, now) if isinstance(text, Worded) else moments.exact(text, now)
