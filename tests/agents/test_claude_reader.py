"""Every way in which Claude Code ends a run, as its stream tells them: modelled on what 2.1.197 prints."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from agentq_cli.agents.claude import ClaudeReader
from agentq_cli.agents.verdict import outcome
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import FailureClass, RunStatus

ID = "11111111-2222-4333-8444-555555555555"
TOKENS = {"inputTokens": 120, "outputTokens": 30, "cacheReadInputTokens": 20, "cacheCreationInputTokens": 10}
INIT = {"type": "system", "subtype": "init", "session_id": ID, "model": "claude-opus", "tools": ["Bash"]}
RESET = 1_795_307_441


@dataclass(frozen=True)
class Ending:
    """An exit record with the code that the program gave."""

    exit_code: int | None = 1
    signal: int | None = None
    stopped: str | None = None
    error: str | None = None
    spawn_error: bool = False
    finished_at: int = 2000
    duration_ms: int = 1500
    peak_rss_bytes: int | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    script_outcome: str | None = None
    oom_kills: int | None = None
    failed: str | None = None


def assistant(text: str, error: str | None = None, parent: str | None = None) -> dict[str, Any]:
    """A message; with `error` one that the program made up to report a failure of the API."""
    model = "<synthetic>" if error else "claude-opus"
    message = {"role": "assistant", "model": model, "content": [{"type": "text", "text": text}]}
    event = {"type": "assistant", "message": message, "parent_tool_use_id": parent, "session_id": ID}
    return {**event, "error": error} if error else event


def retry(status: int | None, error: str) -> dict[str, Any]:
    """A call of the API that is made again."""
    return {
        "type": "system",
        "subtype": "api_retry",
        "attempt": 1,
        "error_status": status,
        "error": error,
        "session_id": ID,
    }


def limit(status: str, **more: Any) -> dict[str, Any]:
    """News about a subscription's limit."""
    info = {"status": status, "resetsAt": RESET, "rateLimitType": "five_hour", **more}
    return {"type": "rate_limit_event", "rate_limit_info": info, "session_id": ID}


def tool_result(identifier: str, failed: bool) -> dict[str, Any]:
    """What a tool answered."""
    block = {"type": "tool_result", "tool_use_id": identifier, "content": "…", "is_error": failed}
    return {"type": "user", "message": {"role": "user", "content": [block]}, "session_id": ID}


def final(**changed: Any) -> dict[str, Any]:
    """The final event of a success, with changes."""
    event = {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "api_error_status": None,
        "num_turns": 1,
        "result": "the task is done",
        "session_id": ID,
        "total_cost_usd": 0.0014,
        "usage": {"input_tokens": 120, "cache_read_input_tokens": 20, "output_tokens": 30},
        "modelUsage": {"claude-opus": TOKENS},
        "permission_denials": [],
        "terminal_reason": "completed",
    }
    return {**event, **changed}


def api_error(status: int | None, text: str, **changed: Any) -> dict[str, Any]:
    """The final event after a failure of the API, which the program still calls a success."""
    return final(is_error=True, api_error_status=status, result=text, total_cost_usd=0, modelUsage={}, **changed)


def denial(identifier: str, tool: str = "Bash") -> dict[str, Any]:
    """One entry of `permission_denials`."""
    return {"tool_name": tool, "tool_use_id": identifier, "tool_input": {}}


def run(*events: dict[str, Any], stderr: str = "", **ending: Any) -> Outcome:
    """The outcome of a run that printed these events."""
    reader = ClaudeReader()
    reader.feed("".join(json.dumps(event) + "\n" for event in events).encode())
    return outcome(Ending(**ending), reader, stderr.encode())


def test_a_success_has_its_result_conversation_tokens_and_cost() -> None:
    found = run(INIT, assistant("the task is done"), final(), exit_code=0)
    assert found.status is RunStatus.SUCCESS
    assert (found.result, found.conversation, found.error) == ("the task is done", ID, None)
    assert (found.tokens_in, found.tokens_out, found.cost_usd) == (150, 30, 0.0014)


def test_tokens_are_summed_over_models_and_usage_stands_in_for_them() -> None:
    two = final(modelUsage={"a": TOKENS, "b": TOKENS}, usage={"input_tokens": 0, "output_tokens": 0})
    assert (run(two).tokens_in, run(two).tokens_out) == (300, 60)
    without = final(modelUsage={})
    assert (run(without).tokens_in, run(without).tokens_out) == (140, 30)
    assert run(final(modelUsage=None, usage=None)).tokens_in is None


def test_a_structured_answer_is_the_result() -> None:
    assert run(INIT, final(structured_output={"a": [1]}), exit_code=0).result == {"a": [1]}


@dataclass(frozen=True)
class Case:
    """A failure: what is printed, and what it is."""

    events: tuple[dict[str, Any], ...]
    failure: FailureClass
    error: str
    stderr: str = ""
    more: dict[str, Any] = field(default_factory=dict)


LONG = "Prompt is too long · the request is ~250000 tokens"
GONE = f"No conversation found with session ID: {ID}"
NOT_BEGUN = {"num_turns": 0, "subtype": "error_during_execution", "is_error": True, "result": None}

FAILURES = {
    "401": Case(
        (
            INIT,
            retry(401, "authentication_failed"),
            assistant("…", "authentication_failed"),
            api_error(401, "Invalid API key"),
        ),
        FailureClass.AUTH,
        "Invalid API key",
    ),
    "403": Case((INIT, assistant("…", "authentication_failed"), api_error(403, "403")), FailureClass.AUTH, "403"),
    "not logged in": Case(
        (INIT, assistant("…", "authentication_failed"), api_error(None, "Not logged in")),
        FailureClass.AUTH,
        "Not logged in",
    ),
    "organisation": Case(
        (INIT, assistant("…", "oauth_org_not_allowed"), api_error(None, "no")), FailureClass.AUTH, "no"
    ),
    "billing": Case(
        (INIT, assistant("…", "billing_error"), api_error(400, "Credit balance is too low")),
        FailureClass.BILLING,
        "Credit balance is too low",
    ),
    "402": Case((INIT, assistant("…", "unknown"), api_error(402, "pay")), FailureClass.BILLING, "pay"),
    "400": Case((INIT, assistant("…", "unknown"), api_error(400, "bad")), FailureClass.ERROR, "bad"),
    "model": Case(
        (INIT, assistant("…", "model_not_found"), api_error(404, "no model")), FailureClass.CONFIG, "no model"
    ),
    "context": Case(
        (INIT, assistant("…", "invalid_request"), api_error(400, LONG, terminal_reason="prompt_too_long")),
        FailureClass.CONTEXT,
        LONG,
    ),
    "too large": Case((INIT, assistant("…", "invalid_request"), api_error(413, "big")), FailureClass.CONTEXT, "big"),
    "max turns": Case(
        (
            INIT,
            final(
                subtype="error_max_turns",
                is_error=True,
                result=None,
                terminal_reason="max_turns",
                errors=["Reached maximum number of turns (2)"],
            ),
        ),
        FailureClass.CONTEXT,
        "Reached maximum number of turns (2)",
    ),
    "max budget": Case(
        (INIT, final(subtype="error_max_budget_usd", is_error=True, result=None, errors=["Reached maximum budget"])),
        FailureClass.BUDGET,
        "Reached maximum budget",
    ),
    "529 after retries": Case(
        (INIT, retry(529, "overloaded"), assistant("…", "server_error"), api_error(None, "Repeated 529")),
        FailureClass.OVERLOADED,
        "Repeated 529",
    ),
    "529 at once": Case((INIT, assistant("…", "server_error"), api_error(529, "529")), FailureClass.OVERLOADED, "529"),
    "500": Case(
        (INIT, retry(500, "server_error"), assistant("…", "server_error"), api_error(500, "500")),
        FailureClass.OVERLOADED,
        "500",
    ),
    "no connection": Case(
        (INIT, retry(None, "unknown"), assistant("…", "server_error"), api_error(None, "ConnectionRefused")),
        FailureClass.NETWORK,
        "ConnectionRefused",
    ),
    "no connection, no retry": Case(
        (INIT, assistant("…", "server_error"), api_error(None, "ConnectionRefused")),
        FailureClass.NETWORK,
        "ConnectionRefused",
    ),
    "interrupted by another": Case(
        (INIT, final(subtype="error_during_execution", is_error=True, result=None, terminal_reason="aborted_tools")),
        FailureClass.ERROR,
        "error_during_execution",
    ),
    "refused a tool": Case(
        (
            INIT,
            tool_result("t1", False),
            tool_result("t2", True),
            final(permission_denials=[denial("t2"), denial("t0", "Write"), denial("t3")]),
        ),
        FailureClass.DENIED,
        "tool use refused: Bash, Write",
        more={"exit_code": 0},
    ),
    "refused a tool, without a stream": Case(
        (final(permission_denials=[denial("t1")]),),
        FailureClass.DENIED,
        "tool use refused: Bash",
        more={"exit_code": 0},
    ),
    "unknown slash command": Case(
        (INIT, assistant("…"), final(result="Unknown command: /fix", num_turns=0)),
        FailureClass.CONFIG,
        "Unknown command: /fix",
        more={"exit_code": 0},
    ),
    "bad flag": Case(
        (),
        FailureClass.CONFIG,
        "error: unknown option '--nope'",
        "error: unknown option '--nope'\n(Did you mean --name?)\n",
    ),
    "bad value": Case(
        (), FailureClass.CONFIG, "Error: Invalid MCP configuration:", "Error: Invalid MCP configuration:\nx\n"
    ),
    "root": Case(
        (),
        FailureClass.CONFIG,
        "--dangerously-skip-permissions cannot be used with root",
        "--dangerously-skip-permissions cannot be used with root\n",
    ),
    "full disk at its start": Case(
        (),
        FailureClass.NO_VERDICT,
        "ended without its final event (exit code 1)",
        "Error: ENOSPC: no space left on device\n",
    ),
    "died in the middle": Case(
        (INIT, assistant("…")),
        FailureClass.NO_VERDICT,
        "ended without its final event (exit code 1)",
        "error: something of a tool\n",
    ),
    "interrupted by another, quietly": Case(
        (INIT,), FailureClass.NO_VERDICT, "ended without its final event (exit code 0)", more={"exit_code": 0}
    ),
    "a limit of a subagent is not its own": Case(
        (INIT, assistant("…", "unknown"), assistant("…", "rate_limit", parent="t1"), api_error(400, "bad")),
        FailureClass.ERROR,
        "bad",
    ),
    "killed while it complained": Case(
        (),
        FailureClass.NO_VERDICT,
        "ended without its final event (ended by SIGKILL)",
        "Error: something\n",
        {"exit_code": None, "signal": 9},
    ),
    "killed by another": Case(
        (INIT,),
        FailureClass.NO_VERDICT,
        "ended without its final event (ended by SIGKILL)",
        more={"exit_code": None, "signal": 9},
    ),
}


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES.keys())
def test_each_failure_has_its_class_and_reason(case: Case) -> None:
    found = run(*case.events, stderr=case.stderr, **case.more)
    assert (found.status, found.failure_class, found.error) == (RunStatus.ERROR, case.failure, case.error)
    assert not found.conversation_lost
    assert found.reset_at is None


@pytest.mark.parametrize(
    ("events", "reset_at"),
    [
        ((limit("rejected"), assistant("…", "rate_limit"), api_error(429, "session limit")), RESET * 1000),
        ((retry(429, "rate_limit"), assistant("…", "rate_limit"), api_error(429, "session limit")), None),
        ((retry(429, "rate_limit"), assistant("…", "server_error"), api_error(None, "session limit")), None),
        ((api_error(429, "session limit"),), None),
        ((limit("rejected"), limit("allowed"), assistant("…", "rate_limit"), api_error(429, "session limit")), None),
        ((limit("rejected", resetsAt="soon"), api_error(429, "session limit")), None),
        ((limit("rejected", resetsAt=10**18), api_error(429, "session limit")), 253_402_300_799_000),
    ],
)
def test_a_usage_limit_is_told_with_its_reset_time(events: tuple[dict[str, Any], ...], reset_at: int | None) -> None:
    found = run(INIT, *events)
    assert (found.status, found.failure_class) == (RunStatus.RATE_LIMITED, FailureClass.RATE_LIMITED)
    assert (found.error, found.reset_at) == ("session limit", reset_at)


@pytest.mark.parametrize(
    "events",
    [
        (limit("allowed_warning", utilization=0.91),),
        (limit("rejected", isUsingOverage=True),),
        (retry(529, "overloaded"), retry(529, "overloaded"), assistant("done")),
        (assistant("…", "rate_limit"), assistant("done")),
        (assistant("a part of the work failed", "server_error", parent="t1"), assistant("done")),
        (tool_result("t1", True), tool_result("t2", False)),
        ({"type": "of_a_newer_version"}, {"no": "type"}),
    ],
    ids=["warning", "overage", "retries", "recovered", "subagent", "failed tool", "unknown"],
)
def test_what_went_well_in_the_end_is_a_success(events: tuple[dict[str, Any], ...]) -> None:
    found = run(INIT, *events, final(), exit_code=0)
    assert (found.status, found.failure_class, found.reset_at) == (RunStatus.SUCCESS, None, None)


def test_a_refusal_that_it_worked_around_is_a_success() -> None:
    found = run(
        INIT, tool_result("t1", True), tool_result("t2", False), final(permission_denials=[denial("t1")]), exit_code=0
    )
    assert found.status is RunStatus.SUCCESS


def test_what_it_said_when_refused_is_kept() -> None:
    assert run(INIT, tool_result("t1", True), final(permission_denials=[denial("t1")])).result == "the task is done"


@pytest.mark.parametrize(
    ("events", "stderr"),
    [
        (({"type": "result", **NOT_BEGUN, "session_id": ID, "errors": [GONE]},), GONE),
        ((), f"a warning\n{GONE}\n"),
        ((), f"Error: Session ID {ID} is already in use.\n"),
        ((), f"Error: --resume requires a valid session ID when used with --print. Provided: {ID}\n"),
    ],
)
def test_an_unknown_conversation_is_lost(events: tuple[dict[str, Any], ...], stderr: str) -> None:
    found = run(*events, stderr=stderr)
    assert (found.status, found.failure_class) == (RunStatus.ERROR, FailureClass.ERROR)
    assert (found.conversation, found.conversation_lost) == (None, True)


def test_the_words_alone_in_an_answer_or_a_tools_output_lose_no_conversation() -> None:
    assert not run(INIT, assistant(GONE), final(result=GONE), exit_code=0).conversation_lost
    assert not run(INIT, final(is_error=True, result=f"the log says: {GONE}")).conversation_lost
    assert not run(INIT, stderr=f"tool: {GONE}\n").conversation_lost


def test_the_conversation_is_known_at_its_first_event_and_not_from_a_start_that_failed() -> None:
    reader = ClaudeReader()
    reader.feed(json.dumps(INIT).encode() + b"\n")
    assert reader.conversation == ID
    failed = ClaudeReader()
    failed.feed(
        json.dumps({"type": "result", **NOT_BEGUN, "session_id": ID, "errors": ["Error: bad"]}).encode() + b"\n"
    )
    assert failed.conversation is None
    assert failed.verdict().conversation is None


def test_the_last_of_several_final_events_counts() -> None:
    assert run(INIT, api_error(529, "529"), final(), exit_code=0).status is RunStatus.SUCCESS
    assert run(INIT, final(), assistant("…", "rate_limit"), api_error(429, "429")).status is RunStatus.RATE_LIMITED


@pytest.mark.parametrize("code", [0, 143])
def test_what_we_stopped_is_cancelled_though_it_says_that_all_went_well(code: int) -> None:
    found = run(INIT, final(), exit_code=code, stopped="cancelled")
    assert (found.status, found.failure_class) == (RunStatus.CANCELLED, FailureClass.CANCELLED)
    assert (found.conversation, found.cost_usd) == (ID, 0.0014)
