"""A command says and does the same whether the quick reader or the parser read its words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from agentq_process import Agentq

PREPARED = """
from agentq_cli.cli import app, quick
if {reader!r} == "parser":
    quick.read = lambda words: None
run = app.run
def noted(*given):
    open({note!r}, "w").close()
    return run(*given)
app.run = noted
"""
"""Notes that the parser was asked, and with the reader `parser` asks nobody else."""

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
    """What a command does to a copy of the state dir: code, stdout, stderr, and whether the parser was asked."""
    shutil.rmtree(agentq.state_dir, ignore_errors=True)
    shutil.copytree(filled, agentq.state_dir)
    note = agentq.home / "asked"
    note.unlink(missing_ok=True)
    prepare = PREPARED.format(reader=reader, note=str(note))
    ended = agentq(*arguments, env={"AGENTQ_NOW": "2026-03-01T12:00:00Z"}, prepare=prepare)
    return ended.returncode, ended.stdout, ended.stderr, note.exists()


@pytest.mark.parametrize("arguments", [*READ, *NOT_READ], ids=" ".join)
def test_both_ways_end_alike(agentq: Agentq, filled: Path, arguments: tuple[str, ...]) -> None:
    quick = done(agentq, filled, "quick", arguments)
    parser = done(agentq, filled, "parser", arguments)
    assert quick[:3] == parser[:3]
    assert parser[3]
    assert quick[3] is (arguments in NOT_READ)
