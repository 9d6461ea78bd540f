"""What an agent asks for by rows in its outbound.db: carried out once, in its own session, or refused and recorded."""

from __future__ import annotations

import json
import sqlite3

import pytest

NOW = {"AGENTQ_NOW": "2026-03-07T10:00:00Z"}


class Agent:
    """The agent's side of a session: it can write its outbound.db, and nothing else."""

    def __init__(self, agentq):
        self.agentq = agentq
        agentq("submit", "-s", "docs", "-a", "demo", "-e", "COLOUR=red", "first", env=NOW)
        self.directory = agentq.state_dir / "sessions" / "docs"

    def ask(self, number, content):
        with sqlite3.connect(self.directory / "outbound.db") as database:
            text = content if isinstance(content, str) else json.dumps(content)
            database.execute("INSERT INTO messages_out VALUES (?, 'system', ?, 0)", (f"m{number}", text))
        database.close()

    def answers(self):
        with sqlite3.connect(self.directory / "inbound.db") as database:
            rows = database.execute(
                "SELECT message_id, status, task, detail FROM delivered ORDER BY message_id"
            ).fetchall()
        database.close()
        return rows

    def sweep(self):
        done = self.agentq("sweep", "--no-wake", env=NOW)
        assert done.returncode == 0, done.stderr

    def tasks(self):
        found = json.loads(self.agentq("list", "-s", "docs", "--all", "--json", env=NOW).stdout)["items"]
        return {task["seq"]: task for task in found}


@pytest.fixture
def agent(agentq):
    return Agent(agentq)


def test_a_task_is_scheduled_with_the_session_s_agent_directory_and_environment(agent, agentq):
    agent.ask(1, {"action": "schedule_task", "prompt": "again", "in": "1h", "priority": 3, "label": ["a"]})
    agent.sweep()
    task = agent.tasks()[2]
    assert (task["prompt"], task["agent"], task["cwd"]) == ("again", "demo", str(agentq.home))
    assert (task["due_at"], task["priority"], task["labels"]) == ("2026-03-07T11:00:00.000Z", 3, ["a"])
    assert task["env_keys"] == ["COLOUR"]
    assert [answer[:3] for answer in agent.answers()] == [("m1", "applied", "docs/2")]


def test_a_series_is_scheduled_paused_resumed_updated_and_cancelled(agent):
    agent.ask(1, {"action": "schedule_task", "prompt": "tick", "cron": "*/5 * * * *", "tz": "UTC"})
    agent.sweep()
    assert agent.tasks()[2]["schedule"]["expr"] == "*/5 * * * *"
    agent.ask(2, {"action": "pause_task", "task": 2})
    agent.sweep()
    assert agent.tasks()[2]["status"] == "paused"
    agent.ask(3, {"action": "resume_task", "task": "docs/2"})
    agent.ask(4, {"action": "update_task", "task": 2, "prompt": "tock", "every": "1h"})
    agent.sweep()
    task = agent.tasks()[2]
    assert (task["prompt"], task["status"], task["schedule"]["every_ms"]) == ("tock", "scheduled", 3_600_000)
    agent.ask(5, {"action": "cancel_task", "task": 2})
    agent.sweep()
    assert agent.tasks()[2]["status"] == "cancelled"
    assert [answer[1] for answer in agent.answers()] == ["applied"] * 5


@pytest.mark.parametrize(
    "content",
    [
        {"action": "schedule_task", "prompt": "x", "exec": ["rm", "-rf", "/"]},
        {"action": "schedule_task", "prompt": "x", "script": "/tmp/x"},
        {"action": "schedule_task", "prompt": "x", "cwd": "/"},
        {"action": "schedule_task", "prompt": "x", "env": {"A": "b"}},
        {"action": "schedule_task", "prompt": "x", "session": "other"},
        {"action": "schedule_task", "prompt": "x", "agent": "claude"},
        {"action": "schedule_task", "prompt": "x", "agent_arg": ["--dangerous"]},
        {"action": "schedule_task", "prompt": " "},
        {"action": "schedule_task"},
        {"action": "schedule_task", "prompt": "x", "cron": "0 0 30 2 *"},
        {"action": "schedule_task", "prompt": "x", "in": "1h", "every": "1h"},
        {"action": "cancel_task", "task": "default/1"},
        {"action": "cancel_task", "task": "../default/1"},
        {"action": "cancel_task", "task": 99},
        {"action": "cancel_task"},
        {"action": "submit", "prompt": "x"},
        {"prompt": "x"},
        [],
        "no json",
        "{" * 5000,
    ],
)
def test_everything_else_is_refused_and_recorded(agent, agentq, content):
    agentq("submit", "--exec", "--", "true", env=NOW)
    before = agent.tasks()
    agent.ask(1, content)
    agent.sweep()
    ((message, status, _, detail),) = agent.answers()
    assert (message, status) == ("m1", "refused") and detail
    assert agent.tasks() == before
    assert json.loads(agentq("show", "default/1", "--json", env=NOW).stdout)["status"] == "queued"
    events = json.loads(agentq("events", "--json", env=NOW).stdout)["items"]
    assert [(e["event"], e["actor"]) for e in events][:1] == [("request_refused", "agent")]


def test_ten_sweeps_at_once_carry_each_row_out_once(agent, agentq):
    for number in range(5):
        agent.ask(number, {"action": "schedule_task", "prompt": f"p{number}", "in": "1h"})
    sweeps = [agentq.start("sweep", "--no-wake", env=NOW) for _ in range(10)]
    for sweep in sweeps:
        sweep.wait(60)
    agent.sweep()
    assert sorted(task["prompt"] for task in agent.tasks().values()) == ["first", "p0", "p1", "p2", "p3", "p4"]
    assert len(agent.answers()) == 5


def test_run_answers_what_its_agents_ask_for_while_it_runs(agentq, tmp_path):
    ask = (
        "import os, sqlite3, json; d = sqlite3.connect(os.environ['AGENTQ_OUTBOUND']);"
        "d.execute(\"INSERT INTO messages_out VALUES ('m', 'system', ?, 0)\","
        " (json.dumps({'action': 'cancel_task', 'task': 2}),)); d.commit()"
    )
    agentq("submit", "-s", "docs", "--exec", "--", "python3", "-c", ask)
    agentq("submit", "-s", "docs", "--in", "1h", "--exec", "--", "true")
    assert agentq("run", "--drain").returncode == 0
    assert json.loads(agentq("show", "docs/2", "--json").stdout)["status"] == "cancelled"


def test_a_drain_answers_all_that_an_agent_asked_for_before_it_ends(agentq):
    ask = (
        "import os, sqlite3; d = sqlite3.connect(os.environ['AGENTQ_OUTBOUND']);"
        "rows = [(f'm{number}', 'system', 'no json', 0) for number in range(200)];"
        "d.executemany('INSERT INTO messages_out VALUES (?, ?, ?, ?)', rows);"
        "d.commit()"
    )
    agentq("submit", "-s", "docs", "--exec", "--", "python3", "-c", ask)
    assert agentq("run", "--drain").returncode == 0
    with sqlite3.connect(agentq.state_dir / "sessions" / "docs" / "inbound.db") as database:
        assert database.execute("SELECT count(*) FROM delivered").fetchone() == (200,)
    database.close()


def test_a_broken_outbound_is_its_session_s_trouble_only(agent, agentq):
    agentq("submit", "-s", "other", "-a", "demo", "x", env=NOW)
    outbound = agent.directory / "outbound.db"
    outbound.write_bytes(b"this is no database" * 100)
    done = agentq("sweep", "--no-wake", env=NOW)
    assert done.returncode == 1
    assert "docs" in done.stdout
    assert outbound.read_bytes() == b"this is no database" * 100
    assert agentq("run", "--drain", "-s", "other", env=NOW).returncode == 0


def test_an_update_keeps_the_grid_the_ends_and_every_slot_that_is_due(agent, agentq):
    given = (
        "--every",
        "1h",
        "--missed",
        "all",
        "--max-runs",
        "9",
        "--until",
        "2027-01-01T00:00:00Z",
        "--tz",
        "Asia/Kolkata",
    )
    agentq("schedule", "-s", "docs", "-a", "demo", *given, "tick", env={"AGENTQ_NOW": "2026-03-07T06:30:10Z"})
    before = agent.tasks()[2]
    agent.ask(1, {"action": "update_task", "task": 2, "every": "60m", "label": "x"})
    agent.sweep()
    task = agent.tasks()[2]
    assert (task["labels"], task["schedule"], task["due_at"]) == (["x"], before["schedule"], before["due_at"])
    agent.ask(2, {"action": "update_task", "task": 2, "cron": " @daily"})
    agent.sweep()
    task = agent.tasks()[2]
    assert (task["schedule"]["expr"], task["schedule"]["tz"]) == ("@daily", "Asia/Kolkata")
    assert (task["schedule"]["missed"], task["due_at"]) == ("all", "2026-03-07T18:30:00.000Z")
    events = json.loads(agentq("events", "docs/2", "--json").stdout)["items"]
    (skipped,) = [event["reason"] for event in events if event["event"] == "slots_skipped"]
    assert skipped.startswith("3 slots skipped (the schedule was changed): 2026-03-07T07:30:10")
    assert [answer[1] for answer in agent.answers()] == ["applied"] * 2


def test_a_pruned_address_of_a_series_is_still_its_name(agent, agentq):
    agentq("schedule", "-s", "docs", "-a", "demo", "--every", "1h", "tick", env={"AGENTQ_NOW": "2026-03-07T08:30:00Z"})
    agentq("run", "--drain", env=NOW)
    assert agentq("prune", "docs/2", "--yes", env=NOW).returncode == 0
    agent.ask(1, {"action": "pause_task", "task": 2})
    agent.sweep()
    assert agent.tasks()[3]["status"] == "paused"
    assert agent.answers()[0][1:3] == ("applied", "docs/3")
