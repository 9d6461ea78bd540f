"""agentq-config(5): every key of the configuration, with its type and default from the code."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterator, Mapping, Sequence

from agentq_cli import __version__
from agentq_cli.base import environment
from agentq_cli.config import schema
from agentq_cli.config.configuration import LIMIT_FIELDS, TOP_FIELDS, Config
from agentq_cli.config.key_readers import Reader, Schema
from agentq_cli.manual import mdoc
from agentq_cli.manual.surface import commands
from agentq_cli.manual.template import TEMPLATES, filled
from agentq_cli.model.fleet import FLEET_FIELDS
from agentq_cli.options import values

NAME = "agentq-config.5"

TYPES = {
    "text": "string",
    "texts": "string or list of strings",
    "names": "name or list of names",
    "arguments": "list of strings",
    "command": "list of strings",
    "yes_no": "true or false",
    "amount": "number above 0",
    "load": 'number above 0, or "off"',
    "duration": "duration",
    "size": "size",
    "path": "path",
    "paths": "path or list of paths",
    "zone": "IANA time zone",
    "environment": "table of strings",
    "agent": "name of an agent",
    "url": "URL",
    "schema_name": "name",
    "host_name": "name",
    "host_names": "name or list of names",
    "lease": "duration",
}
"""The name of each reader function, and its type of value in words."""


def render() -> str:
    """The whole page."""
    meanings = _meanings()
    defaults = Config(path="")
    limits = {key: getattr(defaults.limits, name) for key, name in LIMIT_FIELDS.items()}
    fleet = {key: getattr(defaults.fleet, name) for key, name in FLEET_FIELDS.items()}
    top = {key: getattr(defaults, TOP_FIELDS.get(key, key)) for key in schema.TOP}
    own = {key: read for key, read in schema.SESSION.items() if key not in schema.OPTIONS}
    return filled(
        NAME,
        HEAD=mdoc.head("agentq-config", 5, __version__),
        TOP=list(_keys(schema.TOP, meanings["top"], {key: shown(key, value) for key, value in top.items()})),
        OPTIONS=list(_keys(schema.OPTIONS, _option_meanings(meanings["options"]), _option_defaults())),
        SESSION=list(_keys(own, meanings["sessions"], {})),
        PROFILE=list(_keys(schema.PROFILE, meanings["agents"], {})),
        LIMITS=list(_keys(schema.LIMITS, meanings["limits"], {key: shown(key, limits[key]) for key in limits})),
        HOST=list(_keys(schema.HOST, meanings["host"], {})),
        FLEET=list(_keys(schema.FLEET, meanings["fleet"], {key: shown(key, fleet[key]) for key in fleet})),
        SECRET=_names(environment.SECRET),
        MOMENT=_names(environment.MOMENT),
        LASTING=_names(environment.LASTING),
        HOOKS=list(_keys(schema.HOOKS, meanings["hooks"], {})),
        SEE=mdoc.see_also(
            [("agentq", 1), ("agentq-config", 1), ("agentq-agents", 1), ("agentq-state", 5), ("agentq-fleet", 7)]
        ),
    )


def _names(patterns: Sequence[str]) -> list[str]:
    """Names of variables, one a line, and a full stop."""
    return [f".Ev {mdoc.argument(each)} {'.' if each == patterns[-1] else ','}" for each in patterns]


def _meanings() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads((TEMPLATES / "config_keys.toml").read_text(encoding="utf-8"))


def _keys(schema: Schema, meanings: Mapping[str, str], defaults: Mapping[str, str]) -> Iterator[str]:
    """A list of keys. Raises ValueError if one has no description."""
    missing = [key for key in schema if key not in meanings]
    if missing:
        raise ValueError(f"config_keys.toml does not say what these mean: {', '.join(missing)}")
    return mdoc.tagged(
        (
            f"Ic {mdoc.argument(key)} Pq {mdoc.argument(type_of(read))}",
            [
                *mdoc.prose(meanings[key]),
                *([mdoc.line(f"Default: {defaults[key]}.")] if defaults.get(key) else []),
            ],
        )
        for key, read in schema.items()
    )


def type_of(read: Reader) -> str:
    """The type of value that a reader takes, with its bounds."""
    name = read.__qualname__.partition(".")[0]
    known = inspect.getclosurevars(read).nonlocals if inspect.isfunction(read) else {}
    if name == "whole":
        return f"whole number from {known['low']}" + (f" to {known['high']}" if known["high"] < 1_000_000_000 else "")
    if name == "choice":
        return " or ".join(f'"{word}"' for word in known["allowed"])
    if name == "duration" and known.get("zero"):
        return 'duration, also "0s"'
    return TYPES[name]


def shown(key: str, value: object) -> str:
    """A default as it would be written in the file."""
    if value in (None, ()):
        return "off" if key == "load" else "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if key in schema.DURATIONS:
        assert isinstance(value, int)
        return values.write_duration(value)
    if key in schema.SIZES:
        assert isinstance(value, int)
        return values.format_size(value)
    return str(value)


def _options() -> Iterator[tuple[str, str, str]]:
    for command in commands():
        if command.name in ("schedule", "submit"):
            for option in command.options:
                yield option.entry.names[-1][2:].replace("-", "_"), option.entry.text, option.entry.default


def _option_meanings(own: Mapping[str, str]) -> dict[str, str]:
    """The descriptions of the options; `own` replaces those whose key in the file means something else."""
    return {key: text.replace("; repeatable", "") for key, text, _ in _options()} | dict(own)


def _option_defaults() -> dict[str, str]:
    defaults = {key: default for key, _, default in _options()}
    return {key: text for key, text in defaults.items() if text and key not in ("agent", "cwd", "tz")}
