"""The error answers of the model APIs, for the agents that hand them on. Pure."""

from __future__ import annotations

import json

from agentq_cli.agents.reader import LATEST_TIME, count, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FARTHEST = 200
"""Characters that a program may put before the answer that it hands on."""

NAMES = ("code", "type", "status", "reason", "error_code", "codex_error_info", "codexErrorInfo")
"""The keys under which the APIs name an error, and the reasons of its details."""


def answer(said: object, *, anywhere: bool = False) -> dict[str, Any] | None:
    """The `error` of an answer in JSON, which may come `anywhere` behind the program's own words; else None."""
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
    """The names that an error has: its code, type, status, and the reasons of its details."""
    details = error.get("details")
    tables = [error, *(details if isinstance(details, list) else [details])]
    values = (table.get(name) for table in tables if isinstance(table, dict) for name in NAMES)
    return frozenset(value for value in values if isinstance(value, str))


def status(error: dict[str, Any]) -> int | None:
    """The HTTP status of an error that holds its own (Google's do)."""
    code = count(error.get("code"))
    return code if code is not None and 400 <= code < 600 else None


def resets(error: dict[str, Any]) -> tuple[int | None, str | None]:
    """When a limit ends, in milliseconds or in words: `resets_at` of ChatGPT's plans, `retryDelay` of Google's."""
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
    """Milliseconds of a Unix time in seconds or milliseconds; None for anything else."""
    seconds = count(value)
    if not seconds:
        return None
    return min(seconds if seconds >= 100_000_000_000 else seconds * 1000, LATEST_TIME)
