"""`agentq service install`, `status`, `uninstall`, with stand-ins for systemctl and crontab that record their words."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agentq_process import Agentq
from driven import Driven

NASTY = "a b%c 'q' \"d\" $HOME \\x"
SERVICE, SWEEP, TIMER = "agentq.service", "agentq-sweep.service", "agentq-sweep.timer"

SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$0.log"
shift
case $1 in
show) [ ! -e "$0.off" ] || { echo "Failed to connect to bus: No medium found" >&2; exit 1; }
      echo "UnitPath=/etc/systemd/user $HOME/.config/systemd/user" ;;
is-enabled) [ -e "$0.on.$2" ] && echo enabled || { echo disabled; exit 1; } ;;
is-active) [ -e "$0.on.$2" ] && echo active || { echo inactive; exit 3; } ;;
enable) [ ! -e "$0.broken" ] || { echo "Unit is masked" >&2; exit 1; }
        touch "$0.on.${3##*/}" ;;
disable) shift 2; for unit; do rm -f "$0.on.$unit"; done ;;
esac
"""
"""Answers as `systemctl --user` does; `.off` beside it is a machine without a user's systemd."""

CRONTAB = """#!/bin/sh
echo "$*" >> "$0.log"
[ ! -e "$0.off" ] || { echo "you are not allowed to use this program" >&2; exit 1; }
case $1 in
-l) cat "$0.tab" 2>/dev/null || { echo "no crontab for $USER" >&2; exit 1; } ;;
-) cat > "$0.tab" ;;
-r) rm "$0.tab" ;;
esac
"""

READS = ("show", "is-enabled", "is-active", "-l")
"""The words that change nothing."""


class Machine:
    """A home with the stand-ins on PATH."""

    def __init__(self, aq: Driven) -> None:
        self.aq = aq
        self.bin = aq.home / "tools"
        self.bin.mkdir()
        self.units = aq.home / ".config" / "systemd" / "user"
        self.tab = self.bin / "crontab.tab"
        self.provide("systemctl", SYSTEMCTL)
        self.provide("crontab", CRONTAB)

    def provide(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def turn_off(self, *names: str) -> None:
        for name in names:
            (self.bin / f"{name}.off").touch()

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.aq.home), "USER": "me"}

    def json(self, *words: str) -> Any:
        return self.aq.json("service", *words, env=self.env)

    def refused(self, *words: str, code: int) -> str:
        return self.aq.refused("service", *words, code=code, env=self.env)

    def text(self, *words: str) -> str:
        return self.aq("service", *words, env=self.env).stdout

    def deeds(self, name: str) -> list[str]:
        """What a stand-in was called for since the last look, but for mere questions."""
        log = self.bin / f"{name}.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line for line in lines if line.removeprefix("--user ").split()[0] not in READS]

    def status(self, kind: str) -> Any:
        (item,) = self.json("status", kind)["items"]
        return item


@pytest.fixture
def machine(aq: Driven) -> Machine:
    return Machine(aq)


@pytest.fixture
def nasty(tmp_path: Path) -> Iterator[Machine]:
    """A home whose name has everything that a shell, cron or systemd reads as something else."""
    home = tmp_path / NASTY
    home.mkdir()
    program = Agentq(home, home / "state")
    yield Machine(Driven(program))
    program.stop()


def test_units_are_written_enabled_and_started_once(machine: Machine) -> None:
    document = machine.json("install")
    assert (document["schema"], document["action"], document["kind"]) == ("agentq.service/1", "install", "systemd")
    assert [step["do"] for step in document["steps"]] == ["write", "run", "run"]
    assert machine.deeds("systemctl") == ["--user daemon-reload", f"--user enable --now {SERVICE}"]
    assert [path.name for path in machine.units.iterdir()] == [SERVICE]
    printed = machine.json("print", "systemd", SERVICE)["files"][0]["content"]
    first, _, rest = (machine.units / SERVICE).read_text().partition("\n")
    assert "agentq service uninstall" in first and rest == printed
    assert machine.json("install", "systemd")["steps"] == [] and machine.deeds("systemctl") == []
    assert "nothing to do" in machine.text("install")
    found = machine.status("systemd")
    assert (found["installed"], found["running"], found["current"]) == (True, True, True)
    assert found["files"] == [str(machine.units / SERVICE)] and found["detail"] == f"{SERVICE} active"


def test_another_path_is_written_and_the_service_restarted(machine: Machine) -> None:
    machine.json("install")
    machine.deeds("systemctl")
    env = {**machine.env, "PATH": f"{machine.env['PATH']}:/opt/agents"}
    assert not machine.aq.items("service", "status", "systemd", env=env)[0]["current"]
    machine.aq("service", "install", env=env)
    assert machine.deeds("systemctl") == ["--user daemon-reload", f"--user restart {SERVICE}"]
    assert ":/opt/agents" in (machine.units / SERVICE).read_text()


def test_the_timer_comes_with_its_sweep_and_uninstall_removes_exactly_what_came(machine: Machine) -> None:
    machine.units.mkdir(parents=True)
    (machine.units / "other.service").write_text("[Service]\n")
    (machine.units / SERVICE).write_text("# by hand\n")
    machine.json("install", "systemd", TIMER)
    assert machine.deeds("systemctl") == ["--user daemon-reload", f"--user enable --now {TIMER}"]
    assert {path.name for path in machine.units.iterdir()} == {"other.service", SERVICE, SWEEP, TIMER}
    assert "not written by" in machine.refused("install", "systemd", code=4)
    document = machine.json("uninstall")
    assert [step["do"] for step in document["steps"]] == ["run", "remove", "remove", "run"]
    assert machine.deeds("systemctl") == [f"--user disable --now {TIMER}", "--user daemon-reload"]
    assert {path.name for path in machine.units.iterdir()} == {"other.service", SERVICE}
    assert machine.json("uninstall")["steps"] == [] and machine.deeds("systemctl") == []
    assert not machine.status("systemd")["installed"]


@pytest.mark.parametrize("before", [None, "", "MAILTO=me\n# mine\n0 9 * * * true\n", "0 9 * * * é", "\n\n"])
def test_a_line_between_marks_joins_the_crontab_and_leaves_it(machine: Machine, before: str | None) -> None:
    if before is not None:
        machine.tab.write_text(before)
    machine.json("install", "cron")
    assert machine.deeds("crontab") == ["-"]
    line = machine.json("print", "cron")["line"]
    head = (before or "") + ("\n" if before and not before.endswith("\n") else "")
    assert machine.tab.read_text() == f"{head}# agentq service: begin\n{line}\n# agentq service: end\n"
    assert machine.json("install", "cron")["steps"] == []
    found = machine.status("cron")
    assert (found["installed"], found["current"], found["files"]) == (True, True, [line])
    with machine.tab.open("a") as file:
        file.write("5 5 * * * later\n")
    env = {**machine.env, "PATH": f"{machine.env['PATH']}:/opt/agents"}
    machine.aq("service", "install", "cron", env=env)
    assert machine.tab.read_text().startswith(f"{head}# agentq service: begin\n")
    assert machine.tab.read_text().count("agentq service: begin") == 1 and ":/opt/agents" in machine.tab.read_text()
    machine.json("uninstall", "cron")
    assert machine.tab.read_text() == f"{head}5 5 * * * later\n"
    assert machine.json("uninstall", "cron")["steps"] == []
    machine.tab.unlink()
    machine.json("install", "cron")
    machine.json("uninstall", "cron")
    assert not machine.tab.exists()


def test_a_crontab_that_cannot_be_read_or_understood_is_left_alone(machine: Machine) -> None:
    machine.tab.write_text("# agentq service: begin\n0 9 * * * true\n")
    for action in ("install", "uninstall"):
        assert "no pair" in machine.refused(action, "cron", code=4)
    machine.turn_off("crontab")
    for action in ("install", "uninstall"):
        assert "not allowed to use this program" in machine.refused(action, "cron", code=1)
    assert machine.status("cron")["detail"].endswith("you are not allowed to use this program")
    assert machine.deeds("crontab") == []
    assert machine.tab.read_text() == "# agentq service: begin\n0 9 * * * true\n"


def test_a_dry_run_shows_everything_and_changes_nothing(machine: Machine) -> None:
    for kind in ("systemd", "cron"):
        text = machine.text("install", kind, "--dry-run")
        wanted = machine.json("print", kind)["files"][0]["content"]
        assert all(line in text for line in wanted.splitlines())
        assert machine.json("install", kind, "--dry-run")["dry_run"] is True
    assert f"systemctl --user enable --now {SERVICE}" in machine.text("install", "--dry-run")
    assert machine.deeds("systemctl") == machine.deeds("crontab") == []
    assert not machine.units.exists() and not machine.tab.exists()
    machine.json("install", "systemd")
    machine.json("install", "cron")
    before = machine.tab.read_bytes()
    machine.deeds("systemctl"), machine.deeds("crontab")
    assert len(machine.json("uninstall", "--dry-run")["steps"]) == 4
    assert machine.deeds("systemctl") == machine.deeds("crontab") == []
    assert (machine.units / SERVICE).exists() and machine.tab.read_bytes() == before
    assert len(machine.json("uninstall")["steps"]) == 4
    assert not (machine.units / SERVICE).exists() and not machine.tab.exists()
    machine.refused("status", "--dry-run", code=2)
    machine.refused("print", "cron", "--dry-run", code=2)


def test_without_systemd_cron_is_taken_and_without_both_it_is_said_what_to_do(machine: Machine) -> None:
    machine.turn_off("systemctl")
    message = machine.refused("install", "systemd", code=1)
    assert "No medium found" in message and "agentq service install cron" in message
    assert machine.json("install", "--dry-run")["kind"] == "cron"
    (machine.bin / "crontab").unlink()
    env = {**machine.env, "PATH": str(machine.bin)}
    (machine.bin / "systemctl").unlink()
    for words in (("install",), ("install", "systemd"), ("install", "cron")):
        message = machine.aq.refused("service", *words, code=1, env=env)
        assert "on PATH" in message and "agentq run --detach" in message
    assert [item["installed"] for item in machine.aq.items("service", "status", env=env)] == [False, False]
    assert machine.aq.json("service", "uninstall", env=env)["steps"] == []


def test_units_cannot_be_removed_behind_the_back_of_a_systemd_that_does_not_answer(machine: Machine) -> None:
    machine.json("install")
    machine.turn_off("systemctl")
    found = machine.status("systemd")
    assert found["installed"] and "does not answer" in found["detail"]
    machine.refused("uninstall", code=1)
    assert (machine.units / SERVICE).exists()


def test_a_step_that_fails_is_said_and_the_next_call_goes_on_from_there(machine: Machine) -> None:
    (machine.bin / "systemctl.broken").touch()
    assert "Unit is masked" in machine.refused("install", code=1)
    (machine.bin / "systemctl.broken").unlink()
    assert [step["argv"] for step in machine.json("install")["steps"]] == [
        ["systemctl", "--user", "enable", "--now", SERVICE]
    ]


def test_units_outside_of_systemd_s_directories_are_linked(machine: Machine) -> None:
    elsewhere = machine.aq.home / "elsewhere"
    env = {**machine.env, "XDG_CONFIG_HOME": str(elsewhere)}
    machine.aq("service", "install", "systemd", env=env)
    unit = elsewhere / "systemd" / "user" / SERVICE
    assert machine.deeds("systemctl")[-1] == f"--user enable --now {unit}"
    assert unit.exists() and not machine.units.exists()


def test_secrets_are_named_and_not_written(machine: Machine) -> None:
    env = {**machine.env, "ANTHROPIC_API_KEY": "hush"}
    for kind in ("systemd", "cron"):
        document = machine.aq.json("service", "install", kind, env=env)
        assert any("ANTHROPIC_API_KEY" in note for note in document["notes"])
        assert "hush" not in str(document)
    assert "hush" not in (machine.units / SERVICE).read_text() + machine.tab.read_text()


def test_names_full_of_special_characters_are_read_back(nasty: Machine) -> None:
    nasty.json("install", "systemd")
    nasty.json("install", "cron")
    assert nasty.status("systemd")["current"] and nasty.status("cron")["current"]
    line = nasty.tab.read_text().splitlines()[1].removeprefix("* * * * * ").replace("\\%", "%")
    nasty.aq.exec("sh", "-c", "echo done")
    subprocess.run(["/bin/sh", "-c", line], env={"HOME": "/", "PATH": "/usr/bin:/bin"}, check=True, cwd="/")
    nasty.aq("wait", "1")
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze (Debian: package systemd)")
    done = subprocess.run([analyze, "verify", "--man=no", nasty.units / SERVICE], capture_output=True, text=True)
    if "initialize manager" in done.stderr:
        pytest.skip(f"systemd-analyze cannot work here: {done.stderr}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_asked_wrongly_is_refused(machine: Machine) -> None:
    assert f"one of {SERVICE}, {TIMER}" in machine.refused("install", "systemd", SWEEP, code=2)
    machine.refused("install", "cron", SERVICE, code=2)
    machine.refused("status", "systemd", SERVICE, code=2)
    assert "systemd or cron" in machine.refused("print", code=2)
    assert "did you mean 'install'" in machine.refused("instal", code=2)
    assert machine.deeds("systemctl") == machine.deeds("crontab") == []
