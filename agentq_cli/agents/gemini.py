"""Reader for Gemini CLI's `-o stream-json`, as printed by 0.61.0.

The final event is `result`, with a `status`. Its message describes the failure: either the API's response as JSON, or
only the text of it; in that case the exit code is the HTTP status minus 256. If the final event is missing, the exit
code is one of the program's own. `meanings.toml` says what all of these mean.
"""

from __future__ import annotations

import re

from agentq_cli.agents import api_errors
from agentq_cli.agents.meanings import meaning
from agentq_cli.agents.reader import LONGEST_ERROR, Reader, Said, Verdict, count, text
from agentq_cli.agents.reset_time import names_a_time
from agentq_cli.model.statuses import FailureClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.agents.transcript_entries import Told

HTTP_EXIT_CODES = range(400 - 256, 256)

# These messages have no structure.
STATUS = re.compile(r"(?:\[API Error: )?(?:got status: |Request failed with status code |)([45][0-9]{2})\b")
API_ERROR = re.compile(r"\[API Error: (.*?)\](?:\n|\Z)", re.DOTALL)
LOST = re.compile(r"Error (?:resuming|starting) session: ")
MISUSED = re.compile(r"Unknown arguments?: |Invalid values:|Not enough arguments following: ")
UNATTENDED = re.compile(r"Tool execution for .* requires user confirmation, which is not supported")
NOISE = re.compile(r"\s|\}|Warning: |Ripgrep is |YOLO mode |Approval mode |\[STARTUP\]|Loaded cached ")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

REFUSALS = frozenset({"policy_violation", "tool_not_registered"})
"""Tool errors that mean that the tool was not allowed: some tools are not even registered without permission."""

MOST_TOOLS = 1000
"""How many pending tool calls are remembered by name, and how many refusals of one run are kept."""


class GeminiReader(Reader):
    """One run of `gemini` without a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._exit_code: int | None = None
        self._said = Said()
        self._tools: dict[str, str] = {}
        self._refused: list[str] = []
        self._gave_up_refused = False

    def event(self, event: dict[str, Any]) -> None:
        """Process one event."""
        kind = event.get("type")
        if kind == "init" or isinstance(event.get("content" if kind == "message" else "tool_name"), str):
            self._final = None  # Another turn has begun.
        if kind == "init":
            self._saw_conversation(event.get("session_id"))
        elif kind == "result":
            self._final = event
        elif kind == "message" and event.get("role") == "assistant":
            self._worked = True
            if event.get("delta") is not True:
                self._said.begin_anew()
            self._said.add(event.get("content"))
        elif kind == "tool_use":
            self._worked = True
            self._said.begin_anew()
            if len(self._tools) < MOST_TOOLS:
                self._tools[_identifier(event)] = text(event.get("tool_name"), 100) or "a tool"
        elif kind == "tool_result":
            self._saw_tool_result(event)

    def tell(self, event: dict[str, Any], told: Told) -> bool:
        """Tell what an event says, or the only document of `-o json`."""
        kind = event.get("type")
        if kind == "init":
            told.notice(event.get("model"))
        elif kind == "message" and event.get("role") == "assistant":
            if event.get("delta") is True:
                told.piece(event.get("content"))
            else:
                told.begin()
                told.text(event.get("content"))
        elif kind == "tool_use":
            told.call(event.get("tool_id"), event.get("tool_name"), event.get("parameters"))
        elif kind == "tool_result":
            error = event.get("error")
            said = error.get("message") if isinstance(error, dict) else event.get("output")
            ok = event.get("status") == "success"
            told.result(event.get("tool_id"), said, ok=ok, refused=_was_refused(error))
        elif kind == "error":
            told.notice(event.get("message"))
        elif kind == "result":
            told.end(self.verdict())
        elif kind is None and "session_id" in event:
            told.text(event.get("response"))
            error = event.get("error")
            told.notice(error.get("message") if isinstance(error, dict) else None)
            return "response" in event or "error" in event
        return kind in ("init", "message", "tool_use", "tool_result", "error", "result")

    def ended(self, exit_code: int) -> None:
        """Remember the exit code: it may encode the HTTP status."""
        self._exit_code = exit_code

    def verdict(self) -> Verdict:
        """The verdict from the final event and the events before it."""
        final = self._final
        if final is None:
            return Verdict(conversation=self.conversation)
        stats = final.get("stats")
        stats = stats if isinstance(stats, dict) else {}
        facts: dict[str, Any] = {
            "final": True,
            "conversation": self.conversation,
            "tokens_in": count(stats.get("input_tokens")),
            "tokens_out": count(stats.get("output_tokens")),
            "denials": tuple(self._refused),
        }
        if final.get("status") != "success":
            return self._failed(final.get("error"), facts)
        facts["result"] = self._said.text()
        if self._gave_up_refused:
            error = f"tool use refused: {', '.join(dict.fromkeys(self._refused))}"
            return Verdict(**facts, failure_class=FailureClass.DENIED, error=text(error, LONGEST_ERROR))
        return Verdict(**facts, ok=True)

    @property
    def conversation_is_full(self) -> bool:
        """Whether a `context` failure means a full conversation, not a limit on the run's turns."""
        error = (self._final or {}).get("error")
        limited = isinstance(error, dict) and error.get("type") == "FatalTurnLimitedError"
        return not limited and self._by_exit_code() is not FailureClass.CONTEXT

    def explain(self, stderr: str) -> Verdict | None:
        """Recognize an unknown conversation, a rejected command line or directory, or a missing key."""
        lines = COLOUR.sub("", stderr).splitlines()
        lost = next((line for line in lines if LOST.match(line)), None)
        if lost is not None and not self._started:
            error = text(lost, LONGEST_ERROR)
            return Verdict(failure_class=FailureClass.ERROR, error=error, conversation_lost=True)
        misused = None if self._started else next((line for line in lines if MISUSED.match(line)), None)
        if misused is not None:
            return Verdict(failure_class=FailureClass.CONFIG, error=text(misused, LONGEST_ERROR))
        told = self._told("gemini", lines)
        if told is not None:
            return told
        failure = self._by_exit_code()
        if failure is not None:
            said = next((line for line in lines if line and not NOISE.match(line)), f"exit code {self._exit_code}")
            return Verdict(failure_class=failure, error=text(said, LONGEST_ERROR))
        return None

    def _by_exit_code(self) -> FailureClass | None:
        return meaning("gemini", words=frozenset({f"exit {self._exit_code}"}))

    def _failed(self, error: object, facts: dict[str, Any]) -> Verdict:
        error = error if isinstance(error, dict) else {}
        message = error.get("message")
        message = message if isinstance(message, str) and message else "gemini failed without giving a reason"
        wrapped = API_ERROR.match(message)
        said = wrapped[1] if wrapped else message
        answer = api_errors.answer(said, anywhere=True) or {}
        inner = api_errors.answer(answer.get("message")) or answer
        said = text(inner.get("message")) or said
        reset_at, reset_said = api_errors.resets(inner)
        failure = meaning(
            "gemini",
            said,
            words=api_errors.words(error) | api_errors.words(inner),
            status=self._status(inner, message),
            timed=reset_said is not None or names_a_time(message),
        )
        return Verdict(
            **facts,
            failure_class=failure or FailureClass.ERROR,
            error=text(said, LONGEST_ERROR),
            reset_at=reset_at,
            reset_said=reset_said or text(said, LONGEST_ERROR),
        )

    def _status(self, answer: dict[str, Any], message: str) -> int | None:
        status = api_errors.status(answer)
        if status is None and self._exit_code in HTTP_EXIT_CODES:
            status = 256 + (self._exit_code or 0)
        if status is None and (told := STATUS.match(message)) is not None:
            status = int(told[1])
        return status

    def _saw_tool_result(self, event: dict[str, Any]) -> None:
        self._said.begin_anew()
        name = self._tools.pop(_identifier(event), "a tool")
        self._gave_up_refused = _was_refused(event.get("error"))
        if self._gave_up_refused and len(self._refused) < MOST_TOOLS:
            self._refused.append(name)


def _identifier(event: dict[str, Any]) -> str:
    return str(event.get("tool_id"))[:200]


def _was_refused(error: object) -> bool:
    if not isinstance(error, dict):
        return False
    kind, said = error.get("type"), error.get("message")
    unattended = isinstance(said, str) and UNATTENDED.match(said) is not None
    return unattended or (isinstance(kind, str) and kind in REFUSALS)
