"""`submit --wait` and `--follow`: block until the task has ended, exit with its code, and wake whoever is to run it."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Sequence

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
    warned = f"agentq: warning: --exec '{argv[0]}': no such program on the PATH of the task\n" if code == 1 else ""
    assert (done.stdout, done.stderr) == ("default/1\n", warned)


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


def followed(aq: Driven, *arguments: str, code: int = 0, given: Sequence[str] = ()) -> tuple[str, str]:
    """What `submit --follow` of a command prints below the address, and on stderr."""
    done = aq("submit", "--follow", *given, "--exec", "--", *arguments, code=code)
    address, _, rest = done.stdout.partition("\n")
    assert re.fullmatch(r"\w+/\d+", address)
    return rest, done.stderr


@pytest.fixture
def supervised(aq: Driven) -> Driven:
    """With a supervisor that is there already, and faster than whoever submits."""
    aq.supervise("-j", "4")
    until(lambda: aq.json("workers")["supervisors"], what="supervisor")
    return aq


def test_every_byte_of_a_run_that_was_over_before_the_first_look_is_followed(supervised: Driven) -> None:
    for number in range(20):
        script = f"echo out {number}; echo err {number} >&2; printf end; exit {number}"
        found = followed(supervised, "sh", "-c", script, code=number)
        assert found[0] == f"out {number}\nend"
        assert found[1].startswith(f"err {number}\ndefault/{number + 1}.1: {'error' if number else 'success'}, ")


def test_every_attempt_is_followed(supervised: Driven) -> None:
    script = 'echo attempt $AGENTQ_ATTEMPT; echo error $AGENTQ_ATTEMPT >&2; [ "$AGENTQ_ATTEMPT" = 3 ]'
    given = ["--retries", "5", "--backoff", "1ms", "--max-backoff", "1ms"]
    found = followed(supervised, "sh", "-c", script, given=given)
    assert found[0] == "attempt 1\nattempt 2\nattempt 3\n"
    lines = [re.sub(r", \d+ms", "", line) for line in found[1].splitlines()]
    assert lines == [
        *("error 1", "default/1.1: error, exit 1"),
        *("error 2", "default/1.2: error, exit 1"),
        *("error 3", "default/1.3: success"),
    ]


def test_long_output_is_followed_whole(supervised: Driven) -> None:
    out, _ = followed(supervised, "seq", "300000")
    assert out == "".join(f"{number}\n" for number in range(1, 300001))


def test_a_task_that_was_held_first_is_followed_from_its_first_byte(supervised: Driven) -> None:
    supervised("pause", "--all")
    following = supervised.start("submit", "--follow", "--exec", "--", "sh", "-c", "echo at last; exit 3")
    assert following.stdout is not None
    assert following.stdout.readline() == "default/1\n"
    supervised("resume", "--all")
    assert following.communicate(timeout=30)[0] == "at last\n"
    assert following.returncode == 3


def test_a_run_that_another_supervisor_adopts_is_followed_to_its_end(aq: Driven) -> None:
    first = aq.supervise()
    until(lambda: aq.json("workers")["supervisors"], what="supervisor")
    script = f"echo first; {held('gate')[2]}"
    following = aq.start("submit", "--follow", "--no-wake", "--exec", "--", "sh", "-c", script, "-", "gate", "4")
    aq.started("gate")
    aq.kill_hard(first)
    aq.supervise()
    until(lambda: aq.items("workers")[0]["state"] == "adopted", what="adoption")
    aq.let_go("gate")
    assert following.communicate(timeout=30)[0] == "default/1\nfirst\n"
    assert following.returncode == 4


def test_whoever_finds_a_task_by_its_key_follows_it_from_its_first_byte(supervised: Driven) -> None:
    """Two who hand in the same see the same: what it did since it was submitted, or last retried."""
    script = "echo earlier; exit 3"
    words = ["submit", "--follow", "--key", "nightly", "--exec", "--", "sh", "-c"]
    supervised(*words, f'[ -e "$HOME/again" ] || {{ {script}; }}; echo now; {held("")[2]}', "-", "gate", code=3)
    (supervised.home / "again").touch()
    supervised("retry", "1")
    supervised.started("gate")
    following = supervised.start(
        *words, f'[ -e "$HOME/again" ] || {{ {script}; }}; echo now; {held("")[2]}', "-", "gate"
    )
    assert following.stdout is not None
    assert [following.stdout.readline(), following.stdout.readline()] == ["default/1\n", "now\n"]
    supervised.let_go("gate")
    supervised.ended(following, 0)


def test_a_run_that_was_undone_is_no_run(aq: Driven) -> None:
    """A claim whose program cannot be started: there is nothing to show, and its end is shown."""
    done = aq("submit", "--follow", "--exec", "--", "no-such-program-anywhere", code=1)
    assert done.stdout == "default/1\n"


@pytest.mark.parametrize("how", ["--wait", "--follow"])
def test_ctrl_c_leaves_the_task_and_says_how_to_end_it(aq: Driven, how: str) -> None:
    waiting = aq.start("submit", how, "--no-wake", "--exec", "--", "true")
    until(lambda: list(aq.state_dir.glob("bells/*")), what="the wait")
    aq.signal(waiting, signal.SIGINT)
    _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    # On a machine that is slow enough it has told before that nobody is there.
    hint = "agentq: hint: what was submitted stays in the queue; `agentq cancel default/1` ends it\n"
    assert said.splitlines(keepends=True)[-1] == hint
    assert aq.statuses() == {"default/1": "queued"}


HOLD = r"agentq: waiting: default/1: agent 'demo' is held by rate_limited \([^\n]*\); until (\S+Z)\n"


def hold(aq: Driven) -> str:
    """Have the demo agent held by its usage limit; until when."""
    aq.submit("--agent", "demo", "limit 48h", "-s", "other")
    aq("run", "--max-tasks", "1")
    return str(aq.task("other/1")["waiting_for"]["until"])


@pytest.mark.parametrize("command", ["--wait", "--follow", "--wait --json", "wait", "wait --json", "logs"])
def test_who_waits_behind_a_hold_is_told_once_until_when(aq: Driven, command: str) -> None:
    lifted = hold(aq)
    if command.startswith("--"):
        waiting = aq.start("submit", *command.split(), "--agent", "demo", "say hello")
    else:
        aq.submit("--agent", "demo", "say hello")
        how = ["logs", "--follow"] if command == "logs" else command.split()
        waiting = aq.start(*how, "1")
    assert waiting.stderr is not None
    said = waiting.stderr.readline()
    found = re.fullmatch(HOLD, said)
    assert found is not None, said
    assert found[1] == lifted
    # What it waits for changes: the agent is let go, and the task itself is paused instead.
    aq("pause", "1", "--reason", "not now")
    aq("resume", "--agent", "demo")
    assert waiting.stderr.readline() == (
        "agentq: waiting: default/1: the task is paused (not now); `agentq resume default/1`\n"
    )
    aq("resume", "1")
    aq("run", "--drain", "-s", "default")
    out, err = waiting.communicate(timeout=30)
    # Who follows is told how it ended.
    assert re.fullmatch(r"default/1\.1: success, .*\n" if command in ("--follow", "logs") else "", err)
    assert waiting.returncode == 0
    if "--json" in command:
        assert json.loads(out)["items"][0]["status"] == "completed"


def test_who_waits_for_a_time_is_told_when(aq: Driven) -> None:
    at = "2126-03-29T09:00:00.000Z"
    waiting = aq.start("submit", "--wait", "--at", at, "--exec", "--", "true")
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == f"agentq: waiting: default/1: it is due at {at}\n"
    aq("cancel", "1")
    assert waiting.communicate(timeout=30)[1] == ""


def test_tasks_that_wait_for_the_same_are_one_line(aq: Driven) -> None:
    aq.exec(*held("gate"), given=["--in", "1d"])
    for _ in range(3):
        aq.exec("true", given=["--after", "1"])
    waiting = aq.start("wait", "2", "3", "4", "--timeout", "1m")
    assert waiting.stderr is not None
    told = "agentq: waiting: default/2 and 2 more: it waits for default/1 to complete\n"
    assert waiting.stderr.readline() == told
    aq("cancel", "1")
    assert waiting.communicate(timeout=30)[1] == ""
    assert waiting.returncode == 1


def test_an_ordinary_queue_is_no_news(supervised: Driven) -> None:
    for name in ("a", "b", "c", "d"):
        supervised.exec(*held(name))
    waiting = supervised.start("submit", "--wait", "--exec", "--", "true")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "default/5\n"
    # It has looked more than once, for longer than any other reason needs to be told.
    supervised("wait", "5", "--timeout", "2500ms", code=124)
    assert supervised.task("5")["waiting_for"]["kind"] == "slot"
    supervised.let_go("a", "b", "c", "d")
    assert waiting.communicate(timeout=30) == ("", "")


def test_that_nobody_is_there_is_told(aq: Driven) -> None:
    waiting = aq.start("submit", "--wait", "--no-wake", "--exec", "--", "true")
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == (
        "agentq: waiting: default/1: no supervisor is running; start one with `agentq run`\n"
    )
    aq.drain()
    assert waiting.communicate(timeout=30)[1] == ""
