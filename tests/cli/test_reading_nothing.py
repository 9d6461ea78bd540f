"""Reading commands on a state dir that does not exist: an empty result, and no file left."""

from __future__ import annotations

import json

import pytest
from agentq_process import Agentq

EMPTY = ("list", "sessions", "workers", "runs", "events", "messages")


@pytest.mark.parametrize("command", EMPTY)
def test_a_missing_state_dir_reads_as_empty(agentq: Agentq, command: str) -> None:
    done = agentq(command, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["items"] == []
    assert not agentq.state_dir.exists()


@pytest.mark.parametrize("command", ["list", "sessions", "runs", "events", "messages"])
def test_an_empty_result_piped_as_text_is_nothing(agentq: Agentq, command: str) -> None:
    done = agentq(command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not agentq.state_dir.exists()


@pytest.mark.parametrize("command", ["list", "runs", "messages"])
def test_a_session_of_a_missing_state_dir_is_empty_too(agentq: Agentq, command: str) -> None:
    done = agentq(command, "-s", "docs", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["items"] == []
    assert not agentq.state_dir.exists()


@pytest.mark.parametrize(
    "arguments", [("show", "7"), ("logs", "docs/1"), ("logs", "1.1"), ("runs", "7"), ("events", "7")]
)
def test_one_task_of_a_missing_state_dir_is_not_found(agentq: Agentq, arguments: tuple[str, ...]) -> None:
    done = agentq(*arguments, "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["kind"] == "not_found"
    assert not agentq.state_dir.exists()


@pytest.mark.parametrize("command", ["agents", "config"])
def test_what_needs_no_state_makes_none(agentq: Agentq, command: str) -> None:
    done = agentq(command, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["schema"] == f"agentq.{command}/1"
    assert not agentq.state_dir.exists()


def test_reading_leaves_every_file_as_it_was(agentq: Agentq) -> None:
    assert agentq("submit", "--exec", "--", "true").returncode == 0
    assert agentq("run", "--drain").returncode == 0

    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in agentq.state_dir.rglob("*") if path.is_file()}

    before = files()
    for command in (*EMPTY, "show 1", "logs 1", "agents", "config"):
        assert agentq(*command.split()).returncode == 0, command
    assert files() == before
