"""The reading commands over tasks that real processes handed in and ran."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from agentq_process import Agentq

TASK_KEYS = (
    *("id", "session", "seq", "series", "kind", "status", "reason", "waiting_for", "agent", "title", "prompt", "argv"),
    *(
        "cwd",
        "on",
        "host",
        "env_keys",
        "priority",
        "labels",
        "key",
        "context",
        "conversation_key",
        "created_at",
        "due_at",
        "expires_at",
        "schedule",
        "after",
    ),
    *("attempts", "max_retries", "check", "worktree", "branch", "base", "land", "last_run", "exit_code"),
)
RUN_KEYS = (
    *("id", "task", "session", "series", "attempt", "trigger", "agent", "title", "prompt", "argv", "cwd"),
    *(
        "scheduled_for",
        "started_at",
        "finished_at",
        "duration_ms",
        "status",
        "exit_code",
        "signal",
        "failure_class",
        "error",
        "result",
    ),
    *(
        "script_outcome",
        "check",
        *("repository", "worktree", "branch", "base", "head", "commits", "files_changed", "insertions", "deletions"),
        *("dirty", "snapshot", "landed", "note"),
        "conversation",
        "tokens_in",
        "tokens_out",
        "cost_usd",
        "list_price",
        "turns",
        "peak_rss_bytes",
        "stdout_path",
    ),
    *("stderr_path", "stdout_bytes", "stderr_bytes", "pid", "host", "adopted"),
)
SESSION_KEYS = ("name", "counts", "next_due_at", "paused", "conversation", "conversations", "parallel", "host", "path")
WORKER_KEYS = (
    *("id", "task", "run", "session", "agent", "pid", "supervisor_pid", "started_at", "last_seen_at", "rss_bytes"),
    *("state", "note", "host"),
)
EVENT_KEYS = ("at", "task", "run", "from", "to", "event", "actor", "reason")


def read(agentq: Agentq, *arguments: str) -> Any:
    done = agentq(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def ids(document: Any) -> list[str]:
    return [item["id"] for item in document["items"]]


@pytest.fixture
def ended(agentq: Agentq) -> Agentq:
    """A state dir with a completed and a failed command, a prompt that demo answered, and tasks that wait."""
    for arguments in (
        ("--exec", "-e", "TOKEN=hush", "--", "sh", "-c", "echo out; echo err >&2"),
        ("--exec", "--", "sh", "-c", "exit 3"),
        ("-s", "docs", "--agent", "demo", "say hello"),
    ):
        assert agentq("submit", *arguments).returncode == 0
    assert agentq("run", "--drain").returncode == 1
    for arguments in (
        ("--in", "2h", "--label", "a", "--label", "b", "--agent", "demo", "later"),
        ("--label", "b", "-p", "7", "--key", "k", "-e", "TOKEN=hush", "--agent", "demo", "soon"),
    ):
        assert agentq("submit", *arguments).returncode == 0
    return agentq


def test_list_shows_live_tasks_soonest_first_and_all_of_them_with_all(ended: Agentq) -> None:
    assert ids(read(ended, "list")) == ["default/4", "default/3"]
    ends = sorted(
        [(event["at"], event["task"]) for event in read(ended, "events")["items"] if event["event"] == "finish"],
        reverse=True,
    )
    every = ["default/4", "default/3", *(task for _, task in ends)]
    assert ids(read(ended, "list", "--all")) == every
    assert ids(read(ended, "list", "--all", "--limit", "3")) == every[:3]


def test_list_filters_by_session_status_and_label_before_it_limits(ended: Agentq) -> None:
    assert ids(read(ended, "list", "-s", "docs")) == []
    assert ids(read(ended, "list", "-s", "docs", "--all")) == ["docs/1"]
    assert ids(read(ended, "list", "--status", "failed")) == ["default/2"]
    assert ids(read(ended, "list", "--status", "scheduled", "--status", "failed")) == ["default/3", "default/2"]
    assert ids(read(ended, "list", "--label", "a")) == ["default/3"]
    assert ids(read(ended, "list", "--label", "a", "--limit", "1")) == ["default/3"]
    assert ids(read(ended, "list", "--label", "none")) == []


def test_a_task_has_exactly_the_keys_of_the_contract(ended: Agentq) -> None:
    document = read(ended, "show", "4")
    assert document.pop("schema") == "agentq.task/1"
    assert tuple(document) == (*TASK_KEYS, "environment", "checkpoint")
    assert tuple(read(ended, "list")["items"][0]) == TASK_KEYS
    assert document["id"] == "default/4"
    assert document["status"] == "queued"
    assert document["waiting_for"]["kind"] == "slot"
    assert set(document["waiting_for"]) == {"kind", "until", "ids", "detail"}
    assert (document["kind"], document["prompt"], document["argv"]) == ("prompt", "soon", None)
    assert (document["priority"], document["labels"], document["key"]) == (7, ["b"], "k")
    assert document["env_keys"] == ["TOKEN"]
    assert document["cwd"] == str(ended.home)


def test_show_says_why_a_task_is_not_running(ended: Agentq) -> None:
    assert read(ended, "show", "3")["waiting_for"]["kind"] == "time"
    assert read(ended, "show", "3")["waiting_for"]["until"] == read(ended, "show", "3")["due_at"]
    assert "Waiting for: slot: no supervisor is running" in ended("show", "default/4").stdout
    assert ended("pause", "-s", "default", "--reason", "night").returncode == 0
    assert read(ended, "show", "4")["waiting_for"]["kind"] == "paused"
    assert [item["waiting_for"]["kind"] for item in read(ended, "list")["items"]] == ["paused", "time"]
    assert read(ended, "show", "1")["waiting_for"] is None


def test_show_tells_a_person_what_ran(ended: Agentq) -> None:
    text = ended("show", "2").stdout
    assert "Status:          failed\n" in text
    assert "Command:         sh -c 'exit 3'\n" in text
    assert "Exit code:       3\n" in text
    assert "Run default/2.1: error, " in text


def test_runs_are_newest_first_with_exactly_the_keys_of_the_contract(ended: Agentq) -> None:
    document = read(ended, "runs")
    assert document["schema"] == "agentq.runs/1"
    assert sorted(ids(document)) == ["default/1.1", "default/2.1", "docs/1.1"]
    starts = [item["started_at"] for item in document["items"]]
    assert starts == sorted(starts, reverse=True)
    run = next(item for item in document["items"] if item["id"] == "default/2.1")
    assert tuple(run) == RUN_KEYS
    assert (run["status"], run["exit_code"], run["signal"], run["failure_class"]) == ("error", 3, None, "error")
    assert isinstance(run["pid"], int)
    assert Path(run["stdout_path"]).read_bytes() == b""
    whole = next(item for item in document["items"] if item["id"] == "default/1.1")
    assert whole["stdout_bytes"] == len("out\n")
    assert Path(whole["stdout_path"]).read_text() == "out\n"
    assert Path(whole["stderr_path"]).read_text() == "err\n"


def test_runs_filter_by_task_session_status_time_and_number(ended: Agentq) -> None:
    assert ids(read(ended, "runs", "1")) == ["default/1.1"]
    assert ids(read(ended, "runs", "-s", "docs")) == ["docs/1.1"]
    assert ids(read(ended, "runs", "1", "-s", "docs")) == []
    assert ids(read(ended, "runs", "--status", "error")) == ["default/2.1"]
    assert len(ids(read(ended, "runs", "--since", "1h"))) == 3
    assert ids(read(ended, "runs", "--since", "2999-01-01")) == []
    assert len(ids(read(ended, "runs", "--limit", "2"))) == 2


def test_the_newest_hundred_are_shown_without_a_limit(agentq: Agentq) -> None:
    batch = "".join(json.dumps({"prompt": str(number), "agent": "demo"}) + "\n" for number in range(130))
    assert agentq("submit", "--batch", "-", input=batch).returncode == 0
    assert len(read(agentq, "events")["items"]) == 100
    assert read(agentq, "events")["items"][0]["task"] == "default/130"
    assert len(read(agentq, "events", "--limit", "120")["items"]) == 120
    assert len(read(agentq, "list")["items"]) == 130


def test_sessions_count_their_tasks_by_status(ended: Agentq) -> None:
    document = read(ended, "sessions")
    default, docs = document["items"]
    assert set(SESSION_KEYS) <= set(default)
    assert (default["name"], docs["name"]) == ("default", "docs")
    shown = {status: count for status, count in default["counts"].items() if count}
    assert shown == {"scheduled": 1, "queued": 1, "completed": 1, "failed": 1}
    assert docs["counts"]["completed"] == 1
    assert docs["conversation"] == docs["conversations"]["demo"]
    assert (default["paused"], default["parallel"], docs["parallel"]) == (False, None, 1)
    assert default["next_due_at"] == read(ended, "show", "4")["due_at"]
    assert docs["path"] == str(ended.state_dir / "sessions" / "docs")


def test_events_are_every_change_newest_first(ended: Agentq) -> None:
    items = read(ended, "events", "2")["items"]
    assert all(tuple(item) == EVENT_KEYS for item in items)
    assert [(item["from"], item["to"], item["actor"]) for item in items] == [
        ("running", "failed", "supervisor"),
        ("queued", "running", "supervisor"),
        (None, "queued", "user"),
    ]
    assert {item["task"] for item in items} == {"default/2"}
    assert items[0]["run"] == "default/2.1"
    assert read(ended, "events", "--since", "2999-01-01")["items"] == []


def test_messages_are_what_the_agents_said(ended: Agentq) -> None:
    (message,) = read(ended, "messages", "-s", "docs")["items"]
    assert message["kind"] == "result"
    assert message["content"]["run"] == "docs/1.1"
    assert "say hello" in message["content"]["result"]
    assert message["session"] == "docs"


def test_a_message_that_an_agent_wrote_by_itself_is_harmless(ended: Agentq) -> None:
    import sqlite3

    with sqlite3.connect(ended.state_dir / "sessions" / "docs" / "outbound.db") as database:
        rows = [
            ("a", "note", "not \x1b[2J json", 1),
            ("b", "note", '{"x": 1}', "no time"),
            ("c", "note", "[1]", 1 << 62),
        ]
        database.executemany("INSERT INTO messages_out VALUES (?, ?, ?, ?)", rows)
    database.close()
    by_id = {item["id"]: item for item in read(ended, "messages", "-s", "docs")["items"]}
    assert by_id["a"]["content"] == "not \x1b[2J json"
    assert (by_id["b"]["content"], by_id["b"]["created_at"]) == ({"x": 1}, None)
    assert (by_id["c"]["content"], by_id["c"]["created_at"]) == ([1], None)
    text = ended("messages", "-s", "docs").stdout
    assert "not ␛[2J json" in text
    assert "\x1b" not in text


def test_no_value_of_the_environment_is_ever_shown(ended: Agentq) -> None:
    for command in ("list --all", "show 1", "show 4", "runs", "events", "sessions", "workers", "messages"):
        for form in ((), ("--json",)):
            assert "hush" not in ended(*command.split(), *form).stdout, command


def test_hostile_text_is_harmless_in_every_table(agentq: Agentq) -> None:
    hostile = "evil \x1b]0;title\x07\x1b[2J\x9b\u202e\nsecond line"
    assert agentq("submit", "--agent", "demo", "--label", hostile, hostile).returncode == 0
    for command in ("list", "show 1", "events"):
        text = agentq(*command.split()).stdout
        assert not set(text) & set("\x1b\x07\x9b\u202e"), command
    assert agentq("list").stdout.count("\n") == 2
    assert json.loads(agentq("show", "1", "--json").stdout)["prompt"] == hostile


def test_a_running_task_is_a_worker(agentq: Agentq, tmp_path: Path) -> None:
    ready, release = tmp_path / "ready", tmp_path / "release"
    for path in (ready, release):
        os.mkfifo(path)
    command = f"echo yes > {ready}; read line < {release}"
    assert agentq("submit", "--exec", "--", "sh", "-c", command).returncode == 0
    supervisor = agentq.start("run", "--drain", stdout=subprocess.DEVNULL)
    ready.read_text()
    document = read(agentq, "workers")
    (worker,) = document["items"]
    assert tuple(worker) == WORKER_KEYS
    assert (worker["task"], worker["run"], worker["state"]) == ("default/1", "default/1.1", "running")
    assert worker["supervisor_pid"] == supervisor.pid
    assert Path(f"/proc/{worker['pid']}/cmdline").read_bytes().startswith(b"sh\0")
    assert 0 < worker["rss_bytes"] < 1 << 30
    assert [item["pid"] for item in document["supervisors"]] == [supervisor.pid]
    assert document["gates"][0]["name"] == "cap"
    assert "default/1.1" in agentq("workers").stdout
    release.write_text("go\n")
    assert supervisor.wait(30) == 0


def test_the_head_of_a_listing_ends_quietly(ended: Agentq) -> None:
    batch = "".join(json.dumps({"prompt": "word " * 200, "agent": "demo"}) + "\n" for _ in range(1000))
    assert ended("submit", "--batch", "-", input=batch).returncode == 0
    for form in ("", "--json"):
        line = f'"$@" {form} | head -1; echo ${{PIPESTATUS[0]}}'
        done = subprocess.run(
            ["bash", "-c", line, "bash", *ended.command("list")],
            env=ended.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stderr == ""
        assert len(done.stdout.splitlines()) == 2
        assert done.stdout.splitlines()[1] == "0"


@pytest.mark.exec
def test_a_long_list_streams_in_bounded_memory(agentq: Agentq) -> None:
    def peak(*arguments: str) -> int:
        with open(os.devnull, "w") as nowhere:
            process = agentq.start(*arguments, stdout=nowhere)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_maxrss

    batch = "".join(json.dumps({"prompt": f"{n} " + "word " * 100, "agent": "demo"}) + "\n" for n in range(4_000))
    assert agentq("submit", "--batch", "-", input=batch).returncode == 0
    for form in ((), ("--json",)):
        short, long = peak("list", "--limit", "600", *form), peak("list", *form)
        assert long - short < 4 * 1024, f"{short} KiB for 600 tasks, {long} KiB for 4,000"


def test_a_session_that_cannot_be_read_does_not_hide_the_others(ended: Agentq) -> None:
    broken = ended.state_dir / "sessions" / "docs" / "inbound.db"
    content = b"no database at all " * 100
    broken.write_bytes(content)
    done = ended("list", "--all", "--json")
    assert done.returncode == 6
    document = json.loads(done.stdout)
    assert [item["session"] for item in document["items"]] == ["default"] * 4
    assert document["error"]["kind"] == "unreadable"
    assert str(broken) in done.stderr
    assert broken.read_bytes() == content
