"""The last thing an agent said, for one line on a screen: the text inside an event of its stream. Pure."""

from __future__ import annotations

import json
import re

SPOKEN = ("text", "result", "content", "message", "item", "part", "delta", "command", "name", "error", "type", "event")
"""The keys under which the agents' events keep text for people, most informative first."""

DEEPEST = 6
# For an event of which only a part was read.
_TEXT = r'"(?:text|result|message|command)"\s*:\s*"((?:[^"\\]|\\.)*)'


def last_words(line: str) -> str:
    """The text of an event, which may be complete or truncated at either end. Any other line is returned without its
    escape sequences."""
    if "\x1b" in line:
        from agentq_cli.agents.event_line import ESCAPE

        line = ESCAPE.sub("", line).strip()
    if not line.startswith("{") and not line.endswith("}"):
        return line
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        found = re.findall(_TEXT, line)
        try:
            return str(json.loads(f'"{found[-1]}"')) if found else line
        except ValueError:
            return line
    return spoken(event, DEEPEST) or line if isinstance(event, dict) else line


def spoken(value: object, depth: int) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and depth:
        return next((words for each in reversed(value) if (words := spoken(each, depth - 1))), "")
    if isinstance(value, dict) and depth:
        return next((words for key in SPOKEN if key in value and (words := spoken(value[key], depth - 1))), "")
    return ""
