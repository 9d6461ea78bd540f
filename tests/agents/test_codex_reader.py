"""Every way in which Codex ends a run, as its stream tells them: modelled on what 0.169.0 prints."""

from __future__ import annotations

import json
from typing import Any

import pytest
from endings import Case, run

from agentq_cli.agents.codex import CodexReader
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import FailureClass, RunStatus

ID = "01a20075-3bb8-73c0-923b-4e9195655227"
THREAD = {"type": "thread.started", "thread_id": ID}
TURN = {"type": "turn.started"}
WARNING = {"id": "item_0", "type": "error", "message": "Model metadata for `m` not found. Defaulting to fallback."}
URL = "url: http://127.0.0.1:1/v1/responses"


def item(**fields: Any) -> dict[str, Any]:
    """Something that the agent did or said."""
    return {"type": "item.completed", "item": {"id": "item_1", **fields}}


def message(said: str = "the task is done") -> dict[str, Any]:
    """A message of the model's."""
    return item(type="agent_message", text=said)


def command(status: str, code: int | None = 0) -> dict[str, Any]:
    """A shell command that has ended."""
    return item(type="command_execution", command="ls", aggregated_output="", exit_code=code, status=status)


def completed(**usage: Any) -> dict[str, Any]:
    """The end of a turn that went well."""
    counts = {"input_tokens": 120, "cached_input_tokens": 20, "output_tokens": 30, "reasoning_output_tokens": 5}
    return {"type": "turn.completed", "usage": {**counts, **usage}}


def news(said: str) -> dict[str, Any]:
    """An error that is tried again."""
    return {"type": "error", "message": said}


def failed(said: str) -> tuple[dict[str, Any], ...]:
    """What a failed turn prints."""
    return (THREAD, TURN, news(said), {"type": "turn.failed", "error": {"message": said}})


def codex(*events: dict[str, Any], **more: Any) -> Outcome:
    """The outcome of a run that printed these events."""
    return run("codex", *events, **more)


def test_a_success_has_its_result_conversation_and_tokens() -> None:
    found = codex(THREAD, TURN, message("first"), command("completed"), message(), completed(), exit_code=0)
    assert found.status is RunStatus.SUCCESS
    assert (found.result, found.conversation, found.error) == ("the task is done", ID, None)
    assert (found.tokens_in, found.tokens_out, found.cost_usd) == (120, 30, None)
    assert found.tokens_of_conversation, "a resumed one prints 240 and 60"


EXPIRED = "Your access token could not be refreshed because your refresh token has expired. Please log out and sign in."
FAILURES = {
    "err-401": Case(
        (THREAD, TURN, news("Reconnecting... 1/1 (…)"), *failed(f"unexpected status 401 Unauthorized: bad, {URL}")[2:]),
        FailureClass.AUTH,
        f"unexpected status 401 Unauthorized: bad, {URL}",
    ),
    "err-403": Case(
        failed(f"unexpected status 403 Forbidden: no, {URL}"),
        FailureClass.AUTH,
        f"unexpected status 403 Forbidden: no, {URL}",
    ),
    "no key": Case(
        failed("Missing environment variable: `KEY`."), FailureClass.AUTH, "Missing environment variable: `KEY`."
    ),
    "login has expired": Case(failed(EXPIRED), FailureClass.AUTH, EXPIRED),
    "402": Case(
        failed("unexpected status 402 Payment Required: pay"),
        FailureClass.BILLING,
        "unexpected status 402 Payment Required: pay",
    ),
    "err-billing": Case(
        failed("Quota exceeded. Check your plan and billing details."),
        FailureClass.BILLING,
        "Quota exceeded. Check your plan and billing details.",
    ),
    "err-400": Case(
        failed('{"error": {"type": "invalid_request_error", "message": "bad request", "code": null}}'),
        FailureClass.ERROR,
        "bad request",
    ),
    "an answer with a code": Case(
        failed('{"error": {"message": "no such model", "code": "model_not_found"}}'),
        FailureClass.CONFIG,
        "no such model",
    ),
    "an answer without the usual form": Case(
        failed('{"detail": "not supported"}'), FailureClass.ERROR, '{"detail": "not supported"}'
    ),
    "model": Case(
        failed("The model `m` does not exist or you do not have access to it."),
        FailureClass.CONFIG,
        "The model `m` does not exist or you do not have access to it.",
    ),
    "404": Case(
        failed(f"unexpected status 404 Not Found: no such path, {URL}"),
        FailureClass.CONFIG,
        f"unexpected status 404 Not Found: no such path, {URL}",
    ),
    "context": Case(
        failed("Codex ran out of room in the model's context window. Start a new thread."),
        FailureClass.CONTEXT,
        "Codex ran out of room in the model's context window. Start a new thread.",
    ),
    "err-500": Case(
        failed("We\u2019re currently experiencing high demand, which may cause temporary errors."),
        FailureClass.OVERLOADED,
        "We\u2019re currently experiencing high demand, which may cause temporary errors.",
    ),
    "err-503": Case(
        failed("Selected model is at capacity. Please try a different model."),
        FailureClass.OVERLOADED,
        "Selected model is at capacity. Please try a different model.",
    ),
    "err-529": Case(
        failed(f"unexpected status 529 <unknown status code>: Overloaded, {URL}"),
        FailureClass.OVERLOADED,
        f"unexpected status 529 <unknown status code>: Overloaded, {URL}",
    ),
    "drop-midstream": Case(
        failed("stream disconnected before completion: Transport error: network error"),
        FailureClass.NETWORK,
        "stream disconnected before completion: Transport error: network error",
    ),
    "content filter": Case(
        failed("stream disconnected before completion: Incomplete response returned, reason: content_filter"),
        FailureClass.ERROR,
        "stream disconnected before completion: Incomplete response returned, reason: content_filter",
    ),
    "unknown": Case(failed("something new"), FailureClass.ERROR, "something new"),
    "without a reason": Case(
        (THREAD, TURN, {"type": "turn.failed", "error": None}),
        FailureClass.ERROR,
        "the turn failed without giving a reason",
    ),
    "a command was refused": Case(
        (THREAD, TURN, command("completed"), command("declined", None), message("I could not."), completed()),
        FailureClass.DENIED,
        "tool use refused: command_execution",
        more={"exit_code": 0},
    ),
    "bad-flag": Case(
        (),
        FailureClass.CONFIG,
        "error: unexpected argument '--nope' found",
        "WARNING: proceeding, even though we could not create PATH aliases\n"
        "error: unexpected argument '--nope' found\n\nUsage: codex exec [OPTIONS] [PROMPT]\n",
        {"exit_code": 2},
    ),
    "bad setting": Case(
        (),
        FailureClass.CONFIG,
        "Error loading config.toml: unknown variant `foo`",
        "Error loading config.toml: unknown variant `foo`\nin `sandbox_mode`\n",
    ),
    "no repository": Case(
        (),
        FailureClass.CONFIG,
        "Not inside a trusted directory and --skip-git-repo-check was not specified.",
        "Not inside a trusted directory and --skip-git-repo-check was not specified.\n",
    ),
    "prompt is too long": Case(
        (THREAD,),
        FailureClass.CONTEXT,
        'Error: turn/start failed: Input exceeds … (code -32602), data: {"input_error_code":"input_too_large"}',
        'Error: turn/start failed: Input exceeds … (code -32602), data: {"input_error_code":"input_too_large"}\n',
    ),
    "full disk at its start": Case(
        (),
        FailureClass.NO_VERDICT,
        "ended without its final event (exit code 1)",
        "Error: No space left on device (os error 28)\n",
    ),
    "sig-SIGINT-hang, not ours": Case(
        (THREAD, TURN), FailureClass.NO_VERDICT, "ended without its final event (exit code 1)"
    ),
    "died in the middle": Case(
        (THREAD, TURN, command("completed")),
        FailureClass.NO_VERDICT,
        "ended without its final event (exit code 1)",
        "error: something of a tool\n",
    ),
    "sig-SIGKILL-hang, not ours": Case(
        (THREAD, TURN),
        FailureClass.NO_VERDICT,
        "ended without its final event (ended by SIGKILL)",
        more={"exit_code": None, "signal": 9},
    ),
    "its last word is an error": Case(
        (THREAD, TURN, news("Your workspace is out of credits. Add credits to continue.")),
        FailureClass.BILLING,
        "Your workspace is out of credits. Add credits to continue.",
    ),
    "its last word is an error that is not known": Case(
        (THREAD, TURN, news("something new")),
        FailureClass.NO_VERDICT,
        "ended without its final event (exit code 1)",
    ),
    "killed while it tried again": Case(
        (THREAD, TURN, news("Reconnecting... 1/5 (unexpected status 401 Unauthorized)")),
        FailureClass.NO_VERDICT,
        "ended without its final event (exit code 1)",
    ),
    "died in its second turn": Case(
        (THREAD, TURN, message(), completed(), TURN),
        FailureClass.NO_VERDICT,
        "ended without its final event (exit code 1)",
    ),
}


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES.keys())
def test_each_failure_has_its_class_and_reason(case: Case) -> None:
    found = codex(*case.events, stderr=case.stderr, **case.more)
    assert (found.status, found.failure_class, found.error) == (RunStatus.ERROR, case.failure, case.error)
    assert not found.conversation_lost
    assert found.reset_at is None


def test_a_failed_turn_has_no_result() -> None:
    assert codex(THREAD, TURN, message(), *failed("something new")[2:]).result is None


USAGE = "You\u2019ve hit your usage limit. Upgrade to Pro (https://…), visit https://… or try again at"
NOW = 1_795_300_000_000  # 2026-11-21T22:26:40Z


@pytest.mark.parametrize(
    ("said", "reset_at"),
    [
        (f"{USAGE} Nov 22nd, 2026 12:33 AM.", 1_795_307_640_000),
        (f"{USAGE} 11:10 PM.", 1_795_302_660_000),
        ("You've hit your usage limit. To get more access now, send a request to your admin", None),
        ("exceeded retry limit, last status: 429 Too Many Requests", None),
        ("rate limit exceeded: Rate limit reached. Please try again in 1.5s.", NOW + 1500),
    ],
    ids=["err-usage", "err-usage, today", "err-usage, no time", "err-429", "err-failstream"],
)
def test_a_usage_limit_is_told_with_its_reset_time(utc: None, said: str, reset_at: int | None) -> None:
    found = codex(*failed(said))
    assert (found.status, found.failure_class) == (RunStatus.RATE_LIMITED, FailureClass.RATE_LIMITED)
    assert (found.error, found.reset_at) == (said, reset_at)


def test_a_time_in_another_failure_is_no_reset_time() -> None:
    assert codex(*failed("Quota exceeded. Please try again in 5s.")).reset_at is None


@pytest.mark.parametrize(
    "events",
    [
        (item(**WARNING),),
        (news("Reconnecting... 1/5 (unexpected status 529 <unknown status code>: Overloaded)"),),
        (news("Reconnecting... 2/5 (unexpected status 401 Unauthorized)"), item(type="error", message="Falling back")),
        (command("declined", None), command("completed")),
        (command("failed", 1),),
        ({"type": "of.a.newer.version"}, {"no": "type"}, {"type": "item.completed", "item": {"type": "new"}}),
    ],
    ids=["warning", "flaky", "openai_base_url-config", "another way", "failed tool", "unknown"],
)
def test_what_went_well_in_the_end_is_a_success(events: tuple[dict[str, Any], ...]) -> None:
    found = codex(THREAD, TURN, *events, message(), completed(), exit_code=0)
    assert (found.status, found.failure_class, found.result) == (RunStatus.SUCCESS, None, "the task is done")


LOST = f"Error: thread/resume: thread/resume failed: no rollout found for thread id {ID} (code -32600)"


def test_an_unknown_conversation_is_lost() -> None:
    found = codex(stderr=f"WARNING: proceeding\n{LOST}\n\nStack backtrace:\n   0: <unknown>\n")
    assert (found.status, found.failure_class, found.error) == (RunStatus.ERROR, FailureClass.ERROR, LOST)
    assert (found.conversation, found.conversation_lost) == (None, True)


def test_the_words_alone_lose_no_conversation() -> None:
    assert not codex(THREAD, TURN, message(LOST), completed(), stderr=LOST, exit_code=0).conversation_lost
    assert not codex(*failed(f"the log says: {LOST}")).conversation_lost
    assert not codex(THREAD, TURN, stderr=f"{LOST}\n").conversation_lost


def test_what_was_stopped_is_never_a_success() -> None:
    """`sig-SIGKILL-in-tool`: the killed program's child went on and printed the end of its turn."""
    found = codex(THREAD, TURN, message(), completed(), exit_code=0, stopped="cancelled")
    assert (found.status, found.failure_class) == (RunStatus.CANCELLED, FailureClass.CANCELLED)
    assert (found.conversation, found.tokens_in) == (ID, 120)


def test_the_conversation_is_known_at_its_first_event() -> None:
    reader = CodexReader()
    reader.feed(json.dumps(THREAD).encode() + b"\n")
    assert reader.conversation == ID
