"""What an edit changed, for its event: which options, from what to what. Of the environment only names are told."""

from __future__ import annotations

from agentq_cli.base.clock import rfc3339
from agentq_cli.options.table import rows
from agentq_cli.options.values import format_size, write_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentq_cli.model.tasks import Task

LONGEST_VALUE = 60
LONGEST = 600
"""How many characters of a value, and of all changes, are told."""

NONE = "none"

FIELDS = {row.field: row for row in reversed(rows("edit")) if row.field}
"""The options by the field of a task that they fill; several fill the same one."""


def told(before: Task, after: Task) -> str | None:
    """The changes as one line: `priority: 0 -> 50; prompt: Fix it -> Shorter, please`; None if nothing changed."""
    text = "; ".join(_changes(before, after))
    return (text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}...") or None


def _changes(before: Task, after: Task) -> Iterator[str]:
    for field in reversed(FIELDS):
        old, new = _value(before, field), _value(after, field)
        if old == new:
            continue
        if field == "launch.env":
            yield f"env: {_names(before.work.launch.env, after.work.launch.env)}"
        else:
            name = "command" if field == "argv" else FIELDS[field].name.replace("_", "-")
            yield f"{name}: {_shown(field, old)} -> {_shown(field, new)}"


def _value(task: Task, field: str) -> object:
    place, _, name = field.rpartition(".")
    if place == "schedule":
        return None if task.recurrence is None or task.extra else getattr(task.recurrence.schedule, name)
    return getattr(task if field == "due_at" else task.work.launch if place else task.work, name)


def _names(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> str:
    """The names of variables of which anything changed."""
    changed = [name for name in {**before, **after} if before.get(name, "=") != after.get(name, "=")]
    return _cut(", ".join(sorted(changed)))


def _shown(field: str, value: object) -> str:
    if value is None or value == ():
        return NONE
    reader = FIELDS[field].reader if field in FIELDS else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and reader in READERS:
        return READERS[reader](value)
    if field == "after":
        return _cut(", ".join(f"{each.address} ({each.on})" for each in value))  # type: ignore[attr-defined]
    if isinstance(value, tuple):
        return _cut((" " if field in ("argv", "launch.agent_args") else ", ").join(map(str, value)))
    return _cut(str(value))


READERS = {"duration": write_duration, "size": format_size, "time": rfc3339, "moment": rfc3339}


def _cut(text: str) -> str:
    line = " ".join(text[: LONGEST_VALUE * 4].split())
    return line if len(line) <= LONGEST_VALUE else f"{line[: LONGEST_VALUE - 3]}..."
