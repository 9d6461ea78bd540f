"""Reader for Codex's `exec --json`, as printed by 0.169.0.

A turn ends with `turn.completed` or `turn.failed`. An `error` event before that only reports a retry, unless it is the
last event. The only description of a failure is its message, which sometimes contains the HTTP status; if the API
answered with JSON, the message is that JSON. `meanings.toml` says what the messages mean. The token usage of a turn is
that of the whole conversation.
"""

from __future__ import annotations

import re

from agentq_cli.agents import api_errors
from agentq_cli.agents.meanings import meaning
from agentq_cli.agents.reader import LONGEST_ERROR, Reader, Verdict, count, text
from agentq_cli.agents.reset_time import names_a_time
from agentq_cli.model.statuses import FailureClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.agents.transcript_entries import Told

STATUS = re.compile(
    r"(?:unexpected status|exceeded retry limit, last status:) ([0-9]{3})\b|.{0,120}\(status ([0-9]{3})\b"
)

LOST = re.compile(r"Error: .*\bno rollout found for (?:thread|conversation) id ")
TOO_LONG = re.compile(r'Error: .*"input_error_code":"input_too_large"')
MISUSED = re.compile(r"error: |Error loading config\.toml: |Not inside a trusted directory ")

SHELL = re.compile(r"\S*sh -l?c (['\"])(.*)\1", re.DOTALL)
"""How a command is wrapped in a shell."""

TOOLS = frozenset({"command_execution", "file_change", "mcp_tool_call"})


class CodexReader(Reader):
    """One run of `codex exec`."""

    def __init__(self) -> None:
        super().__init__()
        self._said: str | None = None
        self._news: dict[str, Any] | None = None
        self._refused: list[str] = []
        self._gave_up_refused = False

    def event(self, event: dict[str, Any]) -> None:
        """Process one event."""
        kind = event.get("type")
        self._news = event if kind == "error" else None
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

    def tell(self, event: dict[str, Any], told: Told) -> bool:
        """Tell what an event says. The last error before a failed turn is its reason."""
        kind = event.get("type")
        item = event.get("item")
        if kind == "error":
            told.notice(event.get("message"), repeats=True)
        elif kind in ("turn.completed", "turn.failed"):
            told.end(self.verdict())
        elif isinstance(item, dict) and kind in ("item.started", "item.updated", "item.completed"):
            return _tell_item(item, told, kind == "item.completed")
        return kind in ("error", "thread.started", "turn.started", "turn.completed", "turn.failed")

    def verdict(self) -> Verdict:
        """The verdict from the end of the last turn and the events before it."""
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
    def conversation_is_full(self) -> bool:
        """Whether a `context` failure means a full conversation, not a prompt that is too long by itself: such a prompt
        is rejected before a turn begins."""
        return self._started

    def explain(self, stderr: str) -> Verdict | None:
        """Recognize an unknown conversation, a prompt that is too long, or a rejected command line."""
        lines = stderr.splitlines()
        lost = next((line for line in lines if LOST.match(line)), None)
        if lost is not None and not self._started:
            error = text(lost, LONGEST_ERROR)
            return Verdict(failure_class=FailureClass.ERROR, error=error, conversation_lost=True)
        too_long = next((line for line in lines if TOO_LONG.match(line)), None)
        if too_long is not None:
            return Verdict(failure_class=FailureClass.CONTEXT, error=text(too_long, LONGEST_ERROR))
        told = self._told("codex", lines)
        if told is not None:
            return told
        misused = None if self._started else next((line for line in lines if MISUSED.match(line)), None)
        if misused is not None:
            return Verdict(failure_class=FailureClass.CONFIG, error=text(misused, LONGEST_ERROR))
        # The last event was an error of a known kind, and the turn did not end in any other way.
        failed = None if self._news is None else _failed(self._news, {})
        return None if failed is None or failed.failure_class is FailureClass.ERROR else failed

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
"""How many refusals of one run are kept."""


def _failed(error: object, facts: dict[str, Any]) -> Verdict:
    error = error if isinstance(error, dict) else {}
    message = error.get("message")
    message = message if isinstance(message, str) and message else "the turn failed without giving a reason"
    answer = api_errors.answer(message)
    said = message if answer is None else text(answer.get("message")) or message
    inner = answer or api_errors.answer(message, anywhere=True) or {}
    reset_at, reset_said = api_errors.resets(inner)
    failure = meaning(
        "codex",
        said,
        words=api_errors.words(error) | api_errors.words(inner),
        status=_status(said),
        timed=reset_at is not None or reset_said is not None or names_a_time(said),
    )
    return Verdict(
        **facts,
        failure_class=failure or FailureClass.ERROR,
        error=text(said, LONGEST_ERROR),
        reset_at=reset_at,
        reset_said=reset_said or text(said, LONGEST_ERROR),
    )


def _status(said: str) -> int | None:
    status = STATUS.match(said)
    return None if status is None else int(status[1] or status[2])


def _tell_item(item: dict[str, Any], told: Told, completed: bool) -> bool:
    """Tell of a thing that began, goes on or was `completed`; returns whether its kind is known."""
    kind = item.get("type")
    if kind in ("agent_message", "plan") and completed:
        told.text(item.get("text"))
    elif kind == "reasoning" and completed:
        told.thought(item.get("text"))
    elif kind == "error":
        told.notice(item.get("message"))
    elif kind == "todo_list":
        items = item.get("items")
        if completed and isinstance(items, list):
            done = sum(isinstance(each, dict) and each.get("completed") is True for each in items)
            told.notice(f"to do: {done} of {len(items)} done")
    elif kind in ("command_execution", "file_change", "mcp_tool_call", "web_search", "collab_tool_call"):
        _tell_tool(item, told, completed)
    else:
        return kind in ("agent_message", "plan", "reasoning")
    return True


def _tell_tool(item: dict[str, Any], told: Told, completed: bool) -> None:
    name, given, said = _used(item)
    identifier = item.get("id")
    if not told.called(identifier):
        told.call(identifier, name, given)
    if not completed:
        return
    code, status, error = count(item.get("exit_code")), item.get("status"), item.get("error")
    if isinstance(error, dict):
        said = error.get("message")
    if code:
        said = f"exit code {code}\n{said}" if said else f"exit code {code}"
    ok = not code and status not in ("failed", "declined")
    told.result(identifier, said, ok=ok, refused=status == "declined")


def _used(item: dict[str, Any]) -> tuple[object, object, object]:
    """The name of a tool, its arguments, and what it answered."""
    kind = item.get("type")
    if kind == "command_execution":
        command = item.get("command")
        wrapped = SHELL.fullmatch(command) if isinstance(command, str) else None
        return "shell", wrapped[2] if wrapped else command, item.get("aggregated_output")
    if kind == "file_change":
        changes = item.get("changes")
        changed = [each for each in changes if isinstance(each, dict)] if isinstance(changes, list) else []
        return "edit", ", ".join(f"{each.get('kind')} {each.get('path')}" for each in changed), None
    if kind == "mcp_tool_call":
        result = item.get("result")
        content = result.get("content") if isinstance(result, dict) else None
        said = [each.get("text") for each in content if isinstance(each, dict)] if isinstance(content, list) else []
        answer = "\n".join(each for each in said if isinstance(each, str))
        return f"{item.get('server')}.{item.get('tool')}", item.get("arguments"), answer
    return item.get("tool") or kind, item.get("query") or item.get("prompt"), None
