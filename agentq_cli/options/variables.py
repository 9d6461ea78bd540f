"""The environment that a task's options give it."""

from __future__ import annotations

from agentq_cli.base.errors import Usage
from agentq_cli.options import values
from agentq_cli.options.texts import encodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agentq_cli.options.table import Given


def environment(given: Given, options: Given, what: Callable[[str], str], *, private_tmp: bool) -> dict[str, str]:
    """The variables from `--env-file`, or else from the config's, and over them those from `-e`. Raises Usage if a
    variable would not reach the task."""
    pairs: dict[str, str] = {}
    for path in given.get("env_file") or options.get("env_file") or ():
        pairs |= values.parse_env_file(values.parse_path(path, what("env_file")), what("env_file"))
    found = given.get("env") or ()
    if isinstance(found, dict):
        for name, value in found.items():
            values.check_variable(name, value, what("env"))
        pairs |= found
    else:
        pairs |= dict(values.parse_environment(pair, what("env")) for pair in found)
    if private_tmp and "TMPDIR" in pairs and (found or given.get("env_file")):
        raise Usage(f"{what('env')} 'TMPDIR': each run of a prompt gets a directory of its own, which agentq removes")
    for name, value in pairs.items():
        encodable(name + value, f"{what('env')} '{name}'")
    return pairs
