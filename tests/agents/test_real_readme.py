"""The lines of README, "With your agent", typed word for word with the real agent CLIs."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import Any

import pytest
from agentq_process import ROOT
from model_api import ANSWER, ModelApi
from real_cli import Cli, document

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def lines_for(name: str) -> list[list[str]]:
    """The three lines for an agent, as words."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("\n## With your agent\n")[1].split("\n## ")[0]
    block = re.search(r"^```console\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert block is not None
    ends = "$ agentq run --drain\n"
    groups = [[shlex.split(line) for line in (group + ends).splitlines()] for group in block[1].split(ends)[:-1]]
    (lines,) = [group for group in groups if group[0][:5] == ["$", "agentq", "submit", "-a", name]]
    return lines


def prompt_of(line: list[str]) -> str:
    """The last word before those for the agent."""
    return line[: line.index("--")][-1] if "--" in line else line[-1]


def test_the_three_lines_of_the_readme_do_what_they_say(agentq: Any, cli: Cli, api: ModelApi) -> None:
    environ = dict(cli.prepare(agentq.home, api.url("tool")))
    # As its users have it: a repository, and opencode without a rule that it must ask.
    subprocess.run(["git", "init", "-q", agentq.home], check=True)
    (agentq.home / "opencode.json").unlink(missing_ok=True)

    first, second, run = lines_for(cli.name)
    for line in (first, second, run):
        assert line[:2] == ["$", "agentq"]
        done = agentq(*line[2:], env=environ, timeout=240)
        assert done.returncode == 0, done.stderr + done.stdout

    assert (agentq.home / "made.txt").read_text() == "made-by-agent\n", "the first may change files"
    before, after = reversed(document(agentq, "runs", "--session", "fix")["items"])
    assert (before["status"], after["status"], after["result"]) == ("success", "success", ANSWER)
    assert before["conversation"] == after["conversation"]
    (asked,) = [request.text for request in api.conversations() if prompt_of(second) in request.text]
    assert prompt_of(first) in asked
