"""Retries, and holds of an agent, with real processes: the budget, delays on disk, limits, a key that is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from agentq_process import PYTHON
from driven import Driven, Object, held, until

FLAKY = 'n=$(cat count 2>/dev/null || echo 0); echo $((n+1)) > count; echo "$AGENTQ_PREVIOUS_RUN"; [ $n -ge {} ]'


def flaky(times: int) -> list[str]:
    """A command that fails so many times and then succeeds."""
    return ["sh", "-c", FLAKY.format(times)]


def test_n_retries_are_n_plus_one_runs(aq: Driven) -> None:
    address = aq.exec("sh", "-c", "exit 3", given=("--retries", "2", "--backoff", "10ms", "--max-backoff", "15ms"))
    aq.drain(code=1)
    task = aq.task(address)
    assert (task["status"], task["exit_code"], task["attempts"], task["max_retries"]) == ("failed", 3, 3, 2)
    runs = list(aq.runs().values())
    assert [(run["attempt"], run["trigger"], run["status"], run["failure_class"]) for run in runs] == [
        (3, "retry", "error", "error"),
        (2, "retry", "error", "error"),
        (1, "submit", "error", "error"),
    ]
    # So short a delay may be over before it is recorded.
    changes = [
        (event["from"], event["to"].replace("queued", "retrying") if event["from"] == "running" else event["to"])
        for event in aq.items("events", address)
    ][::-1]
    assert changes == [
        (None, "queued"),
        ("queued", "running"),
        ("running", "retrying"),
        ("queued", "running"),
        ("running", "retrying"),
        ("queued", "running"),
        ("running", "failed"),
    ]


@pytest.mark.slow
def test_it_ends_once_an_attempt_succeeds_and_finds_the_one_before(aq: Driven) -> None:
    address = aq.exec(*flaky(2), given=("--retries", "5", "--backoff", "10ms"))
    aq.drain()
    runs = aq.runs()
    assert [run["status"] for run in runs.values()] == ["success", "error", "error"]
    first, second = Path(runs["default/1.1"]["stdout_path"]).parent, Path(runs["default/1.2"]["stdout_path"]).parent
    assert [aq.stdout(runs[f"default/1.{number}"]) for number in (1, 2, 3)] == ["\n", f"{first}\n", f"{second}\n"]
    task = aq.task(address)
    assert (task["status"], task["exit_code"], task["reason"]) == ("completed", 0, None)


def test_a_plain_failure_is_not_retried_and_a_crash_is(aq: Driven) -> None:
    aq.exec("false")
    aq.exec(*held("victim"), given=("--backoff", "10ms"))
    aq.exec(*held("other"), given=("--on-crash", "fail"))
    supervisor = aq.supervise("--drain", "-j", "2")
    shims = []
    for name in ("victim", "other"):
        agent = aq.started(name)
        parent = int(Path(f"/proc/{agent}/stat").read_text().rpartition(")")[2].split()[1])
        shims.append(parent)
        (aq.home / f"{name}.started").unlink()
        import os
        import signal

        os.kill(parent, signal.SIGKILL)
    aq.let_go("other")
    aq.started("victim")
    aq.let_go("victim")
    aq.ended(supervisor, 1)
    assert aq.statuses() == {"default/1": "failed", "default/2": "completed", "default/3": "failed"}
    assert [(run["id"], run["status"]) for run in aq.runs().values() if run["task"] != "default/1"] == [
        ("default/2.2", "success"),
        ("default/3.1", "crashed"),
        ("default/2.1", "crashed"),
    ]


def test_the_delay_is_on_disk_and_shown(aq: Driven) -> None:
    address = aq.exec("false", given=("--retries", "1", "--backoff", "1h", "--max-backoff", "2h"))
    supervisor = aq.supervise()
    until(lambda: aq.task(address)["status"] == "retrying")
    aq.kill_hard(supervisor)
    task = aq.task(address)
    ended = datetime.fromisoformat(aq.runs()["default/1.1"]["finished_at"])
    due = datetime.fromisoformat(task["due_at"])
    assert timedelta(hours=1) <= due - ended <= timedelta(hours=1.1)
    assert task["waiting_for"]["kind"] == "retry" and task["waiting_for"]["until"] == task["due_at"]
    assert task["reason"] == "exit code 1; retry 1 of 1"
    later = (due + timedelta(seconds=1)).isoformat()
    aq.drain(code=1, env={"AGENTQ_NOW": later})
    assert aq.statuses() == {address: "failed"}


def test_a_cancel_prevents_the_next_attempt(aq: Driven) -> None:
    address = aq.exec("false", given=("--retries", "3", "--backoff", "1h"))
    supervisor = aq.supervise()
    until(lambda: aq.task(address)["status"] == "retrying")
    aq("cancel", address)
    assert aq.task(address)["status"] == "cancelled"
    aq.drain(env={"AGENTQ_NOW": "2099-01-01T00:00:00Z"})
    assert len(aq.runs()) == 1
    aq.kill_hard(supervisor)


def test_a_retrying_task_holds_its_session_and_no_other(aq: Driven) -> None:
    aq.exec("false", given=("-s", "a", "--retries", "1", "--backoff", "1h"))
    aq.exec("true", given=("-s", "a"))
    aq.exec("true", given=("-s", "b"))
    supervisor = aq.supervise()
    aq("wait", "b/1")
    until(lambda: aq.task("a/1")["status"] == "retrying")
    assert aq.task("a/2")["waiting_for"] | {"detail": ""} == {
        "kind": "session",
        "until": None,
        "ids": ["a/1"],
        "detail": "",
    }
    aq("pause", "a/1")
    aq("wait", "a/2")
    aq.kill_hard(supervisor)


@pytest.mark.parametrize(
    "given",
    [
        ("--retries", "-1"),
        ("--retries", "1001"),
        ("--backoff", "0"),
        ("--backoff", "5"),
        ("--max-backoff", "-1s"),
        ("--on-crash", "ignore"),
        ("--on-dep-failure", "stop"),
    ],
)
def test_bad_values_are_refused_and_named(aq: Driven, given: tuple[str, str]) -> None:
    done = aq("submit", *given, "--exec", "--", "true", code=2)
    assert given[0] in done.stderr and given[1].lstrip("-") in done.stderr
    assert aq.tasks() == {}


def test_a_delay_longer_than_the_longest_one_is_warned_about(aq: Driven) -> None:
    done = aq("submit", "--retries", "1", "--backoff", "1h", "--exec", "--", "true")
    assert "--backoff '1h': no delay is longer than --max-backoff, 5m" in done.stderr
    done = aq("submit", "--retries", "1", "--backoff", "1h", "--max-backoff", "2h", "--exec", "--", "true")
    assert "--backoff" not in done.stderr


def test_the_config_gives_the_defaults_and_edit_changes_them(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text('[defaults]\nretries = 1\nbackoff = "10ms"\n[sessions.b]\nretries = 2\n')
    env = {"AGENTQ_CONFIG": str(config)}
    for session in ("a", "b"):
        aq.exec("false", given=("-s", session), env=env)
    aq.exec("false", given=("-s", "c", "--retries", "0"), env=env)
    aq.exec("false", given=("-s", "d"), env=env)
    (edited,) = aq.items("edit", "d/1", "--retries", "3", "--backoff", "1ms")
    assert edited["max_retries"] == 3
    aq.drain(code=1)
    assert {name: task["attempts"] for name, task in aq.tasks().items()} == {"a/1": 2, "b/1": 3, "c/1": 1, "d/1": 4}


# Holds

LIMITED = """
import datetime, json, os, sys
sys.stdin.read()
says = json.loads(os.environ["SAYS"])
if "reset_in" in says:
    reset = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=says.pop("reset_in"))
    says["reset_at"] = reset.isoformat()
print(json.dumps({"event": "start", "conversation": "c1"}))
lifted = os.path.exists(os.path.join(os.environ["HOME"], "lifted"))
if lifted:
    print(json.dumps({"event": "end", "ok": True, "result": "done"}))
else:
    print(json.dumps({"event": "end", "ok": False, **says}))
    sys.exit(1)
"""


def agents(aq: Driven, **says: Object) -> dict[str, str]:
    """A config with an agent for each name, which says this in its final event until it is let in."""
    script = aq.home / "agent.py"
    script.write_text(LIMITED)
    lines = ["jobs = 6"]
    for name, final in says.items():
        lines += [f"[agents.{name}]", f"argv = {json.dumps([*PYTHON, str(script)])}", 'reader = "events"']
        lines += [f"env = {{ SAYS = {json.dumps(json.dumps(final))} }}"]
    config = aq.home / "config.toml"
    config.write_text("\n".join(lines) + "\n")
    return {"AGENTQ_CONFIG": str(config)}


def rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_six_tasks_that_meet_a_limit_together_are_held_and_all_done_after_it(aq: Driven) -> None:
    reset = datetime.now(UTC) + timedelta(hours=2)
    limit = {"class": "rate_limited", "error": "5-hour limit reached", "reset_at": rfc3339(reset)}
    env = agents(aq, limited=limit, other={"class": "error"})
    for _ in range(6):
        aq.submit("--agent", "limited", "work", env=env)
    aq.exec("true")
    done = aq.drain(code=75, env=env)
    assert rfc3339(reset) in done.stderr.splitlines()[-1]
    tasks = aq.tasks()
    assert [task["status"] for task in tasks.values() if task["kind"] == "prompt"] == ["queued"] * 6
    assert {task["attempts"] for task in tasks.values() if task["kind"] == "prompt"} == {0}
    waits = aq.task("1")["waiting_for"]
    assert (waits["kind"], waits["until"]) == ("limit", rfc3339(reset))
    assert {run["status"] for run in aq.runs().values() if run["agent"]} == {"rate_limited"}
    gates = {gate["name"]: gate for gate in aq.json("workers")["gates"]}
    assert gates["agent"]["holding"] and rfc3339(reset) in gates["agent"]["detail"]
    (error,) = [json.loads(line) for line in aq("run", "--drain", "--json", code=75, env=env).stdout.splitlines()]
    assert (error["schema"], error["code"], error["kind"]) == ("agentq.error/1", 75, "deferred")
    assert not any(item["action"] == "wake" for item in aq.items("sweep", env=env))
    (aq.home / "lifted").touch()
    later = rfc3339(reset + timedelta(seconds=1))
    aq.drain(env=env | {"AGENTQ_NOW": later})
    assert set(aq.statuses().values()) == {"completed"}
    assert {run["trigger"] for run in aq.runs().values() if run["status"] == "success" and run["agent"]} == {"retry"}


def test_a_limit_ends_by_itself_and_a_supervisor_that_waits_goes_on(aq: Driven) -> None:
    env = agents(aq, limited={"class": "rate_limited", "error": "limit", "reset_in": 2})
    address = aq.submit("--agent", "limited", "work", env=env)
    supervisor = aq.supervise(env=env)
    until(lambda: aq.runs() and aq.runs()["default/1.1"]["status"] == "rate_limited")
    (aq.home / "lifted").touch()
    aq("wait", address)
    last, *limited = aq.runs().values()
    assert {run["status"] for run in limited} == {"rate_limited"}
    apart = datetime.fromisoformat(last["started_at"]) - datetime.fromisoformat(limited[0]["started_at"])
    assert apart >= timedelta(seconds=2)
    aq.kill_hard(supervisor)


def test_resume_lifts_a_limit_by_hand(aq: Driven) -> None:
    env = agents(aq, limited={"class": "rate_limited", "error": "limit"})
    address = aq.submit("--agent", "limited", "work", env=env)
    aq.drain(code=75, env=env)
    (aq.home / "lifted").touch()
    aq("resume", "--agent", "limited", env=env)
    aq.drain(env=env)
    assert aq.task(address)["status"] == "completed"


def test_a_key_that_is_refused_holds_the_agent_until_it_is_resumed(aq: Driven) -> None:
    env = agents(aq, mine={"class": "auth", "error": "invalid key"}, other={"class": "network"})
    aq.submit("--agent", "mine", "--retries", "3", "work", env=env)
    aq.drain(code=1, env=env)
    second = aq.submit("--agent", "mine", "work", env=env)
    aq.drain(env=env)
    assert aq.statuses() == {"default/1": "failed", "default/2": "queued"}
    waits = aq.task(second)["waiting_for"]
    assert waits["kind"] == "limit" and waits["until"] is None
    assert "invalid key" in waits["detail"] and "agentq resume --agent mine" in waits["detail"]
    (aq.home / "lifted").touch()
    aq("resume", "--agent", "mine", env=env)
    aq.drain(env=env)
    assert aq.statuses()["default/2"] == "completed"


def test_a_failure_weighs_more_than_work_that_is_left(aq: Driven) -> None:
    env = agents(aq, limited={"class": "rate_limited", "error": "limit"})
    aq.submit("--agent", "limited", "work", env=env)
    aq.exec("false")
    done = aq.drain(code=1, env=env)
    assert "deferred" not in done.stderr and "run it again" not in done.stderr
    assert aq.statuses() == {"default/1": "queued", "default/2": "failed"}


def test_a_wait_for_a_held_task_starts_no_supervisor_over_and_over(aq: Driven) -> None:
    env = agents(aq, limited={"class": "rate_limited", "error": "limit"})
    aq("submit", "--agent", "limited", "work", env=env)
    aq.drain(code=75, env=env)
    aq("wait", "1", "--timeout", "3s", code=124, env=env)
    log = aq.state_dir / "supervisor.log"
    assert not log.exists() or log.read_text().count("deferred") == 0


def test_an_unknown_conversation_is_begun_anew_once(aq: Driven) -> None:
    aq.submit("--agent", "demo", "-s", "talk", "hello")
    aq.drain()
    for kept in (aq.state_dir / "demo").iterdir():
        kept.unlink()
    aq.submit("--agent", "demo", "-s", "talk", "are you there")
    aq.drain()
    runs = aq.runs("talk/2")
    assert [(run["status"], run["trigger"]) for run in runs.values()] == [("success", "retry"), ("error", "submit")]
    assert runs["talk/2.2"]["conversation"] not in (None, runs["talk/2.1"]["conversation"])
    (session,) = aq.items("sessions")
    assert session["conversation"] == runs["talk/2.2"]["conversation"]


def test_a_conversation_that_is_unknown_twice_fails(aq: Driven) -> None:
    env = agents(aq, lost={"class": "error", "error": "no such conversation", "conversation_lost": True})
    aq.submit("--agent", "lost", "-s", "talk", "hello", env=env)
    aq.drain(code=1, env=env)
    assert [run["status"] for run in aq.runs().values()] == ["error", "error"]
    assert aq.task("talk/1")["status"] == "failed"
