"""`agentq doctor`: what keeps agents from running, each with the command that helps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from driven import Driven, held, until

STATUSES = ("ok", "warning", "error")


class Doctor:
    """agentq in a machine of its own: what stands on PATH, and what crontab and systemctl answer, is the test's."""

    def __init__(self, aq: Driven) -> None:
        self.aq = aq
        self.tools = aq.home / "tools"
        self.tools.mkdir()
        self.program("crontab", "echo 'no crontab' >&2; exit 1")
        self.program("systemctl", "echo 'no bus' >&2; exit 1")
        aq.agentq.environ["PATH"] = f"{self.tools}:/usr/bin:/bin"
        aq.agentq.environ["XDG_CONFIG_HOME"] = str(aq.home / "config")

    def program(self, name: str, script: str, where: Path | None = None) -> Path:
        file = (where or self.tools) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return file

    def answer(self, name: str, text: str) -> None:
        """Let a program answer with a text."""
        file = self.aq.home / f"{name}.answer"
        file.write_text(text)
        self.program(name, f"cat '{file}'")

    def __call__(self, code: int, env: Mapping[str, str] | None = None, *options: str) -> dict[str, Any]:
        """What is found, by check; of several of one name the worst."""
        document = self.aq.json("doctor", *options, code=code, env=env)
        assert (document["schema"], document["status"]) == ("agentq.doctor/1", STATUSES[code])
        found: dict[str, Any] = {}
        for item in document["items"]:
            assert list(item) == ["check", "status", "message", "command"]
            assert item["status"] == "ok" or item["command"], item
            before = found.get(item["check"])
            if before is None or STATUSES.index(item["status"]) > STATUSES.index(before["status"]):
                found[item["check"]] = item
        worst = max(STATUSES.index(item["status"]) for item in document["items"])
        assert worst == code
        return found


@pytest.fixture
def doctor(aq: Driven) -> Iterator[Doctor]:
    yield Doctor(aq)


def test_agents_that_cron_and_systemd_would_not_find(doctor: Doctor, aq: Driven) -> None:
    found = doctor(1)
    assert found["agents"]["status"] == "warning" and "none of claude, codex" in found["agents"]["message"]
    doctor.program("claude", "echo 1.2.3 '(Claude Code)'")
    found = doctor(1)
    assert "no login found" in found["agent claude"]["message"] and found["agent claude"]["command"] == "claude /login"
    for where in ("cron", "systemd"):
        assert (found[where]["status"], found[where]["command"]) == ("warning", f"agentq service print {where}")
        assert found[where]["message"].startswith("claude found here but not there")
    assert "PATH /usr/bin:/bin" in found["cron"]["message"] and "LANG not set, here C.UTF-8" in found["cron"]["message"]
    (aq.home / ".claude").mkdir()
    (aq.home / ".claude" / ".credentials.json").write_text("{}")
    doctor.answer("crontab", aq("service", "print", "cron").stdout)
    found = doctor(0)
    assert "1.2.3 (Claude Code); its login: " in found["agent claude"]["message"]
    assert "1 of its entries call agentq; finds claude" in found["cron"]["message"]
    assert found["systemd"]["status"] == "ok", "nobody asks systemd"
    assert found["attendance"]["message"].endswith("called by cron")
    doctor.answer("crontab", "* * * * * /usr/local/bin/agentq sweep\n")
    assert doctor(1)["cron"]["status"] == "warning"
    doctor.answer("crontab", "")
    doctor.answer("systemctl", f"HOME=/elsewhere\nPATH={doctor.tools}:/usr/bin\nLANG=C.UTF-8\n")
    found = doctor(1)
    assert (found["cron"]["status"], found["systemd"]["status"]) == ("warning", "ok")
    assert "HOME /elsewhere, here " in found["systemd"]["message"] and "LANG" not in found["systemd"]["message"]
    units = aq.home / "config" / "systemd" / "user"
    units.mkdir(parents=True)
    (units / "agentq.service").write_text(aq("service", "print", "systemd", "agentq.service").stdout)
    assert doctor(0)["attendance"]["message"].endswith("called by systemd")
    assert not aq.state_dir.exists()


def test_agents_that_the_config_names_must_be_there_and_answer(doctor: Doctor, aq: Driven) -> None:
    config = aq.home / "config" / "agentq" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        'default_agent = "gemini"\n[agents.mine]\nargv = ["mine"]\nversion = ["mine", "-V"]\n'
        '[hooks]\ntask.finished = ["./tell"]\n'
    )
    doctor.program("mine", "exit 3")
    found = doctor(2, {"ANTHROPIC_API_KEY": "hush"})
    assert (found["agent gemini"]["status"], found["agent mine"]["status"]) == ("error", "warning")
    assert found["agent mine"]["command"] == "mine -V"
    assert "'./tell': program not found" in found["hook task.finished"]["message"]
    doctor.program("tell", "true", where=config.parent)
    doctor.program("gemini", "echo 9")
    doctor.program("mine", "echo 1")
    found = doctor(1, {"GEMINI_API_KEY": "hush"})
    assert "GEMINI_API_KEY, which is set only in this shell" in found["agent gemini"]["message"]
    assert "hook task.finished" not in found
    assert "hush" not in json.dumps(found)
    config.write_text("jobs = 2\njosb = 3\n")
    found = doctor(2)
    assert f"{config}:2:" in found["config"]["message"] and found["config"]["command"] == "agentq config check"
    assert "did you mean 'jobs'" in found["config"]["message"]


def test_clock_zone_umask_and_state_dir(doctor: Doctor, aq: Driven) -> None:
    doctor.answer("claude", "")
    aq.exec("true", given=("--in", "2000d"), env={"AGENTQ_NOW": "2099-01-01T00:00:00Z"})
    found = doctor(1, {"TZ": "Middle/Earth"})
    assert "behind the newest record" in found["clock"]["message"]
    assert "'Middle/Earth'" in found["zone"]["message"]
    found = doctor(1, {"AGENTQ_NOW": "2099-01-02T00:00:00Z"})
    assert (found["clock"]["status"], found["clock"]["command"]) == ("warning", "unset AGENTQ_NOW")
    assert found["state dir"]["status"] == "ok"
    items = aq.items("doctor", code=1, umask=0)
    assert [item["command"] for item in items if item["check"] == "umask"] == ["umask 022"]
    aq.state_dir.chmod(0o755)
    assert doctor(1)["state dir"]["command"] == f"chmod 700 '{os.path.realpath(aq.state_dir)}'"
    (aq.state_dir / "agentq.db").write_bytes(b"nothing that SQLite knows" * 99)
    assert doctor(2)["state dir"]["status"] == "error"
    found = doctor(2, None, "--state-dir", "/dev/null")
    assert "not a directory" in found["state dir"]["message"]


def test_what_died_and_what_is_wrong_with_the_queue(doctor: Doctor, aq: Driven) -> None:
    doctor.answer("claude", "")
    aq.exec(*held("one"))
    supervisor = aq.supervise()
    aq.started("one")
    assert doctor(1)["leftovers"]["status"] == "ok"
    aq.kill_hard(supervisor)
    found = doctor(1)
    assert (
        found["leftovers"]["message"]
        == "records of supervisors that are gone: 1, doorbells of processes that are gone: 1"
    )
    assert found["leftovers"]["command"] == found["runs"]["command"] == "agentq sweep"
    assert "default/1.1: no supervisor watches it" in found["runs"]["message"]
    text = aq("doctor", code=1).stdout.splitlines()
    assert any(line.startswith("warning  leftovers: ") for line in text)
    assert text[text.index(next(line for line in text if "leftovers" in line)) + 1] == "         → agentq sweep"
    aq.let_go("one")
    until(lambda: aq("sweep") and aq.task("default/1")["status"] == "completed", what="the sweep")
    assert doctor(1)["leftovers"]["message"] == "none"
