"""What runs cost, as a person reads it: an unknown cost is `?`, and never 0."""

from __future__ import annotations

UNKNOWN = "?"
LEAST = 0.0001
"""The least amount of dollars that is given in digits."""


def money(usd: float | None, *, priced: bool = True) -> str:
    """`$1.25`, for less than a cent `$0.0042`; `?` if it is not known, and nothing for what has no price."""
    if usd is None:
        return UNKNOWN if priced else ""
    if 0 < usd < LEAST:
        return f"<${LEAST:.4f}"
    return f"${usd:,.2f}" if usd >= 0.01 or not usd else f"${usd:.4f}"


def together(usd: float, known: int, unknown: int) -> str:
    """The cost of several runs, of which `unknown` did not say theirs: `$0.30 + ?`; nothing if none had a price."""
    if not known:
        return UNKNOWN if unknown else ""
    return f"{money(usd)} + {UNKNOWN}" if unknown else money(usd)
