"""The real agent CLIs against a model API on loopback, through agentq's own commands and through their profiles."""

from __future__ import annotations

import errno
import socket
import time
from datetime import datetime
from typing import Any

import pytest
from model_api import ANSWER, ModelApi
from real_cli import Cli, Program, commands_with, document, free, submit, until

from agentq_cli.model.statuses import FailureClass, RunStatus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

FIRST = "--first: remember the word aubergine."
SECOND = "The second prompt: which word was it?"


def test_there_is_nobody_else_to_talk_to(network: bool, api: ModelApi) -> None:
    if not network:
        pytest.skip("no network namespace may be made here: the agents' settings alone keep them to loopback")
    host, port = api.url().split("/")[2].split(":")
    socket.create_connection((host, int(port)), 5).close()
    with pytest.raises(OSError) as refused:
        socket.create_connection(("192.0.2.1", 80), 5)
    assert refused.value.errno == errno.ENETUNREACH


def test_the_second_task_of_a_session_continues_the_conversation(agentq: Any, cli: Cli, api: ModelApi) -> None:
    environ = dict(cli.prepare(agentq.home, api.url("ok")))
    for prompt in (FIRST, SECOND):
        submit(agentq, cli, prompt, env=environ)
    drained = agentq("run", "--drain", env=environ, timeout=240)
    assert drained.returncode == 0, drained.stderr + drained.stdout

    second, first = document(agentq, "runs", "--session", "talk")["items"]
    for run in (first, second):
        assert (run["status"], run["exit_code"], run["result"]) == ("success", 0, ANSWER), run
        assert (run["tokens_in"], run["tokens_out"]) == cli.tokens, "its own, not the conversation's"
        assert run["cost_usd"] == (cli.cost and pytest.approx(cli.cost))
    assert first["conversation"] == second["conversation"] == document(agentq, "sessions")["items"][0]["conversation"]
    asked = [request.text for request in api.requests if SECOND in request.text]
    assert len(asked) == 1, "the second prompt was asked once"
    assert FIRST in asked[0] and ANSWER in asked[0]


def test_two_conversations_of_a_session_go_on_side_by_side(agentq: Any, cli: Cli, api: ModelApi) -> None:
    config = agentq.home / "config.toml"
    config.write_text("[sessions.talk]\nparallel = 2\n")
    environ = {**cli.prepare(agentq.home, api.url("ok")), "AGENTQ_CONFIG": str(config)}
    asked = {line: (f"{line}: remember a word.", f"{line}: which word was it?") for line in ("left", "right")}
    for turn in (0, 1):
        for line, prompts in asked.items():
            submit(agentq, cli, prompts[turn], "--shared", "--conversation", line, env=environ)
    drained = agentq("run", "--drain", "-j", "4", env=environ, timeout=240)
    assert drained.returncode == 0, drained.stderr + drained.stdout
    (session,) = document(agentq, "sessions", "-v")["items"]
    found = [(each["key"], each["tasks"], each["tokens_in"], each["tokens_out"]) for each in session["pool"]]
    tokens = [2 * count for count in cli.tokens]
    assert found == [("left", 2, *tokens), ("right", 2, *tokens)]
    assert len({each["conversation"] for each in session["pool"]}) == 2
    for (first, second), (other, _) in (asked.values(), reversed(asked.values())):
        (text,) = [request.text for request in api.requests if second in request.text]
        assert first in text and other not in text


def test_a_task_in_another_directory_ends_too(agentq: Any, cli: Cli, api: ModelApi) -> None:
    environ = dict(cli.prepare(agentq.home, api.url("ok")))
    elsewhere = agentq.home / "elsewhere"
    elsewhere.mkdir()
    submit(agentq, cli, FIRST, env=environ)
    submit(agentq, cli, SECOND, "--cwd", str(elsewhere), env=environ)
    drained = agentq("run", "--drain", env=environ, timeout=240)
    assert drained.returncode == 0, drained.stderr + drained.stdout
    second, first = document(agentq, "runs", "--session", "talk")["items"]
    assert (first["status"], second["status"]) == ("success", "success")
    assert (first["conversation"] == second["conversation"]) is cli.roams


def test_a_key_that_is_refused_holds_the_agent(agentq: Any, cli: Cli, api: ModelApi) -> None:
    environ = dict(cli.prepare(agentq.home, api.url("401")))
    for prompt in (FIRST, SECOND):
        submit(agentq, cli, prompt, env=environ)
    agentq("run", "--drain", env=environ, timeout=240)
    (run,) = document(agentq, "runs", "--session", "talk")["items"]
    assert (run["status"], run["failure_class"]) == ("error", "auth")
    assert not run["cost_usd"], "nothing was asked of a model"
    assert document(agentq, "show", "talk/1")["status"] == "failed"
    waiting = document(agentq, "show", "talk/2")
    assert (waiting["status"], waiting["waiting_for"]["kind"]) == ("queued", "limit"), waiting


def test_a_usage_limit_holds_the_agent_and_costs_no_attempt(agentq: Any, cli: Cli, api: ModelApi) -> None:
    api.reset_at = int(time.time()) + 7200
    environ = {**cli.prepare(agentq.home, api.url("usage")), **cli.plan}
    submit(agentq, cli, FIRST, env=environ)
    drained = agentq("run", "--drain", env=environ, timeout=240)
    (run,) = document(agentq, "runs", "--session", "talk")["items"]
    assert (run["status"], run["failure_class"]) == ("rate_limited", "rate_limited"), run
    task = document(agentq, "show", "talk/1")
    assert task["attempts"] == 0, task
    assert drained.returncode == 75, drained.stderr
    if cli.says_reset:
        # One says it to the minute and means its end; one in seconds from when it ended.
        end = datetime.fromisoformat(task["waiting_for"]["until"]).timestamp()
        assert api.reset_at <= end <= api.reset_at + 120, task


def test_a_cancel_in_the_middle_of_a_tool_leaves_nothing(agentq: Any, cli: Cli, api: ModelApi) -> None:
    began = agentq.home / "began"
    nap = f"3600.{time.time_ns()}"
    api.command = f"touch {began}; sleep {nap}; echo never"
    environ = dict(cli.prepare(agentq.home, api.url("tool")))
    submit(agentq, cli, FIRST, *free(cli), env=environ)
    supervisor = agentq.start("run", "--drain", env=environ)
    until(began.exists)
    until(lambda: bool(commands_with(f"sleep\0{nap}")))
    done = agentq("cancel", "talk/1", "--wait", timeout=60)
    assert done.returncode == 0, done.stderr
    supervisor.wait(60)
    assert commands_with(nap) == [], "the tool survived"
    assert agentq.left_over() == []
    (run,) = document(agentq, "runs", "--session", "talk")["items"]
    assert (run["status"], run["failure_class"]) == ("cancelled", "cancelled")
    assert run["conversation"]

    # What was interrupted can be continued.
    environ = dict(cli.prepare(agentq.home, api.url("ok")))
    submit(agentq, cli, SECOND, env=environ)
    assert agentq("run", "--drain", env=environ, timeout=240).returncode == 0
    (again, _) = document(agentq, "runs", "--session", "talk")["items"]
    assert (again["status"], again["conversation"]) == ("success", run["conversation"])


@pytest.mark.parametrize(
    ("mode", "failure"),
    [
        ("401", FailureClass.AUTH),
        ("403", FailureClass.AUTH),
        ("404", FailureClass.CONFIG),
        ("400", FailureClass.ERROR),
        ("429", FailureClass.RATE_LIMITED),
        ("500", FailureClass.OVERLOADED),
        ("503", FailureClass.OVERLOADED),
        ("529", FailureClass.OVERLOADED),
        ("billing", FailureClass.BILLING),
        ("context", FailureClass.CONTEXT),
    ],
)
def test_a_fault_of_the_api_has_its_class(program: Program, mode: str, failure: FailureClass) -> None:
    found = program.run(mode)
    assert found.failure_class is failure, found
    assert found.error and found.conversation


def test_a_bad_flag_is_a_config_failure(program: Program) -> None:
    assert program.run("ok", "--no-such-flag").failure_class is FailureClass.CONFIG


def test_an_unknown_conversation_is_lost(program: Program) -> None:
    found = program.run("ok", resume=program.cli.lost)
    assert (found.conversation, found.conversation_lost) == (None, True), found


def test_a_tool_that_may_not_be_used_is_not_used(program: Program) -> None:
    """Codex's sandbox lets it try; the others refuse, and say so."""
    found = program.run("tool")
    assert not (program.directory / "made.txt").exists()
    if program.cli.refusal is not None:
        assert (found.failure_class, found.error) == (FailureClass.DENIED, program.cli.refusal)
    assert program.run("tool", *program.cli.free).status is RunStatus.SUCCESS
    assert (program.directory / "made.txt").read_text() == "made-by-agent\n"


def test_a_prompt_of_a_megabyte_arrives_whole(program: Program) -> None:
    prompt = f"begin {'x' * 1_000_000} end"
    assert program.run("ok", prompt=prompt).status is RunStatus.SUCCESS
    assert any(prompt in request.text for request in program.api.requests)
