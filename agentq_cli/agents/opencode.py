"""Reader for opencode's `run --format json`, as printed by 1.18.33.

A run has no final event. Either its last step ends with a `reason` other than a tool call, or there is an `error` with
the API's status and response. A tool that needs permission, which nobody is there to give, ends the run midway.
"""

from __future__ import annotations

import math
import re

from agentq_cli.agents import api_errors
from agentq_cli.agents.meanings import meaning
from agentq_cli.agents.reader import (
    LATEST_TIME,
    LONGEST_ERROR,
    Reader,
    Said,
    Verdict,
    count,
    dollars,
    text,
)
from agentq_cli.agents.reset_time import names_a_time
from agentq_cli.model.statuses import FailureClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.agents.transcript_entries import Told

BY_REASON = {"length": FailureClass.CONTEXT, "content-filter": FailureClass.ERROR, "error": FailureClass.ERROR}
GOES_ON = frozenset({"tool-calls", "unknown"})
"""Reasons after which opencode calls the model again."""

# These messages have no structure.
REFUSED = re.compile(r"The user (?:rejected permission to use|has specified a rule which prevents)")
UNAVAILABLE = "invalid"
"""The tool name that opencode reports for a tool that does not exist, such as one that is denied altogether."""
LOST = re.compile(r"Error: Session not found")
MISUSED = re.compile(r"Error: Configuration is invalid |opencode run \[message")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

MOST_DENIALS = 1000
"""How many refusals of one run are kept."""


class OpencodeReader(Reader):
    """One run of `opencode run`."""

    def __init__(self) -> None:
        super().__init__()
        self._closed = False
        self._answer_too_long = False
        self._reason: str | None = None
        self._failure: Verdict | None = None
        self._said = Said()
        self._steps = 0
        self._tokens = [0, 0]
        self._cost: float | None = None
        self._refused: list[str] = []
        self._gave_up_refused = False

    def event(self, event: dict[str, Any]) -> None:
        """Process one event."""
        kind = event.get("type")
        self._saw_conversation(event.get("sessionID"))
        if kind == "error":
            self._failure = _failed(event)
            error = event.get("error")
            self._answer_too_long = isinstance(error, dict) and error.get("name") == "MessageOutputLengthError"
            return
        part = event.get("part")
        if not isinstance(part, dict):
            return
        if kind == "step_start":
            self._reason, self._failure = None, None
            self._said.begin_anew()
        elif kind == "text":
            self._worked = True
            self._said.add(part.get("text"))
        elif kind == "tool_use":
            self._saw_tool(part)
        elif kind == "step_finish":
            self._saw_step(part)

    def tell(self, event: dict[str, Any], told: Told) -> bool:
        """Tell what an event says. The last step, or an error, is the end."""
        kind = event.get("type")
        part = event.get("part")
        part = part if isinstance(part, dict) else {}
        if kind == "text":
            told.text(part.get("text"))
        elif kind == "reasoning":
            told.thought(part.get("text"))
        elif kind == "tool_use":
            _tell_tool(part, told)
        elif kind == "error" or (kind == "step_finish" and self.finished):
            told.end(self.verdict())
        return kind in ("error", "reasoning", "step_finish", "step_start", "text", "tool_use")

    def close(self) -> None:
        """Take the end of the output, as every reader does. Only now is it known that a refusal in the last step ended
        the run."""
        super().close()
        self._closed = True

    @property
    def finished(self) -> bool:
        """Whether the last step ended the run. After a step with a refused tool, nobody knows that while the run
        goes on."""
        if self._failure is not None:
            return True
        gave_up = self._gave_up_refused and self._closed
        return self._reason is not None and (self._reason not in GOES_ON or gave_up)

    @property
    def conversation_is_full(self) -> bool:
        """Whether a `context` failure means a full conversation, not one answer that grew too long."""
        return self._failure is not None and not self._answer_too_long

    def verdict(self) -> Verdict:
        """The verdict from the last step and the events before it."""
        facts: dict[str, Any] = {"conversation": self.conversation, "denials": tuple(self._refused)}
        if self._steps:
            facts |= {"tokens_in": count(self._tokens[0]), "tokens_out": count(self._tokens[1])}
            facts |= {"cost_usd": self._cost, "turns": self._steps}
        if self._failure is not None:
            failed = self._failure
            return Verdict(
                **facts,
                final=True,
                failure_class=failed.failure_class,
                error=failed.error,
                reset_at=failed.reset_at,
                reset_said=failed.reset_said,
            )
        if not self.finished:
            return Verdict(**facts)
        facts |= {"final": True, "result": self._said.text()}
        if self._gave_up_refused:
            error = f"tool use refused: {', '.join(dict.fromkeys(self._refused))}"
            return Verdict(**facts, failure_class=FailureClass.DENIED, error=text(error, LONGEST_ERROR))
        if self._reason in BY_REASON:
            error = f"the model's answer ended early ({self._reason})"
            return Verdict(**facts, failure_class=BY_REASON[self._reason], error=error)
        return Verdict(**facts, ok=True)

    def explain(self, stderr: str) -> Verdict | None:
        """Recognize an unknown conversation, or a rejected command line or configuration."""
        if self._started:
            return None
        lines = COLOUR.sub("", stderr).splitlines()
        lost = next((line for line in lines if LOST.match(line)), None)
        if lost is not None:
            error = text(lost, LONGEST_ERROR)
            return Verdict(failure_class=FailureClass.ERROR, error=error, conversation_lost=True)
        told = self._told("opencode", lines)
        if told is not None:
            return told
        misused = next((line for line in lines if MISUSED.match(line)), None)
        if misused is None:
            return None
        # For a bad argument opencode prints nothing but its usage.
        said = misused if misused.startswith("Error: ") else "opencode rejected its command line"
        return Verdict(failure_class=FailureClass.CONFIG, error=text(said, LONGEST_ERROR))

    def _saw_tool(self, part: dict[str, Any]) -> None:
        self._worked = True
        state = part.get("state")
        state = state if isinstance(state, dict) else {}
        tool = part.get("tool")
        self._gave_up_refused = _was_refused(tool, state.get("error"))
        if tool == UNAVAILABLE:
            asked = state.get("input")
            tool = asked.get("tool") if isinstance(asked, dict) else None
        if self._gave_up_refused and len(self._refused) < MOST_DENIALS:
            self._refused.append(text(tool, 100) or "a tool")

    def _saw_step(self, part: dict[str, Any]) -> None:
        self._reason = str(part.get("reason"))
        self._worked = True
        self._steps += 1
        tokens = part.get("tokens")
        tokens = tokens if isinstance(tokens, dict) else {}
        cache = tokens.get("cache")
        cache = cache if isinstance(cache, dict) else {}
        self._tokens[0] += sum(
            count(each) or 0 for each in (tokens.get("input"), cache.get("read"), cache.get("write"))
        )
        self._tokens[1] += sum(count(tokens.get(key)) or 0 for key in ("output", "reasoning"))
        cost = dollars(part.get("cost"))
        if cost is not None:
            # Rounded, as sums of binary fractions are inexact; no step costs less than a billionth of a dollar.
            self._cost = dollars(round((self._cost or 0.0) + cost, 9))


def _was_refused(tool: object, error: object) -> bool:
    return tool == UNAVAILABLE or (isinstance(error, str) and REFUSED.match(error) is not None)


def _tell_tool(part: dict[str, Any], told: Told) -> None:
    """Tell of a tool: the call comes with its result."""
    state, tool, identifier = part.get("state"), part.get("tool"), part.get("callID")
    state = state if isinstance(state, dict) else {}
    told.call(identifier, tool, state.get("input"))
    said, metadata = state.get("error") or state.get("output"), state.get("metadata")
    code = count(metadata.get("exit")) if isinstance(metadata, dict) else None
    if code:
        said = f"exit code {code}\n{said}" if said else f"exit code {code}"
    ok = state.get("status") == "completed" and not code
    told.result(identifier, said, ok=ok, refused=_was_refused(tool, state.get("error")))


def _failed(event: dict[str, Any]) -> Verdict:
    error = event.get("error")
    error = error if isinstance(error, dict) else {}
    data = error.get("data")
    data = data if isinstance(data, dict) else {}
    said = text(data.get("message"), LONGEST_ERROR) or text(error.get("name"), LONGEST_ERROR)
    body = data.get("responseBody")
    answer = api_errors.answer(body) or {}
    reset_at, reset_said = api_errors.resets(answer)
    reset_at = _reset_at(event.get("timestamp"), data.get("responseHeaders")) or reset_at
    reset_said = reset_said or said or ""
    status = count(data.get("statusCode"))
    words = api_errors.words(answer) | {str(error.get("name"))[:100]}
    if status is None and data.get("isRetryable") is True:
        words |= {"isRetryable"}
    failure = meaning(
        "opencode",
        said or "",
        words=words,
        status=status,
        body=body if isinstance(body, str) else "",
        timed=reset_at is not None or names_a_time(reset_said),
    )
    limited = failure is FailureClass.RATE_LIMITED
    return Verdict(
        failure_class=failure or FailureClass.ERROR,
        error=said or "opencode failed without giving a reason",
        reset_at=reset_at if limited else None,
        reset_said=reset_said if limited else None,
    )


def _reset_at(at: object, headers: object) -> int | None:
    """When the limit ends, according to the headers of the API response that arrived `at` this time."""
    came = count(at)
    if came is None or not isinstance(headers, dict):
        return None
    for name, unit in (("retry-after-ms", 1), ("retry-after", 1000)):
        said = headers.get(name)
        try:
            wait = float(said or "nan") * unit
        except (TypeError, ValueError):
            wait = _seconds_until(said, came) * 1000
        if math.isfinite(wait) and wait > 0:
            return min(came + round(wait), LATEST_TIME)
    return None


def _seconds_until(date: object, came: int) -> float:
    """Seconds until an HTTP date (RFC 9110, 10.2.3); NaN for anything else."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(str(date)).timestamp() - came / 1000
    except (ValueError, OverflowError, TypeError):
        return math.nan
