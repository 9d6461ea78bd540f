"""`submit --wait` and `--follow`: block until the task has ended, exit with its code, and wake whoever is to run it."""

from __future__ import annotations

import json
import signal

import pytest
from driven import Driven, held, until


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("sh", "-c", "echo out; exit 0"), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -9 $$"), 137),
        (("no-such-program-anywhere",), 1),
    ],
)
def test_exits_with_the_code_of_the_task(aq: Driven, argv: tuple[str, ...], code: int) -> None:
    done = aq("submit", "--wait", "--exec", "--", *argv, code=code)
    assert (done.stdout, done.stderr) == ("default/1\n", "")


def test_json_is_the_ended_task(aq: Driven) -> None:
    (task,) = aq.items("submit", "--wait", "--agent", "demo", "fail 3", code=3)
    assert (task["id"], task["status"], task["exit_code"]) == ("default/1", "failed", 3)


def test_follow_prints_the_output_while_it_runs(aq: Driven) -> None:
    script = f"echo first; {held('gate')[2]}"
    following = aq.start("submit", "--follow", "--exec", "--", "sh", "-c", script, "-", "gate", "4")
    assert following.stdout is not None
    assert [following.stdout.readline(), following.stdout.readline()] == ["default/1\n", "first\n"]
    aq.started("gate")
    assert following.poll() is None
    aq.let_go("gate")
    aq.ended(following, 4)


def test_no_wake_starts_nobody_and_a_supervisor_of_another_ends_the_wait(aq: Driven) -> None:
    waiting = aq.start("submit", "--wait", "--no-wake", "--exec", "--", "sh", "-c", "exit 5")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "default/1\n"
    # Longer than a look of its own lasts, and nobody came.
    aq("wait", "1", "--timeout", "1500ms", code=124)
    assert aq.json("workers")["supervisors"] == []
    aq.drain(code=1)
    aq.ended(waiting, 5)


def test_a_later_death_of_the_supervisor_wakes_another(aq: Driven) -> None:
    aq("pause", "--all")
    supervisor = aq.supervise()
    until(lambda: aq.json("workers")["supervisors"], what="supervisor")
    waiting = aq.start("submit", "--wait", "--exec", "--", "sh", "-c", "exit 6")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "default/1\n"
    aq.kill_hard(supervisor)
    aq("resume", "--all")
    aq.ended(waiting, 6)


def test_waits_for_a_batch_and_gives_1_if_one_failed(aq: Driven) -> None:
    lines = [{"exec": ["true"]}, {"exec": ["sh", "-c", "exit 9"], "session": "other"}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = aq("submit", "--wait", "--batch", "-", input=text, code=1)
    assert done.stdout.splitlines() == ["default/1", "other/1"]
    assert aq.statuses() == {"default/1": "completed", "other/1": "failed"}


def test_a_cancelled_task_ends_the_wait_with_1(aq: Driven) -> None:
    waiting = aq.start("submit", "--wait", "--in", "1h", "--exec", "--", "true")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "default/1\n"
    aq("cancel", "1")
    aq.ended(waiting, 1)


@pytest.mark.parametrize("how", ["--wait", "--follow"])
def test_ctrl_c_leaves_the_task_and_says_how_to_end_it(aq: Driven, how: str) -> None:
    waiting = aq.start("submit", how, "--no-wake", "--exec", "--", "true")
    until(lambda: list(aq.state_dir.glob("bells/*")), what="the wait")
    aq.signal(waiting, signal.SIGINT)
    _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert said == "agentq: hint: what was submitted stays in the queue; `agentq cancel default/1` ends it\n"
    assert aq.statuses() == {"default/1": "queued"}
