"""What runs cost, for people. Unknown is `?`, and never 0."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = "?"
LEAST = 0.0001
"""The least amount of dollars that is given in digits."""


def money(usd: float | None, *, priced: bool = True) -> str:
    """`$1.25`, for less than a cent `$0.0042`; `?` if it is not known, and nothing for what has no price."""
    if usd is None:
        return UNKNOWN if priced else ""
    if 0 < usd < LEAST:
        return f"<${LEAST:.4f}"
    return f"${usd:.2f}" if usd >= 0.01 or not usd else f"${usd:.4f}"


def total(costs: Sequence[float | None]) -> str:
    """The cost of several runs: `$0.30 + ?` if it is not known of all of them."""
    known = [each for each in costs if each is not None]
    if len(known) == len(costs):
        return money(sum(known))
    return f"{money(sum(known))} + {UNKNOWN}" if known else UNKNOWN
