"""The time zone of naive times and cron expressions (CONTRACT, zone order).

`--tz`, the session's `tz`, `AGENTQ_TZ`, config `tz`, `TZ`, the system's, UTC: IANA names only. An unknown name is an
error if a person typed it, and a warning if it came from the environment.
"""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import Usage, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentq_cli.config.configuration import Config

LOCALTIME = "/etc/localtime"
TIMEZONE = "/etc/timezone"


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone's IANA name and where it came from; `warnings` are for standard error."""

    name: str
    source: str
    warnings: tuple[str, ...] = ()


def known(name: str) -> bool:
    """Whether the zone database has an IANA zone of that name."""
    from zoneinfo import ZoneInfo

    if name.startswith(("posix/", "right/")) or name in ("localtime", "posixrules", "Factory"):
        return False
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        # ZoneInfoNotFoundError is a KeyError; a directory such as `America` is an OSError, `../x` a ValueError.
        return False
    return True


def check(name: str, what: str = "--tz") -> str:
    """The name itself. Raises Usage with the nearest name if there is no such zone."""
    if known(name):
        return name
    from zoneinfo import available_timezones

    near = nearest(name, available_timezones()) or " such as Europe/Berlin"
    raise Usage(f"{what} '{name}': not an IANA time zone{near}")


def resolve(config: Config, environ: Mapping[str, str], *, session: str, typed: str | None = None) -> Zone:
    """The zone of a task in `session`. Raises Usage only on `typed`, which a person has just given."""
    if typed is not None:
        return Zone(check(typed), "flag")
    settled = config.sessions.get(session, {}).get("tz")
    if settled is not None:
        return Zone(settled, config.sources[f"sessions.{session}.tz"])
    if config.tz is not None:
        return Zone(config.tz, config.sources["tz"], config.warnings)
    if "tz" in config.defaults:
        return Zone(config.defaults["tz"], config.sources["defaults.tz"], config.warnings)
    warnings = list(config.warnings)
    wanted = environ.get("TZ", "").removeprefix(":")
    if wanted:
        if known(wanted):
            return Zone(wanted, "environment TZ", tuple(warnings))
        warnings.append(f"TZ '{wanted}': not an IANA time zone, ignored")
    name = system_zone()
    return Zone(name or "UTC", "system" if name else "default", tuple(warnings))


def system_zone() -> str | None:
    """The machine's zone, from the link `/etc/localtime` or the name in `/etc/timezone`."""
    names: list[str] = []
    with contextlib.suppress(OSError):
        names.append(os.readlink(LOCALTIME).partition("zoneinfo/")[2])
    with contextlib.suppress(OSError, ValueError), open(TIMEZONE, encoding="ascii") as file:
        names.append(file.read().strip())
    return next((name for name in names if name and known(name)), None)


def named(config: Config, environ: Mapping[str, str], *, session: str, typed: str | None) -> str:
    """The zone's name; problems with the environment's zone are warnings on stderr. Raises Usage if `typed` is
    unknown."""
    from agentq_cli.show import notices

    found = resolve(config, environ, session=session, typed=typed)
    for text in found.warnings:
        notices.warn(text)
    return found.name
