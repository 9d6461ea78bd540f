"""What a session or an agent may be called, told without compiling an expression for it."""

from __future__ import annotations

LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
CHARACTERS = LETTERS | frozenset("._-")
LONGEST = 64


def is_name(text: str) -> bool:
    """Whether it is 1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit."""
    return text[:1] in LETTERS and len(text) <= LONGEST and CHARACTERS.issuperset(text)
