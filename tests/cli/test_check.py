"""Done means checked: the command of `--check` decides whether a task is completed, on every path to its end."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from driven import HELD, Driven, alive, until

from agentq_cli.host import record_files

STAND_IN = """
import json, os, sys
prompt = sys.stdin.read()
with open(os.environ["HOME"] + "/calls", "a") as calls:
    calls.write(json.dumps({"argv": sys.argv[1:], "prompt": prompt}) + "\\n")
known = sys.argv[sys.argv.index("--resume") + 1] if "--resume" in sys.argv else "c-1"
print(json.dumps({"event": "start", "conversation": known}))
print(json.dumps({"event": "end", "ok": True, "result": "done", "cost_usd": 0.25, "tokens_out": 1}))
"""


@pytest.fixture
def calls(aq: Driven) -> Callable[[], list[dict]]:
    """How the agent `mine` was called, call by call; it always says that it is done."""
    (aq.home / "mine").write_text(f"#!{sys.executable} -S\n{STAND_IN}")
    (aq.home / "mine").chmod(0o755)
    config = aq.home / "config.toml"
    config.write_text(
        f'[agents.mine]\nargv = ["{aq.home}/mine"]\nreader = "events"\nreports_cost = true\n'
        'resume = ["--resume", "{conversation}"]\n[defaults]\nbackoff = "1ms"\nmax_backoff = "1ms"\n'
    )
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    return lambda: [json.loads(line) for line in (aq.home / "calls").read_text().splitlines()]


def run_dir(aq: Driven, name: str = "1.1") -> Path:
    return aq.state_dir / f"sessions/default/runs/{name}"


def keeper(aq: Driven, name: str = "1.1") -> int:
    """The keeper that has the run, by its newest record."""
    newest = max(run_dir(aq, name).glob("start*"), key=lambda path: (len(path.name), path.name))
    return int(record_files.load(str(newest))["pid"])


def kill(pid: int) -> None:
    """Kill a process, and wait until it has ended."""
    pidfd = os.pidfd_open(pid)
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert ended.poll(30_000)
    os.close(pidfd)


def test_a_check_that_passes_completes_the_task(aq: Driven, calls) -> None:
    aq.submit("-a", "mine", "--check", "echo fine; echo also >&2", "do it")
    aq.drain()
    run = aq.runs()["default/1.1"]
    assert aq.statuses() == {"default/1": "completed"}
    assert (run["status"], run["failure_class"], run["exit_code"]) == ("success", None, 0)
    found = run["check"]
    assert (found["command"], found["passed"], found["exit_code"]) == ("echo fine; echo also >&2", True, 0)
    assert Path(found["output_path"]).read_text() == "fine\nalso\n"
    assert aq("logs", "1", "--check").stdout == "fine\nalso\n"
    assert found["output_bytes"] == len("fine\nalso\n")


def test_a_run_without_a_check_has_none(aq: Driven) -> None:
    aq.exec("true")
    aq.drain()
    assert aq.runs()["default/1.1"]["check"] is None
    assert aq.task("default/1")["check"] is None


def test_an_agent_that_fails_is_not_checked(aq: Driven) -> None:
    aq.exec("false", given=("--check", "touch $HOME/checked"))
    aq.drain(code=1)
    run = aq.runs()["default/1.1"]
    assert (run["failure_class"], run["check"]) == ("error", None)
    assert not (aq.home / "checked").exists()


def test_it_runs_where_and_as_the_agent_does(aq: Driven, calls) -> None:
    (aq.home / "there").mkdir()
    check = 'pwd; echo "$MINE $AGENTQ_RUN"; test -d "$TMPDIR" && echo private; cat'
    aq.submit("-a", "mine", "-C", str(aq.home / "there"), "-e", "MINE=yes", "--check", check, "do it")
    aq.drain()
    assert aq("logs", "1", "--check").stdout == f"{aq.home}/there\nyes default/1.1\nprivate\n"


def test_a_failed_check_is_told_to_the_agent_in_its_conversation(aq: Driven, calls) -> None:
    check = 'seq 5000; echo "the end"; [ $(wc -l < $HOME/calls) -ge 3 ] || exit 7'
    aq.submit("-a", "mine", "--check", check, "do it")
    aq.drain()
    runs = aq.runs()
    ends = [(runs[f"default/1.{k}"]["status"], runs[f"default/1.{k}"]["failure_class"]) for k in (1, 2, 3)]
    assert ends == [("error", "check"), ("error", "check"), ("success", None)]
    first, second, third = calls()
    assert first["prompt"] == "do it" and "--resume" not in first["argv"]
    for later in (second, third):
        assert later["argv"][-2:] == ["--resume", "c-1"]
        assert check in later["prompt"] and "exit code 7" in later["prompt"]
        assert later["prompt"].endswith("\n\ndo it")
        output = later["prompt"].partition("bytes):\n\n")[2].partition("\n\nCorrect")[0]
        assert output.endswith("4999\n5000\nthe end") and 4090 <= len(output) <= 4096


def test_a_check_that_fails_for_ever_fails_the_task_after_3_retries(aq: Driven, calls) -> None:
    aq.submit("-a", "mine", "--check", "echo broken; false", "do it")
    aq.drain(code=1)
    task = aq.task("default/1")
    assert (task["status"], task["last_run"]) == ("failed", "default/1.4")
    assert "exit code 1" in task["reason"]
    assert aq("logs", "1", "--check").stdout == "broken\n"
    assert "broken" not in aq("logs", "1").stdout


@pytest.mark.parametrize("retries", [0, 1])
def test_retries_say_how_often(aq: Driven, calls, retries) -> None:
    aq.submit("-a", "mine", "--retries", str(retries), "--check", "false", "do it")
    aq.drain(code=1)
    assert aq.task("default/1")["last_run"] == f"default/1.{retries + 1}"


def test_the_cost_goes_on_counting_over_the_attempts(aq: Driven, calls) -> None:
    aq.submit("-a", "mine", "--max-cost", "0.5", "--check", "false", "do it")
    aq.drain(code=1)
    task = aq.task("default/1")
    assert (task["status"], task["last_run"]) == ("failed", "default/1.2")
    assert "cost 0.50 USD of 0.50 USD" in task["reason"]


def test_the_time_goes_on_counting_over_the_attempts(aq: Driven) -> None:
    check = "sleep 1.7; false"
    aq.exec("true", given=("--timeout", "3s", "--retries", "1", "--backoff", "1ms", "--check", check))
    aq.drain(code=1)
    runs = aq.runs()
    assert (runs["default/1.1"]["status"], runs["default/1.1"]["failure_class"]) == ("error", "check")
    assert runs["default/1.2"]["failure_class"] == "timeout"
    assert runs["default/1.2"]["duration_ms"] < 2700


@pytest.mark.parametrize("code", [126, 127])
def test_a_check_that_cannot_be_run_is_not_retried(aq: Driven, code) -> None:
    aq.exec("true", given=("--retries", "3", "--check", f"exit {code}"))
    aq.drain(code=1)
    task = aq.task("default/1")
    assert (task["status"], task["last_run"]) == ("failed", "default/1.1")
    assert aq.runs()["default/1.1"]["failure_class"] == "config"


def test_a_directory_that_is_gone_is_not_retried(aq: Driven) -> None:
    (aq.home / "gone").mkdir()
    aq.exec("rmdir", str(aq.home / "gone"), given=("-C", str(aq.home / "gone"), "--check", "true"))
    aq.drain(code=1)
    run = aq.runs()["default/1.1"]
    assert (run["status"], run["failure_class"]) == ("error", "config")
    assert "No such file or directory" in run["error"]


def test_a_check_that_hangs_and_forks_is_ended_with_all_of_it(aq: Driven) -> None:
    check = "setsid sleep 1000 & echo $! > $HOME/child; sleep 1000"
    given = ("--check-timeout", "1500ms", "--grace", "100ms", "--retries", "0", "--check", check)
    aq.exec("true", given=given)
    aq.drain(code=1)
    run = aq.runs()["default/1.1"]
    assert (run["failure_class"], run["check"]["stopped"]) == ("check", "limit")
    assert "ran longer than its time-out" in run["error"]
    assert not alive(int((aq.home / "child").read_text()))


def test_what_a_check_prints_is_bounded(aq: Driven, calls) -> None:
    with (aq.home / "config.toml").open("a") as config:
        config.write('[limits]\noutput_bytes = "64KiB"\n')
    aq.exec("true", given=("--check", "head -c 1000000 /dev/zero | tr '\\0' x"))
    aq.drain()
    found = aq.runs()["default/1.1"]["check"]
    assert found["output_bytes"] == 1_000_000
    assert os.stat(found["output_path"]).st_blocks * 512 <= 80 * 1024
    assert "bytes cut here" in aq("logs", "1", "--check").stdout


def held_check(aq: Driven, *given: str) -> str:
    return aq.exec("true", given=("--retries", "0", *given, "--check", f"set -- check; {HELD}"))


def test_cancel_ends_it(aq: Driven) -> None:
    held_check(aq)
    supervisor = aq.supervise("--drain")
    pid = aq.started("check")
    aq("cancel", "1", "--wait")
    aq.ended(supervisor)
    assert aq.statuses() == {"default/1": "cancelled"}
    assert not alive(pid)


def test_the_time_out_of_the_run_ends_it(aq: Driven) -> None:
    held_check(aq, "--timeout", "1s", "--grace", "100ms")
    aq.drain(code=1)
    run = aq.runs()["default/1.1"]
    assert (run["status"], run["failure_class"]) == ("timeout", "timeout")


def test_a_silent_check_is_no_stalled_agent(aq: Driven) -> None:
    aq.exec("true", given=("--stall-timeout", "1s", "--check", "sleep 2.5"))
    aq.drain()
    assert aq.statuses() == {"default/1": "completed"}


def test_a_check_that_somebody_kills_is_run_again(aq: Driven) -> None:
    held_check(aq)
    supervisor = aq.supervise("--drain")
    first = aq.started("check")
    (aq.home / "check.started").unlink()
    os.kill(first, signal.SIGKILL)
    assert aq.started("check") != first
    aq.let_go("check")
    aq.ended(supervisor, 0)
    assert list(aq.runs()) == ["default/1.1"]
    assert aq.statuses() == {"default/1": "completed"}


def test_a_check_that_always_kills_itself_does_not_pass(aq: Driven) -> None:
    aq.exec("true", given=("--retries", "0", "--check", "echo x >> $HOME/times; kill -KILL $$"))
    aq.drain(code=1)
    assert aq.runs()["default/1.1"]["failure_class"] == "check"
    assert 1 < len((aq.home / "times").read_text().split()) <= 5


@pytest.mark.parametrize("signalled", ["keeper", "keeper and supervisor"])
def test_after_the_death_of_its_keeper_the_check_alone_is_run_again(aq: Driven, calls, signalled) -> None:
    aq.submit("-a", "mine", "--check", f"set -- check; {HELD}", "do it")
    supervisor = aq.supervise("--drain")
    first = aq.started("check")
    (aq.home / "check.started").unlink()
    if signalled != "keeper":
        os.kill(supervisor.pid, signal.SIGKILL)
        supervisor.wait(timeout=30)
    kill(keeper(aq))
    if signalled != "keeper":
        supervisor = aq.supervise("--drain")
    assert aq.started("check") != first
    assert not alive(first)
    aq.let_go("check")
    aq.ended(supervisor, 0)
    run = aq.runs()["default/1.1"]
    assert (run["status"], run["result"], run["check"]["passed"]) == ("success", "done", True)
    assert len(calls()) == 1


def test_a_sweep_alone_runs_it_again_and_another_settles_it(aq: Driven) -> None:
    held_check(aq)
    supervisor = aq.supervise("--drain")
    first = aq.started("check")
    (aq.home / "check.started").unlink()
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait(timeout=30)
    kill(keeper(aq))
    planned = [each["detail"] for each in aq.items("sweep", "--no-wake", "--dry-run") if each["action"] == "recheck"]
    assert planned == ["its keeper vanished; a new one does what is left to do"]
    assert "recheck" in [each["action"] for each in aq.items("sweep", "--no-wake")]
    assert aq.started("check") != first
    assert aq.items("sweep", "--no-wake") == []
    assert aq.statuses() == {"default/1": "running"}
    second = keeper(aq)
    aq.let_go("check")
    until(lambda: not alive(second))
    assert [each["action"] for each in aq.items("sweep", "--no-wake")] == ["settle"]
    assert aq.statuses() == {"default/1": "completed"}


def test_a_cancelled_run_is_not_checked_again(aq: Driven) -> None:
    held_check(aq)
    supervisor = aq.supervise("--drain")
    aq.started("check")
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait(timeout=30)
    kill(keeper(aq))
    aq("cancel", "1", "--wait")
    assert aq.statuses() == {"default/1": "cancelled"}


def test_show_names_the_check_and_how_it_ended(aq: Driven) -> None:
    aq.exec("true", given=("--retries", "0", "--check", "exit 3"))
    aq.drain(code=1)
    shown = aq("show", "1.1").stdout
    assert "exit 3" in shown and "exit code 3" in shown and "agentq logs default/1.1 --check" in shown
    assert "exit 3" in aq("show", "1").stdout


def test_a_default_of_a_session_an_edit_and_a_retry(aq: Driven, calls) -> None:
    with (aq.home / "config.toml").open("a") as config:
        config.write('[sessions.docs]\ncheck = "exit 4"\ncheck_timeout = "1m"\nretries = 0\n')
    address = aq.submit("-s", "docs", "-a", "mine", "do it")
    assert aq.task(address)["check"] == "exit 4"
    aq.drain(code=1)
    aq("retry", address, "--check", "true")
    aq.drain()
    assert aq.statuses() == {address: "completed"}
    other = aq.submit("-s", "docs", "-a", "mine", "do more")
    aq("edit", other, "--check", "exit 0")
    aq.drain()
    assert aq.task(other)["check"] == "exit 0"
    assert aq.statuses()[other] == "completed"


@pytest.mark.parametrize("check", ["", "  "])
def test_a_blank_check_is_refused(aq: Driven, check) -> None:
    assert "--check" in aq.refused("submit", "--check", check, "--exec", "--", "true", code=2)
