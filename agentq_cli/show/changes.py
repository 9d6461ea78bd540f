"""What runs changed in their trees, and how it landed, as a person reads it."""

from __future__ import annotations

from agentq_cli.model.trees import Came
from agentq_cli.show.pen import MINUS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from agentq_cli.model.trees import Landing, Left

UNKNOWN = "?"
DIGITS = 12
"""How many digits of a commit's id are shown."""


def counted(files: int | None, insertions: int | None, deletions: int | None) -> str:
    """`+120 −8, 3 files`; `nothing` if no file differs, `?` if that is not known."""
    if files is None:
        return UNKNOWN
    if not files:
        return "nothing"
    return f"+{insertions or 0} {MINUS}{deletions or 0}, {files} {'file' if files == 1 else 'files'}"


def of_run(left: Left | None) -> str:
    """The same of a run; empty if it had no tree."""
    return "" if left is None else counted(left.files_changed, left.insertions, left.deletions)


def of_item(item: Mapping[str, Any]) -> str:
    """The same of the document of a run; empty while it goes on too."""
    return (
        ""
        if item["branch"] is None or item["finished_at"] is None
        else counted(item["files_changed"], item["insertions"], item["deletions"])
    )


def fields(left: Left) -> Iterator[tuple[str, str]]:
    """What a run left in its tree, as fields."""
    parts = [of_run(left)]
    if left.commits:
        parts.append(f"{left.commits} {'commit' if left.commits == 1 else 'commits'}")
    if left.dirty:
        parts.append("not all committed")
    yield "Changes", ", ".join(parts)
    if left.why is not None:
        yield "Snapshot", left.why if left.snapshot is None else f"{left.snapshot}; {left.why}"
    elif left.snapshot is not None:
        yield "Snapshot", left.snapshot


def ends(landings: Mapping[str, int], unfit: int) -> list[tuple[str, int]]:
    """What came of landings, each with how often: of those that landed, that had nothing to land, and that met a
    conflict, and of the checks that failed; without what did not happen."""
    named = ((Came.LANDED, "landed"), (Came.NOTHING, "nothing to land"), (Came.CONFLICT, "conflicts"))
    found = [*((what, landings.get(came, 0)) for came, what in named), ("checks failed", unfit)]
    return [(what, count) for what, count in found if count]


def summed(landings: Mapping[str, int], unfit: int) -> str:
    """The same in one line: `landed 3, conflicts 1`; empty if nothing of it happened."""
    return ", ".join(f"{what} {count}" for what, count in ends(landings, unfit))


def landed(landing: Landing) -> str:
    """How a landing ended: `landed on main as 0123456789ab`, or what keeps it."""
    if landing.came == Came.LANDED and landing.commit is not None:
        return f"landed on {landing.into} as {landing.commit[:DIGITS]}"
    if landing.came == Came.NOTHING:
        return f"nothing to land on {landing.into}"
    from agentq_cli.policy.landed import shown

    return shown(landing)
