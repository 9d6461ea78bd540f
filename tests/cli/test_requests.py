"""What an agent asks for by rows in its outbound.db: carried out once, in its own session, or refused and recorded."""

from __future__ import annotations

import json
import os
import sqlite3

import pytest

from agentq_cli.config.schema import OPTIONS

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


@pytest.mark.parametrize("ran", [True, False])
def test_what_one_agent_asks_for_is_no_deeper_the_more_it_is(agent, agentq, ran):
    if ran:
        agentq("run", "--drain", env=NOW)
    for number in range(12):
        agent.ask(number, {"action": "schedule_task", "prompt": f"p{number}", "in": "1h"})
    agent.sweep()
    assert {status for _, status, _, _ in agent.answers()} == {"applied"}


REFUSED = [
    {"action": "schedule_task", "prompt": "x", "exec": ["rm", "-rf", "/"]},
    {"action": "schedule_task", "prompt": "x", "script": "/tmp/x"},
    {"action": "schedule_task", "prompt": "x", "check": "touch /tmp/x"},
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
]


def test_everything_else_is_refused_and_recorded(agent, agentq):
    agentq("submit", "--exec", "--", "true", env=NOW)
    before = agent.tasks()
    for number, content in enumerate(REFUSED):
        agent.ask(number, content)
    agent.sweep()
    answers = {message: (status, detail) for message, status, _, detail in agent.answers()}
    for number, content in enumerate(REFUSED):
        status, detail = answers.pop(f"m{number}")
        assert status == "refused" and detail, content
    assert not answers
    assert agent.tasks() == before
    assert json.loads(agentq("show", "default/1", "--json", env=NOW).stdout)["status"] == "queued"
    events = json.loads(agentq("events", "--json", env=NOW).stdout)["items"]
    last = [(event["event"], event["actor"]) for event in events[: len(REFUSED) + 1]]
    assert last[:-1] == [("request_refused", "agent")] * len(REFUSED)
    assert last[-1][0] == "submit"


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


SAID = {
    "agent": '"mine"',
    "cwd": '"{home}/there"',
    "env": '{{ SHAPE = "round" }}',
    "env_file": '"{home}/variables"',
    "priority": "7",
    "expires": '"5h"',
    "on": f'["{os.uname().nodename}"]',
    "on_dep_failure": '"run"',
    "context": '"isolated"',
    "timeout": '"11m"',
    "stall_timeout": '"12m"',
    "grace": '"13s"',
    "memory": '"14MiB"',
    "retries": "3",
    "backoff": '"15s"',
    "max_backoff": '"16m"',
    "on_crash": '"fail"',
    "script": '"{home}/gate"',
    "check": '"exit 0"',
    "check_timeout": '"9m"',
    "stdin": '"{home}/variables"',
    "agent_arg": '["--fast"]',
    "max_cost": "1.5",
    "label": '["nightly"]',
    "tz": '"Europe/Berlin"',
    "missed": '"skip"',
    "overlap": '"queue"',
    "pause_after": "4",
    "max_runs": "9",
    "shared": "true",
    "worktree": "true",
    "branch": '"work"',
    "base": '"HEAD~1"',
    "setup": '"make"',
    "teardown": '"make clean"',
    "land": '"main"',
    "land_as": '"squash"',
    "push": '"origin"',
}
"""A value of every option that the config may hold, none of them its default."""

ASIDE = {"seq", "series", "created_at", "launch", "prompt"}


def stored(agent):
    """The tasks as they are stored, by their prompts."""
    with sqlite3.connect(agent.directory / "inbound.db") as database:
        database.row_factory = sqlite3.Row
        found = [dict(row) for row in database.execute("SELECT * FROM messages_in")]
    database.close()
    tasks = {}
    for row in found:
        launch = json.loads(row["launch"])
        # What an agent asks for has the environment of the prompt before, and is one deeper.
        for name in ("depth", "captured", "env"):
            launch.pop(name, None)
        tasks[row["prompt"]] = {name: value for name, value in row.items() if name not in ASIDE} | launch
    return tasks


@pytest.mark.parametrize(
    ("table", "name"), [("sessions.docs", None), ("defaults", None), *(("defaults", name) for name in OPTIONS)]
)
def test_what_an_agent_asks_for_has_every_option_that_the_config_gives_to_a_submit(agentq, table, name):
    """Each option alone, so that none hides another, and all of them together (None)."""
    (agentq.home / "there").mkdir()
    (agentq.home / "variables").write_text("SIZE=large\n")
    (agentq.home / "gate").write_text("exit 0\n")
    config = agentq.home / "config.toml"
    agentq.environ["AGENTQ_CONFIG"] = str(config)
    mine = '[agents.mine]\nargv = ["true"]\nreports_cost = true\n'
    config.write_text(mine)
    agent = Agent(agentq)
    names = OPTIONS if name is None else [name]
    lines = [f"{each} = {SAID[each].format(home=agentq.home)}" for each in names]
    config.write_text(f"{mine}[{table}]\n" + "\n".join(lines) + "\n")
    given = () if name in ("agent", None) else ("-a", "demo")
    for words in (("submit",), ("schedule", "--cron", "7 3 * * *")):
        done = agentq(*words, "-s", "docs", *given, f"{words[0]} by a person", env=NOW)
        assert done.returncode == 0, done.stderr
    agent.ask(1, {"action": "schedule_task", "prompt": "submit by an agent"})
    agent.ask(2, {"action": "schedule_task", "prompt": "schedule by an agent", "cron": "7 3 * * *"})
    agent.sweep()
    assert [answer[1] for answer in agent.answers()] == ["applied", "applied"]
    tasks = stored(agent)
    for way in ("submit", "schedule"):
        assert tasks[f"{way} by an agent"] == tasks[f"{way} by a person"]
    if name == "env_file":
        assert agent.tasks()[2]["env_keys"] == ["SIZE"]


def test_what_an_agent_says_wins_over_the_config(agentq):
    config = agentq.home / "config.toml"
    config.write_text('[sessions.docs]\npriority = 5\nlabel = ["a"]\ncontext = "isolated"\ntz = "Asia/Tokyo"\n')
    agentq.environ["AGENTQ_CONFIG"] = str(config)
    agent = Agent(agentq)
    asked = {"action": "schedule_task", "prompt": "x", "priority": -1, "label": "b", "context": "session"}
    agent.ask(1, {**asked, "at": "2026-03-08T10:00", "tz": "UTC"})
    agent.ask(2, {**asked, "cron": "0 9 * * *", "tz": "UTC"})
    agent.sweep()
    for task in (agent.tasks()[2], agent.tasks()[3]):
        assert (task["priority"], task["labels"], task["context"]) == (-1, ["b"], "session")
    assert agent.tasks()[2]["due_at"] == "2026-03-08T10:00:00.000Z"
    assert agent.tasks()[3]["schedule"]["tz"] == "UTC"


def test_another_time_of_a_series_leaves_the_rest_of_its_schedule(agent, agentq):
    made = agentq(
        "schedule",
        "-s",
        "docs",
        "-a",
        "demo",
        "--cron",
        "0 9 * * *",
        "--tz",
        "Asia/Tokyo",
        "--missed",
        "all",
        "x",
        env=NOW,
    )
    assert made.stdout == "docs/2\n", made.stderr
    agent.ask(1, {"action": "update_task", "task": 2, "cron": "0 10 * * *"})
    agent.sweep()
    schedule = agent.tasks()[2]["schedule"]
    assert (schedule["expr"], schedule["tz"], schedule["missed"]) == ("0 10 * * *", "Asia/Tokyo", "all")


def test_what_the_config_names_and_is_not_there_refuses_what_an_agent_asks_for(agentq):
    config = agentq.home / "config.toml"
    agentq.environ["AGENTQ_CONFIG"] = str(config)
    config.write_text("")
    agent = Agent(agentq)
    config.write_text(f'[defaults]\nscript = "{agentq.home}/gone"\n')
    agent.ask(1, {"action": "schedule_task", "prompt": "x"})
    agent.sweep()
    ((_, status, _, detail),) = agent.answers()
    assert status == "refused" and "script" in detail and "no such file" in detail


@pytest.mark.parametrize("when", [{"in": "5m"}, {"at": "2026-03-07T18:00:00Z"}])
def test_no_other_time_than_those_of_its_schedule_is_taken_for_a_series(agent, agentq, when):
    agentq("schedule", "-s", "docs", "-a", "demo", "--every", "1h", "tick", env=NOW)
    before = agent.tasks()
    agent.ask(1, {"action": "update_task", "task": 2, "label": "x"} | when)
    agent.sweep()
    ((_, status, _, detail),) = agent.answers()
    assert status == "refused" and "its schedule decides when it runs next" in detail
    assert agent.tasks() == before
