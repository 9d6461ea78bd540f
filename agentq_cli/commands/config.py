"""`agentq config`: every setting, where it came from, and whether the file is valid."""

from __future__ import annotations

from agentq_cli.config import configuration
from agentq_cli.config.configuration import Config
from agentq_cli.config.schema import DURATIONS, SIZES
from agentq_cli.options.table import row
from agentq_cli.options.values import format_size, parse_choice, write_duration
from agentq_cli.show import notices
from agentq_cli.show.results import Document, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq config", "Show every value and where it comes from."),
    ("agentq config check", "Check the file; every wrong line is told."),
    ("agentq config path", "Print the path of the file."),
)


def config(given: Given, at: Context) -> Result:
    """Show every value with its source, or check the file.

    'path' prints the path of the file.
    """
    action = "show" if given["action"] is None else given["action"]
    if action == "path":
        from agentq_cli.host.place import is_there

        path, _ = configuration.config_path(at.environ)
        return Document("config", {"path": path, "exists": is_there(path)}, [path])
    parse_choice(action, row("config", "action"), "config")
    if action == "check":
        configuration.check(at.environ)
    loaded = at.config
    for text in loaded.warnings:
        notices.warn(text)
    if action == "check":
        from agentq_cli.host.resources import Resources
        from agentq_cli.supervise import gates

        gates.check(loaded, Resources())
        return Document("config", {"path": loaded.path, "ok": True}, [_verdict(loaded)])
    items = [
        {"key": setting.key, "value": _plain(setting.value), "source": setting.source}
        for setting in configuration.settings(loaded)
    ]
    lines = [(item["key"], f"{_text(item['key'], item['value'])}  ({item['source']})") for item in items]
    return Document("config", {"path": loaded.path, "items": items}, lines)


def _verdict(loaded: Config) -> str:
    return f"{loaded.path}: valid" if loaded.stamp is not None else f"{loaded.path}: no such file; the defaults apply"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | frozenset) else value


def _text(key: str, value: Any) -> str:
    """The value as it would be written in the file, without quotes."""
    name = key.rpartition(".")[2]
    if value is None:
        return "off" if name == "load" else "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, int) and name in DURATIONS:
        return write_duration(value)
    return format_size(value) if isinstance(value, int) and name in SIZES else str(value)
