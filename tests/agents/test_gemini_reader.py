"""Every way in which Gemini CLI ends a run, as its stream tells them: modelled on what 0.61.0 prints."""

from __future__ import annotations

import json
from typing import Any

import pytest
from endings import Case, run

from agentq_cli.agents.gemini import GeminiReader
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import FailureClass, RunStatus

ID = "11111111-2222-4333-8444-555555555555"
AT = "2026-11-21T23:39:01.677Z"
INIT = {"type": "init", "timestamp": AT, "session_id": ID, "model": "gemini-2.5-flash"}
PROMPT = {"type": "message", "timestamp": AT, "role": "user", "content": "say hi"}
NO_TOKENS = {"total_tokens": 0, "input_tokens": 0, "output_tokens": 0, "cached": 0, "input": 0}


def message(said: str = "the task is done") -> dict[str, Any]:
    """A piece of what the model says."""
    return {"type": "message", "timestamp": AT, "role": "assistant", "content": said, "delta": True}


def tool(identifier: str = "t1", name: str = "run_shell_command") -> dict[str, Any]:
    """A tool that is called."""
    return {"type": "tool_use", "timestamp": AT, "tool_name": name, "tool_id": identifier, "parameters": {}}


def answered(identifier: str = "t1") -> dict[str, Any]:
    """A tool that did it."""
    return {"type": "tool_result", "timestamp": AT, "tool_id": identifier, "status": "success", "output": "made.txt"}


def broke(kind: str, said: str = "…", identifier: str = "t1") -> dict[str, Any]:
    """A tool that did not."""
    error = {"type": kind, "message": said}
    return {"type": "tool_result", "timestamp": AT, "tool_id": identifier, "status": "error", "error": error}


def success() -> dict[str, Any]:
    """The final event of a run that went well."""
    stats = {"total_tokens": 150, "input_tokens": 120, "output_tokens": 30, "cached": 20, "input": 100}
    return {"type": "result", "timestamp": AT, "status": "success", "stats": stats}


def failed(said: str, kind: str = "unknown") -> tuple[dict[str, Any], ...]:
    """What a failed run prints."""
    final = {"type": "result", "status": "error", "error": {"type": kind, "message": said}, "stats": NO_TOKENS}
    return (INIT, PROMPT, final)


def api(code: int, status: str, said: str, **detail: Any) -> tuple[dict[str, Any], ...]:
    """What a run prints that the API has answered with an error."""
    error = {"code": code, "message": said, "status": status, "details": [detail] if detail else []}
    return failed(f"[API Error: {json.dumps({'error': error})}]")


def words(said: str) -> tuple[dict[str, Any], ...]:
    """The same where the program has only the words left."""
    return failed(f"[API Error: {said}]\nPlease wait and try again later. To increase your limits, …")


def gemini(*events: dict[str, Any], **more: Any) -> Outcome:
    """The outcome of a run that printed these events."""
    return run("gemini", *events, **more)


def test_a_success_has_its_result_conversation_and_tokens() -> None:
    found = gemini(INIT, PROMPT, message("the task "), message("is done"), success(), exit_code=0)
    assert found.status is RunStatus.SUCCESS
    assert (found.result, found.conversation, found.error) == ("the task is done", ID, None)
    assert (found.tokens_in, found.tokens_out, found.cost_usd) == (120, 30, None)
    assert not found.tokens_of_conversation, "a resumed one prints the same"


def test_the_result_is_what_it_said_after_its_last_tool() -> None:
    found = gemini(INIT, message("I will"), tool(), answered(), message("do"), message("ne"), success(), exit_code=0)
    assert found.result == "done"
    assert gemini(INIT, message("all"), tool(), answered(), success(), exit_code=0).result == "all"
    whole = {**message("whole"), "delta": False}
    assert gemini(INIT, message("a"), whole, success(), exit_code=0).result == "whole"


def test_a_result_of_many_pieces_is_bounded() -> None:
    found = gemini(INIT, *[message("x" * 300_000)] * 5, success(), exit_code=0)
    assert found.result == "x" * (1 << 20) + " […]"


UNTRUSTED = "Gemini CLI is not running in a trusted directory. To proceed, either use `--skip-trust`, …"
WARNINGS = "Warning: Basic terminal detected (TERM=dumb).\nYOLO mode is enabled.\nRipgrep is not available.\n"
FAILURES = {
    "err-401": Case(
        api(400, "INVALID_ARGUMENT", "API key not valid.", reason="API_KEY_INVALID"),
        FailureClass.AUTH,
        "API key not valid.",
        more={"exit_code": 144},
    ),
    "err-real401": Case(api(401, "UNAUTHENTICATED", "bad credentials"), FailureClass.AUTH, "bad credentials"),
    "err-403": Case(api(403, "PERMISSION_DENIED", "permission denied"), FailureClass.AUTH, "permission denied"),
    "billing": Case(
        api(403, "PERMISSION_DENIED", "enable billing", reason="BILLING_DISABLED"),
        FailureClass.BILLING,
        "enable billing",
    ),
    "err-400": Case(
        api(400, "INVALID_ARGUMENT", "bad request"), FailureClass.ERROR, "bad request", more={"exit_code": 144}
    ),
    "context": Case(
        api(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        FailureClass.CONTEXT,
        "The input token count (9) exceeds the maximum number of tokens allowed (8).",
        more={"exit_code": 144},
    ),
    "404": Case(
        words("models/x is not found for API version v1beta"),
        FailureClass.CONFIG,
        "models/x is not found for API version v1beta",
    ),
    "err-500": Case(
        api(500, "INTERNAL", "An internal error has occurred."),
        FailureClass.OVERLOADED,
        "An internal error has occurred.",
        more={"exit_code": 244},
    ),
    "err-503": Case(
        words("The model is overloaded. Please try again later."),
        FailureClass.OVERLOADED,
        "The model is overloaded. Please try again later.",
        more={"exit_code": 247},
    ),
    "drop-midstream": Case(words("terminated"), FailureClass.NETWORK, "terminated"),
    "conn-refused": Case(
        words("exception TypeError: fetch failed sending request"),
        FailureClass.NETWORK,
        "exception TypeError: fetch failed sending request",
    ),
    "max turns": Case(
        failed("Reached max session turns for this session.", "FatalTurnLimitedError"),
        FailureClass.CONTEXT,
        "Reached max session turns for this session.",
        more={"exit_code": 53},
    ),
    "unknown": Case(failed("something new"), FailureClass.ERROR, "something new"),
    "without a reason": Case(
        (INIT, {"type": "result", "status": "error"}), FailureClass.ERROR, "gemini failed without giving a reason"
    ),
    "a tool that is not there without a permission": Case(
        (INIT, tool(), broke("tool_not_registered"), message("I could not."), success()),
        FailureClass.DENIED,
        "tool use refused: run_shell_command",
        more={"exit_code": 0},
    ),
    "a tool that somebody would have to confirm": Case(
        (
            INIT,
            tool("t1", "write_file"),
            broke("unhandled_exception", 'Tool execution for "W" requires user confirmation, which is not supported'),
            tool("t2"),
            broke("policy_violation", identifier="t2"),
            success(),
        ),
        FailureClass.DENIED,
        "tool use refused: write_file, run_shell_command",
        more={"exit_code": 0},
    ),
    "no-auth": Case(
        (),
        FailureClass.AUTH,
        "When using Gemini API, you must specify the GEMINI_API_KEY environment variable.",
        f"{WARNINGS}When using Gemini API, you must specify the GEMINI_API_KEY environment variable.\nUpdate your …\n",
        {"exit_code": 41},
    ),
    "untrusted-dir": Case(
        (), FailureClass.CONFIG, UNTRUSTED, f"{WARNINGS}\x1b[31m{UNTRUSTED}\x1b[0m\n", {"exit_code": 55}
    ),
    "a code without words": Case((), FailureClass.CONFIG, "exit code 52", WARNINGS, {"exit_code": 52}),
    "bad-flag": Case(
        (), FailureClass.CONFIG, "Unknown argument: nope", "Unknown argument: nope\nUsage: gemini [options]\n"
    ),
    "bad value": Case(
        (), FailureClass.CONFIG, "Invalid values:", 'Invalid values:\n  Argument: approval-mode, Given: "nope"\n'
    ),
    "full disk at its start": Case(
        (),
        FailureClass.NO_VERDICT,
        "ended without its final event (exit code 1)",
        "An unexpected critical error occurred:[object Object]\n",
    ),
    "sig-SIGTERM-hang, not ours": Case(
        (INIT, PROMPT), FailureClass.NO_VERDICT, "ended without its final event (exit code 0)", more={"exit_code": 0}
    ),
    "sig-SIGKILL-in-tool, not ours": Case(
        (INIT, PROMPT, tool()),
        FailureClass.NO_VERDICT,
        "ended without its final event (ended by SIGKILL)",
        more={"exit_code": None, "signal": 9},
    ),
    "died in the middle": Case(
        (INIT, PROMPT, tool()),
        FailureClass.NO_VERDICT,
        "ended without its final event (exit code 1)",
        "Unknown argument: of a tool\n",
    ),
}


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES.keys())
def test_each_failure_has_its_class_and_reason(case: Case) -> None:
    found = gemini(*case.events, stderr=case.stderr, **case.more)
    assert (found.status, found.failure_class, found.error) == (RunStatus.ERROR, case.failure, case.error)
    assert not found.conversation_lost
    assert found.reset_at is None


NOW = 1_795_300_000_000
DAILY = "You have exhausted your daily quota on this model."


@pytest.mark.parametrize(
    ("events", "error", "reset_at"),
    [
        (words(DAILY), DAILY, None),
        (words("You exceeded it.\nSuggested retry after 3600s."), "…", NOW + 3_600_000),
        (words("You have no capacity. Your quota will reset after 1h2m3s."), "…", NOW + 3_723_000),
        (api(429, "RESOURCE_EXHAUSTED", "check quota"), "check quota", None),
    ],
    ids=["err-usage", "err-429", "err-429 of a login", "err-plain429"],
)
def test_a_usage_limit_is_told_with_its_reset_time(
    events: tuple[dict[str, Any], ...], error: str, reset_at: int | None
) -> None:
    found = gemini(*events, exit_code=173)
    assert (found.status, found.failure_class) == (RunStatus.RATE_LIMITED, FailureClass.RATE_LIMITED)
    assert found.reset_at == reset_at
    assert error in (found.error, "…")


@pytest.mark.parametrize(
    "events",
    [
        ({"type": "error", "severity": "warning", "message": "…"},),
        (tool(), broke("tool_not_registered"), tool("t2"), answered("t2")),
        (tool(), broke("shell_execute_error")),
        (tool(), broke("unhandled_exception", "it crashed")),
        ({"type": "of_a_newer_version"}, {"no": "type"}, {"type": "tool_result"}, {"type": "message", "content": "x"}),
    ],
    ids=["warning", "another way", "failed tool", "broken tool", "unknown"],
)
def test_what_went_well_in_the_end_is_a_success(events: tuple[dict[str, Any], ...]) -> None:
    found = gemini(INIT, PROMPT, *events, message(), success(), exit_code=0)
    assert (found.status, found.failure_class, found.result) == (RunStatus.SUCCESS, None, "the task is done")


LOST = (
    f'Error resuming session: Invalid session identifier "{ID}".',
    "Error resuming session: No previous sessions found for this project.",
    f'Error starting session: Session ID "{ID}" already exists. Use --resume to resume it.',
)


@pytest.mark.parametrize("said", LOST)
def test_an_unknown_conversation_is_lost(said: str) -> None:
    found = gemini(stderr=f"{WARNINGS}{said}\n  Searched for sessions in …\n", exit_code=42)
    assert (found.status, found.failure_class, found.error) == (RunStatus.ERROR, FailureClass.ERROR, said)
    assert (found.conversation, found.conversation_lost) == (None, True)


def test_the_words_alone_lose_no_conversation() -> None:
    assert not gemini(INIT, message(LOST[0]), success(), stderr=LOST[0], exit_code=0).conversation_lost
    assert not gemini(*failed(LOST[0])).conversation_lost
    assert not gemini(INIT, stderr=f"{LOST[0]}\n").conversation_lost


def test_what_was_stopped_is_never_a_success() -> None:
    """On SIGTERM it goes with exit code 0."""
    found = gemini(INIT, message(), exit_code=0, stopped="timeout")
    assert (found.status, found.failure_class) == (RunStatus.TIMEOUT, FailureClass.TIMEOUT)
    assert gemini(INIT, exit_code=0, stopped="cancelled").failure_class is FailureClass.CANCELLED


def test_the_conversation_is_known_at_its_first_event() -> None:
    reader = GeminiReader()
    reader.feed(json.dumps(INIT).encode() + b"\n")
    assert reader.conversation == ID
