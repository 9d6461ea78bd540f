"""What a person wants in the morning after, each in as few words as it should take: one story, line by line."""

from __future__ import annotations

import pytest
from driven import DEADLINE, Driven

ID = "6a1f6e9a-0000-4000-8000-000000000001"
CLAUDE = f"""#!/bin/sh
prompt=$(cat)
echo "$*" >> "$HOME/words"
case "$*" in
  *"--permission-mode acceptEdits"*) kind=success failed=false ;;
  *) kind=error_during_execution failed=true ;;
esac
printf '{{"type":"system","subtype":"init","session_id":"{ID}"}}\\n'
printf '{{"type":"result","subtype":"%s","is_error":%s,"result":"done: %s","session_id":"{ID}"}}\\n' \\
  $kind $failed "$prompt"
! $failed
"""
"""It does what it was asked to if it may edit, and fails if not; `words` has its command lines."""


@pytest.fixture
def me(aq: Driven) -> Driven:
    """With a stand-in for Claude Code on the PATH, and Berlin's time."""
    (aq.home / "bin").mkdir()
    program = aq.home / "bin/claude"
    program.write_text(CLAUDE)
    program.chmod(0o755)
    aq.agentq.environ["PATH"] = f"{aq.home}/bin:{aq.agentq.environ['PATH']}"
    aq.agentq.environ["AGENTQ_TZ"] = "Europe/Berlin"
    return aq


def words_of(me: Driven) -> list[str]:
    return (me.home / "words").read_text().splitlines()


def test_a_command_and_a_pipe(me: Driven) -> None:
    assert me("x", "sh", "-c", "echo built; echo odd >&2; exit 3").stdout == "default/1\n"
    assert me("submit", "-c", "echo one two | tr ' ' '\\n' | tail -n 1").stdout == "default/2\n"
    me.drain("-j", "1", code=1)
    # The output, of the newest run and of a named one: each stream on its own.
    assert (me("logs").stdout, me("logs").stderr) == ("two\n", "")
    done = me("logs", "1")
    assert (done.stdout, done.stderr) == ("built\n", "odd\n")


def test_what_claude_did_is_read_and_corrected(me: Driven) -> None:
    me("submit", "-a", "claude", "Fix the tests", "--", "--permission-mode", "acceptEdits")
    me.drain()
    assert "--permission-mode acceptEdits" in words_of(me)[0]
    assert me("show").stdout.count("done: Fix the tests") == 1
    assert f"claude --resume {ID}" in me("show").stdout
    me("reply", "1", "Also fix the docs")
    me.drain()
    assert f"--resume {ID}" in words_of(me)[1]
    assert "done: Also fix the docs" in me("logs").stdout.splitlines()
    # One that may not edit fails, and may the next time.
    me("submit", "-a", "claude", "Try it")
    me.drain(code=1)
    assert me.task("2")["status"] == "failed"
    me("retry", "2", "--agent-arg=--permission-mode", "--agent-arg=acceptEdits")
    me.drain()
    assert me.task("2")["status"] == "completed"


def test_once_in_the_config_is_enough(me: Driven) -> None:
    path = me.home / "config.toml"
    path.write_text('[agents.claude]\nargs = ["--permission-mode", "acceptEdits"]\n')
    me.agentq.environ["AGENTQ_CONFIG"] = str(path)
    me("submit", "Fix it")
    me.drain()
    assert me.statuses() == {"default/1": "completed"}
    assert "--permission-mode acceptEdits" in words_of(me)[0]


def test_all_that_failed_runs_again(me: Driven) -> None:
    for _ in range(3):
        me("x", "test", "-e", "mended")
    me("x", "true")
    me.drain(code=1)
    (me.home / "mended").touch()
    assert sorted(me("retry", "--failed").stdout.splitlines()) == ["default/1", "default/2", "default/3"]
    me.drain()
    assert set(me.statuses().values()) == {"completed"}


def test_tonight_is_a_time_of_the_clock(me: Driven) -> None:
    at_noon = {"AGENTQ_NOW": "2026-11-29T11:00:00Z"}
    done = me("x", "--at", "23:00", "make", "-v", env=at_noon)
    assert "--at '23:00': 2026-11-29 23:00:00+01:00 Europe/Berlin" in done.stderr
    assert me.task("1")["due_at"] == "2026-11-29T22:00:00.000Z"


def test_what_is_scheduled_and_what_it_did_last_night(me: Driven) -> None:
    for night in range(2):
        environ = {"AGENTQ_NOW": f"2026-11-{28 + night}T01:00:00Z"}
        if not night:
            me("schedule", "--cron", "0 2 * * *", "-c", "echo nightly", env={"AGENTQ_NOW": "2026-11-27T12:00:00Z"})
        me("run", "--drain", env=environ)
    (row,) = me("schedules").stdout.splitlines()[1:]
    assert "default/1" in row
    runs = me("runs", "--series", "1").stdout.splitlines()[1:]
    assert len(runs) == 2
    assert all("nightly" in run for run in runs)


def test_it_is_waited_for_and_stopped(me: Driven) -> None:
    for _ in range(2):
        me("x", "true")
    waiting = me.start("wait", "--all")
    assert waiting.stderr is not None
    assert "no supervisor is running" in waiting.stderr.readline()
    supervisor = me.supervise()
    assert waiting.communicate(timeout=DEADLINE)[0].count("completed") == 2
    me("stop")
    me.ended(supervisor, 0)
