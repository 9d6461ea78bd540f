"""The environment that a task's options give it."""

from __future__ import annotations

from agentq_cli.base.environment import is_secret
from agentq_cli.base.errors import Usage
from agentq_cli.options import values
from agentq_cli.options.texts import encodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agentq_cli.options.caller import Caller
    from agentq_cli.options.table import Given


def environment(
    at: Caller, given: Given, options: Given, what: Callable[[str], str], *, private_tmp: bool
) -> dict[str, str | None]:
    """The variables from `--env-file`, or else from the config's, and over them those from `-e`; None is the value of
    one that the host of a run has. Raises Usage if a variable would not reach the task, or would store a secret in the
    database of a fleet."""
    pairs: dict[str, str | None] = {}
    for path in given.get("env_file") or options.get("env_file") or ():
        found = values.parse_env_file(values.parse_path(path, what("env_file")), what("env_file"))
        _refuse_secrets(at, found, f"{what('env_file')} '{path}'")
        pairs |= found
    typed = given.get("env") or ()
    if isinstance(typed, dict):
        typed = {name: None if value is True else value for name, value in typed.items()}
        for name, value in typed.items():
            values.check_variable(name, value or "", what("env"))
    else:
        typed = dict(values.parse_environment(pair, what("env")) for pair in typed)
    _refuse_secrets(at, typed, what("env"))
    pairs |= typed
    if private_tmp and "TMPDIR" in pairs and (typed or given.get("env_file")):
        raise Usage(f"{what('env')} 'TMPDIR': each run of a prompt gets a directory of its own, which agentq removes")
    for name, value in pairs.items():
        encodable(name + (value or ""), f"{what('env')} '{name}'")
    return pairs


def _refuse_secrets(at: Caller, pairs: dict[str, str | None] | dict[str, str], what: str) -> None:
    """Raises Usage for a value that looks like a secret, by its name or as a URL with a password: others would read it
    in the database."""
    if not pairs or at.url is None or at.config.fleet.store_env:
        return
    patterns = (*at.config.secret_env, "*PGPASS*")
    for name, value in pairs.items():
        if value is not None and (is_secret(name, patterns) or _has_login(value)):
            raise Usage(
                f"{what} '{name}': looks like a secret, and its value would be stored in the database; give the name"
                f" alone (-e {name}), so that each host takes it from its environment or from env_file in [host], or"
                " set store_env in [fleet]"
            )


def _has_login(value: str) -> bool:
    """Whether a value is, or holds, a URL with a password."""
    import re

    from agentq_cli.base.database_url import has_password, is_url

    return re.search("://[^/@]*:[^/@]+@", value) is not None or (is_url(value) and has_password(value))
