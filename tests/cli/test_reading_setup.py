"""`config` and `agents`: what is set and where it came from, and which agents could start here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from agentq_process import Agentq

CONFIG = """
jobs = 4
[limits]
stagger = "1h30m15s"
[sessions.docs]
agent = "mine"
timeout = "90s"
[agents.mine]
argv = ["my-agent", "--json"]
version = ["my-agent", "--version"]
env = { TOKEN = "hush" }
"""


@pytest.fixture
def configured(agentq: Agentq, tmp_path: Path) -> Agentq:
    file = tmp_path / "agentq.toml"
    file.write_text(CONFIG)
    agentq.environ["AGENTQ_CONFIG"] = str(file)
    return agentq


def settings(agentq: Agentq, **env: str) -> dict[str, Any]:
    document = json.loads(agentq("config", "show", "--json", env=env).stdout)
    assert document["schema"] == "agentq.config/1"
    return {item["key"]: (item["value"], item["source"]) for item in document["items"]}


def test_each_value_is_shown_with_its_source(configured: Agentq) -> None:
    file = f"file {configured.environ['AGENTQ_CONFIG']}"
    found = settings(configured, AGENTQ_MAX_QUEUED="7")
    assert found["jobs"] == (4, file)
    assert found["max_queued"] == (7, "environment AGENTQ_MAX_QUEUED")
    assert found["retention"] == (None, "default")
    assert found["sessions.docs.timeout"] == (90_000, file)
    shown = dict(line.split(":", 1) for line in configured("config").stdout.splitlines())
    assert shown["jobs"].strip() == f"4  ({file})"
    assert shown["limits.stagger"].strip() == f"1h30m15s  ({file})"
    assert shown["limits.output_bytes"].strip() == "64MiB  (default)"
    assert shown["sessions.docs.timeout"].strip() == f"1m30s  ({file})"


def test_no_value_of_an_environment_is_shown(configured: Agentq) -> None:
    assert settings(configured)["agents.mine.env"][0] == ["TOKEN"]
    for arguments in (("config",), ("config", "--json"), ("agents",), ("agents", "--json")):
        assert "hush" not in configured(*arguments).stdout


def test_the_path_is_printed_whether_the_file_is_there_or_not(configured: Agentq, tmp_path: Path) -> None:
    assert configured("config", "path").stdout == f"{tmp_path / 'agentq.toml'}\n"
    missing = json.loads(configured("config", "path", "--json", env={"AGENTQ_CONFIG": "/none.toml"}).stdout)
    assert (missing["path"], missing["exists"]) == ("/none.toml", False)


def test_check_names_file_line_and_the_nearest_key(configured: Agentq) -> None:
    file = Path(configured.environ["AGENTQ_CONFIG"])
    assert configured("config", "check").stdout == f"{file}: valid\n"
    file.write_text("jobs = 2\njosb = 3\n")
    done = configured("config", "check")
    assert done.returncode == 2
    assert done.stderr.startswith(f"agentq: error: {file}:2:")
    assert "did you mean 'jobs'?" in done.stderr


def test_agents_are_listed_with_what_is_found(configured: Agentq, tmp_path: Path) -> None:
    def agents() -> dict[str, Any]:
        done = configured("agents", "--json", env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
        document = json.loads(done.stdout)
        assert (done.returncode, document["schema"]) == (0, "agentq.agents/1")
        return {item["name"]: item for item in document["items"]}

    assert (agents()["mine"]["found"], agents()["mine"]["version"]) == (False, None)
    program = tmp_path / "my-agent"
    program.write_text("#!/bin/sh\necho my-agent 1.2.3\necho more\n")
    program.chmod(0o755)
    mine = agents()["mine"]
    assert (mine["found"], mine["program"], mine["version"]) == (True, str(program), "my-agent 1.2.3")
    assert (mine["source"], mine["env_keys"]) == ("config", ["TOKEN"])
    assert agents()["demo"]["found"] is True


def test_a_broken_agent_does_not_stop_the_listing(configured: Agentq, tmp_path: Path) -> None:
    program = tmp_path / "my-agent"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    program.chmod(0o755)
    done = configured("agents", "--json", env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert done.returncode == 0
    found = {item["name"]: item["version"] for item in json.loads(done.stdout)["items"]}
    assert found["mine"] is None


def test_the_default_agent_is_marked(configured: Agentq) -> None:
    done = configured("agents", "--json", env={"AGENTQ_DEFAULT_AGENT": "demo"})
    assert [item["name"] for item in json.loads(done.stdout)["items"] if item["default"]] == ["demo"]
