"""The pages of section 7, written by hand: agentq-design (reasons and measurements), agentq-fleet, agentq-protocol."""

from __future__ import annotations

from agentq_cli import __version__
from agentq_cli.host import attendance, serving
from agentq_cli.manual import mdoc
from agentq_cli.manual.template import filled

NAMES = ("agentq-design.7", "agentq-fleet.7", "agentq-protocol.7")


def render(name: str) -> str:
    """The whole page."""
    own = name.removesuffix(".7")
    facts = {}
    if own == "agentq-protocol":
        lapse = attendance.LEASE_MS // 1000
        facts = {"IDLE": str(serving.IDLE_MS // 1000), "RUNS": str(serving.MOST_RUNS), "LAPSE": str(lapse)}
    also = [("agentq-fleet", 1)] if own == "agentq-fleet" else []
    others = [(each.removesuffix(".7"), 7) for each in NAMES if each != name]
    return filled(
        name,
        HEAD=mdoc.head(own, 7, __version__),
        SEE=mdoc.see_also([("agentq", 1), *also, ("agentq-config", 5), ("agentq-state", 5), *others]),
        **facts,
    )
