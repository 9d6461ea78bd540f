"""The real Codex, Gemini CLI and opencode against a model API on loopback. No key, no network, no cost.

Slow tier: each is skipped where its program is not installed (`npm install --prefix DIR @openai/codex
@google/gemini-cli opencode-ai`, then `DIR/node_modules/.bin` on PATH).
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_api import ANSWER, ModelApi
from real_cli import CLIS, Cli, Program, document, until

from agentq_cli.model import FailureClass, RunStatus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

FIRST = "--first: remember the word aubergine."
SECOND = "The second prompt: which word was it?"


@pytest.fixture(params=CLIS, ids=lambda cli: cli.name)
def cli(request: pytest.FixtureRequest) -> Cli:
    """Each agent CLI that is installed."""
    found: Cli = request.param
    if shutil.which(found.name) is None:
        pytest.skip(f"the agent CLI {found.name} is not on PATH")
    return found


@pytest.fixture
def api() -> Iterator[ModelApi]:
    """A model API of the test's own."""
    with ModelApi() as server:
        yield server


@pytest.fixture
def program(cli: Cli, tmp_path: Path, api: ModelApi) -> Program:
    """The program with a home of its own."""
    return Program(cli, tmp_path, api)


def submit(agentq: Any, cli: Cli, prompt: str, *given: str, env: dict[str, str]) -> None:
    """Submit a prompt to the session `talk`."""
    arguments = [f"--agent-arg={word}" for word in (*cli.args, *given)]
    done = agentq("submit", "--session", "talk", "--agent", cli.name, *arguments, "--", prompt, env=env)
    assert done.returncode == 0, done.stderr


def test_the_second_task_of_a_session_continues_the_conversation(agentq: Any, cli: Cli, api: ModelApi) -> None:
    environ = dict(cli.prepare(agentq.home, api.url("ok")))
    for prompt in (FIRST, SECOND):
        submit(agentq, cli, prompt, env=environ)
    drained = agentq("run", "--drain", env=environ, timeout=240)
    assert drained.returncode == 0, drained.stderr + drained.stdout

    second, first = document(agentq, "runs", "--session", "talk")["items"]
    for run in (first, second):
        assert (run["status"], run["exit_code"], run["result"]) == ("success", 0, ANSWER), run
        assert (run["tokens_in"], run["tokens_out"]) == (120, 30), "its own, not the conversation's"
        assert run["cost_usd"] == cli.cost
    assert first["conversation"] == second["conversation"] == document(agentq, "sessions")["items"][0]["conversation"]
    asked = [request.text for request in api.requests if SECOND in request.text]
    assert len(asked) == 1, "the second prompt was asked once"
    assert FIRST in asked[0] and ANSWER in asked[0]


def test_a_task_in_another_directory_ends_too(agentq: Any, cli: Cli, api: ModelApi) -> None:
    environ = dict(cli.prepare(agentq.home, api.url("ok")))
    elsewhere = agentq.home / "elsewhere"
    elsewhere.mkdir()
    submit(agentq, cli, FIRST, env=environ)
    arguments = [f"--agent-arg={word}" for word in cli.args]
    given = ("--session", "talk", "--agent", cli.name, "--cwd", str(elsewhere), *arguments, "--", SECOND)
    assert agentq("submit", *given, env=environ).returncode == 0
    drained = agentq("run", "--drain", env=environ, timeout=240)
    assert drained.returncode == 0, drained.stderr + drained.stdout
    second, first = document(agentq, "runs", "--session", "talk")["items"]
    assert (first["status"], second["status"]) == ("success", "success")
    assert (first["conversation"] == second["conversation"]) is (cli.name == "codex")


def test_a_key_that_is_refused_holds_the_agent(agentq: Any, cli: Cli, api: ModelApi) -> None:
    environ = dict(cli.prepare(agentq.home, api.url("401")))
    for prompt in (FIRST, SECOND):
        submit(agentq, cli, prompt, env=environ)
    agentq("run", "--drain", env=environ, timeout=240)
    (run,) = document(agentq, "runs", "--session", "talk")["items"]
    assert (run["status"], run["failure_class"], run["cost_usd"]) == ("error", "auth", None)
    assert document(agentq, "show", "talk/1")["status"] == "failed"
    waiting = document(agentq, "show", "talk/2")
    assert (waiting["status"], waiting["waiting_for"]["kind"]) == ("queued", "limit"), waiting


def test_a_usage_limit_holds_the_agent_and_costs_no_attempt(agentq: Any, cli: Cli, api: ModelApi) -> None:
    api.reset_at = int(time.time()) + 7200
    environ = dict(cli.prepare(agentq.home, api.url(cli.limit)))
    submit(agentq, cli, FIRST, env=environ)
    drained = agentq("run", "--drain", env=environ, timeout=240)
    (run,) = document(agentq, "runs", "--session", "talk")["items"]
    assert (run["status"], run["failure_class"]) == ("rate_limited", "rate_limited"), run
    task = document(agentq, "show", "talk/1")
    assert task["attempts"] == 0, task
    if cli.name == "codex":
        # Its words have no seconds: the end of that minute.
        assert drained.returncode == 75, drained.stderr
        until_text = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(api.reset_at + 60))
        assert task["waiting_for"]["until"].startswith(until_text), task


def test_a_cancel_in_the_middle_of_a_tool_leaves_nothing(agentq: Any, cli: Cli, api: ModelApi) -> None:
    began = agentq.home / "began"
    nap = f"3600.{time.time_ns()}"
    api.command = f"touch {began}; sleep {nap}; echo never"
    environ = dict(cli.prepare(agentq.home, api.url("tool")))
    submit(agentq, cli, FIRST, *cli.free, env=environ)
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


def commands_with(word: str) -> list[bytes]:
    """The command lines of this machine that hold a word."""
    found = []
    for directory in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if directory.name.isdigit() and word.encode() in (line := (directory / "cmdline").read_bytes()):
                found.append(line)
    return found


FAULTS = [
    ("401", FailureClass.AUTH),
    ("403", FailureClass.AUTH),
    ("404", FailureClass.CONFIG),
    ("400", FailureClass.ERROR),
    ("context", FailureClass.CONTEXT),
]


@pytest.mark.parametrize(("mode", "failure"), FAULTS)
def test_a_fault_of_the_api_has_its_class(program: Program, mode: str, failure: FailureClass) -> None:
    found = program.run(mode)
    assert (found.status, found.failure_class) == (RunStatus.ERROR, failure), found
    assert found.error and found.conversation


# The other two try them again for minutes.
@pytest.mark.parametrize("cli", [cli for cli in CLIS if cli.name == "codex"], ids=["codex"], indirect=True)
@pytest.mark.parametrize(
    ("mode", "failure"),
    [
        ("billing", FailureClass.BILLING),
        ("500", FailureClass.OVERLOADED),
        ("503", FailureClass.OVERLOADED),
        ("529", FailureClass.OVERLOADED),
        ("429", FailureClass.RATE_LIMITED),
    ],
)
def test_a_fault_that_is_tried_again_has_its_class(program: Program, mode: str, failure: FailureClass) -> None:
    assert program.run(mode).failure_class is failure


def test_a_bad_flag_is_a_config_failure(program: Program) -> None:
    assert program.run("ok", "--no-such-flag").failure_class is FailureClass.CONFIG


def test_an_unknown_conversation_is_lost(program: Program) -> None:
    found = program.run("ok", resume=program.cli.lost)
    assert (found.conversation, found.conversation_lost) == (None, True), found


def test_a_tool_that_may_not_be_used_is_not_used(program: Program) -> None:
    """Codex's sandbox lets it try; the other two refuse, and say so."""
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
