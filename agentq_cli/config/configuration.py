"""The settings: environment over file over default, and where each value came from.

The file is `AGENTQ_CONFIG`, else `config.toml` in the platform's user config dir. Without a file every value has its
default. An unknown key or an invalid value raises Usage with file, line and the nearest name.
"""

from __future__ import annotations

import os

from agentq_cli.base import clock, environment
from agentq_cli.base.dataclass import NamedTuple, dataclass, field
from agentq_cli.base.defaults import BUILT_IN, MAX_QUEUED
from agentq_cli.base.environment import CAPTURED
from agentq_cli.base.errors import Usage
from agentq_cli.model.fleet import FLEET_FIELDS, HOST_FIELDS, FleetSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

Options: TypeAlias = "Mapping[str, Any]"
MIB = 1 << 20

CACHES = (
    *("node_modules", "target", "dist", "build", ".cache", ".venv", "venv", "__pycache__", ".tox", ".nox"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".gradle", ".next", ".nuxt", ".turbo"),
    *(".parcel-cache", ".terraform", ".direnv"),
)
"""The default of `caches`."""


class Limits(NamedTuple):
    """The gates of admission and the bounds of a run; `load` None means that the load does not matter."""

    stagger_ms: int = 0
    memory_reserve_bytes: int = 512 * MIB
    memory_per_agent_bytes: int = 512 * MIB
    settle_ms: int = 30_000
    load: float | None = None
    ageing_ms: int = 3_600_000
    output_bytes: int = 64 * MIB


LIMIT_FIELDS = {
    "stagger": "stagger_ms",
    "memory_reserve": "memory_reserve_bytes",
    "memory_per_agent": "memory_per_agent_bytes",
    "settle": "settle_ms",
    "load": "load",
    "ageing": "ageing_ms",
    "output_bytes": "output_bytes",
}
"""The field of each key of `[limits]`; the field's name includes the unit."""

TOP_FIELDS = {"retention": "retention_ms", "trees_warn": "trees_warn_bytes"}
"""The same for the keys outside of any table, as far as the field has another name."""


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, read and checked. Durations are milliseconds, sizes bytes, lists tuples.

    `defaults` and `sessions` contain options of submit and schedule under their long names with underscores, `agents`
    the tables of profiles. `trees` is where the trees of tasks lie (see `trees.place`), `caches` has the names of
    ignored files and directories that can be made again. `url` is the database of the fleet; None: there is none, and
    the queue is in the state dir. `sources` has for each dotted key whether it came from the
    environment or the file; a key that is not in it has its default. `stamp` changes when the file does.
    """

    path: str
    jobs: int = 2
    default_agent: str | None = None
    tz: str | None = None
    retention_ms: int | None = None
    max_queued: int = MAX_QUEUED
    capture_env: tuple[str, ...] = CAPTURED
    secret_env: tuple[str, ...] = ()
    trees: str | None = None
    caches: tuple[str, ...] = CACHES
    trees_warn_bytes: int = 10 << 30
    url: str | None = None
    fleet: FleetSettings = field(default_factory=FleetSettings)
    defaults: Options = field(default_factory=dict)
    sessions: Mapping[str, Options] = field(default_factory=dict)
    agents: Mapping[str, Options] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    stamp: tuple[int, ...] | None = None

    def options(self, session: str) -> dict[str, Any]:
        """The defaults for a task of `session`: its own table over `[defaults]`, with the `env` tables merged."""
        own = self.sessions.get(session, {})
        merged = {**self.defaults, **own}
        if "env" in merged:
            merged["env"] = {**self.defaults.get("env", {}), **own.get("env", {})}
        return merged

    def source(self, key: str) -> str:
        """Where the value of a dotted key came from, as `config show` prints it."""
        return self.sources.get(key, "default")

    def jobs_of(self, flag: int | None, told: int | None) -> tuple[int, str]:
        """How many tasks run at once, and where that comes from: the command line of `run`, the environment, what
        `agentq jobs` was told, the file, or the default."""
        if flag is not None:
            return flag, "--jobs"
        source = self.source("jobs")
        if told is None or source.startswith("environment"):
            return self.jobs, source
        return told, "agentq jobs"

    def changed(self) -> bool:
        """Whether the file is no longer the one that was read."""
        return stamp(self.path) != self.stamp


class Setting(NamedTuple):
    """A line of `config show`: a dotted key, its value, and where the value came from. Secrets are left out."""

    key: str
    value: Any
    source: str


def load(environ: Mapping[str, str], *, state_dir: str | None = None) -> Config:
    """The configuration of this process. The state dir may have the file as it was parsed before.

    Raises Usage if the file, a key or a value is invalid, or if `AGENTQ_CONFIG` names a file that cannot be read.
    """
    path, demanded = config_path(environ)
    stamped = stamp(path)
    config = Config(path=path, stamp=stamped)
    if stamped is not None:
        from agentq_cli.config import reading

        config = reading.with_file(config, state_dir)
    elif demanded:
        raise Usage(f"AGENTQ_CONFIG '{path}': no such file")
    if environment.overridden(environ):
        from agentq_cli.config import reading

        config = reading.with_environment(config, environ)
    return config


def check(environ: Mapping[str, str]) -> None:
    """Check the configuration of this process. Raises everything that is wrong with it."""
    path, _ = config_path(environ)
    from agentq_cli.config import reading

    reading.check(Config(path=path, stamp=stamp(path)), environ)


def config_path(environ: Mapping[str, str]) -> tuple[str, bool]:
    """The path of the file, and whether `AGENTQ_CONFIG` named it."""
    named = environ.get("AGENTQ_CONFIG", "")
    if named:
        return os.path.expanduser(named), True
    path = environment.config_file(environ)
    if path is None:
        raise Usage("home directory: not found; set HOME, or set AGENTQ_CONFIG to the path of the config file")
    return path, False


def settings(config: Config) -> tuple[Setting, ...]:
    """Every effective value with its source. Only the names of an `env` table are shown."""
    from agentq_cli.config import schema

    found = [
        Setting(key, _shown(key, getattr(config, TOP_FIELDS.get(key, key))), config.source(key)) for key in schema.TOP
    ]
    tables = {"defaults": config.defaults}
    tables |= {f"sessions.{name}": table for name, table in config.sessions.items()}
    tables |= {f"agents.{name}": table for name, table in config.agents.items()}
    for prefix, table in tables.items():
        for key, value in table.items():
            shown = sorted(value) if key == "env" else value
            found.append(Setting(f"{prefix}.{key}", shown, config.source(f"{prefix}.{key}")))
    for key, attribute in LIMIT_FIELDS.items():
        found.append(Setting(f"limits.{key}", getattr(config.limits, attribute), config.source(f"limits.{key}")))
    for place, fields in (("host", HOST_FIELDS), ("fleet", FLEET_FIELDS)):
        for key, attribute in fields.items():
            name = f"{place}.{key}"
            found.append(Setting(name, _shown(key, getattr(config.fleet, attribute)), config.source(name)))
    found.extend(Setting(f"hooks.{key}", argv, config.source(f"hooks.{key}")) for key, argv in config.hooks.items())
    return tuple(found)


def _shown(key: str, value: Any) -> Any:
    """The value of a key without the password in it."""
    if value is None or key not in URLS:
        return value
    from agentq_cli.base.database_url import without_password

    return without_password(value)


URLS = ("url", "listen_url")
"""The keys whose values may hold a password."""


def agent_names(config: Config) -> tuple[str, ...]:
    """Every agent that may be named: the built-in ones, and the user's own."""
    return tuple(dict.fromkeys((*BUILT_IN, *config.agents)))


def stamp(path: str) -> tuple[int, ...] | None:
    """A value that changes when the file does; None if there is no file. If the file could change unnoticed, the value
    includes a hash of its content."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    content: tuple[int, ...] = ()
    if not clock.settled(status.st_ctime_ns):
        from agentq_cli.config import reading

        try:  # noqa: SIM105 - contextlib takes longer to load than all of this
            content = (hash(reading.text_of(path)),)
        except Usage:
            pass  # the next reader reports it
    return status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size, *content
