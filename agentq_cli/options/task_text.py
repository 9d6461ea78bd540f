"""A stored task as TOML for a person to change: its keys are those of a batch, and for a series those of `schedule`."""

from __future__ import annotations

from agentq_cli.base.clock import rfc3339
from agentq_cli.base.errors import Usage
from agentq_cli.options import batch, values
from agentq_cli.options.new_task import AFTER, KEYS
from agentq_cli.options.table import rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from agentq_cli.model.tasks import Task

CHANGED = {row.name: row for row in rows("edit") if row.field} | {"exec": KEYS["exec"]}
"""The keys that a person may write."""

WRITERS: Mapping[str, Callable[[Any], Any]] = {
    "duration": values.write_duration,
    "size": lambda size: f"{size}B",
    "moment": rfc3339,
    "time": rfc3339,
    "texts": list,
    "words": list,
    "command": list,
    "choice": str,
    "flag": bool,
    "pairs": lambda pairs: {name: True if value is None else value for name, value in pairs.items()},
}
"""What makes of a stored value the text that its reader reads back; other values are written as they are."""


def options_of(task: Task, now: int) -> dict[str, Any]:
    """The options that describe a waiting task, without those that say nothing. Times that have passed are left out."""
    found: dict[str, Any] = {"exec": task.work.argv} if task.work.kind == "exec" else {"prompt": task.work.prompt}
    for name, row in CHANGED.items():
        place, _, field = row.field.rpartition(".")
        if row.field and place != "schedule" and name not in (*AFTER, "shell", "at", "in", "env_file"):
            found[name] = getattr(task.work.launch if place else task.work, field)
    for name, on in AFTER.items():
        found[name] = [str(each.address) for each in task.work.after if each.on is on]
    if task.rearms:
        found |= _schedule_of(task)
    elif task.due_at > now:
        found["at"] = task.due_at
    return {
        name: WRITERS.get(CHANGED[name].reader, lambda value: value)(value)
        for name, value in found.items()
        if value or (value == 0 and value is not False)
    }


def _schedule_of(task: Task) -> dict[str, Any]:
    assert task.recurrence is not None
    schedule = task.recurrence.schedule
    found = {name: getattr(schedule, name) for name in ("tz", "until", "max_runs", "missed", "overlap", "pause_after")}
    if schedule.type == "at":
        return found | {"at": schedule.start}
    return found | {"cron": schedule.expr, "every": schedule.every_ms, "start": schedule.start}


def written(options: dict[str, Any]) -> str:
    """These options as TOML. What is not UTF-8, which TOML cannot say, raises Usage."""
    return "".join(f"{name} = {_value(name, value)}\n" for name, value in options.items())


def _value(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(name, key)} = {_value(name, each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_quoted(name, each) for each in value) + "]"
    if isinstance(value, str):
        return _lines(name, value) if "\n" in value else _quoted(name, value)
    return str(value).lower()  # a number, or true


def _lines(name: str, text: str) -> str:
    """A text of several lines as it is read."""
    return '"""\n' + "\n".join(_quoted(name, line)[1:-1] for line in text.split("\n")) + '"""'


def _quoted(name: str, text: str) -> str:
    import json

    try:
        text.encode()
    except UnicodeEncodeError:
        raise Usage(f"{name}: has bytes that are not UTF-8, which TOML cannot say; change it with options") from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def read(text: str) -> dict[str, Any]:
    """The options in such a text. Raises Usage with the line, or the key."""
    import tomllib

    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Usage(f"TOML: {error}") from None
    for name, value in found.items():
        batch.check(name, value, "TOML", CHANGED)
    lists = [name for name in found if isinstance(found[name], str) and CHANGED[name].kind == "texts"]
    return found | {name: [found[name]] for name in lists}
