"""What the errors of the agent CLIs and model APIs mean: the table in `meanings.toml`, and how to look up an error in
it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from agentq_cli.agents.event_line import ESCAPE
from agentq_cli.agents.reset_time import names_a_time
from agentq_cli.base.cached import cache
from agentq_cli.base.dataclass import dataclass
from agentq_cli.model.statuses import FailureClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FIRST, LAST = "edge", "api"
"""The sections that apply to every CLI: errors from between the CLI and the API, and errors of the APIs."""

PAGE = re.compile(r"[^<{]{0,300}<(?:!doctype\s+html|html|head)\b", re.IGNORECASE)
"""A web page, whatever the program printed before it."""

LEVEL = re.compile(r"\A\[?(?:fatal|error)\]?:?\s+", re.IGNORECASE)
"""The severity that a program may print before its message on standard error."""

LONGEST = 2000
"""How many characters of a message are examined."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; `meanings.toml` explains the columns."""

    failure: FailureClass
    words: frozenset[str]
    status: re.Pattern[str] | None
    page: bool
    says: re.Pattern[str] | None
    timed: FailureClass
    found: str
    example: str | None

    def fits(self, words: frozenset[str], status: int | None, page: bool, said: str) -> bool:
        """Whether this row matches the error."""
        return (
            (not self.words or not self.words.isdisjoint(words))
            and (self.status is None or (status is not None and self.status.fullmatch(str(status)) is not None))
            and (page or not self.page)
            and (self.says is None or self.says.match(said) is not None)
        )


def meaning(
    section: str,
    said: str = "",
    *,
    words: frozenset[str] = frozenset(),
    status: int | None = None,
    body: str = "",
    timed: bool = False,
) -> FailureClass | None:
    """The failure class of an error, or None if no row matches.

    `section` is the CLI's; `said` is the message that the CLI gives for the error; `words` are the names that the CLI
    or the API gave it in fields of their own; `body` is the API's raw response; `timed` says whether the end of the
    limit is known.
    """
    plain = _plain(said)
    page = PAGE.match(plain) is not None or PAGE.match(body[:LONGEST]) is not None
    found = next((row for row in rows(section) if row.fits(words, status, page, plain)), None)
    return None if found is None else found.timed if timed else found.failure


def told(section: str, lines: Iterable[str]) -> tuple[FailureClass, str] | None:
    """The first of these lines that is a message of the CLI itself, and its class; None if there is no such line.

    For a CLI that reported nothing in its stream. Rows that match on words are not used here, since anybody may write
    those on standard error.
    """
    for line in lines:
        said = LEVEL.sub("", ESCAPE.sub("", line).strip(), count=1)
        plain = _plain(said)
        for row in _table().get(section, ()):
            if row.says is not None and row.fits(frozenset(), None, False, plain):
                return row.timed if names_a_time(said) else row.failure, said
    return None


@cache
def rows(section: str) -> tuple[Row, ...]:
    """The rows to try for an error of this CLI, in order."""
    table = _table()
    return tuple(row for name in (FIRST, section, LAST) for row in table.get(name, ()))


@cache
def _table() -> dict[str, tuple[Row, ...]]:
    # Read only after a failure.
    import tomllib

    with open(os.path.join(os.path.dirname(__file__), "meanings.toml"), "rb") as file:
        return {section: tuple(_rows(rows)) for section, rows in tomllib.load(file).items()}


def _plain(said: str) -> str:
    return said[:LONGEST].replace("\u2019", "'").replace("\xa0", " ").replace("\u202f", " ").strip()


def _rows(table: list[dict[str, Any]]) -> Iterator[Row]:
    for row in table:
        words = row.get("word", [])
        yield Row(
            failure=FailureClass(row["class"]),
            words=frozenset([words] if isinstance(words, str) else words),
            status=re.compile(row["status"]) if "status" in row else None,
            page=row.get("page", False),
            says=re.compile(row["says"]) if "says" in row else None,
            timed=FailureClass(row.get("timed", row["class"])),
            found=row["found"],
            example=row.get("example"),
        )
