"""`agentq stop` ends supervisors, and says what becomes of what they run."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from driven import Driven, alive, held


@pytest.mark.parametrize("words", [(), ("--wait",)])
def test_it_waits_for_what_runs(aq: Driven, words: tuple[str, ...]) -> None:
    aq.batch({"exec": held("one")}, {"exec": ["true"]})
    supervisor = aq.start("run", "-j", "1", "--on-stop", "cancel")
    aq.started("one")
    stopping = aq.start("stop", *words)
    assert supervisor.stdout is not None
    assert any(" stop " in line for line in supervisor.stdout), "it was told"
    assert stopping.poll() is None
    aq.let_go("one")
    assert aq.ended(stopping) == 0
    aq.ended(supervisor, 0)
    assert aq.statuses() == {"default/1": "completed", "default/2": "queued"}


@pytest.mark.parametrize("on_stop", ["wait", "cancel"])
def test_it_leaves_what_runs_whatever_on_stop_says(aq: Driven, on_stop: str) -> None:
    aq.exec(*held("one"))
    supervisor = aq.supervise("--on-stop", on_stop)
    pid = aq.started("one")
    assert aq("stop", "--leave").stdout == f"supervisor {supervisor.pid} has ended\n"
    aq.ended(supervisor, 0)
    assert alive(pid)
    aq.let_go("one")
    aq.drain()
    assert aq.statuses() == {"default/1": "completed"}


@pytest.mark.parametrize(("order", "status"), [("leave", "running"), ("cancel", "cancelled")])
def test_it_is_heard_by_one_that_a_script_started_behind_itself(aq: Driven, order: str, status: str) -> None:
    """A shell without job control starts `agentq run &` with SIGINT and SIGQUIT ignored."""
    aq.exec(*held("one"))
    line = shlex.join(aq.agentq.command("run"))
    script = subprocess.run(
        ["sh", "-c", f"{line} >/dev/null 2>&1 & echo $!"], env=aq.agentq.environ, stdout=subprocess.PIPE, timeout=60
    )
    pid = int(script.stdout)
    aq.started("one")
    assert aq("stop", f"--{order}", str(pid)).stdout == f"supervisor {pid} has ended\n"
    assert aq.statuses() == {"default/1": status}
    aq.let_go("one")
    aq.drain()


def test_it_cancels_what_runs(aq: Driven) -> None:
    aq.exec(*held("one"))
    supervisor = aq.supervise()
    pid = aq.started("one")
    items = aq.items("stop", "--cancel", str(supervisor.pid))
    assert [(item["id"], item["ok"]) for item in items] == [(str(supervisor.pid), True)]
    aq.ended(supervisor, 0)
    assert not alive(pid)
    assert aq.statuses() == {"default/1": "cancelled"}


def test_nobody_to_stop(aq: Driven) -> None:
    assert aq.items("stop") == []
    aq.exec("true")
    assert aq("stop").stderr == "no supervisor runs\n"
    assert "'99'" in aq.refused("stop", "99", code=3)
    assert "'x'" in aq.refused("stop", "x", code=2)
    assert "--leave" in aq.refused("stop", "--wait", "--leave", code=2)


def test_a_detached_supervisor_is_started_once(aq: Driven) -> None:
    first = aq("run", "--detach").stdout
    again = aq("run", "--detach", "-s", "docs")
    assert again.stdout == first
    assert "already" in again.stderr
    assert aq.json("run", "--detach")["pid"] == int(first)
    other = aq("run", "--detach", "--another").stdout
    assert other != first
    assert {item["id"] for item in aq.items("stop")} == {first.strip(), other.strip()}
    assert not alive(int(first)) and not alive(int(other))


def test_a_supervisor_is_called_agentq_run(aq: Driven) -> None:
    pid = aq("run", "--detach", "--jobs", "3").stdout.strip()
    ran = subprocess.run(
        ["ps", "-ww", "-o", "comm=,args=", "-p", pid], capture_output=True, text=True, check=True
    ).stdout
    assert ran.split() == ["agentq", "agentq", "run", "--state-dir", str(aq.state_dir), "--jobs", "3"]
    assert aq("run", "--detach").stdout.strip() == pid
    aq("stop")


def test_one_that_ends_by_itself_does_not_stand_for_one_that_stays(aq: Driven) -> None:
    first = aq("run", "--detach", "--idle-exit", "1h").stdout
    second = aq("run", "--detach").stdout
    assert second != first
    assert aq("run", "--detach", "--drain").stdout in (first, second)
    aq("stop")
