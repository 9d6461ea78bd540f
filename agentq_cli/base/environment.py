"""What agentq reads from the environment: where its files are, and which variables are stored with a task.

Imported by processes that must start fast, so nothing here may take long to load.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CAPTURED = ("*",)
"""The default of `capture_env`."""

SECRET = ("*KEY*", "*TOKEN*", "*SECRET*", "*PASSW*", "*CREDENTIAL*", "*COOKIE*")
"""The names of variables that look like secrets, in capitals or not; they are never stored."""

OF_REPOSITORY = (
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"),
    *("GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE"),
    *("GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE"),
    *("GIT_COMMON_DIR", "GIT_INTERNAL_SUPER_PREFIX"),
    # These mean nothing without GIT_CONFIG_COUNT, and may hold a login.
    *("GIT_CONFIG_KEY_*", "GIT_CONFIG_VALUE_*"),
)
"""What `git rev-parse --local-env-vars` names: these belong to the repository of a hook or an alias. No task gets them
from a shell or a supervisor, and one in a tree gets none at all."""

MOMENT = (
    *("TERM", "DISPLAY", "WAYLAND_*", "DBUS_*", "XDG_RUNTIME_DIR", "XDG_SESSION_*", "SSH_*", "INVOCATION_ID"),
    *("NOTIFY_SOCKET", "PWD", "OLDPWD", "SHLVL", "_", "PS1", "STY", "TMUX*", "CLAUDECODE"),
    *OF_REPOSITORY,
    # What git sets for its hooks as well: the commit that is being made, and the objects that a push may yet refuse.
    *("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE", "GIT_QUARANTINE_PATH"),
)
"""The names of variables that belong to the moment, the terminal or the login of a submit; they are not stored."""

LASTING = ("SSH_AUTH_SOCK",)
"""The exceptions to `MOMENT`."""

SETTINGS = (
    *("AGENTQ_JOBS", "AGENTQ_DEFAULT_AGENT", "AGENTQ_TZ", "AGENTQ_RETENTION", "AGENTQ_MAX_QUEUED"),
    *("AGENTQ_CAPTURE_ENV", "AGENTQ_SECRET_ENV", "AGENTQ_TREES", "AGENTQ_CACHES", "AGENTQ_TREES_WARN"),
    "AGENTQ_URL",
)
"""The variables that set what the config file can set."""


OF_TREE = ("AGENTQ_WORKTREE", "AGENTQ_BRANCH", "AGENTQ_REPOSITORY", "AGENTQ_BASE", "AGENTQ_TREE")
"""What a run in a tree is told about that: the tree, its branch, the checkout, the commit of the base, its number."""

RESERVED = frozenset(
    (
        "PWD",
        *("AGENTQ_TASK", "AGENTQ_RUN", "AGENTQ_SESSION", "AGENTQ_ATTEMPT", "AGENTQ_SCHEDULED_FOR", "AGENTQ_TZ"),
        *("AGENTQ_STATE_DIR", "AGENTQ_INBOUND", "AGENTQ_OUTBOUND", "AGENTQ_HEARTBEAT", "AGENTQ_RESULT"),
        *("AGENTQ_DEPTH", "AGENTQ_PREVIOUS_RUN", "AGENTQ_SCRIPT_DATA", "AGENTQ_URL"),
        *OF_TREE,
    )
)
"""What each run is told about itself. These are always set by agentq, so nobody may set them."""


OF_CLIENT = (
    *("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "AGENTQ_CONFIG", "AGENTQ_STATE_DIR", "AGENTQ_URL", "AGENTQ_TZ"),
    *("AGENTQ_TASK", "AGENTQ_RUN", "AGENTQ_SESSION", "AGENTQ_DEPTH"),
)
"""What `agentq mcp` needs from the agent CLI that starts it: where the queue is, and which run it is part of."""


def overridden(environ: Mapping[str, str]) -> bool:
    """Whether a variable sets what the config file can set."""
    return any(environ.get(name) for name in SETTINGS)


def configured(environ: Mapping[str, str]) -> bool:
    """Whether there is any configuration to read: a file or a variable."""
    file = config_file(environ)
    return file is None or os.path.lexists(file) or bool(environ.get("AGENTQ_CONFIG")) or overridden(environ)


def names_url(environ: Mapping[str, str]) -> bool:
    """Whether the configuration names the database of a fleet, as far as that can be told without reading it: never
    False if it does."""
    if environ.get("AGENTQ_URL"):
        return True
    named = environ.get("AGENTQ_CONFIG")
    path = os.path.expanduser(named) if named else config_file(environ)
    if path is None:
        return False
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return bool(named) or os.path.lexists(path)
    return any(line.partition(b"=")[0].strip().strip(b"\"'") == b"url" for line in lines)


_MOMENTS = RESERVED.union(MOMENT, ("AGENTQ_NOW",))
_MOMENTS_BEGIN = tuple(each[:-1] for each in MOMENT if each.endswith("*"))
_SECRETS_HAVE = tuple(each.strip("*") for each in SECRET)


def captured(
    environ: Mapping[str, str], patterns: Sequence[str] = CAPTURED, secrets: Sequence[str] = ()
) -> dict[str, str]:
    """The variables of a submitting shell that are stored with its tasks: those whose names match `patterns`
    (`capture_env`), but nothing that belongs to the moment or is secret; see `is_secret`."""
    found = {
        name: value
        for name, value in environ.items()
        if (name in LASTING or not (name in _MOMENTS or name.startswith(_MOMENTS_BEGIN)))
        and not is_secret(name, secrets)
        and matches(name, patterns)
    }
    if found.get("AGENTQ_CONFIG"):
        found["AGENTQ_CONFIG"] = os.path.abspath(os.path.expanduser(found["AGENTQ_CONFIG"]))
    return found


def is_secret(name: str, secrets: Sequence[str] = ()) -> bool:
    """Whether a variable looks like a secret, or matches one of the patterns of `secret_env`."""
    upper = name.upper()
    return any(each in upper for each in _SECRETS_HAVE) or matches(name, secrets)


def text(variables: Mapping[str, str]) -> str:
    """Variables as they are stored: JSON, by name, so that the same ones always make the same text."""
    from _json import encode_basestring_ascii as quoted  # what `json` writes strings with

    return f"{{{', '.join([f'{quoted(name)}: {quoted(variables[name])}' for name in sorted(variables)])}}}"


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name matches one of the patterns, which use the syntax of shell file patterns."""
    return any(_matches(name, each) for each in patterns)


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
