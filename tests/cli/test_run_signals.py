"""What signals do to `agentq run`, and what it leaves behind for the next one."""

from __future__ import annotations

import signal
import subprocess

import pytest
from agentq_process import Process
from driven import Driven, alive, held, until

pytestmark = pytest.mark.exec


def running(aq: Driven, *options: str) -> tuple[Process, int]:
    """A supervisor with one running and one waiting task, and the pid of what runs."""
    aq.batch({"exec": held("first")}, {"exec": held("second")})
    supervisor = aq.start("run", "-j", "1", *options, stderr=subprocess.DEVNULL)
    return supervisor, aq.started("first")


def told(supervisor: Process, word: str) -> str:
    """The next line of its report with that word."""
    assert supervisor.stdout is not None
    for line in supervisor.stdout:
        if word in line:
            return line
    raise AssertionError(f"no {word}")


def test_term_leaves_agents_running_and_the_next_run_takes_them_over(aq: Driven) -> None:
    supervisor, pid = running(aq)
    aq.signal(supervisor, signal.SIGTERM)
    aq.ended(supervisor, 143)
    assert alive(pid)
    assert aq.statuses() == {"default/1": "running", "default/2": "queued"}
    (worker,) = aq.items("workers")
    assert (worker["state"], worker["pid"], worker["run"]) == ("orphaned", pid, "default/1.1")
    following = aq.supervise("--drain", "-j", "1")
    until(lambda: aq.items("workers")[0]["state"] == "adopted", what="adoption")
    aq.let_go("first", "second")
    aq.ended(following, 0)
    runs = aq.runs()
    assert {run: item["status"] for run, item in runs.items()} == {"default/1.1": "success", "default/2.1": "success"}
    assert (runs["default/1.1"]["adopted"], runs["default/2.1"]["adopted"]) == (True, False)
    assert runs["default/1.1"]["pid"] == pid


def test_the_first_interrupt_waits_for_what_runs_and_claims_nothing(aq: Driven) -> None:
    supervisor, _ = running(aq)
    aq.signal(supervisor, signal.SIGINT)
    told(supervisor, "SIGINT")
    aq.let_go("first")
    aq.ended(supervisor, 130)
    assert aq.statuses() == {"default/1": "completed", "default/2": "queued"}
    assert not aq.has_started("second")


def test_the_second_interrupt_leaves(aq: Driven) -> None:
    supervisor, pid = running(aq)
    aq.signal(supervisor, signal.SIGINT)
    told(supervisor, "SIGINT")
    aq.signal(supervisor, signal.SIGINT)
    aq.ended(supervisor, 130)
    assert alive(pid)
    assert aq.statuses() == {"default/1": "running", "default/2": "queued"}
    # A sweep settles what ended with nobody there, and the exit code is the true one.
    aq.let_go("first")
    until(lambda: not alive(pid), what="end of the agent")
    until(lambda: "settle" in aq("sweep", "--no-wake").stdout, what="settling")
    assert aq.statuses() == {"default/1": "completed", "default/2": "queued"}


def test_on_stop_wait_holds_for_the_others(aq: Driven) -> None:
    supervisor, _ = running(aq, "--on-stop", "wait")
    aq.signal(supervisor, signal.SIGTERM)
    told(supervisor, "SIGTERM")
    aq.let_go("first")
    aq.ended(supervisor, 143)
    assert aq.statuses() == {"default/1": "completed", "default/2": "queued"}


def test_on_stop_leave_holds_for_the_first_interrupt(aq: Driven) -> None:
    supervisor, pid = running(aq, "--on-stop", "leave")
    aq.signal(supervisor, signal.SIGINT)
    aq.ended(supervisor, 130)
    assert alive(pid)


def test_on_stop_cancel_cancels_what_runs(aq: Driven) -> None:
    supervisor, pid = running(aq, "--on-stop", "cancel")
    aq.signal(supervisor, signal.SIGTERM)
    aq.ended(supervisor, 143)
    assert not alive(pid)
    assert aq.statuses() == {"default/1": "cancelled", "default/2": "queued"}
    assert aq.runs()["default/1.1"]["status"] == "cancelled"


def test_a_hangup_leaves_too(aq: Driven) -> None:
    supervisor, pid = running(aq)
    aq.signal(supervisor, signal.SIGHUP)
    aq.ended(supervisor, 129)
    assert alive(pid)


def test_a_second_signal_leaves_whatever_the_first_one_did(aq: Driven) -> None:
    supervisor, pid = running(aq, "--on-stop", "wait")
    aq.signal(supervisor, signal.SIGTERM)
    told(supervisor, "SIGTERM")
    aq.signal(supervisor, signal.SIGTERM)
    aq.ended(supervisor, 143)
    assert alive(pid)


def test_killed_hard_with_four_running_nothing_is_lost(aq: Driven) -> None:
    """Case 26: a new run adopts them; their true exit codes and whole output are recorded; none runs twice."""
    names = ("a", "b", "c", "d")
    script = f"echo before; {held('')[2].replace('exit', 'echo after; exit')}"
    aq.batch(*({"exec": ["sh", "-c", script, "-", name, str(code)]} for code, name in enumerate(names)))
    supervisor = aq.supervise("-j", "4")
    for name in names:
        aq.started(name)
    aq.kill_hard(supervisor)
    aq.let_go("a")
    following = aq.supervise("--drain", "-j", "4")
    aq.let_go(*names)
    aq.ended(following, 1)
    runs = aq.runs()
    assert {run: item["exit_code"] for run, item in runs.items()} == {f"default/{n + 1}.1": n for n in range(4)}
    assert {aq.stdout(run) for run in runs.values()} == {"before\nafter\n"}
    assert {run["adopted"] for run in runs.values()} == {True}


def test_killed_hard_and_only_sweep_comes(aq: Driven) -> None:
    aq.exec(*held("a", 7))
    supervisor = aq.supervise()
    pid = aq.started("a")
    aq.kill_hard(supervisor)
    assert "settle" not in aq("sweep", "--no-wake").stdout
    assert aq.statuses() == {"default/1": "running"}
    aq.let_go("a")
    until(lambda: not alive(pid), what="end of the agent")
    until(lambda: "settle" in aq("sweep", "--no-wake").stdout, what="settling")
    (run,) = aq.runs().values()
    assert (run["status"], run["exit_code"]) == ("error", 7)
    assert aq.statuses() == {"default/1": "failed"}
