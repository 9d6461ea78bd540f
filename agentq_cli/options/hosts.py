"""On which hosts a task may run."""

from __future__ import annotations

from agentq_cli.base.errors import Usage
from agentq_cli.base.names import is_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agentq_cli.options.caller import Caller
    from agentq_cli.options.table import Given


def wanted(at: Caller, given: Given, options: Given, what: Callable[[str], str]) -> tuple[str, ...]:
    """The names and labels that the host of a task must all have. Raises Usage if one cannot be a name, or if the only
    host is this machine and lacks one."""
    found = tuple(dict.fromkeys(given.get("on") or options.get("on", ())))
    for name in found:
        if not is_name(name):
            raise Usage(f"{what('on')} '{name}': not the name or a label of a host")
    if found and at.url is None:
        here = at.config.fleet
        for name in here.lacking(found):
            raise Usage(
                f"{what('on')} '{name}': neither the name of this machine, '{here.host}', nor one of its labels, and"
                " without a --url there is no other host"
            )
    return found
