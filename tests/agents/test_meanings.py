"""Every row of the table of meanings, through the reader of its CLI, as that CLI prints it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from endings import run

from agentq_cli.agents import meanings
from agentq_cli.agents.meanings import FIRST, LAST, Row, rows
from agentq_cli.agents.reader import open_reader
from agentq_cli.agents.reset_time import names_a_time
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import FailureClass, RunStatus

NOW = 1_795_300_000_000  # 2026-11-21T22:26:40Z
FOUR = 1_795_363_260_000  # the end of 4:00 pm UTC, the next day

CLIS = [section for section in meanings._table() if section not in (FIRST, LAST)]

CLAUDE_KINDS = {
    *("authentication_failed", "oauth_org_not_allowed", "account_on_hold", "verification_required", "billing_error"),
    *("rate_limit", "overloaded", "model_not_found", "max_output_tokens", "cloud_credential_error"),
}


def claude(said: str, word: str, status: int | None, retryable: bool) -> Outcome:
    message = {"type": "assistant", "parent_tool_use_id": None, "message": {"content": []}, "error": "invalid_request"}
    final = {"type": "result", "subtype": "success", "is_error": True, "num_turns": 1, "result": said}
    final |= {"api_error_status": status, "terminal_reason": "completed"}
    if word == "no answer" or retryable:
        message["error"] = "server_error"
    elif word in CLAUDE_KINDS:
        message["error"] = word
    elif word.startswith("error_"):
        final |= {"subtype": word, "errors": [said]}
    elif word.startswith("ended "):
        final["terminal_reason"] = word[6:]
    elif "_" in word and word.islower():
        message["api_error"] = word
    elif word:
        final["result"] = "API Error: 400 " + json.dumps({"type": "error", "error": {"type": word, "message": said}})
    return run("claude", message, final)


def codex(said: str, word: str, status: int | None, retryable: bool) -> Outcome:
    if status is not None and not word and not said.startswith("unexpected status"):
        said = f"unexpected status {status} Whatever: {said}, url: https://x.test/v1/responses"
    elif word:
        said = json.dumps({"error": {"type": "invalid_request_error", "code": word, "message": said}})
    elif retryable:
        said = "stream disconnected before completion: " + said
    return run("codex", {"type": "turn.started"}, {"type": "turn.failed", "error": {"message": said}})


def gemini(said: str, word: str, status: int | None, retryable: bool) -> Outcome:
    kind = word if word.endswith("Error") else "unknown"
    if word.startswith("exit "):
        return run("gemini", stderr=said + "\n", exit_code=int(word[5:]))
    if retryable:
        said = "exception TypeError: fetch failed"
    elif word and kind == "unknown":
        detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": word}
        said = json.dumps({"error": {"code": 400, "message": said, "status": "UNKNOWN", "details": [detail]}})
    error = {"type": kind, "message": f"[API Error: {said}]"}
    code = 1 if status is None else status - 256
    return run("gemini", {"type": "result", "status": "error", "error": error}, exit_code=code)


def opencode(said: str, word: str, status: int | None, retryable: bool) -> Outcome:
    name = word if word.startswith(("Context", "Message", "Provider", "Config")) else "APIError"
    data: dict[str, Any] = {"message": said, "isRetryable": retryable}
    if status is not None:
        data["statusCode"] = status
    if word and name == "APIError":
        data |= {"statusCode": status or 401}
        data["responseBody"] = json.dumps({"type": "error", "error": {"type": word, "message": said}})
    elif said.startswith("<"):
        data |= {"message": "Whatever", "responseBody": said}
    return run("opencode", {"type": "error", "timestamp": NOW, "error": {"name": name, "data": data}})


PRINTED = {"claude": claude, "codex": codex, "gemini": gemini, "opencode": opencode}


def told(cli: str, row: Row, word: str, more: str = "") -> Outcome:
    """The outcome of a run of this CLI that ended with this failure."""
    statuses = range(400, 600)
    status = next((code for code in statuses if row.status and row.status.fullmatch(str(code))), None)
    retryable = word == "isRetryable"
    said = (row.example or "something went wrong") + more
    if row.page:
        said = "<!DOCTYPE html><html><head><title>Blocked</title></head></html>"
    return PRINTED[cli](said, "" if retryable else word, status, retryable)


CASES = {
    f"{cli}-{section}-{number}-{word or row.example or ''}": (cli, row, word)
    for section, table in meanings._table().items()
    for cli in (CLIS if section in (FIRST, LAST) else [section])
    for number, row in enumerate(table)
    for word in sorted(row.words) or [""]
}
"""Each word of each row, for each CLI that may say it."""


def test_each_row_is_what_its_cli_says(utc: None) -> None:
    for name, (cli, row, word) in CASES.items():
        found = told(cli, row, word)
        expected = row.timed if names_a_time(row.example or "") else row.failure
        assert found.failure_class is expected, name
        assert (found.status is RunStatus.RATE_LIMITED) == (expected is FailureClass.RATE_LIMITED), name
        assert found.error, name


def test_a_failure_that_ends_of_itself_is_held_until_then(utc: None) -> None:
    for name, (cli, row, word) in CASES.items():
        if row.page or word.startswith("exit"):
            continue
        found = told(cli, row, word, " · resets 4pm (UTC)")
        assert found.failure_class is row.timed, name
        if row.timed is not FailureClass.RATE_LIMITED:
            assert found.reset_at is None, f"{name}: a time in another failure is no reset time"
        elif not names_a_time(row.example or ""):
            assert found.reset_at == FOUR, name


def test_the_table_says_where_each_row_was_found_and_holds_an_example_of_each_sentence() -> None:
    for section in meanings._table():
        for row in meanings._table()[section]:
            assert row.found
            assert row.words or row.status or row.page or row.says, "a row that asks for nothing hides the rest"
            if row.says is not None:
                assert row.example and row.says.match(row.example), row.says.pattern


def test_every_section_is_a_readers() -> None:
    assert all(open_reader(cli) is not None for cli in CLIS)
    assert set(CLIS) == set(PRINTED)


@pytest.mark.parametrize("section", CLIS)
def test_no_row_stands_behind_one_that_takes_all_of_its_failures(section: str) -> None:
    """Of a row that asks for words alone, each word is the first row's."""
    for row in rows(section):
        for word in row.words if row.says is None and row.status is None else ():
            first = next(each for each in rows(section) if each.fits(frozenset({word}), None, False, ""))
            assert first.failure is row.failure or first in meanings._table()[section], word


PAGE = "<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head><body>proxy.corp.test</body></html>"


@pytest.mark.parametrize(
    ("page", "status", "failure"),
    [
        (PAGE, 403, FailureClass.NETWORK),
        ("<html>\r\n<head><title>403 Forbidden</title></head>", 403, FailureClass.NETWORK),
        (PAGE, 404, FailureClass.NETWORK),
        (PAGE, 400, FailureClass.NETWORK),
        (PAGE, 511, FailureClass.NETWORK),
        (PAGE, 401, FailureClass.AUTH),
        (PAGE, 407, FailureClass.AUTH),
        (PAGE, 429, FailureClass.RATE_LIMITED),
        (PAGE, 502, FailureClass.OVERLOADED),
        ("no permission", 403, FailureClass.AUTH),
    ],
)
@pytest.mark.parametrize("cli", CLIS)
def test_a_web_page_is_no_answer_of_the_api(cli: str, page: str, status: int, failure: FailureClass) -> None:
    assert PRINTED[cli](page, "", status, False).failure_class is failure


def test_a_claude_that_prints_the_page_behind_its_own_words_and_calls_it_a_login() -> None:
    for said in (f"API Error: 403 {PAGE}", f"Failed to authenticate. API Error: 403 {PAGE}"):
        assert claude(said, "authentication_failed", 403, False).failure_class is FailureClass.NETWORK


REGAINED = "You have reached your specified API usage limits. You will regain access on 2026-11-22 at 16:00 UTC."


def anthropic(said: str) -> str:
    return json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": said}})


@pytest.mark.parametrize(
    ("cli", "said", "failure", "reset_at"),
    [
        ("claude", "You've hit your session limit · resets 11:30pm (UTC)", "rate_limited", 1_795_303_860_000),
        ("claude", "You've hit your weekly limit · resets Nov 25, 4pm (UTC)", "rate_limited", FOUR + 3 * 86_400_000),
        ("claude", "You've hit your Opus limit · resets Nov 22 at 4pm (UTC) · progress saved", "rate_limited", FOUR),
        ("claude", "5-hour limit reached ∙ resets 4pm", "rate_limited", FOUR),
        ("claude", "Opus weekly limit reached ∙ resets Nov 22, 4pm", "rate_limited", FOUR),
        ("claude", "Claude AI usage limit reached|1795363260", "rate_limited", FOUR),
        ("claude", "You're out of extra usage · resets 4pm (UTC)", "rate_limited", FOUR),
        ("claude", "You're out of extra usage", "billing", None),
        ("claude", "You’ve hit your monthly spend limit.", "billing", None),
        ("claude", "You've hit your channel's monthly spend limit · an org owner can raise it", "billing", None),
        ("claude", "You've hit your individual spend limit · your weekly limit resets 4pm (UTC)", "rate_limited", FOUR),
        ("claude", "Your organization has been disabled.", "auth", None),
        ("claude", f"API Error: 400 {anthropic('Your credit balance is too low to access the Anthropic API.')}",
         "billing", None),
        ("claude", f"API Error: 400 {anthropic(REGAINED)}", "rate_limited", FOUR),
        ("claude", f"API Error: 400 {anthropic('messages: at least one message is required')}", "error", None),
        ("codex", "You\u2019ve hit your usage limit. Try again later.", "rate_limited", None),
        ("codex", "You've hit your usage limit for GPT-6 Sol. Switch to another model now, or try again at 4:00 PM.",
         "rate_limited", FOUR),
        ("codex", "You've hit your usage limit. Upgrade to Plus to continue using Codex (https://x.test), or try again "
         "at Nov 22nd, 2026 4:00 PM.", "rate_limited", FOUR),
        ("codex", "Your workspace is out of credits. Add credits to continue.", "billing", None),
        ("codex", "You hit your spend cap set in your workspace. Increase your spend cap.", "billing", None),
        ("codex", '{"error": {"type": "usage_limit_reached", "message": "m", "resets_at": 1795363260}}',
         "rate_limited", FOUR),
        ("codex", '{"error": {"type": "usage_limit_reached", "message": "m", "resets_in_seconds": 60}}',
         "rate_limited", NOW + 60_000),
        ("codex", "unexpected status 429 Too Many Requests: <html>", "rate_limited", None),
        ("gemini", "You have exhausted your capacity on this model. Your quota will reset after 17h34m20s.",
         "rate_limited", FOUR - 0),
        ("gemini", json.dumps({"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074824224s"}]}}),
         "rate_limited", NOW + 34_075),
        ("gemini", "You have exhausted your daily quota on this model.", "rate_limited", None),
        ("opencode", "weekly usage limit reached. It will reset in 2 days 3 hours. To continue …", "rate_limited",
         NOW + 183_600_000),
    ],
)  # fmt: skip
def test_a_limit_ends_when_it_says(utc: None, cli: str, said: str, failure: str, reset_at: int | None) -> None:
    found = PRINTED[cli](said, "", None, False)
    assert (found.failure_class, found.reset_at) == (FailureClass(failure), reset_at)


def test_opencode_reads_the_answer_that_it_hands_on() -> None:
    def answered(error: dict[str, Any], status: int, **headers: str) -> Outcome:
        data = {"message": "m", "statusCode": status, "responseHeaders": headers, "responseBody": json.dumps(error)}
        return run("opencode", {"type": "error", "timestamp": NOW, "error": {"name": "APIError", "data": data}})

    free = answered(
        {"type": "error", "error": {"type": "FreeUsageLimitError", "message": "m"}}, 429, **{"retry-after": "19014"}
    )
    assert (free.failure_class, free.reset_at) == (FailureClass.RATE_LIMITED, NOW + 19_014_000)
    empty = answered({"type": "error", "error": {"type": "CreditsError", "message": "m"}}, 401)
    assert (empty.failure_class, empty.reset_at) == (FailureClass.BILLING, None)
    plan = answered({"error": {"type": "usage_limit_reached", "resets_at": 1_795_363_260}}, 429)
    assert (plan.failure_class, plan.reset_at) == (FailureClass.RATE_LIMITED, FOUR)


def test_claudes_newer_fields_are_read() -> None:
    info = {"status": "rejected", "resetsAt": FOUR // 1000, "rateLimitType": "five_hour"}
    message = {
        "type": "assistant",
        "parent_tool_use_id": None,
        "error": "rate_limit",
        "api_error": "usage_limit_reached",
        "api_error_params": {"rate_limit_info": info},
    }
    final = {"type": "result", "subtype": "success", "is_error": True, "num_turns": 1, "result": "You've hit it"}
    found = run("claude", message, final)
    assert (found.failure_class, found.reset_at) == (FailureClass.RATE_LIMITED, FOUR)
    paid = {"status": "rejected", "resetsAt": FOUR // 1000 + 3600, "overageResetsAt": FOUR // 1000}
    found = run(
        "claude", {"type": "rate_limit_event", "rate_limit_info": paid}, {**message, "api_error_params": None}, final
    )
    assert found.reset_at == FOUR, "whichever of the two comes first"


@pytest.mark.parametrize("cli", CLIS)
def test_what_nothing_is_known_of_is_an_error(cli: str) -> None:
    assert PRINTED[cli]("something new", "", None, False).failure_class is FailureClass.ERROR
    assert PRINTED[cli]("something new", "a_new_word", None, False).failure_class in (
        FailureClass.ERROR,
        FailureClass.AUTH,  # opencode's has a status
    )


@pytest.mark.parametrize(
    ("cli", "stderr", "failure", "reset_at"),
    [
        ("claude", "Invalid API key · Fix external API key\n", FailureClass.AUTH, None),
        ("claude", "Error: Credit balance is too low\n", FailureClass.BILLING, None),
        ("codex", "WARNING: x\nERROR: You've hit your usage limit. Try again at 4:00 PM.\n",
         FailureClass.RATE_LIMITED, FOUR),
        ("codex", "Error: Not logged in\n", FailureClass.AUTH, None),
        ("gemini", "\x1b[31mYou have exhausted your daily quota on this model.\x1b[0m\n",
         FailureClass.RATE_LIMITED, None),
        ("opencode", "\x1b[91m\x1b[1mError: \x1b[0mQuota exceeded. Check your plan and billing details.\n",
         FailureClass.BILLING, None),
    ],
)  # fmt: skip
def test_what_a_cli_says_before_its_stream_has_begun_counts(
    utc: None, cli: str, stderr: str, failure: FailureClass, reset_at: int | None
) -> None:
    found = run(cli, stderr=stderr)
    assert (found.failure_class, found.reset_at) == (failure, reset_at)
    begun = run(cli, {"type": "of a newer version"}, stderr=stderr)
    assert begun.failure_class is FailureClass.NO_VERDICT, "words of a tool, perhaps"
