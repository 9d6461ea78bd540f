"""The real agent CLIs, set up to talk to a model API on loopback and to nobody else: no key, no network, no cost.

Each is skipped where its program is not installed (see README, slow tests).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from endings import Ending
from model_api import ModelApi

from agentq_cli.agents import profile as profiles
from agentq_cli.agents.reader import open_reader
from agentq_cli.agents.verdict import outcome
from agentq_cli.config.configuration import load
from agentq_cli.model.runs import Outcome

CODEX_CONFIG = """
model = "stub"
model_provider = "stub"
check_for_update_on_startup = false
[analytics]
enabled = false
[features]
plugins = false
[model_providers.stub]
name = "stub"
base_url = "{url}/v1"
env_key = "STUB_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
"""
GEMINI_SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    # By itself it would try for minutes what fails, and then again.
    "general": {"enableAutoUpdate": False, "maxAttempts": 1},
}


def claude(home: Path, url: str) -> dict[str, str]:
    """The environment to run Claude Code in."""
    del home
    return {
        "ANTHROPIC_API_KEY": "FAKE-KEY",
        "ANTHROPIC_BASE_URL": url,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_TELEMETRY": "1",
    }


def codex(home: Path, url: str) -> dict[str, str]:
    """Codex's settings, and the environment to run it in."""
    directory = home / ".codex"
    directory.mkdir(exist_ok=True)
    (directory / "config.toml").write_text(CODEX_CONFIG.format(url=url))
    return {"STUB_KEY": "FAKE-KEY"}


def gemini(home: Path, url: str) -> dict[str, str]:
    """Gemini CLI's settings, and the environment to run it in."""
    directory = home / ".gemini"
    directory.mkdir(exist_ok=True)
    (directory / "settings.json").write_text(json.dumps(GEMINI_SETTINGS))
    return {
        "GEMINI_API_KEY": "FAKE-KEY",
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
        "GEMINI_MODEL": "gemini-2.5-flash",
        "GEMINI_TELEMETRY_ENABLED": "false",
        "GOOGLE_GEMINI_BASE_URL": url,
    }


def opencode(home: Path, url: str) -> dict[str, str]:
    """The environment to run opencode in; it holds its settings, and `opencode.json` what it must ask for."""
    (home / "opencode.json").write_text(json.dumps({"permission": {"bash": "ask"}}))
    model = {"name": "m1", "cost": {"input": 3, "output": 15}, "limit": {"context": 200_000, "output": 8000}}
    options = {"baseURL": f"{url}/v1", "apiKey": "FAKE-KEY"}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "stub", "options": options, "models": {"m1": model}}
    settings = {"autoupdate": False, "share": "disabled", "model": "stub/m1", "small_model": "stub/m1"}
    return {
        "OPENCODE_CONFIG_CONTENT": json.dumps({**settings, "provider": {"stub": provider}}),
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_SHARE": "1",
    }


@dataclass(frozen=True)
class Cli:
    """One agent CLI: how it is set up, and what it needs to be told."""

    name: str
    prepare: Callable[[Path, str], Mapping[str, str]]
    args: tuple[str, ...] = ()
    # What lets it run any command.
    free: tuple[str, ...] = ()
    refusal: str | None = None
    lost: str = "11111111-2222-4333-8444-555555555555"
    tokens: tuple[int, int] = (120, 30)
    cost: float | None = None
    # Whether it says when a usage limit ends, and the environment of a plan that has one.
    says_reset: bool = True
    plan: Mapping[str, str] = field(default_factory=dict)
    # Whether a conversation can go on in another directory.
    roams: bool = False
    # Whether it waits for as long as a server asks it to.
    patient: bool = False


CLIS = (
    Cli(
        "claude",
        claude,
        free=("--allowedTools", "Bash"),
        refusal="tool use refused: Bash",
        tokens=(150, 30),
        cost=0.0014225,
        plan={"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": "FAKE-TOKEN"},
    ),
    Cli(
        "codex",
        codex,
        args=("--skip-git-repo-check",),
        free=("--dangerously-bypass-approvals-and-sandbox",),
        lost="019a0000-0000-7000-8000-000000000000",
        roams=True,
        patient=True,
    ),
    Cli("gemini", gemini, free=("-y",), refusal="tool use refused: run_shell_command"),
    Cli(
        "opencode",
        opencode,
        free=("--auto",),
        refusal="tool use refused: bash",
        says_reset=False,
        patient=True,
        lost="ses_dff83c5a2ffesVSf2TOb32lPS5",
        cost=0.00081,
    ),
)


class Program:
    """The program itself, started as the profile says and read as the profile says."""

    def __init__(self, cli: Cli, directory: Path, api: ModelApi) -> None:
        self.cli = cli
        self.directory = directory
        self.api = api
        self.profile = profiles.profile(load({"XDG_CONFIG_HOME": str(directory)}), cli.name)

    def run(
        self, mode: str, *agent_args: str, prompt: str = "do it", resume: str | None = None, **environ: str
    ) -> Outcome:
        """The outcome of one run; a variable that is to be empty is not set."""
        argv, stdin = profiles.command(
            self.profile,
            prompt=prompt,
            conversation=resume or (str(uuid.uuid4()) if self.profile.chooses_conversation else None),
            resume=resume is not None,
            agent_args=(*self.cli.args, *agent_args),
        )
        own = {**self.profile.env, **self.cli.prepare(self.directory, self.api.url(mode)), **environ}
        # Into a file, as agentq does: what a pipe cannot take at once Gemini CLI loses at its end.
        output = self.directory / "stdout"
        with output.open("wb") as stdout:
            done = subprocess.run(
                argv,
                input=(stdin or "").encode(),
                stdout=stdout,
                stderr=subprocess.PIPE,
                env={"PATH": os.environ["PATH"], "HOME": str(self.directory)} | {k: v for k, v in own.items() if v},
                cwd=self.directory,
                timeout=240,
                check=False,
            )
        reader = open_reader(self.profile.reader)
        assert reader is not None
        reader.feed(output.read_bytes())
        return outcome(Ending(exit_code=done.returncode, finished_at=time.time_ns() // 10**6), reader, done.stderr)


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def document(agentq: Any, *arguments: str) -> Any:
    """The JSON that a command prints."""
    done = agentq(*arguments, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def submit(agentq: Any, cli: Cli, prompt: str, *given: str, env: Mapping[str, str], session: str = "talk") -> None:
    """Submit a prompt with options; what the CLI must be told in any case is added."""
    arguments = [f"--agent-arg={word}" for word in cli.args]
    done = agentq("submit", "--session", session, "--agent", cli.name, *arguments, *given, "--", prompt, env=env)
    assert done.returncode == 0, done.stderr


def free(cli: Cli) -> list[str]:
    """The options of submit that let it run any command."""
    return [f"--agent-arg={word}" for word in cli.free]


def commands_with(word: str) -> list[int]:
    """The processes of this machine whose command lines hold a word."""
    found = []
    for directory in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if directory.name.isdigit() and word.encode() in (directory / "cmdline").read_bytes():
                found.append(int(directory.name))
    return found
