"""An option is a row, the field that it fills, and the use of that field: no other place knows it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

import pytest
from agentq_process import Agentq

from agentq_cli.model.work import Work
from agentq_cli.options.table import ROWS, Row, row
from agentq_cli.policy.schedule import Missed, Overlap

PROGRAM = """
import sys
from agentq_cli.options import table
text = "Between asking it to go and making it."
new = ("--courtesy -k", table.DEFAULTS, "duration", table.LIMITS, text, {"field": "launch.grace_ms"})
table.ROWS = tuple(new if row[0] == "--grace" else row for row in table.ROWS)
if sys.argv[1] == "pages":
    from agentq_cli.manual import pages
    for name, text in {**pages.man_pages(), **pages.completion_files()}.items():
        print(name, text.count("courtesy"), text.count("--grace") + text.count("-grace "))
else:
    from agentq_cli.__main__ import main
    sys.exit(main())
"""
"""agentq with a row of its own instead of that of --grace."""


def run(agentq: Agentq, *arguments: str, code: int = 0, input: str = "", env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=agentq.environ | (env or {}),
        input=input,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=agentq.home,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def grace(agentq: Agentq, seq: int) -> Any:
    """What is stored of that field."""
    with closing(sqlite3.connect(agentq.state_dir / "sessions" / "default" / "inbound.db")) as database:
        ((launch,),) = database.execute("SELECT launch FROM messages_in WHERE seq = ?", (seq,))
    return json.loads(launch).get("grace_ms")


def test_a_row_is_all_that_the_words_of_an_option_take(agentq: Agentq) -> None:
    work = ("--exec", "--", "true")
    run(agentq, "submit", "--courtesy", "7s", *work)
    run(agentq, "submit", "-k8s", "--no-wake", *work)  # which the parser reads
    run(agentq, "submit", "--batch", "-", input=json.dumps({"exec": ["true"], "courtesy": "9s"}))
    run(agentq, "schedule", "--every", "1h", "--courtesy=10s", *work)
    (agentq.home / "config.toml").write_text('[defaults]\ncourtesy = "11s"\n')
    run(agentq, "submit", *work, env={"AGENTQ_CONFIG": str(agentq.home / "config.toml")})
    assert [grace(agentq, seq) for seq in range(1, 6)] == [7000, 8000, 9000, 10_000, 11_000]
    run(agentq, "edit", "1", "--courtesy", "12s")
    assert grace(agentq, 1) == 12_000


def test_what_is_wrong_with_it_is_said_everywhere(agentq: Agentq) -> None:
    work = ("--exec", "--", "true")
    assert "--courtesy '5': a duration needs a unit" in run(agentq, "submit", "--courtesy", "5", *work, code=2)
    assert "--courtesy '': needs a value" in run(agentq, "submit", "--courtesy", "", *work, code=2)
    line = json.dumps({"exec": ["true"], "courtesy": 5})
    assert "--batch line 1: courtesy 5: must be text" in run(agentq, "submit", "--batch", "-", input=line, code=2)
    (agentq.home / "config.toml").write_text("[defaults]\ncourtesy = 5\n")
    env = {"AGENTQ_CONFIG": str(agentq.home / "config.toml")}
    assert "config.toml:2: courtesy '5': a duration needs a unit" in run(agentq, "list", code=2, env=env)
    assert "'--grace': no such option" in run(agentq, "submit", "--grace", "5s", *work, code=2)
    assert "'--courtsy': no such option of 'agentq edit'; did you mean '--courtesy'?" in run(
        agentq, "edit", "1", "--courtsy", "1s", code=2
    )


def test_help_pages_and_completions_show_it(agentq: Agentq) -> None:
    assert "  -k, --courtesy DURATION" in run(agentq, "submit", "--help")
    told = {name: (int(new), int(old)) for name, new, old in map(str.split, run(agentq, "pages").splitlines())}
    for name in ("man1/agentq-submit.1", "man1/agentq-schedule.1", "man1/agentq-edit.1", "man5/agentq-config.5"):
        assert told[name][0], name
    for name in ("_agentq", "agentq.bash", "agentq.fish"):
        assert told[name] == (told[name][0], 0) and told[name][0] >= 3, name


@pytest.mark.parametrize("cells", ROWS, ids=lambda cells: f"{cells[0]} {'/'.join(cells[1][:2])}")
def test_a_row_says_nothing_that_nobody_reads(cells: Any) -> None:
    row = Row(cells)
    assert set(row.rest) <= {"metavar", "default", "field", "low", "high", "choices"}
    assert bool(row.choices) >= (row.reader == "choice")
    assert row.kind == "flag" or row.metavar
    assert row.text.endswith(".")


def test_the_words_of_a_choice_are_those_of_the_policy() -> None:
    assert row("schedule", "missed").choices == tuple(Missed)
    assert row("schedule", "overlap").choices == tuple(Overlap)
    assert row("submit", "on_dep_failure").choices[0] == Work("exec", "/").on_dep_failure
