"""Every way in which opencode ends a run, as its stream tells them: modelled on what 1.18.33 prints."""

from __future__ import annotations

import json
from typing import Any

import pytest
from endings import Case, run

from agentq_cli.agents.opencode import OpencodeReader
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import FailureClass, RunStatus

ID = "ses_dff83c5a2ffesVSf2TOb32lPS5"
AT = 1_795_304_473_106


def event(kind: str, **part: Any) -> dict[str, Any]:
    """Any event about a part of a message."""
    return {"type": kind, "timestamp": AT, "sessionID": ID, "part": {"id": "prt_1", "sessionID": ID, **part}}


START = event("step_start", type="step-start")


def said(text: str = "the task is done") -> dict[str, Any]:
    """A piece of what the model says."""
    return event("text", type="text", text=text, time={"start": AT, "end": AT})


def finish(reason: str = "stop", **more: Any) -> dict[str, Any]:
    """The end of a step."""
    tokens = {"total": 180, "input": 120, "output": 30, "reasoning": 0, "cache": {"write": 10, "read": 20}}
    return event("step_finish", **({"reason": reason, "tokens": tokens, "cost": 0.00081} | more))


def tool(**state: Any) -> dict[str, Any]:
    """A tool that has ended."""
    return event("tool_use", type="tool", tool="bash", callID="c1", state={"status": "completed", **state})


def refused(why: str = "The user rejected permission to use this specific tool call.") -> dict[str, Any]:
    """A tool that may not be used."""
    return tool(status="error", error=why)


UNAVAILABLE = event(
    "tool_use",
    type="tool",
    tool="invalid",
    state={"status": "completed", "input": {"tool": "bash", "error": "Model tried to call unavailable tool 'bash'."}},
)


def failed(name: str = "APIError", **data: Any) -> dict[str, Any]:
    """The event of a failure."""
    return {"type": "error", "timestamp": AT, "sessionID": ID, "error": {"name": name, "data": data}}


def api(status: int, message: str, code: str = "", **headers: str) -> dict[str, Any]:
    """The event of an answer of the API that is an error."""
    body = json.dumps({"error": {"type": code, "message": message, "code": code}})
    return failed(message=message, statusCode=status, responseHeaders=headers, responseBody=body)


def opencode(*events: dict[str, Any], **more: Any) -> Outcome:
    """The outcome of a run that printed these events."""
    return run("opencode", *events, **more)


def test_a_success_has_its_result_conversation_tokens_and_cost() -> None:
    found = opencode(START, said(), finish(), exit_code=0)
    assert found.status is RunStatus.SUCCESS
    assert (found.result, found.conversation, found.error) == ("the task is done", ID, None)
    assert (found.tokens_in, found.tokens_out, found.cost_usd) == (150, 30, 0.00081)
    assert not found.tokens_of_conversation, "a resumed one prints the same"


def test_tokens_and_cost_are_summed_over_steps_and_the_result_is_of_the_last() -> None:
    found = opencode(START, said("I will"), tool(), finish("tool-calls"), START, said("do"), said("ne"), finish())
    assert (found.status, found.result) == (RunStatus.SUCCESS, "done")
    assert (found.tokens_in, found.tokens_out, found.cost_usd) == (300, 60, 0.00162)
    thinking = {"input": 1, "output": 2, "reasoning": 3, "cache": {"read": 4}}
    assert opencode(START, finish(tokens=thinking)).tokens_out == 5
    without = opencode(START, said(), finish(tokens=None, cost=None))
    assert (without.tokens_in, without.tokens_out, without.cost_usd) == (0, 0, None)


def test_a_result_of_many_pieces_is_bounded() -> None:
    found = opencode(START, *[said("x" * 300_000)] * 5, finish())
    assert found.result == "x" * (1 << 20) + " […]"


RED = "\x1b[91m\x1b[1mError: \x1b[0m"
FAILURES = {
    "err-401": Case((api(401, "Incorrect API key", "invalid_api_key"),), FailureClass.AUTH, "Incorrect API key"),
    "err-401-anthropic": Case(
        (api(401, "invalid x-api-key", "authentication_error"),), FailureClass.AUTH, "invalid x-api-key"
    ),
    "no key": Case((failed("ProviderAuthError", message="no key"),), FailureClass.AUTH, "no key"),
    "err-billing": Case(
        (api(429, "You exceeded your quota", "insufficient_quota"),), FailureClass.BILLING, "You exceeded your quota"
    ),
    "err-529": Case((api(529, "Overloaded", "overloaded_error"),), FailureClass.OVERLOADED, "Overloaded"),
    "500": Case((api(500, "oops"),), FailureClass.OVERLOADED, "oops"),
    "400": Case((api(400, "bad"),), FailureClass.ERROR, "bad"),
    "404": Case((api(404, "no model"),), FailureClass.CONFIG, "no model"),
    "context": Case(
        (failed("ContextOverflowError", message="too long", responseBody="{"),), FailureClass.CONTEXT, "too long"
    ),
    "no connection": Case(
        (failed(message="Cannot connect to API", isRetryable=True),), FailureClass.NETWORK, "Cannot connect to API"
    ),
    "unknown-model": Case(
        (failed("UnknownError", message="Unexpected server error."),), FailureClass.ERROR, "Unexpected server error."
    ),
    "without a reason": Case(
        ({"type": "error", "error": 5},), FailureClass.ERROR, "opencode failed without giving a reason"
    ),
    "only a name": Case((failed("MessageAbortedError"),), FailureClass.ERROR, "MessageAbortedError"),
    "failed in its second step": Case(
        (START, tool(), finish("tool-calls"), START, api(500, "oops")), FailureClass.OVERLOADED, "oops"
    ),
    "cut off": Case((START, said(), finish("length")), FailureClass.CONTEXT, "the model's answer ended early (length)"),
    "filtered": Case(
        (START, finish("content-filter")), FailureClass.ERROR, "the model's answer ended early (content-filter)"
    ),
    "tool-ask": Case(
        (START, refused(), finish("tool-calls")),
        FailureClass.DENIED,
        "tool use refused: bash",
        f"{RED[:10]}! permission requested: bash (ls); auto-rejecting\n",
        {"exit_code": 0},
    ),
    "a rule of the user": Case(
        (START, refused("The user has specified a rule which prevents you from using this."), finish("tool-calls")),
        FailureClass.DENIED,
        "tool use refused: bash",
        more={"exit_code": 0},
    ),
    "a tool that is not there without a permission": Case(
        (START, UNAVAILABLE, finish("tool-calls"), START, said("I could not."), finish()),
        FailureClass.DENIED,
        "tool use refused: bash",
        more={"exit_code": 0},
    ),
    "bad-flag": Case(
        (), FailureClass.CONFIG, "opencode rejected its command line", "opencode run [message..]\n\nrun opencode …\n"
    ),
    "bad setting": Case(
        (),
        FailureClass.CONFIG,
        "Error: Configuration is invalid at opencode.json",
        f"{RED}Configuration is invalid at opencode.json\n↳ Expected string\n",
    ),
    "full disk at its start": Case(
        (), FailureClass.NO_VERDICT, "ended without its final event (exit code 1)", f"{RED}database or disk is full\n"
    ),
    "sig-SIGTERM-in-tool, not ours": Case(
        (START,),
        FailureClass.NO_VERDICT,
        "ended without its final event (ended by SIGTERM)",
        more={"exit_code": None, "signal": 15},
    ),
    "sig-SIGINT-hang, not ours": Case(
        (),
        FailureClass.NO_VERDICT,
        "ended without its final event (ended by SIGINT)",
        more={"exit_code": None, "signal": 2},
    ),
    "died between two steps": Case(
        (START, tool(), finish("tool-calls")), FailureClass.NO_VERDICT, "ended without its final event (exit code 1)"
    ),
    "died in its second step": Case(
        (START, said(), finish(), START),
        FailureClass.NO_VERDICT,
        "ended without its final event (exit code 0)",
        more={"exit_code": 0},
    ),
}


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES.keys())
def test_each_failure_has_its_class_and_reason(case: Case) -> None:
    found = opencode(*case.events, stderr=case.stderr, **case.more)
    assert (found.status, found.failure_class, found.error) == (RunStatus.ERROR, case.failure, case.error)
    assert not found.conversation_lost
    assert found.reset_at is None


@pytest.mark.parametrize(
    ("headers", "reset_at"),
    [
        ({"retry-after": "2"}, AT + 2000),
        ({"retry-after": "3600", "retry-after-ms": "1500"}, AT + 1500),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "1e30"}, 253_402_300_799_000),
        ({"retry-after": "Sat, 21 Nov 2026 23:43:37 GMT"}, 1_795_304_617_000),
        ({"retry-after": "Sat, 21 Nov 2026 23:40:00 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_a_usage_limit_is_told_with_its_reset_time(headers: dict[str, str], reset_at: int | None) -> None:
    found = opencode(api(429, "Rate limit reached", "rate_limit_exceeded", **headers))
    assert (found.status, found.failure_class) == (RunStatus.RATE_LIMITED, FailureClass.RATE_LIMITED)
    assert (found.error, found.reset_at) == ("Rate limit reached", reset_at)


def test_a_retry_after_of_another_failure_is_no_reset_time() -> None:
    reader = OpencodeReader()
    reader.event(api(529, "Overloaded", "overloaded_error", **{"retry-after": "5"}))
    assert reader.verdict().reset_at is None


@pytest.mark.parametrize(
    "events",
    [
        (api(500, "oops"),),
        (START, refused(), tool(), finish("tool-calls")),
        (START, UNAVAILABLE, finish("tool-calls"), START, tool(), finish("tool-calls")),
        (START, tool(status="error", error="exit code 1"), finish("tool-calls")),
        ({"type": "of_a_newer_version"}, {"no": "type"}, event("tool_use"), event("text"), {"type": "text", "part": 5}),
    ],
    ids=["recovered", "another way", "another way, later", "failed tool", "unknown"],
)
def test_what_went_well_in_the_end_is_a_success(events: tuple[dict[str, Any], ...]) -> None:
    found = opencode(*events, START, said(), finish(), exit_code=0)
    assert (found.status, found.failure_class, found.result) == (RunStatus.SUCCESS, None, "the task is done")


LOST = f"{RED}Session not found"


def test_an_unknown_conversation_is_lost() -> None:
    found = opencode(stderr=f"{LOST}\n")
    assert (found.status, found.failure_class, found.error) == (
        RunStatus.ERROR,
        FailureClass.ERROR,
        "Error: Session not found",
    )
    assert (found.conversation, found.conversation_lost) == (None, True)


def test_the_words_alone_lose_no_conversation() -> None:
    assert not opencode(START, said(LOST), finish(), stderr=LOST, exit_code=0).conversation_lost
    assert not opencode(failed(message="Error: Session not found")).conversation_lost
    assert not opencode(START, stderr=f"{LOST}\n").conversation_lost


def test_what_was_stopped_is_never_a_success() -> None:
    found = opencode(START, said(), finish(), exit_code=0, stopped="cancelled")
    assert (found.status, found.failure_class) == (RunStatus.CANCELLED, FailureClass.CANCELLED)
    assert (found.conversation, found.cost_usd) == (ID, 0.00081)


def test_the_conversation_is_known_at_its_first_event() -> None:
    reader = OpencodeReader()
    reader.feed(json.dumps(START).encode() + b"\n")
    assert reader.conversation == ID
