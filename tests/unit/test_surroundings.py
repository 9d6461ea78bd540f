"""What cron and systemd give: read back from crontabs and units, those that `service print` makes among them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.agents import probe
from agentq_cli.agents.logins import LOGINS
from agentq_cli.diagnose.service import Service, crontab_line, units
from agentq_cli.diagnose.surroundings import crontab, unit_environment, unquoted

WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=30)


@given(WORD, WORD)
def test_what_service_prints_is_read_back(path: str, state: str) -> None:
    service = Service(["/usr/bin/agentq"], {"PATH": f"/a:{path}", "AGENTQ_STATE_DIR": f"/{state}"})
    _, calls, given_ = crontab(crontab_line(service))
    assert len(calls) == 1
    assert given_ == service.environ
    assert unit_environment(units(service)[0].content) == service.environ


def test_a_crontab_says_what_its_lines_get() -> None:
    text = (
        '# agentq sweep\nPATH = "/opt/bin:/usr/bin"\nMAILTO=me\n\n0 9 * * * true\n* * * * * agentq sweep\nPATH=/later\n'
    )
    assert crontab(text) == ({"PATH": "/opt/bin:/usr/bin", "MAILTO": "me"}, ["* * * * * agentq sweep"], {})
    assert crontab("@hourly PATH=/x agentq sweep")[2] == {"PATH": "/x"}
    assert crontab("* * * * * cd 'open agentq sweep")[1:] == (["* * * * * cd 'open agentq sweep"], {})
    assert crontab("") == ({}, [], {})


def test_values_of_show_environment_are_unquoted() -> None:
    assert [unquoted(value) for value in ("/a:/b", "'a b'", "$'a b'", "'")] == ["/a:/b", "a b", "a b", "'"]


def test_a_login_is_a_variable_or_a_file(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    for name, login in LOGINS.items():
        assert login.found(home) is None, name
        file = tmp_path / login.files[-1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        assert login.found(home) == str(file)
        file.unlink()
        assert login.found({**home, login.variables[0]: "x"}) == login.variables[0]
        assert login.found({**home, login.variables[0]: ""}) is None
    moved = tmp_path / "moved" / "auth.json"
    moved.parent.mkdir()
    moved.touch()
    assert LOGINS["codex"].found({**home, "CODEX_HOME": str(moved.parent)}) == str(moved)


def test_a_program_that_is_asked_has_so_long_and_no_child_of_it_longer(tmp_path: Path) -> None:
    assert probe.ask(["sh", "-c", "echo one; echo two; sleep 300 &"], 30) == "one\ntwo\n"
    assert probe.version(["sh", "-c", "echo one; echo two"]) == "one"
    began = time.monotonic()
    assert probe.ask(["sh", "-c", "sleep 300 & sleep 300"], 0.2) is None
    assert time.monotonic() - began < 60
    assert probe.ask(["sh", "-c", "echo no; exit 3"], 30) is None
    assert probe.ask([str(tmp_path / "none")], 30) is None
    # More than a pipe holds.
    assert len(probe.ask([sys.executable, "-c", "print('x' * 300_000)"], 30) or "") == 300_001


@pytest.mark.parametrize("name", sorted(LOGINS))
def test_every_known_login_is_of_an_agent_that_ships(name: str) -> None:
    from agentq_cli.base.defaults import BUILT_IN

    assert name in BUILT_IN and LOGINS[name].command.startswith(name)
