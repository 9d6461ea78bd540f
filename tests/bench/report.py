"""The table for people and the document for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from figures import Line

MARKS = {True: "holds", False: "MISSED", None: ""}


def number(value: float) -> str:
    """Three digits that count, and never an exponent."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if size >= 10 else 2 if size >= 1 else 3}f}"


def cells(line: Line) -> list[str]:
    """One line's columns."""
    ratio = ""
    if line.ratio is not None and line.ratio_low is not None and line.ratio_high is not None:
        ratio = f"{number(line.ratio)} × {line.of}"
        if line.rounds > 1:
            ratio += f" ({number(line.ratio_low)}…{number(line.ratio_high)})"
    spread = f"{number(line.low)}…{number(line.high)}" if line.rounds > 1 else ""
    target = "" if line.target is None else f"{line.target}{'' if line.target.of_value else ' ×'}"
    return [
        line.what,
        line.who,
        f"{number(line.median)} {line.unit}".rstrip(),
        spread,
        ratio,
        target,
        MARKS[line.holds],
        line.note,
    ]


HEAD = ["", "who", "median", "quartiles", "ratio (quartiles)", "target", "", "note"]


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as text, each column as wide as its widest cell."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def table(lines: Sequence[Line], abouts: Mapping[str, str]) -> str:
    """Every row under its heading, with what is compared in it."""
    text: list[str] = []
    for row, found in groupby(lines, key=lambda line: line.row):
        text += ["", f"{row}: {abouts.get(row, '')}".rstrip(": ")]
        text += [f"  {each}" for each in columns([HEAD, *(cells(line) for line in found)])]
    return "\n".join(text).lstrip("\n")


def named(title: str, entries: Iterable[tuple[str, str]]) -> str:
    """A title, and under it one line a name."""
    return "\n".join([f"{title}:", *(f"  {each}" for each in columns(list(entries)))])


def document(lines: Sequence[Line], **about: Any) -> dict[str, Any]:
    """What `--json` writes."""
    items = []
    for line in lines:
        item = asdict(line)
        item["target"] = None if line.target is None else str(line.target)
        item["holds"] = line.holds
        items.append(item)
    return {"schema": "agentq.bench/1", **about, "items": items}
