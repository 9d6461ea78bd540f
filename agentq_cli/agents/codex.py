"""Codex's `exec --json`, as printed by 0.169.0.

A turn ends with `turn.completed` or `turn.failed`; an `error` event before that is only news about a retry. What failed
stands in a message alone, and the HTTP status in some of them; where the API answered with JSON the message is that.
The usage of a turn is that of the whole conversation.
"""

from __future__ import annotations

import re

from agentq_cli.agents import api_errors
from agentq_cli.agents.reader import LONGEST_ERROR, Reader, Verdict, count, text
from agentq_cli.model import FailureClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STATUS = re.compile(r"(?:unexpected status|exceeded retry limit, last status:) ([0-9]{3})\b")

# It gives no structure for these, only its own sentences.
BY_SENTENCE = (
    (re.compile(r"You've hit your usage limit|rate limit exceeded:"), FailureClass.RATE_LIMITED),
    (re.compile(r"Quota exceeded\.|To use Codex with your ChatGPT plan, upgrade"), FailureClass.BILLING),
    (re.compile(r"Codex ran out of room in the model's context window"), FailureClass.CONTEXT),
    (re.compile(r"We're currently experiencing high demand|Selected model is at capacity"), FailureClass.OVERLOADED),
    (re.compile(r"Policy-restricted capacity is unavailable"), FailureClass.OVERLOADED),
    (re.compile(r"The model `[^`]*` does not exist"), FailureClass.CONFIG),
    (re.compile(r"Missing environment variable:"), FailureClass.AUTH),
    (re.compile(r"Your access token could not be refreshed|Failed to refresh token:"), FailureClass.AUTH),
    (re.compile(r"budget reached"), FailureClass.BUDGET),
    # The answer came, but was cut short by the model: asked again it says the same.
    (re.compile(r"stream disconnected before completion: Incomplete response"), FailureClass.ERROR),
    (re.compile(r"stream disconnected before completion:|Connection failed:"), FailureClass.NETWORK),
)
LOST = re.compile(r"Error: .*\bno rollout found for (?:thread|conversation) id ")
TOO_LONG = re.compile(r'Error: .*"input_error_code":"input_too_large"')
MISUSED = re.compile(r"error: |Error loading config\.toml: |Not inside a trusted directory ")

TOOLS = frozenset({"command_execution", "file_change", "mcp_tool_call"})


class CodexReader(Reader):
    """One run of `codex exec`."""

    def __init__(self) -> None:
        super().__init__()
        self._said: str | None = None
        self._refused: list[str] = []
        self._gave_up_refused = False

    def event(self, event: dict[str, Any]) -> None:
        """Take one event."""
        kind = event.get("type")
        if kind == "thread.started":
            self._saw_conversation(event.get("thread_id"))
        elif kind == "turn.started":
            self._final = None
        elif kind in ("turn.completed", "turn.failed"):
            self._final = event
        elif kind == "item.started":
            self._worked = True
        elif kind == "item.completed":
            self._saw_item(event.get("item"))

    def verdict(self) -> Verdict:
        """What the end of the last turn, and what came before it, says."""
        final = self._final
        if final is None:
            return Verdict(conversation=self.conversation)
        facts: dict[str, Any] = {
            "final": True,
            "conversation": self.conversation,
            "denials": tuple(self._refused),
        }
        if final.get("type") == "turn.failed":
            return _failed(final.get("error"), facts)
        facts["result"] = self._said
        usage = final.get("usage")
        if isinstance(usage, dict):
            facts["tokens_in"] = count(usage.get("input_tokens"))
            facts["tokens_out"] = count(usage.get("output_tokens"))
            facts["tokens_of_conversation"] = True
        if self._gave_up_refused:
            error = f"tool use refused: {', '.join(dict.fromkeys(self._refused))}"
            return Verdict(**facts, failure_class=FailureClass.DENIED, error=text(error, LONGEST_ERROR))
        return Verdict(**facts, ok=True)

    @property
    def full(self) -> bool:
        """Whether it is not the prompt alone that is too long, which is refused before a turn begins."""
        return self._started

    def explain(self, stderr: str) -> Verdict | None:
        """An unknown conversation, a prompt that is too long, or a command line that it refused."""
        lines = stderr.splitlines()
        lost = next((line for line in lines if LOST.match(line)), None)
        if lost is not None and not self._started:
            error = text(lost, LONGEST_ERROR)
            return Verdict(failure_class=FailureClass.ERROR, error=error, conversation_lost=True)
        too_long = next((line for line in lines if TOO_LONG.match(line)), None)
        if too_long is not None:
            return Verdict(failure_class=FailureClass.CONTEXT, error=text(too_long, LONGEST_ERROR))
        misused = None if self._started else next((line for line in lines if MISUSED.match(line)), None)
        if misused is not None:
            return Verdict(failure_class=FailureClass.CONFIG, error=text(misused, LONGEST_ERROR))
        return None

    def _saw_item(self, item: object) -> None:
        if not isinstance(item, dict):
            return
        kind = item.get("type")
        self._worked = self._worked or kind != "error"
        if kind == "agent_message":
            self._said = text(item.get("text"))
        elif isinstance(kind, str) and kind in TOOLS:
            self._gave_up_refused = item.get("status") == "declined"
            if self._gave_up_refused and len(self._refused) < MOST_DENIALS:
                self._refused.append(kind)


MOST_DENIALS = 1000
"""Refusals of one run that are kept."""


def _failed(error: object, facts: dict[str, Any]) -> Verdict:
    message = error.get("message") if isinstance(error, dict) else None
    message = message if isinstance(message, str) and message else "the turn failed without a reason"
    answer = api_errors.answer(message)
    said = message if answer is None else text(answer.get("message")) or message
    failure = (None if answer is None else api_errors.by_code(answer)) or _by_sentence(said)
    error_said = text(said, LONGEST_ERROR)
    return Verdict(**facts, failure_class=failure, error=error_said, reset_said=error_said)


def _by_sentence(said: str) -> FailureClass:
    plain = said.replace("\u2019", "'")
    status = STATUS.match(plain)
    if status is not None:
        return api_errors.by_status(int(status[1]))
    return next((failure for sentence, failure in BY_SENTENCE if sentence.match(plain)), FailureClass.ERROR)
