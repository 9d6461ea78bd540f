"""Every option of `edit`, for an occurrence that waits and for one that runs: nothing of a task's content is forgotten.

The options are those of the command line: a new one is missing from the table until somebody says what it changes.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from driven import Driven, held
from sampling import in_gate

from agentq_cli.model.fleet import machine_name
from agentq_cli.options.table import EVERYWHERE, rows
from agentq_cli.options.tree_options import OF_TREE

NOON = "2026-03-02T12:00:00Z"
HOUR = 3_600_000

CONFIG = """
[agents.mine]
argv = ["sh", "-c", {script}, "-", "one"]
reports_cost = true
[agents.other]
argv = ["true"]
reports_cost = true
"""


def everywhere(home: Path) -> dict[str, tuple[tuple[str, ...], dict[str, Any]]]:
    """Of each option of any task: how it is given, and the fields that it changes."""
    return {
        "--cwd": (("/",), {"cwd": "/"}),
        "--env": (("A=1",), {"launch.env.A": "1"}),
        "--env-file": ((str(home / "env"),), {"launch.env.B": "2"}),
        "--on": ((machine_name(),), {f"launch.on.{machine_name()}": True}),
        "--priority": (("-7",), {"priority": -7}),
        "--expires": (("7m",), {"expires after its slot": 7 * 60_000}),
        "--key": (("new",), {"key": "new"}),
        "--context": (("session",), {"context": "session"}),
        "--timeout": (("1h",), {"launch.timeout_ms": HOUR}),
        "--grace": (("2s",), {"launch.grace_ms": 2000}),
        "--stall-timeout": (("3h",), {"launch.stall_timeout_ms": 3 * HOUR}),
        "--memory": (("1GiB",), {"launch.memory_bytes": 1 << 30}),
        "--script": ((str(home / "env"),), {"launch.script": str(home / "env")}),
        "--check": (("make test",), {"launch.check": "make test"}),
        "--check-timeout": (("9m",), {"launch.check_timeout_ms": 9 * 60_000}),
        "--after": (("other/1",), {"after.other/1": "success"}),
        "--after-any": (("other/2",), {"after.other/2": "any"}),
        "--after-failure": (("other/3",), {"after.other/3": "failure"}),
        "--on-dep-failure": (("hold",), {"on_dep_failure": "hold"}),
        "--retries": (("3",), {"launch.retries": 3}),
        "--backoff": (("7s",), {"launch.backoff_ms": 7000}),
        "--max-backoff": (("8s",), {"launch.max_backoff_ms": 8000}),
        "--on-crash": (("fail",), {"launch.on_crash": "fail"}),
        "--label": (("x",), {"labels.x": True}),
        "--tz": (("Asia/Kolkata",), {"launch.tz": "Asia/Kolkata", "schedule.tz": "Asia/Kolkata"}),
        "--until": (("2027-01-01T00:00:00Z",), {"schedule.until": 1_798_761_600_000}),
        "--max-runs": (("9",), {"schedule.max_runs": 9}),
        "--missed": (("all",), {"schedule.missed": "all"}),
        "--overlap": (("queue",), {"schedule.overlap": "queue"}),
        "--pause-after": (("3",), {"schedule.pause_after": 3}),
    }


OF_PROMPTS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "--prompt": (("another",), {"prompt": "another"}),
    "--shared": ((), {"shared": True}),
    "--agent": (("other",), {"agent": "other"}),
    "--conversation": (("line",), {"launch.conversation_key": "line", "conversation_key": "line"}),
    "--agent-arg": (("word",), {"launch.agent_args.word": True}),
    "--max-cost": (("2.5",), {"launch.max_cost_usd": 2.5}),
}
OF_COMMANDS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "--stdin": (("env",), {"launch.stdin": "@env"}),
    "--exec": (("--", "true", "-x"), {"argv": '["true", "-x"]'}),
}
OF_TREES = {f"--{name.replace('_', '-')}" for name in ("worktree", *OF_TREE)}
"""Of a task in a repository, in `test_submit_trees`."""
BY_SHELL = {"--shell"}
"""The other way to give the words of a command; both at once are refused."""
OF_TIMES = {"--at", "--in", "--cron", "--every", "--start"}
"""What makes other times, each on its own, in `test_schedule` and below; `--once` is a flag of the kind."""


def flat(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: found for part in value for key, found in flat(value[part], f"{name}.{part}").items()}
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return {f"{name}.{each}": True for each in value}
    return {name: value}


def fields(aq: Driven, seq: int, session: str = "default") -> dict[str, Any]:
    """What is stored of a task, every field by a name of its own."""
    with closing(sqlite3.connect(aq.state_dir / "sessions" / session / "inbound.db")) as database:
        cursor = database.execute("SELECT * FROM messages_in WHERE seq = ?", (seq,))
        row = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
    recurrence = json.loads(row.pop("recurrence"))
    occurrence = json.loads(recurrence["occurrence"])
    found = {"schedule." + name: value for name, value in json.loads(recurrence["schedule"]).items()}
    found |= flat(json.loads(row.pop("launch")), "launch") | flat(json.loads(row.pop("labels")), "labels")
    found |= {f"after.{session}/{seq}": on for session, seq, on in json.loads(row.pop("after") or "[]")}
    expires = row.pop("expires_at")
    found["expires after its slot"] = None if expires is None else expires - occurrence["slot"]
    for name in (
        "prompt",
        "agent",
        "cwd",
        "priority",
        "key",
        "context",
        "on_dep_failure",
        "argv",
        "shared",
        "conversation_key",
    ):
        found[name] = row[name]
    return found


def test_the_table_has_every_option(aq: Driven) -> None:
    options = {
        option.spellings.split()[0]
        for option in rows("edit")
        if option.spellings.startswith("--") and (option.kind != "flag" or option.field) and option.panel != EVERYWHERE
    }
    assert {*everywhere(aq.home), *OF_PROMPTS, *OF_COMMANDS, *OF_TREES, *BY_SHELL, *OF_TIMES} == options


@pytest.fixture
def world(aq: Driven) -> Driven:
    from driven import HELD

    (aq.home / "env").write_text("B=2\n")
    (aq.home / "config.toml").write_text(CONFIG.format(script=json.dumps(HELD)))
    aq.agentq.environ |= {"AGENTQ_CONFIG": str(aq.home / "config.toml"), "TZ": "UTC"}
    aq.batch(*[{"session": "other", "exec": ["true"], "in": "9h"}] * 3)
    return aq


@pytest.mark.parametrize(
    ("kind", "running"),
    in_gate(
        [(kind, running) for kind in ("prompt", "exec") for running in (False, True)], ("prompt", True), ("exec", False)
    ),
)
def test_every_option_reaches_the_next_run_and_changes_nothing_else(world: Driven, kind: str, running: bool) -> None:
    aq = world
    work = ("-a", "mine", "words") if kind == "prompt" else ("--exec", "--", *held("one"))
    start = {"AGENTQ_NOW": "2026-03-02T11:00:00Z"}
    aq("schedule", "--cron", "0 * * * *", "--key", "old", *work, env=start)
    supervisor = None
    if running:
        supervisor = aq.supervise("--drain", env={"AGENTQ_NOW": NOON})
        aq.started("one")
    before = fields(aq, 1)
    expected = dict(before)
    options = everywhere(aq.home) | (OF_PROMPTS if kind == "prompt" else OF_COMMANDS)
    # What is replaced as a whole is given at once.
    after = [word for name in options if name.startswith("--after") for word in (name, *options[name][0])]
    single = [(name, *values) for name, (values, _) in options.items() if not name.startswith("--after")]
    for words in (*single, tuple(after)):
        aq("edit", "1", *words, env={"AGENTQ_NOW": NOON})
    for _, changes in options.values():
        expected |= {name: str(aq.home / "env") if value == "@env" else value for name, value in changes.items()}
    if supervisor is None:
        assert fields(aq, 1) == expected
        return
    now = fields(aq, 1)
    assert now == before, "the one that runs stays as it is"
    aq.let_go("one")
    aq.ended(supervisor, 0)
    (task,) = [task for task in aq.items("list", env={"AGENTQ_NOW": NOON}) if task["session"] == "default"]
    assert (task["id"], task["status"], task["key"]) == ("default/2", "blocked", "new")
    assert fields(aq, 2) == expected


@pytest.mark.parametrize(
    ("words", "schedule", "due"),
    [
        (("--cron", "30 * * * *"), {"type": "cron", "expr": "30 * * * *"}, "12:30"),
        (("--cron", "0 * * * *"), {"type": "cron", "expr": "0 * * * *"}, "13:00"),
        (("--every", "7m"), {"type": "every", "every_ms": 420_000}, "12:07"),
        (("--every", "2h", "--start", "2026-03-02T10:30:00Z"), {"type": "every", "every_ms": 2 * HOUR}, "12:30"),
        (("--at", "2026-03-02T15:00:00Z"), {"type": "at"}, "15:00"),
        (("--start", "2026-03-02T20:00:00Z"), {"type": "cron"}, "20:00"),
    ],
)
def test_other_times_during_a_run_are_those_of_the_next_occurrence(
    world: Driven, words: tuple[str, ...], schedule: dict[str, Any], due: str
) -> None:
    aq, now = world, {"AGENTQ_NOW": NOON}
    aq("schedule", "--cron", "0 * * * *", "--exec", "--", *held("one"), env={"AGENTQ_NOW": "2026-03-02T11:00:00Z"})
    supervisor = aq.supervise("--drain", env=now)
    aq.started("one")
    aq("edit", "1", *words, env=now)
    aq("edit", "1", "--max-runs", "5", env=now)  # which takes nothing of it back
    assert "already started" in aq.refused("edit", "1", "--in", "5m", code=4, env=now)
    aq.let_go("one")
    aq.ended(supervisor, 0)
    (task,) = [task for task in aq.items("list", env=now) if task["session"] == "default"]
    assert task["schedule"] == {**task["schedule"], **schedule}
    assert task["due_at"][11:16] == due


def test_once_during_a_run_is_not_taken_back_by_another_edit(world: Driven) -> None:
    aq, now = world, {"AGENTQ_NOW": NOON}
    aq("schedule", "--cron", "0 * * * *", "--exec", "--", *held("one"), env={"AGENTQ_NOW": "2026-03-02T11:00:00Z"})
    supervisor = aq.supervise("--drain", env=now)
    aq.started("one")
    aq("edit", "1", "--once", env=now)
    aq("edit", "1", "--priority", "5", env=now)
    aq.let_go("one")
    aq.ended(supervisor, 0)
    assert [task["id"] for task in aq.items("list", env=now) if task["session"] == "default"] == []


def test_what_a_next_occurrence_is_to_wait_for_is_kept_and_waited_for(world: Driven) -> None:
    aq, now = world, {"AGENTQ_NOW": NOON}
    aq("schedule", "--cron", "0 * * * *", "--exec", "--", *held("one"), env={"AGENTQ_NOW": "2026-03-02T11:00:00Z"})
    first, second = aq.exec("true", env=now), aq.exec("false", env=now)
    supervisor = aq.supervise("-s", "default", "--max-tasks", "3", env=now)
    aq.started("one")
    aq("wait", second, code=1)
    aq("edit", "1", "--after", first, env=now)
    assert "default/1 depends on it" in aq("prune", first, "--yes", code=4, env=now).stderr
    aq("edit", "1", "--after-failure", first, "--on-dep-failure", "hold", env=now)
    assert aq("edit", "1", "--after", "9", code=3, env=now).stderr
    aq.let_go("one")
    aq.ended(supervisor)
    (task,) = [task for task in aq.items("list", env=now) if task["session"] == "default"]
    assert (task["status"], task["reason"]) == ("paused", f"dependency {first} failed")
    assert task["after"] == [{"id": first, "on": "failure"}]


def test_a_key_that_is_taken_meanwhile_stays_with_its_holder(world: Driven) -> None:
    aq, now = world, {"AGENTQ_NOW": NOON}
    work = ("--exec", "--", *held("one"))
    aq("schedule", "--cron", "0 * * * *", "--key", "old", *work, env={"AGENTQ_NOW": "2026-03-02T11:00:00Z"})
    supervisor = aq.supervise("--max-tasks", "1", env=now)
    aq.started("one")
    aq("edit", "1", "--key", "new", env=now)
    assert aq.exec("true", given=("--key", "new"), env=now) == "default/2"
    aq.let_go("one")
    aq.ended(supervisor, 0)
    (task,) = [task for task in aq.items("list", env=now) if task["series"] is not None]
    assert task["key"] == "old"
    assert any("'new': default/2 holds it" in (event["reason"] or "") for event in aq.items("events", "1"))
