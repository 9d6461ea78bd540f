"""A command says and does the same whether the quick reader or the parser read its words."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from agentq_process import Agentq

PROGRAM = """
import sys
from agentq_cli.cli import quick
if sys.argv.pop(1) == "parser":
    quick.read = lambda words: None
from agentq_cli.__main__ import main
code = main()
print("typer" in sys.modules, file=sys.stderr)
sys.exit(code)
"""

READ = [
    ("--version",),
    ("--version", "--json"),
    ("submit", "-s", "docs", "--label", "x", "-e", "A=b", "-e", "C=d", "--", "--help"),
    ("submit", "--json", "--priority", "-7", "--exec", "--", "sh", "-c", "true"),
    ("submit", "--dry-run", "--agent=demo", "--json", "Say hello"),
    ("schedule", "--every", "1h", "--start=2026-03-01T00:00:00Z", "--exec", "--", "true"),
    ("list", "--all", "-s", "docs", "--limit", "2"),
    ("list", "--json", "--status", "queued", "--status=completed"),
    ("show", "docs/1", "--color", "always"),
    ("cancel", "docs/1", "docs/99", "x"),
    ("cancel", "--all"),
    ("runs", "--json", "docs/1"),
    ("sweep", "--no-wake", "--dry-run"),
    ("events", "--limit", "3"),
    # Errors of the command, not of the parser.
    ("list", "--color", "alway"),
    ("list", "--json", "--state-dir", ""),
    ("list", "-s", "dcos"),
    ("show", "docs/99", "--json"),
    ("submit",),
    ("submit", "--in", "5 m", "x", "--json"),
    ("logs", "docs/1"),
    ("config", "chekc"),
]

NOT_READ = [
    ("sumbit", "x"),
    ("list", "--sesion", "x"),
    ("list", "--help"),
    ("edit",),
    ("show", "1", "2", "--json"),
    ("list", "--limit", "many"),
    ("list", "-sdocs"),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dir with a few tasks, of which each test has a copy."""
    home = tmp_path_factory.mktemp("filled")
    agentq = Agentq(home, home / "state")
    for session in ("docs", "docs", "site"):
        assert agentq("submit", "-s", session, "--at", "2999-01-01T00:00:00Z", "--exec", "--", "true").returncode == 0
    return home / "state"


def done(agentq: Agentq, filled: Path, reader: str, arguments: tuple[str, ...]) -> tuple[int, str, str, bool]:
    """What a command does to a copy of the state dir: code, stdout, stderr, and whether the parser was imported."""
    shutil.rmtree(agentq.state_dir, ignore_errors=True)
    shutil.copytree(filled, agentq.state_dir)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, reader, *arguments],
        env=agentq.environ | {"AGENTQ_NOW": "2026-03-01T12:00:00Z"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=agentq.home,
    )
    said, _, imported = ended.stderr.rstrip("\n").rpartition("\n")
    return ended.returncode, ended.stdout, said, imported == "True"


@pytest.mark.parametrize("arguments", [*READ, *NOT_READ], ids=" ".join)
def test_both_ways_end_alike(agentq: Agentq, filled: Path, arguments: tuple[str, ...]) -> None:
    quick = done(agentq, filled, "quick", arguments)
    parser = done(agentq, filled, "parser", arguments)
    assert quick[:3] == parser[:3]
    assert parser[3]
    assert quick[3] is (arguments in NOT_READ)
