"""What runs cost, as a person reads it: an unknown cost is `?`, and never 0."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.agents.reader import Verdict
    from agentq_cli.model.runs import Run

UNKNOWN = "?"
LEAST = 0.0001
"""The least amount of dollars that is given in digits."""

LIST_PRICE = " list price"
"""Follows a cost that nobody has to pay, because a subscription does."""


def money(usd: float | None, *, priced: bool = True, list_price: bool = False) -> str:
    """`$1.25`, for less than a cent `$0.0042`; `?` if it is not known, and nothing for what has no price."""
    if usd is None:
        return UNKNOWN if priced else ""
    of = LIST_PRICE if list_price and usd else ""
    if 0 < usd < LEAST:
        return f"<${LEAST:.4f}{of}"
    return f"${usd:,.2f}{of}" if usd >= 0.01 or not usd else f"${usd:.4f}{of}"


def together(usd: float, known: int, unknown: int, listed: int = 0) -> str:
    """The cost of several runs, of which `unknown` did not say theirs and a subscription paid `listed`: `$0.30 + ?`;
    nothing if none had a price."""
    if not known:
        return UNKNOWN if unknown else ""
    partly = f" ({listed} of {known} runs)" if usd and 0 < listed < known else ""
    return f"{money(usd, list_price=listed > 0)}{partly}{f' + {UNKNOWN}' if unknown else ''}"


def used(run: Verdict | Run, *, of: str = "") -> str:
    """The tokens and the cost of a run; `of` follows the tokens."""
    counts = ((run.tokens_in, "tokens in"), (run.tokens_out, "out"))
    tokens = [f"{count:,} {what}" for count, what in counts if count]
    if tokens:
        tokens[-1] += of
    cost = money(run.cost_usd, list_price=run.list_price)
    return ", ".join((*tokens, f"cost {cost}" if run.cost_usd is None else cost))
