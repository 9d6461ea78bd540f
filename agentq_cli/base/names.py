"""Valid names of sessions and agents, checked without compiling a regular expression."""

from __future__ import annotations

LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
CHARACTERS = LETTERS | frozenset("._-")
LONGEST = 64


def is_name(text: str) -> bool:
    """Whether `text` is 1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit."""
    return text[:1] in LETTERS and len(text) <= LONGEST and CHARACTERS.issuperset(text)
