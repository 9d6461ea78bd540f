"""The real agent CLIs with the server of `agentq mcp`, registered as `--print` says: they submit a task, and wait."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from model_api import ModelApi
from model_wire import Call
from real_cli import Cli, commands_with, document, submit, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

UNATTENDED = {
    "claude": ("--allowedTools", "mcp__agentq"),
    "codex": ("-c", 'mcp_servers.agentq.default_tools_approval_mode="approve"'),
    "gemini": ("-y",),
}
"""What lets a CLI call the tools without a person to ask."""

PROMPT = "a prompt that an agent submits"
SESSION = "handed-on"


def register(agentq: Any, cli: Cli, *limits: str) -> None:
    """Do what a person does with what `agentq mcp --print` prints."""
    printed = agentq("mcp", "--print", cli.name, *limits)
    assert printed.returncode == 0, printed.stderr
    home: Path = agentq.home
    if cli.name == "claude":
        subprocess.run(["sh", "-c", printed.stdout], env={"PATH": os.environ["PATH"], "HOME": str(home)}, check=True)
    elif cli.name == "codex":
        with (home / ".codex" / "config.toml").open("a") as file:
            file.write(printed.stdout)
    elif cli.name == "gemini":
        settings = home / ".gemini" / "settings.json"
        added = json.loads(printed.stdout.partition("\n")[2])
        settings.write_text(json.dumps(json.loads(settings.read_text()) | added))
    else:
        (home / ".config" / "opencode").mkdir(parents=True)
        (home / ".config" / "opencode" / "opencode.jsonc").write_text(printed.stdout)


def ask(api: ModelApi, cli: Cli, *calls: Call) -> None:
    """Have the model call these tools; Claude Code tells its model to wait for servers that start slowly."""
    api.calls = (*([Call("WaitForMcpServers")] if cli.name == "claude" else []), *calls)


def given(cli: Cli) -> list[str]:
    return [f"--agent-arg={word}" for word in UNATTENDED.get(cli.name, ())]


@pytest.fixture
def environ(agentq: Any, cli: Cli, api: ModelApi) -> dict[str, str]:
    """The agent's environment; the tasks of the other session are demo's."""
    config = agentq.home / "config.toml"
    config.write_text(f'[sessions.{SESSION}]\nagent = "demo"\n')
    agentq.environ["AGENTQ_CONFIG"] = str(config)
    return dict(cli.prepare(agentq.home, api.url("calls")))


def test_it_submits_a_task_and_waits_for_its_end(agentq: Any, cli: Cli, api: ModelApi, environ: dict[str, str]) -> None:
    register(agentq, cli, "--session", SESSION)
    ask(
        api,
        cli,
        Call("submit", {"prompt": PROMPT, "session": SESSION}),
        Call("wait", {"ids": [f"{SESSION}/1"], "timeout": "5m"}),
        Call("show", {"run": f"{SESSION}/1"}),
    )
    submit(agentq, cli, "hand it on", *given(cli), env=environ)
    drained = agentq("run", "--drain", "--jobs", "2", env=environ, timeout=240)
    assert drained.returncode == 0, drained.stderr + drained.stdout
    made = document(agentq, "show", f"{SESSION}/1")
    assert (made["status"], made["prompt"], made["agent"]) == ("completed", PROMPT, "demo")
    (mine,) = document(agentq, "runs", "--session", "talk")["items"]
    (its,) = document(agentq, "runs", "--session", SESSION)["items"]
    assert mine["status"] == "success", mine
    assert mine["started_at"] <= its["started_at"] <= its["finished_at"] <= mine["finished_at"], "it waited for it"
    told = api.conversations()[-1].text
    # Codex tells its model the document, the others the text.
    assert f"{SESSION}/1" in told and "completed" in told and "demo answer to" in told, (
        "the model was told how it ended"
    )


def test_within_a_run_it_works_in_the_session_of_the_run_and_one_deeper(
    agentq: Any, cli: Cli, api: ModelApi, environ: dict[str, str]
) -> None:
    """What each CLI passes to a server of the environment is what that needs: the run, its session and its depth."""
    register(agentq, cli)
    ask(
        api,
        cli,
        Call("submit", {"prompt": PROMPT, "in": "1h"}),
        Call("submit", {"prompt": PROMPT, "session": SESSION}),
        Call("submit", {"exec": ["touch", "owned"]}),
    )
    submit(agentq, cli, "hand it on", *given(cli), env=environ)
    drained = agentq("run", "--drain", env=environ, timeout=240)
    assert drained.returncode == 0, drained.stderr + drained.stdout
    first, second = sorted(document(agentq, "list", "--all")["items"], key=lambda item: item["seq"])
    assert (first["id"], second["id"]) == ("talk/1", "talk/2"), "nothing else was stored"
    assert (second["agent"], second["cwd"]) == (first["agent"], first["cwd"])
    told = api.conversations()[-1].text
    # Gemini CLI holds a call against the schema itself: there the refusals are its own.
    refused = "params" if cli.name == "gemini" else "--allow"
    assert told.count(refused) >= 2, "the model was told what was refused, and why"
    assert not (agentq.home / "owned").exists()


def test_a_cancel_while_it_waits_leaves_no_server(
    agentq: Any, cli: Cli, api: ModelApi, environ: dict[str, str]
) -> None:
    register(agentq, cli, "--session", SESSION)
    ask(
        api,
        cli,
        Call("submit", {"prompt": PROMPT, "in": "1h"}),
        Call("wait", {"ids": [f"{SESSION}/1"], "timeout": "1h"}),
    )
    submit(agentq, cli, "hand it on", *given(cli), env=environ)
    supervisor = agentq.start("run", "--drain", env=environ)
    until(lambda: len(api.conversations()) >= len(api.calls), 240)
    until(lambda: bool(commands_with(f"mcp\0--session\0{SESSION}")))
    assert agentq("cancel", "talk/1", "--wait", timeout=60).returncode == 0
    supervisor.wait(60)
    until(lambda: not commands_with(f"mcp\0--session\0{SESSION}"), 5)
    assert agentq.left_over() == []
    assert document(agentq, "show", f"{SESSION}/1")["status"] == "scheduled"
