"""What runs cost, as a person reads it: an unknown cost is `?` and never 0."""

from __future__ import annotations

UNKNOWN = "?"
LIST_PRICE = " list price"
"""Follows a cost that nobody has to pay, because a subscription does."""


def dollars(amount: float) -> str:
    """A cost: `$1.23`, with more digits below ten cents."""
    return f"${amount:.4f}" if 0 < amount < 0.1 else f"${amount:,.2f}"


def cost_of_run(amount: float | None, *, list_price: bool) -> str:
    """What a run of an agent cost."""
    return UNKNOWN if amount is None else f"{dollars(amount)}{LIST_PRICE if list_price and amount else ''}"


def cost(amount: float, priced: int, unpriced: int, listed: int = 0) -> str:
    """What several runs cost together, of which `unpriced` did not say theirs and `listed` were paid by a subscription;
    empty if none had a cost at all."""
    if not priced:
        return UNKNOWN if unpriced else ""
    listed = listed if amount else 0
    partly = "" if listed in (0, priced) else f" ({listed} of {priced})"
    return f"{dollars(amount)}{f'{LIST_PRICE}{partly}' if listed else ''}{f' + {UNKNOWN}' if unpriced else ''}"
