"""The settings: flag over environment over file over default, and where each value came from.

The file is `AGENTQ_CONFIG`, else `config.toml` in the platform's user config dir. Without a file every value has its
default. An unknown key or an invalid value raises Usage with file, line and the nearest name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

from agentq_cli.base import clock, environment
from agentq_cli.base.dataclass import NamedTuple, dataclass, field, replace
from agentq_cli.base.defaults import BUILT_IN, MAX_QUEUED
from agentq_cli.base.environment import CAPTURED
from agentq_cli.base.errors import Usage, nearest
from agentq_cli.base.names import is_name
from agentq_cli.config import schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Options: TypeAlias = "Mapping[str, Any]"
MIB = 1 << 20
LARGEST_FILE = 4 * MIB


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


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, read and checked. Durations are milliseconds, sizes bytes, lists tuples.

    `defaults` and `sessions` contain options of submit and schedule under their long names with underscores, `agents`
    the tables of profiles. `sources` has for each dotted key whether it came from a flag, the environment or the file;
    a key that is not in it has its default. `stamp` changes when the file does.
    """

    path: str
    jobs: int = 2
    default_agent: str | None = None
    tz: str | None = None
    retention_ms: int | None = None
    max_queued: int = MAX_QUEUED
    capture_env: tuple[str, ...] = CAPTURED
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

    def changed(self) -> bool:
        """Whether the file is no longer the one that was read."""
        return stamp(self.path) != self.stamp


class Setting(NamedTuple):
    """A line of `config show`: a dotted key, its value, and where the value came from. Secrets are left out."""

    key: str
    value: Any
    source: str


def load(environ: Mapping[str, str], *, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration of this process. `overrides` are top-level values that flags gave, already checked.

    Raises Usage if the file, a key or a value is invalid, or if `AGENTQ_CONFIG` names a file that cannot be read.
    """
    path, demanded = config_path(environ)
    stamped = stamp(path)
    config = Config(path=path, stamp=stamped)
    if stamped is not None:
        config = _with_file(config, _read_text(path))
    elif demanded:
        raise Usage(f"AGENTQ_CONFIG '{path}': no such file")
    config = _with_environment(config, environ)
    for key, value in (overrides or {}).items():
        if value is not None:
            config = _set(config, key, value, "flag")
    return config


def config_path(environ: Mapping[str, str]) -> tuple[str, bool]:
    """The path of the file, and whether `AGENTQ_CONFIG` named it."""
    named = environ.get("AGENTQ_CONFIG", "")
    if named:
        return os.path.expanduser(named), True
    path = environment.config_file(environ)
    if path is None:
        raise Usage("home directory: not found; set HOME, or set AGENTQ_CONFIG to the path of the config file")
    return path, False


def place(config: Config, *keys: str) -> str:
    """File and line of a key in the file, for an error that is found later. Raises Usage."""
    from agentq_cli.config.lines import key_lines

    document = _Document(config.path, _read_text(config.path))
    dashed = (*keys[:-1], keys[-1].replace("_", "-"))
    return document.place(*(dashed if dashed in key_lines(document.text) else keys))


def settings(config: Config) -> tuple[Setting, ...]:
    """Every effective value with its source. Only the names of an `env` table are shown."""
    found = [
        Setting(key, getattr(config, "retention_ms" if key == "retention" else key), config.source(key))
        for key in schema.TOP
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
    found.extend(Setting(f"hooks.{key}", argv, config.source(f"hooks.{key}")) for key, argv in config.hooks.items())
    return tuple(found)


def _set(config: Config, key: str, value: Any, source: str) -> Config:
    attribute = "retention_ms" if key == "retention" else key
    return replace(config, **{attribute: value}, sources={**config.sources, key: source})


def _with_environment(config: Config, environ: Mapping[str, str]) -> Config:
    for key, read in schema.TOP.items():
        name = f"AGENTQ_{key.upper()}"
        held: Any = environ.get(name, "")
        if not held:
            continue
        if key == "tz":
            from agentq_cli.config import zones

            if not zones.known(held):
                warning = f"{name} '{held}': not an IANA time zone, ignored"
                config = replace(config, warnings=(*config.warnings, warning))
                continue
        if key == "capture_env":
            held = held.replace(",", " ").split()
        value = read(held, name)
        if key == "default_agent" and value not in agent_names(config):
            _refuse_agent(config, value, name)
        config = _set(config, key, value, f"environment {name}")
    return config


def _with_file(config: Config, text: str) -> Config:
    document = _parse(config.path, text)
    return _Document(config.path, text).read(config, document)


class _Document:
    """The tables of a file, and the places of its keys."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    def place(self, *keys: str) -> str:
        """File and line of a key, or of the nearest table around it; only searched for an error."""
        from agentq_cli.config.lines import key_lines

        lines = {(): 1, **key_lines(self.text)}
        if keys[:1] == ("hooks",) and keys not in lines:
            keys = ("hooks", *".".join(keys[1:]).split("."))  # written without quotes
        while keys not in lines:
            keys = keys[:-1]
        return f"{self.path}:{lines[keys]}:"

    def table(self, rules: schema.Schema, table: Any, *keys: str) -> dict[str, Any]:
        return schema.read_table(rules, table, ".".join(keys), lambda *rest: self.place(*keys, *rest))

    def named(self, rules: schema.Schema, tables: Any, noun: str) -> dict[str, Options]:
        """The tables `[noun.NAME]`, each name checked."""
        if not isinstance(tables, dict):
            schema.refuse(f"{self.place(noun)} {noun}", tables, "must be a table")
        for name in tables:
            if not is_name(name):
                raise Usage(
                    f"{self.place(noun, name)} [{noun}] name '{name}': must be 1 to 64 letters, digits, dots, "
                    "dashes and underscores, beginning with a letter or digit"
                )
        return {name: self.table(rules, table, noun, name) for name, table in tables.items()}

    def read(self, config: Config, document: dict[str, Any]) -> Config:
        tables = {key: document.pop(key) for key in schema.TABLES if key in document}
        unknown = next((key for key in document if key.replace("-", "_") not in schema.TOP), None)
        if unknown is not None:
            known = [*schema.TOP, *schema.TABLES]
            raise Usage(f"{self.place(unknown)} unknown key '{unknown}'{nearest(unknown, known)}")
        top = self.table(schema.TOP, document)
        limits = self.table(schema.LIMITS, tables.get("limits", {}), "limits")
        config = replace(
            config,
            **{"retention_ms" if key == "retention" else key: value for key, value in top.items()},
            defaults=self.table(schema.OPTIONS, tables.get("defaults", {}), "defaults"),
            sessions=self.named(schema.SESSION, tables.get("sessions", {}), "sessions"),
            agents=self.named(schema.PROFILE, tables.get("agents", {}), "agents"),
            limits=Limits(**{LIMIT_FIELDS[key]: value for key, value in limits.items()}),
            hooks=self.table(schema.HOOKS, _dotted(tables.get("hooks", {})), "hooks"),
        )
        config = replace(config, sources=self.sources(config, top, limits))
        self.check_agents(config)
        self.check_profiles(config)
        return config

    def sources(self, config: Config, top: Options, limits: Options) -> dict[str, str]:
        """The source of every value that the file set."""
        tables: dict[str, Options] = {"": top, "limits.": limits, "defaults.": config.defaults, "hooks.": config.hooks}
        tables |= {f"sessions.{name}.": table for name, table in config.sessions.items()}
        tables |= {f"agents.{name}.": table for name, table in config.agents.items()}
        return {f"{prefix}{key}": f"file {self.path}" for prefix, table in tables.items() for key in table}

    def check_agents(self, config: Config) -> None:
        """Reject the name of an agent that has no profile; this is only known after all tables are read."""
        named: dict[tuple[str, ...], str | None] = {
            ("default_agent",): config.default_agent,
            ("defaults", "agent"): config.defaults.get("agent"),
            **{("sessions", name, "agent"): table.get("agent") for name, table in config.sessions.items()},
        }
        for keys, name in named.items():
            if name is not None and name not in agent_names(config):
                _refuse_agent(config, name, f"{self.place(*keys)} {keys[-1]}")

    def check_profiles(self, config: Config) -> None:
        """Reject a profile that is invalid or incomplete together with the shipped keys of that name."""
        if not config.agents:
            return
        from agentq_cli.agents.profile import profile

        for name in config.agents:
            try:
                profile(config, name)
            except Usage as error:
                raise Usage(f"{self.place('agents', name)} {error.message}") from None


def agent_names(config: Config) -> tuple[str, ...]:
    """Every agent that may be named: the built-in ones, and the user's own."""
    return tuple(dict.fromkeys((*BUILT_IN, *config.agents)))


def _refuse_agent(config: Config, name: str, what: str) -> None:
    schema.refuse(what, name, f"no such agent{nearest(name, agent_names(config))}")


def _dotted(hooks: Any) -> Any:
    """`[hooks]` with quoted names for `task.finished = …` without quotes, which TOML reads as a nested table."""
    if not isinstance(hooks, dict):
        return hooks
    flat: dict[str, Any] = {}
    for key, value in hooks.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{rest}": argv for rest, argv in value.items()}
        else:
            flat[key] = value
    return flat


def _parse(path: str, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # TOMLDecodeError is a ValueError; a number with thousands of digits raises a plain ValueError.
        import re

        found = re.search(r"\(at line ([0-9]+)", str(error))
        number = found[1] if found else max(1, len(text.splitlines()))
        raise Usage(f"{path}:{number}: not TOML: {error}") from None


def _read_text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise Usage(f"{path}: larger than {LARGEST_FILE >> 20} MiB")
        return content.decode("utf-8")
    except OSError as error:
        raise Usage(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Usage(f"{path}: not UTF-8 text") from None


def stamp(path: str) -> tuple[int, ...] | None:
    """A value that changes when the file does; None if there is no file. If the file could change unnoticed, the value
    includes a hash of its content."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    content: tuple[int, ...] = ()
    if not clock.settled(status.st_ctime_ns):
        with contextlib.suppress(Usage):  # the next reader reports it
            content = (hash(_read_text(path)),)
    return status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size, *content
