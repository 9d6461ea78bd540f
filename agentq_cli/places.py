"""Where agentq's files lie on Linux where nobody says otherwise. Imports nothing that takes time.

These are platformdirs' answers, without the time that importing it costs every command.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def state_dir(given: str | None, environ: Mapping[str, str]) -> str:
    """`--state-dir`, else AGENTQ_STATE_DIR, else the user's; not absolute where there is no home directory."""
    named = given or environ.get("AGENTQ_STATE_DIR")
    if named:
        return os.path.abspath(os.path.expanduser(named))
    base = environ.get("XDG_STATE_HOME", "").strip() or os.path.expanduser("~/.local/state")
    return os.path.join(base, "agentq")


def config_file(environ: Mapping[str, str]) -> str:
    """The configuration where AGENTQ_CONFIG names none; not absolute where there is no home directory."""
    base = environ.get("XDG_CONFIG_HOME", "").strip() or os.path.expanduser("~/.config")
    return os.path.join(base, "agentq", "config.toml")
