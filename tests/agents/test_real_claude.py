"""What only the real Claude Code does, against a model API on loopback."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from model_api import ModelApi
from real_cli import CLIS, Program

from agentq_cli.model.statuses import FailureClass, RunStatus

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("claude") is None, reason="the agent CLI claude is not on PATH"),
]


@pytest.fixture
def claude(tmp_path: Path, api: ModelApi) -> Program:
    """The program with a home of its own."""
    return Program(next(cli for cli in CLIS if cli.name == "claude"), tmp_path, api)


def test_a_subscriptions_limit_has_its_reset_time(claude: Program) -> None:
    found = claude.run("usage", **claude.cli.plan)
    assert (found.status, found.reset_at) == (RunStatus.RATE_LIMITED, claude.api.reset_at * 1000)


def test_no_server_is_a_network_failure(claude: Program) -> None:
    assert claude.run("ok", ANTHROPIC_BASE_URL="http://127.0.0.1:9").failure_class is FailureClass.NETWORK


def test_without_a_key_it_is_an_auth_failure(claude: Program) -> None:
    assert claude.run("ok", ANTHROPIC_API_KEY="").failure_class is FailureClass.AUTH


def test_a_limit_of_turns_is_a_context_failure(claude: Program) -> None:
    assert claude.run("tool", *claude.cli.free, "--max-turns", "1").failure_class is FailureClass.CONTEXT
