"""The pre-task script, on every path to a run."""

from __future__ import annotations

import json

import pytest


def script(tmp_path, text):
    path = tmp_path / "script.sh"
    path.write_text(text)
    return str(path)


def says(verdict):
    return f"echo noise; echo '{json.dumps(verdict)}'\n"


def run_of(agentq, *arguments):
    done = agentq("submit", "--wait", *arguments)
    (run,) = json.loads(agentq("runs", "--limit", "1", "--json").stdout)["items"]
    return done, run


@pytest.mark.parametrize("data", [0, False, "", {"a": [1, None]}, "text", 3.5])
def test_true_starts_the_agent_with_the_data_in_its_prompt(agentq, tmp_path, data):
    path = script(tmp_path, says({"wakeAgent": True, "data": data}))
    done, run = run_of(agentq, "-a", "demo", "--script", path, "look at it")
    assert done.returncode == 0
    assert (run["status"], run["script_outcome"]) == ("success", "wake")
    prompt = (agentq.state_dir / "sessions/default/runs/1.1/prompt").read_text()
    assert prompt == f"look at it\n\nData from the pre-task script, as JSON:\n{json.dumps(data)}\n"


def test_true_without_data_leaves_the_prompt_alone(agentq, tmp_path):
    run_of(agentq, "-a", "demo", "--script", script(tmp_path, says({"wakeAgent": True})), "as it is")
    assert (agentq.state_dir / "sessions/default/runs/1.1/prompt").read_text() == "as it is"


def test_a_command_finds_the_data_in_its_environment(agentq, tmp_path):
    path = script(tmp_path, says({"wakeAgent": True, "data": [1]}))
    agentq("submit", "--wait", "--script", path, "--exec", "--", "printenv", "AGENTQ_SCRIPT_DATA")
    assert agentq("logs", "1").stdout == "[1]\n"


def test_false_skips_the_run_and_starts_nothing(agentq, tmp_path):
    mark = tmp_path / "ran"
    path = script(tmp_path, says({"wakeAgent": False}))
    done, run = run_of(agentq, "--script", path, "--exec", "--", "touch", str(mark))
    assert (run["status"], run["script_outcome"], run["failure_class"]) == ("skipped", "skip", None)
    assert json.loads(agentq("show", "1", "--json").stdout)["status"] == "skipped"
    assert not mark.exists()
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exit 3", "exit code 3"),
        ("kill -9 $$", "signal 9"),
        ("true", "no verdict"),
        ("echo no", "not JSON"),
        ("echo '[true]'", "no boolean wakeAgent"),
        ("echo '{\"wakeAgent\": 1}'", "no boolean wakeAgent"),
        ("echo '{}'", "no boolean wakeAgent"),
        ("head -c 2097152 /dev/zero | tr '\\0' x; echo; echo '{\"wakeAgent\": true}'", "more than 1 MiB"),
        ("#!/no/such/interpreter\n", "/no/such/interpreter"),
    ],
)
def test_anything_else_is_a_script_error_and_starts_nothing(agentq, tmp_path, text, said):
    mark = tmp_path / "ran"
    done, run = run_of(agentq, "--script", script(tmp_path, text), "--exec", "--", "touch", str(mark))
    assert (run["status"], run["script_outcome"]) == ("script_error", "error")
    assert said in run["error"]
    assert json.loads(agentq("show", "1", "--json").stdout)["status"] == "failed"
    assert not mark.exists()
    assert done.returncode == 1


def test_its_interpreter_line_is_followed_and_it_runs_in_the_task_s_directory_and_environment(agentq, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    path = script(
        tmp_path,
        "#!/usr/bin/env python3\nimport json, os, sys\n"
        "data = [os.getcwd(), os.environ['COLOUR'], os.environ['AGENTQ_TASK'], sys.stdin.read()]\n"
        "print(json.dumps({'wakeAgent': True, 'data': data}))\n",
    )
    options = ["-C", str(place), "-e", "COLOUR=red", "--script", path]
    agentq("submit", "--wait", *options, "--exec", "--", "printenv", "AGENTQ_SCRIPT_DATA")
    assert json.loads(agentq("logs", "1").stdout) == [str(place), "red", "default/1", ""]


def test_a_script_that_does_not_end_can_be_cancelled_and_leaves_nothing(agentq, tmp_path):
    from test_schedule import until

    pid = tmp_path / "pid"
    path = script(tmp_path, f"sleep 300 & echo $! > {pid}; wait\n")
    agentq("submit", "--script", path, "--exec", "--", "true")
    agentq.start("run", "--drain")
    until(lambda: pid.exists() and pid.read_text().strip())
    assert agentq("cancel", "1", "--wait").returncode == 0
    assert json.loads(agentq("show", "1", "--json").stdout)["status"] == "cancelled"
    from pathlib import Path

    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_it_runs_on_the_way_of_a_schedule_a_trigger_and_a_retry_too(agentq, tmp_path):
    count = tmp_path / "count"
    path = script(tmp_path, f"echo x >> {count}; " + says({"wakeAgent": False}))
    now = {"AGENTQ_NOW": "2026-03-07T10:00:00Z"}
    agentq("schedule", "--at", "2026-03-07T10:00:00Z", "--script", path, "--exec", "--", "false", env=now)
    agentq("trigger", "1", env=now)
    assert agentq("run", "--drain", env=now).returncode == 0
    assert agentq("retry", "2", env=now).returncode == 0
    assert agentq("run", "--drain", env=now).returncode == 0
    assert count.read_text() == "x\n" * 3
    runs = json.loads(agentq("runs", "--json").stdout)["items"]
    assert {run["status"] for run in runs} == {"skipped"} and len(runs) == 3
