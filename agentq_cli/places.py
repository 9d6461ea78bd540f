"""Where the state dir is, told without importing what knows it for every platform."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def state_directory(given: str | None, environ: Mapping[str, str]) -> str:
    """`--state-dir`, else AGENTQ_STATE_DIR, else the platform's user state directory; not resolved.

    Absolute, but where there is no home directory.
    """
    named = given or environ.get("AGENTQ_STATE_DIR")
    if named:
        return os.path.abspath(os.path.expanduser(named))
    if sys.platform != "linux":
        from platformdirs import user_state_path

        return str(user_state_path("agentq", appauthor=False))
    # What platformdirs answers there.
    base = environ.get("XDG_STATE_HOME", "").strip() or os.path.expanduser("~/.local/state")
    return os.path.join(base, "agentq")
