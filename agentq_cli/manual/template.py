"""The hand-written parts of the generated files: texts with `@NAME@` in the places of parts from the application."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"


def filled(name: str, **parts: str | Sequence[str]) -> str:
    """The template of that name with its parts filled in: a list replaces a whole line, a text a part of one."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    wanted = set(re.findall(r"@([A-Z_]{2,})@", text))
    if wanted != set(parts):
        raise ValueError(f"{name}: these parts are not in both: {', '.join(sorted(wanted ^ set(parts)))}")
    for key, value in parts.items():
        text = text.replace(f"@{key}@", value if isinstance(value, str) else "\n".join(value))
    return text
