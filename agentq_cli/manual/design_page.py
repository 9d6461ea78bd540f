"""agentq-design(7): reasons, measurements and design, written by hand."""

from __future__ import annotations

from agentq_cli import __version__
from agentq_cli.manual import mdoc
from agentq_cli.manual.template import filled

NAME = "agentq-design.7"


def render() -> str:
    """The whole page."""
    return filled(
        NAME,
        HEAD=mdoc.head("agentq-design", 7, __version__),
        SEE=mdoc.see_also([("agentq", 1), ("agentq-config", 5), ("agentq-state", 5)]),
    )
