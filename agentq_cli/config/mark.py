"""Whether the configuration is still the one that a sweep has read, told without reading it.

A sweep that has read and checked it leaves a note in the index: what of it may give a later sweep something to do, and
what changes when the file does. Imports nothing that takes time.
"""

from __future__ import annotations

import os

from agentq_cli import __version__
from agentq_cli.base import clock, environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentq_cli.config.configuration import Config

MEMORY = ("limits.memory_reserve", "limits.memory_per_agent")
"""What a sweep compares with the machine, which may change while the file does not."""


def mark(environ: Mapping[str, str]) -> str | None:
    """What changes when the configuration does, "" if there is none; None if it has to be read to tell."""
    if environment.overridden(environ):
        return None
    named = environ.get("AGENTQ_CONFIG")
    path = os.path.expanduser(named) if named else environment.config_file(environ)
    if path is None:
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None if named or os.path.lexists(path) else ""
    if not clock.settled(status.st_ctime_ns):
        return None
    return of(path, status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size)


def note(config: Config) -> str | None:
    """What to remember of a configuration in order; None if there is none, or if it has to be read each time, or if it
    names another queue than that of the state dir."""
    stamp = config.stamp
    if stamp is None or len(stamp) != 4 or config.url is not None or any(key in config.sources for key in MEMORY):
        return None
    if not all(source.startswith("file ") for source in config.sources.values()):
        return None
    retention = "" if config.retention_ms is None else config.retention_ms
    return f"{retention}:{'hooks' if config.hooks else ''}:{of(config.path, *stamp)}"


def concerning(noted: str | None, environ: Mapping[str, str]) -> tuple[int | None, bool] | None:
    """The retention in milliseconds, and whether there are hooks; None unless this is noted of the configuration."""
    now = mark(environ)
    if now == "":
        return None, False
    retention, _, rest = (noted or "").partition(":")
    hooks, _, then = rest.partition(":")
    if now is None or then != now:
        return None
    return int(retention) if retention else None, bool(hooks)


def of(path: str, *stamp: int) -> str:
    """What changes when a file with this stamp does."""
    return ":".join([__version__, *map(str, stamp), os.path.abspath(path)])
