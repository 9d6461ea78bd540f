"""What agentq reads from the environment: where its files are, and which variables are captured for a task.

Imported by processes that must start fast, so nothing here may take long to load.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CAPTURED = ("PATH", "LANG", "LC_*", "VIRTUAL_ENV")
"""The default of `capture_env`."""


SETTINGS = (
    *("AGENTQ_JOBS", "AGENTQ_DEFAULT_AGENT", "AGENTQ_TZ", "AGENTQ_RETENTION", "AGENTQ_MAX_QUEUED"),
    "AGENTQ_CAPTURE_ENV",
)
"""The variables that set what the config file can set."""


RESERVED = frozenset(
    (
        "PWD",
        *("AGENTQ_TASK", "AGENTQ_RUN", "AGENTQ_SESSION", "AGENTQ_ATTEMPT", "AGENTQ_SCHEDULED_FOR", "AGENTQ_TZ"),
        *("AGENTQ_STATE_DIR", "AGENTQ_INBOUND", "AGENTQ_OUTBOUND", "AGENTQ_HEARTBEAT", "AGENTQ_RESULT"),
        *("AGENTQ_DEPTH", "AGENTQ_PREVIOUS_RUN", "AGENTQ_SCRIPT_DATA"),
    )
)
"""What each run is told about itself. These are always set by agentq, so nobody may set them."""


def overridden(environ: Mapping[str, str]) -> bool:
    """Whether a variable sets what the config file can set."""
    return any(environ.get(name) for name in SETTINGS)


def configured(environ: Mapping[str, str]) -> bool:
    """Whether there is any configuration to read: a file or a variable."""
    file = config_file(environ)
    return file is None or os.path.lexists(file) or bool(environ.get("AGENTQ_CONFIG")) or overridden(environ)


def captured(environ: Mapping[str, str], patterns: Sequence[str]) -> dict[str, str]:
    """The variables whose names match one of the patterns, which use the syntax of shell file patterns."""
    return {name: value for name, value in environ.items() if any(_matches(name, each) for each in patterns)}


def _matches(name: str, pattern: str) -> bool:
    start = pattern[:-1] if pattern.endswith("*") else pattern
    if any(letter in start for letter in "*?["):
        from fnmatch import fnmatchcase

        return fnmatchcase(name, pattern)
    # The same result as fnmatch's, without the time to import it.
    return name == pattern if start is pattern else name.startswith(start)


def find_program(program: str, path: str | None, directory: str = os.sep) -> str | None:
    """The file of a program that is started in `directory`, searched on `path` as execvp(3) does; None if there is
    none.

    A directory without search permission is skipped, as a shell does. So is an empty entry, the current directory.
    """
    if "/" in program:
        files = [os.path.join(directory, program)]
    else:
        files = [f"{entry}/{program}" for entry in (path or os.defpath).split(":") if entry]
    for file in files:
        if os.path.isfile(file) and os.access(file, os.X_OK):
            return file
    return None


def state_directory(given: str | None, environ: Mapping[str, str]) -> str | None:
    """`--state-dir`, else AGENTQ_STATE_DIR, else the XDG base directory for state; absolute, not resolved.

    None if there is no home directory.
    """
    named = given or environ.get("AGENTQ_STATE_DIR")
    if named:
        return os.path.abspath(os.path.expanduser(named))
    found = _below("XDG_STATE_HOME", "~/.local/state", environ)
    return found if found is not None and os.path.isabs(found) else None


def config_file(environ: Mapping[str, str]) -> str | None:
    """The config file that is used if AGENTQ_CONFIG does not name one; None if there is no home directory."""
    found = _below("XDG_CONFIG_HOME", "~/.config", environ)
    return None if found is None else os.path.join(found, "config.toml")


def _below(variable: str, default: str, environ: Mapping[str, str]) -> str | None:
    base = environ.get(variable, "").strip() or os.path.expanduser(default)
    return None if base == default else os.path.join(base, "agentq")
