"""Start-up is most of what a short command costs: what the common ones must not import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from agentq_process import Agentq

HEAVY = {
    *("rich", "croniter", "dateutil", "psutil", "filelock", "asyncio", "tomllib", "zoneinfo", "pydantic", "ssl"),
    *("multiprocessing", "concurrent", "importlib.metadata", "email", "http", "logging", "ctypes", "hypothesis"),
    *("jsonschema", "pytest", "rich.console", "typer.rich_utils", "textual"),
}

PARSER = {"typer", "inspect", "dataclasses", "typing", "pathlib", "difflib", "urllib", "ipaddress"}
"""What exact spellings do without: the parser, what only it needs, and what costs as much as SQLite to import."""

PROGRAM = """
import sys
from agentq_cli.__main__ import main
code = main()
sys.stderr.write("\\n" + " ".join(sys.modules))
sys.exit(code)
"""


def modules(agentq: Agentq, *arguments: str, stdout: int = subprocess.DEVNULL, **env: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=agentq.environ | {"TERM": "xterm"} | env,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
        cwd=agentq.home,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("submit", "--exec", "--", "true"),
        ("submit", "--agent", "demo", "--at", "2999-01-01T00:00:00Z", "--expires", "2d", "-e", "A=b", "prompt"),
        ("list",),
        ("list", "--json"),
        ("events",),
        ("runs", "--limit", "20"),
        ("show", "1"),
        ("workers",),
        ("top", "--json"),
        ("sweep", "--no-wake"),
        ("cancel", "1"),
    ],
    ids=" ".join,
)
def test_a_common_command_imports_nothing_heavy(agentq: Agentq, arguments: tuple[str, ...]) -> None:
    assert agentq("submit", "--exec", "--", "true").returncode == 0
    loaded = modules(agentq, *arguments)
    assert not loaded & (HEAVY | PARSER)


@pytest.mark.parametrize(
    ("arguments", "drawn"),
    [
        (("list",), True),
        (("stats",), True),
        (("list", "--json"), False),
        (("top", "--json"), False),
        (("show", "1"), False),
        (("config", "show"), False),
    ],
)
def test_rich_is_imported_only_where_it_draws(agentq: Agentq, arguments: tuple[str, ...], drawn: bool) -> None:
    assert agentq("submit", "--exec", "--", "true").returncode == 0
    master, slave = os.openpty()
    on_terminal = modules(agentq, *arguments, stdout=slave)
    piped = modules(agentq, *arguments, FORCE_COLOR="1")
    os.close(slave)
    os.close(master)
    assert ("rich.console" in on_terminal) is drawn
    assert not {"rich.markdown", "pygments"} & on_terminal
    assert "rich" not in piped


@pytest.mark.parametrize("command", ["workers", "stats", "sessions", "agents", "logs 1", "wait 1", "top --json"])
@pytest.mark.parametrize("more", ["", "--json"], ids=["pipe", "json"])
def test_what_is_for_eyes_is_imported_for_a_terminal_only(agentq: Agentq, command: str, more: str) -> None:
    assert agentq("submit", "--exec", "--", "true").returncode == 0
    assert agentq("run", "--drain").returncode == 0
    assert not modules(agentq, *command.split(), *more.split()) & {"rich", "psutil"}


def test_a_command_imports_no_other_command(agentq: Agentq) -> None:
    loaded = modules(agentq, "list")
    commands = {name.rpartition(".")[2] for name in loaded if name.startswith("agentq_cli.commands.")}
    assert commands == {"list", "filters", "of_line"}
