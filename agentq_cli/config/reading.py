"""Reads and checks the configuration file, and the environment variables that set what the file can set."""

from __future__ import annotations

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import Usage, nearest
from agentq_cli.base.names import is_name
from agentq_cli.config import key_readers, parsed, schema
from agentq_cli.config.configuration import LIMIT_FIELDS, TOP_FIELDS, Config, Limits, agent_names
from agentq_cli.model.fleet import FLEET_FIELDS, HOST_FIELDS, FleetSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from agentq_cli.base.gathered import Gathered
    from agentq_cli.config.configuration import Options

LARGEST_FILE = 4 << 20

LAST = 1 << 62
"""The line of an error that belongs to none of the file: it comes behind them."""


def with_file(config: Config, state_dir: str | None) -> Config:
    """The settings of the file, whose path and stamp are those of `config`. Raises Usage.

    A state dir has the file as it was parsed when it was last read without an error.
    """
    known = parsed.find(state_dir, config)
    if known is not None:
        try:
            return _File(config.path, "").read(config, known)
        except Usage:
            pass  # it has become wrong, such as the name of a time zone; below this is told with its line
    text = text_of(config.path)
    document = _parse(config.path, text)
    read = _File(config.path, text).read(config, document)
    parsed.keep(state_dir, config, document)
    return read


def check(config: Config, environ: Mapping[str, str]) -> None:
    """Read file and environment to the end. Raises every error, in the order of the file's lines."""
    from agentq_cli.base.gathered import Gathered

    gathered = Gathered()
    if config.stamp is not None:
        text = text_of(config.path)
        config = _File(config.path, text, gathered).read(config, _parse(config.path, text))
    with_environment(config, environ, lambda error: gathered.add(LAST, error))
    gathered.check()


def with_environment(
    config: Config, environ: Mapping[str, str], report: Callable[[Usage], None] = key_readers.raised
) -> Config:
    """The settings with those of the environment over them. What is wrong with one of them is reported."""
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
        if key in ("capture_env", "secret_env", "caches"):
            held = held.replace(",", " ").split()
        try:
            value = read(held, name)
        except Usage as error:
            report(error)
            continue
        if key == "default_agent" and value not in agent_names(config):
            report(_no_agent(config, value, name))
        config = _set(config, key, value, f"environment {name}")
    return config


def _set(config: Config, key: str, value: Any, source: str) -> Config:
    return replace(config, **{TOP_FIELDS.get(key, key): value}, sources={**config.sources, key: source})


def place(config: Config, *keys: str) -> str:
    """File and line of a key in the file, for an error that is found later. Raises Usage."""
    from agentq_cli.config.lines import key_lines

    document = _File(config.path, text_of(config.path))
    dashed = (*keys[:-1], keys[-1].replace("_", "-"))
    return document.place(*(dashed if dashed in key_lines(document.text) else keys))


class _File:
    """The tables of a file, and the places of its keys. The first error is raised, unless all are `gathered`."""

    def __init__(self, path: str, text: str, gathered: Gathered | None = None) -> None:
        self.path = path
        self.text = text
        self.gathered = gathered

    def report(self, error: Usage) -> None:
        if self.gathered is None:
            raise error from None
        self.gathered.add(int(error.message.removeprefix(f"{self.path}:").partition(":")[0]), error)

    def place(self, *keys: str) -> str:
        """File and line of a key, or of the nearest table around it; only searched for an error."""
        from agentq_cli.config.lines import key_lines

        lines = {(): 1, **key_lines(self.text)}
        if keys[:1] == ("hooks",) and keys not in lines:
            keys = ("hooks", *".".join(keys[1:]).split("."))  # written without quotes
        while keys not in lines:
            keys = keys[:-1]
        return f"{self.path}:{lines[keys]}:"

    def table(self, rules: key_readers.Schema, table: Any, *keys: str) -> dict[str, Any]:
        return key_readers.read_table(rules, table, ".".join(keys), lambda *rest: self.place(*keys, *rest), self.report)

    def named(self, rules: key_readers.Schema, tables: Any, noun: str) -> dict[str, Options]:
        """The tables `[noun.NAME]`, each name checked."""
        if not isinstance(tables, dict):
            self.report(key_readers.refused(f"{self.place(noun)} {noun}", tables, "must be a table"))
            return {}
        for name in tables:
            if not is_name(name):
                self.report(
                    Usage(
                        f"{self.place(noun, name)} [{noun}] name '{name}': must be 1 to 64 letters, digits, dots, "
                        "dashes and underscores, beginning with a letter or digit"
                    )
                )
        return {name: self.table(rules, table, noun, name) for name, table in tables.items()}

    def read(self, config: Config, document: dict[str, Any]) -> Config:
        tables = {key: document[key] for key in schema.TABLES if key in document}
        plain = {key: value for key, value in document.items() if key not in tables}
        for unknown in [key for key in plain if key.replace("-", "_") not in schema.TOP]:
            known = [*schema.TOP, *schema.TABLES]
            self.report(Usage(f"{self.place(unknown)} unknown key '{unknown}'{nearest(unknown, known)}"))
            del plain[unknown]
        top = self.table(schema.TOP, plain)
        limits = self.table(schema.LIMITS, tables.get("limits", {}), "limits")
        host = self.table(schema.HOST, tables.get("host", {}), "host")
        fleet = self.table(schema.FLEET, tables.get("fleet", {}), "fleet")
        config = replace(
            config,
            **{TOP_FIELDS.get(key, key): value for key, value in top.items()},
            defaults=self.table(schema.OPTIONS, tables.get("defaults", {}), "defaults"),
            sessions=self.named(schema.SESSION, tables.get("sessions", {}), "sessions"),
            agents=self.named(schema.PROFILE, tables.get("agents", {}), "agents"),
            limits=Limits(**{LIMIT_FIELDS[key]: value for key, value in limits.items()}),
            hooks=self.table(schema.HOOKS, _dotted(tables.get("hooks", {})), "hooks"),
            fleet=FleetSettings(
                **{HOST_FIELDS[key]: value for key, value in host.items()},
                **{FLEET_FIELDS[key]: value for key, value in fleet.items()},
            ),
        )
        plain_tables = {"": top, "limits.": limits, "host.": host, "fleet.": fleet}
        config = replace(config, sources=self.sources(config, plain_tables))
        self.check_agents(config)
        if not self.gathered:  # a profile without its wrong keys would lack them
            self.check_profiles(config)
        return config

    def sources(self, config: Config, read: Mapping[str, Options]) -> dict[str, str]:
        """The source of every value that the file set."""
        tables: dict[str, Options] = {**read, "defaults.": config.defaults, "hooks.": config.hooks}
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
                self.report(_no_agent(config, name, f"{self.place(*keys)} {keys[-1]}"))

    def check_profiles(self, config: Config) -> None:
        """Reject a profile that is invalid or incomplete together with the shipped keys of that name."""
        if not config.agents:
            return
        from agentq_cli.agents.profile import profile

        for name in config.agents:
            try:
                profile(config, name)
            except Usage as error:
                self.report(Usage(f"{self.place('agents', name)} {error.message}"))


def _no_agent(config: Config, name: str, what: str) -> Usage:
    return key_readers.refused(what, name, f"no such agent{nearest(name, agent_names(config))}")


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


def text_of(path: str) -> str:
    """The text of the file. Raises Usage."""
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
