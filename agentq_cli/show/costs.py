"""What runs cost, as a person reads it: an unknown cost is `?`, and never 0."""

from __future__ import annotations

UNKNOWN = "?"
LEAST = 0.0001
"""The least amount of dollars that is given in digits."""
LIST_PRICE = " list price"
"""Follows a cost that nobody has to pay, because a subscription does."""


def money(usd: float | None, *, priced: bool = True) -> str:
    """`$1.25`, for less than a cent `$0.0042`; `?` if it is not known, and nothing for what has no price."""
    if usd is None:
        return UNKNOWN if priced else ""
    if 0 < usd < LEAST:
        return f"<${LEAST:.4f}"
    return f"${usd:,.2f}" if usd >= 0.01 or not usd else f"${usd:.4f}"


def cost_of_run(usd: float | None, *, list_price: bool) -> str:
    """What a run of an agent cost."""
    return f"{money(usd)}{LIST_PRICE if list_price and usd else ''}"


def together(usd: float, known: int, unknown: int, listed: int = 0) -> str:
    """`$0.30 + ?`: the cost of several runs, of which `unknown` did not say theirs and a subscription paid `listed`;
    nothing if none had a price."""
    if not known:
        return UNKNOWN if unknown else ""
    listed = listed if usd else 0
    partly = "" if listed in (0, known) else f" ({listed} of {known})"
    return f"{money(usd)}{f'{LIST_PRICE}{partly}' if listed else ''}{f' + {UNKNOWN}' if unknown else ''}"
