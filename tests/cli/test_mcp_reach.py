"""What an agent that somebody else talked into it could reach by `agentq mcp`, were it not for these limits."""

from __future__ import annotations

from typing import Any

import pytest
from driven import Driven

from agentq_cli.base.clock import Clock
from agentq_cli.cli.context import Context
from agentq_cli.mcp import calls
from agentq_cli.mcp.calls import Outcome
from agentq_cli.mcp.limits import Limits
from agentq_cli.mcp.tools import TOOLS

BY_NAME = {tool.name: tool for tool in TOOLS}


@pytest.fixture
def world(aq: Driven) -> Driven:
    """A task in each of two sessions; a person paused the session of the server."""
    (aq.home / "config.toml").write_text('default_agent = "demo"\n')
    aq.agentq.environ["AGENTQ_CONFIG"] = str(aq.home / "config.toml")
    aq.submit("-s", "docs", "hello", env={"OF_A_PERSON": "1"})
    aq.submit("-s", "secret-project", "hello")
    aq("pause", "-s", "docs", "--reason", "a person looks at it first")
    return aq


def called(aq: Driven, name: str, /, allowed: str = "", env: dict[str, str] | None = None, **arguments: Any) -> Outcome:
    """The outcome of a call of a server of the session `docs`."""
    limits = Limits(("docs",), allowed=frozenset(allowed.split()))
    return calls.call(
        BY_NAME[name], arguments, limits, Context(str(aq.state_dir), Clock(), aq.agentq.environ | (env or {}))
    )


def test_a_session_that_a_person_paused_stays_paused(world: Driven) -> None:
    for tool in ("resume", "pause"):
        refused = called(world, tool, session="docs")
        assert (refused.document["kind"], "--allow sessions" in refused.text) == ("not_allowed", True)
    assert not called(world, "pause", ids=["docs/1"]).failed and not called(world, "resume", ids=["docs/1"]).failed
    assert world.task("docs/1")["waiting_for"]["kind"] == "paused"
    assert not called(world, "resume", "sessions", session="docs").failed


def test_nobody_learns_which_other_sessions_there_are(world: Driven) -> None:
    """What is refused is refused in the same words whether there is such a session or not."""
    for tool, option in (("list", "task"), ("show", "run"), ("logs", "run"), ("wait", "ids"), ("runs", "series")):
        for end in ("", "/1"):
            there, not_there = (
                called(world, tool, **{option: [word] if option == "ids" else word}).text.replace(name, "NAME")
                for name in ("secret-project", "no-project")
                for word in [name + end]
            )
            assert there == not_there and "error" in there
    everything = [called(world, tool, **({"all": True} if tool == "list" else {})).text for tool in ("list", "runs")]
    assert "secret" not in str(everything)


def test_what_is_stored_and_shown_again_stays_short(world: Driven) -> None:
    long = "x" * ((1 << 20) + 1)
    for tool, arguments in (
        ("submit", {"prompt": long}),
        ("submit", {"prompt": "p", "label": [long]}),
        ("schedule", {"prompt": "p", "every": "1h", "label": ["x" * 1001]}),
        ("pause", {"ids": ["docs/1"], "reason": "x" * 501}),
        ("retry", {"ids": ["docs/1"], "prompt": long}),
    ):
        refused = called(world, tool, **arguments)
        assert (refused.document["code"], "longer than" in refused.text) == (2, True), tool
        assert len(refused.text) < 300
    assert len(world.tasks()) == 2


def test_a_task_from_within_a_run_has_the_environment_of_the_task_of_the_run(world: Driven) -> None:
    """What the agent's CLI, or the settings of a repository, set for the server is not handed on to the next task."""
    inside = {"AGENTQ_TASK": "docs/1", "AGENTQ_DEPTH": "", "PATH": "/owned", "LD_PRELOAD": "/owned.so"}

    def names(**env: str) -> set[str]:
        found = called(world, "submit", env=env, prompt="more", dry_run=True)
        return set(found.document["items"][0]["env"])

    assert "OF_A_PERSON" in names(**inside) and "LD_PRELOAD" not in names(**inside)
    assert "LD_PRELOAD" in names(**inside | {"AGENTQ_TASK": ""}), "outside of a run a person started it"
    made = called(world, "submit", env=inside, prompt="more").document["items"][0]["id"]
    world("resume", "-s", "docs")
    world.drain()
    assert world.task(made)["status"] == "completed"
    for _ in range(9):  # each by the one before
        made = called(world, "submit", env=inside | {"AGENTQ_TASK": made}, prompt="more").document["items"][0]["id"]
    refused = called(world, "submit", env=inside | {"AGENTQ_TASK": made}, prompt="more")
    assert (refused.document["kind"], "AGENTQ_DEPTH" in refused.text) == ("limit", True), "the depth is the task's"
