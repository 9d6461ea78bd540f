"""What the error answers of the model APIs mean, for the agents that hand them on."""

from __future__ import annotations

import json

from agentq_cli.model import FailureClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BY_STATUS = {
    401: FailureClass.AUTH,
    402: FailureClass.BILLING,
    403: FailureClass.AUTH,
    404: FailureClass.CONFIG,
    408: FailureClass.NETWORK,
    413: FailureClass.CONTEXT,
    429: FailureClass.RATE_LIMITED,
}
BY_CODE = {
    "API_KEY_INVALID": FailureClass.AUTH,
    "BILLING_DISABLED": FailureClass.BILLING,
    "context_length_exceeded": FailureClass.CONTEXT,
    "insufficient_quota": FailureClass.BILLING,
    "invalid_api_key": FailureClass.AUTH,
    "model_not_found": FailureClass.CONFIG,
    "overloaded_error": FailureClass.OVERLOADED,
    "rate_limit_exceeded": FailureClass.RATE_LIMITED,
    "server_is_overloaded": FailureClass.OVERLOADED,
    "usage_limit_reached": FailureClass.RATE_LIMITED,
}
"""By the codes that say more than the status: OpenAI answers an empty account with 429, Google a bad key with 400."""


def by_status(status: int) -> FailureClass:
    """The class of an HTTP status of 400 or more."""
    return FailureClass.OVERLOADED if status >= 500 else BY_STATUS.get(status, FailureClass.ERROR)


def by_code(error: dict[str, Any]) -> FailureClass | None:
    """The class that an error's `code`, its `type`, or the `reason` of a detail says; None where none does."""
    details = error.get("details")
    reasons = (each.get("reason") for each in (details if isinstance(details, list) else []) if isinstance(each, dict))
    codes = (error.get("code"), error.get("type"), *reasons)
    return next((BY_CODE[code] for code in codes if isinstance(code, str) and code in BY_CODE), None)


def answer(said: object) -> dict[str, Any] | None:
    """The `error` of an answer in JSON; None for anything else."""
    try:
        document = json.loads(said) if isinstance(said, str) and said.startswith("{") else None
    except (ValueError, RecursionError):
        return None
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else None
