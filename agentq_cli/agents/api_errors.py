"""Error responses of the model APIs, for the agent CLIs that pass them on verbatim. Pure."""

from __future__ import annotations

import json

from agentq_cli.agents.reader import LATEST_TIME, count, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FARTHEST = 200
"""How many characters of a program's own words may precede the API response."""

NAMES = ("code", "type", "status", "reason", "error_code", "codex_error_info", "codexErrorInfo")
"""Keys under which the APIs name an error or the reasons in its details."""


def answer(said: object, *, anywhere: bool = False) -> dict[str, Any] | None:
    """The `error` object of a JSON response, or None. With `anywhere`, the JSON may follow the program's own words."""
    if not isinstance(said, str):
        return None
    begin = said.find("{", 0, FARTHEST) if anywhere else 0
    if begin < 0 or not said.startswith(("{", "[{") if not anywhere else "{", begin):
        return None
    try:
        document, _ = json.JSONDecoder().raw_decode(said, begin)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, list):
        document = document[0] if document else None
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, str):
        return {**document, "message": document.get("message", error)}
    return error if isinstance(error, dict) else None


def words(error: dict[str, Any]) -> frozenset[str]:
    """The names that identify an error: its code, type and status, and the reasons in its details."""
    details = error.get("details")
    tables = [error, *(details if isinstance(details, list) else [details])]
    values = (table.get(name) for table in tables if isinstance(table, dict) for name in NAMES)
    return frozenset(value for value in values if isinstance(value, str))


def status(error: dict[str, Any]) -> int | None:
    """The HTTP status, if the error itself contains it (as Google's do)."""
    code = count(error.get("code"))
    return code if code is not None and 400 <= code < 600 else None


def resets(error: dict[str, Any]) -> tuple[int | None, str | None]:
    """When a limit ends, as milliseconds or as text: `resets_at` of ChatGPT plans, `retryDelay` of Google."""
    at = moment(error.get("resets_at"))
    if at is not None:
        return at, None
    seconds = count(error.get("resets_in_seconds"))
    if seconds is not None:
        return None, f"resets in {seconds}s"
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        delay = text(detail.get("retryDelay"), 40) if isinstance(detail, dict) else None
        if delay is not None:
            return None, f"retry in {delay}"
    return None, None


def moment(value: object) -> int | None:
    """A Unix time, given in seconds or milliseconds, as milliseconds; None for anything else."""
    seconds = count(value)
    if not seconds:
        return None
    return min(seconds if seconds >= 100_000_000_000 else seconds * 1000, LATEST_TIME)
