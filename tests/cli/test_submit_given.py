"""Everything given to submit comes back in `show --json` and reaches the process (case 13); so do the config's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from driven import Driven

TELL = """
import json, os, sys
json.dump({"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ), "stdin": sys.stdin.read()}, sys.stdout)
"""

CONFIG = """
default_agent = "demo"

[defaults]
timeout = "90s"
label = ["everywhere"]
env = { FROM_DEFAULTS = "1", BOTH = "defaults" }
priority = 3

[sessions.docs]
agent = "echo"
cwd = "%s"
env = { FROM_SESSION = "2", BOTH = "session" }
context = "isolated"
label = "docs"
parallel = 3
agent_arg = ["--from-session"]

[agents.echo]
argv = ["/bin/sh", "-c", 'echo "$@"; cat', "echo"]
"""


def test_a_command_with_everything(aq: Driven) -> None:
    work, stdin, file = aq.home / "wörk dir", aq.home / "stdin", aq.home / "file.env"
    work.mkdir()
    stdin.write_text("line one\nline two\n")
    file.write_text('FROM_FILE="a b"\nBOTH=file\n')
    argv = [sys.executable, "-c", TELL, "", "--flag", "a b", "zwei\nzeilen", "☃"]
    given = {
        "--session": "deploy",
        "--cwd": str(work),
        "--env-file": str(file),
        "--priority": "-7",
        "--key": "nightly:1",
        "--timeout": "1m30s",
        "--grace": "2s",
        "--stdin": str(stdin),
        "--expires": "2099-01-01T00:00:00Z",
        "--at": "2026-03-01T00:00:00Z",
        "--tz": "Europe/Berlin",
        "--context": "isolated",
    }
    options = [word for pair in given.items() for word in pair]
    options += ["--env", "BOTH=typed", "-e", "EMPTY=", "-e", "EQUALS=a=b=c", "--label", "eins", "--label", "zwei"]
    environ = {"AGENTQ_NOW": "2026-03-01T06:00:00Z"}
    (submitted,) = aq.items("submit", *options, "--exec", "--", *argv, env=environ)
    task = aq.task("deploy/1")
    del task["environment"], task["checkpoint"]
    assert {**submitted, "schema": "agentq.task/1"} == task
    expected = {
        "id": "deploy/1",
        "session": "deploy",
        "seq": 1,
        "series": None,
        "kind": "exec",
        "status": "queued",
        "reason": None,
        "agent": None,
        "prompt": None,
        "argv": argv,
        "cwd": str(work),
        "env_keys": ["BOTH", "EMPTY", "EQUALS", "FROM_FILE"],
        "priority": -7,
        "labels": ["eins", "zwei"],
        "key": "nightly:1",
        "context": "isolated",
        "created_at": "2026-03-01T06:00:00.000Z",
        "due_at": "2026-03-01T00:00:00.000Z",
        "expires_at": "2099-01-01T00:00:00.000Z",
        "schedule": None,
        "after": [],
        "attempts": 0,
        "last_run": None,
        "exit_code": None,
    }
    assert {key: task[key] for key in expected} == expected
    aq.drain()
    (run,) = aq.runs().values()
    assert (run["argv"], run["cwd"], run["scheduled_for"]) == (argv, str(work), "2026-03-01T00:00:00.000Z")
    told = json.loads(aq.stdout(run))
    assert told["argv"] == argv[3:]
    assert told["cwd"] == str(work)
    assert told["stdin"] == "line one\nline two\n"
    env = told["env"]
    assert (env["FROM_FILE"], env["BOTH"], env["EMPTY"], env["EQUALS"]) == ("a b", "typed", "", "a=b=c")
    assert (env["AGENTQ_TZ"], env["AGENTQ_SCHEDULED_FOR"]) == ("Europe/Berlin", "2026-03-01T00:00:00.000Z")


def test_a_prompt_with_everything(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text(CONFIG % aq.home)
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    prompt = 'first line\n\n  $HOME `date` \\ "quoted" ☃'
    address = aq.submit("-a", "echo", "-s", "talk", "--agent-arg", "--model", "--agent-arg", "x y", prompt)
    task = aq.task(address)
    assert (task["kind"], task["agent"], task["prompt"], task["argv"]) == ("prompt", "echo", prompt, None)
    assert task["context"] == "session"
    aq.drain()
    (run,) = aq.runs().values()
    assert run["agent"] == "echo"
    assert run["argv"][-2:] == ["--model", "x y"]
    assert aq.stdout(run) == f"--model x y\n{prompt}"


def test_defaults_of_the_config_reach_tasks_and_are_overridden(aq: Driven) -> None:
    config, elsewhere = aq.home / "config.toml", aq.home / "elsewhere"
    elsewhere.mkdir()
    config.write_text(CONFIG % elsewhere)
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    script = 'echo "$FROM_DEFAULTS $FROM_SESSION $BOTH $(pwd)"'
    addresses = aq.batch(
        {"exec": ["sh", "-c", script]},
        {"session": "docs", "exec": ["sh", "-c", script]},
        {
            "session": "docs",
            "exec": ["sh", "-c", script],
            "priority": -1,
            "label": "own",
            "cwd": str(aq.home),
            "env": {"BOTH": "typed"},
        },
        {"session": "docs", "prompt": "hello"},
        {"prompt": "hello"},
    )
    tasks = aq.tasks()
    first, docs, own, asked, by_default = (tasks[address] for address in addresses)
    assert (first["priority"], first["labels"], first["cwd"]) == (3, ["everywhere"], str(aq.home))
    assert (docs["priority"], docs["labels"], docs["cwd"]) == (3, ["docs"], str(elsewhere))
    assert (own["priority"], own["labels"], own["cwd"]) == (-1, ["own"], str(aq.home))
    assert (asked["agent"], asked["context"], by_default["agent"]) == ("echo", "isolated", "demo")
    assert first["env_keys"] == docs["env_keys"] == []
    (session,) = [item for item in aq.items("sessions") if item["name"] == "docs"]
    assert session["parallel"] == 3
    aq.drain("-j", "3")
    runs = {run["task"]: run for run in aq.runs().values()}
    assert [aq.stdout(runs[address]) for address in addresses[:4]] == [
        f"1  defaults {aq.home}\n",
        f"1 2 session {elsewhere}\n",
        f"1 2 typed {aq.home}\n",
        "--from-session\nhello",
    ]
    assert "Timeout" in aq("show", addresses[0]).stdout


def test_a_default_time_out_ends_the_run(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text('[defaults]\ntimeout = "100ms"\n[sessions.long]\ntimeout = "1h"\n')
    environ = {"AGENTQ_CONFIG": str(config)}
    aq.batch({"exec": ["sleep", "30"]}, {"exec": ["sleep", "0.3"], "session": "long"}, env=environ)
    aq.drain(env=environ, code=1)
    assert {run: item["status"] for run, item in aq.runs().items()} == {
        "default/1.1": "timeout",
        "long/1.1": "success",
    }


def test_the_config_file_of_the_platform_is_read_and_its_faults_named(aq: Driven) -> None:
    config = aq.home / ".config" / "agentq" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[defaults]\nprioriti = 3\n")
    line = aq.refused("submit", "--exec", "--", "true", code=2)
    assert str(config) in line
    assert "2" in line.partition(str(config))[2]
    assert "'priority'" in line
    assert not aq.state_dir.exists()
    config.write_text("[defaults]\npriority = 3\n")
    assert aq.task(aq.exec("true"))["priority"] == 3
    assert Path(aq("config", "path").stdout.strip()) == config
