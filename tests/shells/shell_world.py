"""What the tests of completions share: a state dir full of names that a shell must not obey, and what fits there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from agentq_process import ROOT, Agentq

HOSTILE = (
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "|touch pwned",
    "new\nline",
    "'quote",
    '"',
    "-x",
    "a b",
    "*",
)
SAFE = ("a:b", "ok+1", "x@y/z")


@dataclass(frozen=True)
class World:
    """`work` is the empty directory in which the shells run; `environ` has agentq on PATH and the state dir set."""

    agentq: Agentq
    work: Path
    environ: dict[str, str]
    other: Path

    def check_untouched(self) -> None:
        """Nothing was executed that a name asked for."""
        assert list(self.work.iterdir()) == []


def shell(name: str) -> str:
    """The shell's path; the test is skipped where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


COMPLETIONS = ROOT / "completions"

CASES = {
    "agentq canc": {"cancel"},
    "agentq sta": {"stats", "status"},
    "agentq log docs/1 d": set(),
    "agentq rm docs/1 s": {"site.v2/1"},
    "agentq x -s ": {"default", "docs", "site.v2"},
    "agentq x --mem": {"--memory"},
    "agentq list --sta": {"--state-dir", "--status"},
    "agentq list --status fa": {"failed"},
    "agentq runs --status ti": {"timeout"},
    "agentq list --label ": set(SAFE),
    "agentq submit --label o": {"ok+1"},
    "agentq submit -s ": {"default", "docs", "site.v2"},
    "agentq submit --session ": {"default", "docs", "site.v2"},
    "agentq submit -a c": {"claude", "codex"},
    "agentq show ": {"docs/1", "docs/2", "site.v2/1", "default/1"},
    "agentq cancel ": {"docs/1", "docs/2", "site.v2/1"},
    "agentq cancel docs/1 s": {"site.v2/1"},
    "agentq retry ": {"default/1"},
    "agentq show --color never d": {"docs/1", "docs/2", "default/1"},
    "agentq show docs/1 d": set(),
    "agentq submit --after s": {"site.v2/1"},
    "agentq config ": {"show", "check", "path"},
    "agentq completion z": {"zsh"},
    "agentq --state-dir {other} submit -s ": {"elsewhere"},
    "agentq submit --state-dir {other} -s ": {"elsewhere"},
    "agentq --state-dir={other} submit -s ": {"elsewhere"},
    "agentq --state-dir /nonexistent submit -s ": set(),
    "agentq --state-dir $(touch pwned) submit -s ": set(),
    'agentq submit "$(touch pwned)" -s do': {"docs"},
    "agentq submit -s '$(touch pwned)": set(),
    "agentq bogus ": set(),
}
"""A line up to the cursor, and what every shell must offer there."""
