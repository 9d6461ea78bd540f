"""What an attempt is told of what the attempts before it left, if it cannot go on in their conversation. Pure."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.model.checkpoints import Checkpoint

TOLD_BYTES = 4096
"""The longest text."""

SHOWN_PATHS_BYTES = 1200
LONGEST_NAME = 160
"""How many bytes the list of paths takes at most, and any one name or reason."""


def told(attempts: Sequence[Checkpoint]) -> str:
    """What comes before the prompt; `attempts` are those of the task so far, in order, with what each left. Empty if
    they left nothing that is known."""
    worked = [each for each in attempts if left_something(each)]
    if not worked:
        return ""
    first, last = worked[0], worked[-1]
    paths = tuple(dict.fromkeys(path for each in reversed(worked) for path in each.paths))
    said = next((each.said for each in reversed(worked) if each.said), "")
    lines = [
        "There was an attempt at this task before, whose conversation you do not have."
        f" This is what it left in {_shown(last.repository)}:",
        "",
        f"Branch: {_moved(first.branch_before, last.branch_after)}",
        f"Commit: {_moved(first.head_before, last.head_after)}",
        *_changed(paths, max(each.more for each in worked)),
        *(f"Not known: {_shown(each)}" for each in last.missing[:2]),
    ]
    foot = "See what is done, and go on from there."
    whole = "\n".join(lines)
    if said:
        room = TOLD_BYTES - len(f"{whole}\nThe last that it said:\n\n\n\n{foot}".encode("utf-8", "replace"))
        whole = f"{whole}\nThe last that it said:\n\n{end_of(said, room)}\n"
    return f"{whole}\n{foot}"


def left_something(attempt: Checkpoint) -> bool:
    """Whether an attempt changed or said anything, or that is not known."""
    moved = (attempt.branch_before, attempt.head_before) != (attempt.branch_after, attempt.head_after)
    return moved or bool(attempt.paths or attempt.said or attempt.missing)


def end_of(text: str, most: int) -> str:
    """The end of a text, at most so many bytes of UTF-8, which are whole characters."""
    return text.encode("utf-8", "replace")[-most:].decode("utf-8", "ignore") if most > 0 else ""


def _moved(before: str | None, after: str | None) -> str:
    if before == after:
        return "none" if after is None else _shown(after)
    return f"{'none' if before is None else _shown(before)} before, {'none' if after is None else _shown(after)} after"


def _changed(paths: Sequence[str], more: int) -> list[str]:
    if not paths:
        return ["Changed files: none that is known"]
    shown: list[str] = []
    room = SHOWN_PATHS_BYTES
    for path in paths:
        line = f"  {_shown(path)}"
        room -= len(line.encode("utf-8", "replace")) + 1
        if room < 0:
            break
        shown.append(line)
    left = len(paths) - len(shown) + more
    return ["Changed files:", *shown, *([f"  and {left} more"] if left else [])]


def _shown(name: str) -> str:
    """A name on one line, quoted if it has characters that would not show, and cut if it is long."""
    shown = name if name.isprintable() else json.dumps(name)
    if len(shown.encode("utf-8", "replace")) <= LONGEST_NAME:
        return shown
    return f"…{end_of(shown, LONGEST_NAME - 3)}"
