"""Reader for Claude Code's `--output-format stream-json`, as printed by 2.1.197.

Claude Code reports `subtype: "success"` for every turn that ended in order, even if it ended in an API error. So
`is_error` decides first, then the surrounding structure. The kind of an error is in the last message that the program
generated itself (`error`; newer versions also have `api_error`). The HTTP status is in the final event, or in the last
`api_retry` if the retries ran out. `meanings.toml` says what these mean.
"""

from __future__ import annotations

import re

from agentq_cli.agents import api_errors
from agentq_cli.agents.meanings import meaning
from agentq_cli.agents.reader import LONGEST_ERROR, Reader, Verdict, count, dollars, storable, text
from agentq_cli.agents.reset_time import names_a_time
from agentq_cli.model.statuses import FailureClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.agents.transcript_entries import Told

# These errors have no structure: the program prints them before it has a conversation to report on.
LOST = re.compile(
    r"(?:No conversation found with session ID: |Error: Session ID \S+ is already in use\."
    r"|Error: --resume requires a valid session ID)"
)
MISUSED = re.compile(r"(?:[Ee]rror: (?!E[A-Z]+\b)|--dangerously-skip-permissions cannot )")
UNKNOWN_COMMAND = "Unknown command: /"

TOLD = ("assistant", "rate_limit_event", "result", "stream_event", "tool_progress", "user")
"""The kinds of events that are told or have nothing to tell; those of `system` have kinds of their own."""

UNTOLD = (
    *("files_persisted", "hook_progress", "hook_response", "hook_started", "session_state_changed", "status"),
    *("task_progress", "task_updated", "thinking_tokens"),
)
"""The news of the program that nobody has to read."""


class ClaudeReader(Reader):
    """One run of `claude -p`."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, Any] | None = None
        self._kind: str | None = None
        self._api_error: str | None = None
        self._retry: tuple[int | None, str | None] | None = None
        self._reset_at: int | None = None
        self._last_tool: str | None = None
        self._subscribed = False

    def event(self, event: dict[str, Any]) -> None:
        """Process one event."""
        kind = event.get("type")
        if kind == "result":
            self._final = self._last = event
            self._worked = self._worked or _reports_work(event)
            if "api_error" in event:
                self._saw_api_error(event)
            if event.get("num_turns"):
                self._saw_conversation(event.get("session_id"))
            return
        self._saw_conversation(event.get("session_id"))
        if kind == "stream_event" or kind == "assistant":
            if event.get("parent_tool_use_id") is None:
                self._final = None  # A background job has finished, and the agent goes on with its result.
                self._worked = self._worked or not _made_by_program(event)
                if kind == "assistant":
                    self._saw_error(event)
        elif kind == "user":
            self._saw_tool_results(event.get("message"))
        elif kind == "rate_limit_event":
            self._subscribed = True  # Only plans have these limits.
            self._saw_limit(event.get("rate_limit_info"))
        elif kind == "system" and event.get("subtype") == "api_retry":
            error = event.get("error")
            self._retry = (count(event.get("error_status")), error if isinstance(error, str) else None)
        elif kind == "system" and event.get("subtype") == "init":
            self._final = None
            self._subscribed = event.get("apiKeySource") == "none"

    def tell(self, event: dict[str, Any], told: Told) -> bool:
        """Tell what an event says. The final event repeats the last text; the one before a failure is the program's
        own."""
        kind = event.get("type")
        inner = event.get("parent_tool_use_id") is not None
        if kind == "stream_event":
            if not inner:
                _tell_piece(event.get("event"), told)
            return True
        if kind in ("assistant", "user"):
            for block in _blocks(event.get("message")):
                _tell_block(block, event, told, inner)
        elif kind == "system":
            return _tell_news(event, told)
        elif kind == "rate_limit_event":
            _tell_limit(event.get("rate_limit_info"), told)
        elif kind == "result":
            denials = event.get("permission_denials")
            for denial in denials if isinstance(denials, list) else []:
                if isinstance(denial, dict):
                    told.refusal(denial.get("tool_name"), denial.get("tool_input"))
            verdict = self.verdict()
            said = event.get("result") if event.get("structured_output") is None else verdict.result
            told.end(verdict, None if event.get("is_error") else said)
        return kind in TOLD

    def verdict(self) -> Verdict:
        """The verdict from the final event and the events before it."""
        last, final = self._last, self._final
        if last is None:
            return Verdict(conversation=self.conversation)
        tokens_in, tokens_out = _tokens(last)
        facts: dict[str, Any] = {
            "final": final is not None,
            "conversation": self.conversation,
            "tokens_in": tokens_in,
            "tokens_out": tokens_out,
            "cost_usd": dollars(last.get("total_cost_usd")),
            "list_price": self._subscribed,
            "turns": count(last.get("num_turns")),
            "denials": tuple(_denied(last).values()),
        }
        if final is None:
            return Verdict(**facts)
        said = text(final.get("result"))
        if final.get("is_error") or final.get("subtype") != "success":
            return self._failed(final, facts)
        if said is not None and said.startswith(UNKNOWN_COMMAND) and not final.get("num_turns"):
            # The prompt begins with a slash but is not a known command, so no model was called.
            return Verdict(**facts, failure_class=FailureClass.CONFIG, error=text(said, LONGEST_ERROR))
        facts["result"] = said if final.get("structured_output") is None else storable(final["structured_output"])
        if self._gave_up_refused(final):
            error = f"tool use refused: {', '.join(dict.fromkeys(facts['denials']))}"
            return Verdict(**facts, failure_class=FailureClass.DENIED, error=text(error, LONGEST_ERROR))
        return Verdict(**facts, ok=True)

    @property
    def conversation_is_full(self) -> bool:
        """Whether a `context` failure means a full conversation, not a limit on the run's turns or on the length of an
        answer."""
        final = self._final or {}
        limited = final.get("subtype") == "error_max_turns" or final.get("terminal_reason") == "max_turns"
        return not limited and self._kind != "max_output_tokens"

    def explain(self, stderr: str) -> Verdict | None:
        """Recognize an unknown conversation or a rejected command line."""
        lines = stderr.splitlines()
        lost = next((line for line in lines if LOST.match(line)), None)
        if lost is not None:
            error = text(lost, LONGEST_ERROR)
            return Verdict(failure_class=FailureClass.ERROR, error=error, conversation_lost=True)
        told = self._told("claude", lines)
        if told is not None:
            return told
        misused = None if self._started else next((line for line in lines if MISUSED.match(line)), None)
        if misused is not None:
            return Verdict(failure_class=FailureClass.CONFIG, error=text(misused, LONGEST_ERROR))
        return None

    def _failed(self, final: dict[str, Any], facts: dict[str, Any]) -> Verdict:
        errors = final.get("errors")
        said = [line for line in errors if isinstance(line, str)] if isinstance(errors, list) else []
        error = "; ".join(said) or text(final.get("result")) or str(final.get("subtype"))
        lost = any(LOST.match(line) for line in said)
        failure = FailureClass.ERROR if lost else self._failure_class(final, error)
        limited = failure is FailureClass.RATE_LIMITED
        return Verdict(
            **facts,
            failure_class=failure,
            error=text(error, LONGEST_ERROR),
            conversation_lost=lost,
            reset_at=self._reset_at if limited else None,
            reset_said=text(error, LONGEST_ERROR) if limited else None,
        )

    def _failure_class(self, final: dict[str, Any], said: str) -> FailureClass:
        status, kind = count(final.get("api_error_status")), self._kind
        if status is None and kind == "server_error":
            # The retries ran out. The error that they met tells whether a server answered at all.
            status, kind = self._retry or (None, None)
            kind = kind if status is not None or kind == "overloaded" else "no answer"
        words = (kind, self._api_error, final.get("subtype"), f"ended {str(final.get('terminal_reason'))[:100]}")
        answer = api_errors.answer(said, anywhere=True) or {}
        known = meaning(
            "claude",
            text(answer.get("message")) or said,
            words=frozenset(word for word in words if isinstance(word, str)) | api_errors.words(answer),
            status=status,
            timed=self._reset_at is not None or names_a_time(said),
        )
        return known or FailureClass.ERROR

    def _gave_up_refused(self, final: dict[str, Any]) -> bool:
        """Whether the last tool call was refused, so that the agent found no other way."""
        denied = _denied(final)
        return bool(denied) and (self._last_tool is None or self._last_tool in denied)

    def _saw_tool_results(self, message: object) -> None:
        for block in _blocks(message):
            if block.get("type") == "tool_result":
                identifier = block.get("tool_use_id")
                self._last_tool = identifier if isinstance(identifier, str) else None

    def _saw_error(self, event: dict[str, Any]) -> None:
        error = event.get("error")
        self._kind = error if isinstance(error, str) else None
        self._saw_api_error(event)

    def _saw_api_error(self, event: dict[str, Any]) -> None:
        self._api_error = text(event.get("api_error"), 100)
        parameters = event.get("api_error_params")
        if isinstance(parameters, dict) and "rate_limit_info" in parameters:
            self._saw_limit(parameters["rate_limit_info"])

    def _saw_limit(self, info: object) -> None:
        if not isinstance(info, dict):
            return
        ends = (api_errors.moment(info.get(key)) for key in ("resetsAt", "overageResetsAt"))
        known = [end for end in ends if end is not None] if info.get("status") == "rejected" else []
        # Either limit is enough: the plan's own, or the one on paid overage.
        self._reset_at = min(known, default=None)


def _made_by_program(event: dict[str, Any]) -> bool:
    """Whether the program generated this message itself, to report an error, without a model."""
    message = event.get("message")
    model = message.get("model") if isinstance(message, dict) else None
    return model == "<synthetic>" or isinstance(event.get("error"), str)


def _reports_work(final: dict[str, Any]) -> bool:
    """Whether a final event shows that work was done. The program's own report of a failure also counts as one turn."""
    return bool(dollars(final.get("total_cost_usd")) or (count(final.get("num_turns")) or 0) > 1 or _tokens(final)[1])


def _tokens(final: dict[str, Any]) -> tuple[int | None, int | None]:
    """Input and output tokens over all models. `usage` alone leaves out the cost of interrupted streams."""
    models = final.get("modelUsage")
    tables = [table for table in models.values() if isinstance(table, dict)] if isinstance(models, dict) else []
    if tables:
        return (
            sum(count(table.get(key)) or 0 for table in tables for key in MODEL_INPUT),
            sum(count(table.get("outputTokens")) or 0 for table in tables),
        )
    usage = final.get("usage")
    if not isinstance(usage, dict):
        return None, None
    return sum(count(usage.get(key)) or 0 for key in USAGE_INPUT), count(usage.get("output_tokens"))


MODEL_INPUT = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
USAGE_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def _denied(final: dict[str, Any]) -> dict[str, str]:
    """The names of the refused tools, by the id of the tool use."""
    denials = final.get("permission_denials")
    return {
        str(denial.get("tool_use_id")): text(denial.get("tool_name"), 100) or "a tool"
        for denial in (denials if isinstance(denials, list) else [])
        if isinstance(denial, dict)
    }


def _blocks(message: object) -> list[dict[str, Any]]:
    """The parts of a message."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _tell_block(block: dict[str, Any], event: dict[str, Any], told: Told, inner: bool) -> None:
    kind = block.get("type")
    if kind == "text" and event.get("type") == "user":
        if not inner:
            told.notice(block.get("text"))  # the prompt of a subagent is told as the argument of its call
    elif kind == "text" and _made_by_program(event):
        told.notice(block.get("text"), repeats=not inner)
    elif kind == "text":
        told.text(block.get("text"), inner=inner)
    elif kind in ("thinking", "redacted_thinking"):
        told.thought(block.get("thinking"), inner=inner)
    elif kind == "tool_result":
        said = "\n".join(each["text"] for each in _blocks(block) if isinstance(each.get("text"), str))
        told.result(block.get("tool_use_id"), said, ok=block.get("is_error") is not True, inner=inner)
    elif isinstance(kind, str) and kind.endswith("tool_use"):
        told.call(block.get("id"), block.get("name"), block.get("input"), inner=inner)
    elif isinstance(kind, str) and kind.endswith("tool_result"):
        told.result(block.get("tool_use_id"), None, ok=True, inner=inner)
    else:
        told.unknown(block)


def _tell_piece(event: object, told: Told) -> None:
    """Tell a piece of a message that comes whole later."""
    if not isinstance(event, dict):
        return
    kind = event.get("type")
    if kind == "content_block_start":
        told.begin()
    elif kind == "content_block_delta":
        delta = event.get("delta")
        if isinstance(delta, dict) and delta.get("type") == "text_delta":
            told.piece(delta.get("text"))


def _tell_news(event: dict[str, Any], told: Told) -> bool:
    """Tell what the program reports of itself; returns whether that is known."""
    kind = event.get("subtype")
    if kind == "init":
        told.notice(f"{event.get('model')}, permissions: {event.get('permissionMode')}")
    elif kind == "api_retry":
        delay = count(round(dollars(event.get("retry_delay_ms")) or 0)) or 0
        status = "no answer" if event.get("error_status") is None else event["error_status"]
        attempt = f"{event.get('attempt')} of {event.get('max_retries')}"
        told.notice(f"retry {attempt} in {delay / 1000:.1f} s: {status}, {event.get('error')}")
    elif kind == "compact_boundary":
        told.notice("the conversation was compacted")
    elif kind == "model_fallback":
        told.notice(event.get("content"))
    elif kind == "permission_denied":
        told.notice(f"refused: {event.get('tool_name')}")
    elif kind == "task_started" or kind == "task_notification":
        if not told.called(event.get("tool_use_id")):
            status = "started" if kind == "task_started" else event.get("status")
            told.notice(f"background task {status}: {event.get('description') or event.get('summary')}")
    else:
        return kind in UNTOLD
    return True


def _tell_limit(info: object, told: Told) -> None:
    if not isinstance(info, dict) or info.get("status") == "allowed":
        return
    used = dollars(info.get("utilization"))
    status = str(info.get("status")).replace("_", " ") + ("" if used is None else f", {used:.0%} used")
    limit = str(info.get("rateLimitType")).replace("_", "-")
    told.notice(f"{limit} limit: {status}", until=api_errors.moment(info.get("resetsAt")))
