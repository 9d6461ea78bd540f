"""What runs cost, as a person reads it: an unknown cost is `?` and never 0."""

from __future__ import annotations

UNKNOWN = "?"


def dollars(amount: float) -> str:
    """A cost: `$1.23`, with more digits below ten cents."""
    return f"${amount:.4f}" if 0 < amount < 0.1 else f"${amount:,.2f}"


def cost(amount: float, priced: int, unpriced: int) -> str:
    """What several runs cost together, of which `unpriced` did not say theirs; empty if none had a cost at all."""
    if not priced:
        return UNKNOWN if unpriced else ""
    return f"{dollars(amount)} + {UNKNOWN}" if unpriced else dollars(amount)
