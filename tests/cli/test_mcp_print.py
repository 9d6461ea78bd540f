"""What `agentq mcp --print` prints for each agent CLI: it starts the same server, wherever it is started."""

from __future__ import annotations

import json
import subprocess
import tomllib
from typing import Any

import pytest
from driven import Driven

from agentq_cli.base.defaults import AGENT_CLIS
from agentq_cli.mcp.tools import TOOLS
from agentq_cli.options.table import SERVED, row

LIMITS = ("--session", "docs", "--session", "web", "--read-only", "--tools", "list", "--allow", "exec")


def registered(agent: str, text: str) -> tuple[list[str], Any]:
    """The command line that an agent CLI reads in such a text, and the whole of what it reads."""
    if agent == "claude":
        line = ["sh", "-c", f'claude() {{ printf %s "$6"; }}\n{text}']
        server = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
        return [server["command"], *server["args"]], server
    if agent == "codex":
        server = tomllib.loads(text)["mcp_servers"]["agentq"]
        return [server["command"], *server["args"]], server
    comment, _, document = text.partition("\n")
    assert comment.startswith("// In ~/.")
    if agent == "gemini":
        server = json.loads(document)["mcpServers"]["agentq"]
        return [server["command"], *server["args"]], server
    server = json.loads(document)["mcp"]["agentq"]
    return server["command"], server


@pytest.mark.parametrize("agent", AGENT_CLIS)
def test_it_registers_the_server_with_its_limits_and_its_queue(aq: Driven, agent: str) -> None:
    config = aq.home / "own 'config'.toml"
    config.write_text('tz = "UTC"\n')
    where = {"AGENTQ_CONFIG": str(config), "AGENTQ_STATE_DIR": "it's here", "AGENTQ_URL": "postgresql://a:b@h/d"}
    plain, _ = registered(agent, aq("mcp", "--print", agent, env={"AGENTQ_STATE_DIR": ""}).stdout)
    text = aq("mcp", "--print", agent, *LIMITS, env=where).stdout
    argv, server = registered(agent, text)
    assert plain[-1] == "mcp", "nothing is said that holds anyway"
    program = plain[:-1]
    found = [*program, "--url", "postgresql://a@h/d", "--state-dir", str(aq.home / "it's here"), "mcp", *LIMITS]
    assert argv == ["env", f"AGENTQ_CONFIG={config}", *found], "without a password"
    if agent == "codex":
        assert {"AGENTQ_DEPTH", "AGENTQ_SESSION", "AGENTQ_RUN", "HOME"} <= set(server["env_vars"])
    document = aq.json("mcp", "--print", agent, *LIMITS, env=where)
    assert document == {"schema": "agentq.mcp/1", "agent": agent, "argv": argv, "text": text.rstrip("\n")}


def test_its_help_names_the_tools_and_the_resources(aq: Driven) -> None:
    from agentq_cli.mcp.resources import KINDS, TASK  # loads the SDK

    assert tuple(tool.name for tool in TOOLS) == SERVED == row("mcp", "tools").choices
    words = aq("mcp", "--help").stdout.split()
    assert "|".join(SERVED) in words
    named = {word.rstrip(",.:") for word in words if word.startswith("agentq://")}
    uris = {TASK.format(session="SESSION", number="N") + (f"/{kind}" if kind else "") for kind in KINDS}
    assert named == uris


def test_what_is_typed_is_checked_before_anything_is_printed(aq: Driven) -> None:
    for given, said in {
        ("--print", "demo"): "'demo': not known how",
        ("--print", "claud"): "did you mean 'claude'?",
        ("--print", "claude", "--allow", "exe"): "--allow 'exe'",
        ("--print", "claude", "--tools", "lst"): "--tools 'lst'",
        ("--print", "claude", "--session", "../x"): "--session '../x'",
        (
            "--read-only",
            "--tools",
            "list",
            "--tools",
            "submit",
        ): "'submit': it changes something, and --read",
        ("--print", "claude", "--read-only", "--tools", "submit"): "--tools 'submit': it changes something",
        ("--read-only", "--allow", "all", "--tools", "land"): "--tools 'land': it changes something",
        ("--print", "claude", "--tools", "land"): "--tools 'land': it needs --allow land",
    }.items():
        assert said in aq.refused("mcp", *given, code=3 if "claud" in given else 2), given


def test_an_agent_of_ones_own_is_registered_as_its_profile_says(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text('[agents.mine]\nargv = ["x"]\nmcp = "mine add {shell} {argv} {other}"\n')
    text = aq("mcp", "--print", "mine", "--read-only", env={"AGENTQ_CONFIG": str(config)}).stdout.strip()
    assert text.startswith("mine add env AGENTQ_CONFIG=") and text.endswith('"mcp", "--read-only"] {other}')
