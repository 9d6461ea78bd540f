"""The real agent CLIs, and a model API that is overloaded, cuts its answers off, or has a usage limit for a while."""

from __future__ import annotations

import signal
import threading
import time
from datetime import datetime
from typing import Any

import pytest
from model_api import ANSWER, ModelApi
from real_cli import CLIS, Cli, document, submit, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PROMPT = "Say that the task is done."
ENDED = ("success", "error", "rate_limited")
HOUR = 3600


def runs(agentq: Any) -> list[Any]:
    """All runs, oldest first."""
    return list(reversed(document(agentq, "runs")["items"]))


def test_an_overloaded_server_is_tried_again_later(agentq: Any, cli: Cli, api: ModelApi) -> None:
    """By itself Gemini CLI would try for three minutes (its setting `maxAttempts`), opencode for one and a half unless
    the server asks for the next try sooner, Codex for half a minute; then the queue's own delays take over."""
    environ = dict(cli.prepare(agentq.home, api.url("529")))
    submit(agentq, cli, PROMPT, "--backoff", "1h", "--max-backoff", "2h", env=environ)
    supervisor = agentq.start("run", "--drain", env=environ)
    until(lambda: document(agentq, "show", "talk/1")["status"] == "retrying")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(30) == 143

    (run,) = runs(agentq)
    assert (run["status"], run["failure_class"], run["result"]) == ("error", "overloaded", None), run
    assert run["conversation"] and run["error"]
    task = document(agentq, "show", "talk/1")
    assert (task["status"], task["attempts"], task["waiting_for"]["kind"]) == ("retrying", 1, "retry"), task
    wait = datetime.fromisoformat(task["due_at"]) - datetime.fromisoformat(run["finished_at"])
    assert HOUR - 1 <= wait.total_seconds() <= 1.1 * HOUR + 60, "the next attempt is on disk, with its jitter"


@pytest.mark.parametrize("cli", [cli for cli in CLIS if cli.patient], ids=lambda cli: cli.name, indirect=True)
def test_the_patience_that_a_server_asks_for_is_ended_by_the_stall_timeout(
    agentq: Any, cli: Cli, api: ModelApi
) -> None:
    """Codex and opencode wait in silence for however long they are told to; the other two give up."""
    environ = dict(cli.prepare(agentq.home, api.url("patience")))
    submit(agentq, cli, PROMPT, "--stall-timeout", "30s", "--backoff", "1s", env=environ)
    supervisor = agentq.start("run", "--drain", env=environ)
    until(lambda: bool((all_runs := runs(agentq)) and all_runs[0]["status"] == "stalled"))
    api.now = "ok"
    assert supervisor.wait(120) == 0
    assert [run["status"] for run in runs(agentq)] == ["stalled", "success"]
    assert agentq.left_over() == []


def test_an_answer_that_is_cut_off_is_asked_for_again(agentq: Any, cli: Cli, api: ModelApi) -> None:
    """opencode asks five times more by itself, which takes it a minute; Gemini CLI never asks for the rest."""
    environ = dict(cli.prepare(agentq.home, api.url("cut")))
    submit(agentq, cli, PROMPT, "--backoff", "5s", env=environ)
    supervisor = agentq.start("run", "--drain", env=environ)
    until(lambda: bool((all_runs := runs(agentq)) and all_runs[0]["status"] in ENDED), 200)
    api.now = "ok"
    assert supervisor.wait(120) == 0
    cut, *lost, last = runs(agentq)
    assert (cut["status"], cut["failure_class"], cut["result"]) == ("error", "network", None), cut
    # Gemini CLI has kept nothing of a conversation in which it was never answered: it is begun anew, at no cost.
    assert len(lost) == (cli.name == "gemini") and all("--resume" in run["argv"] for run in lost), lost
    assert (last["status"], last["result"]) == ("success", ANSWER)
    task = document(agentq, "show", "talk/1")
    assert (task["status"], task["attempts"]) == ("completed", 2)


def test_six_tasks_that_meet_a_usage_limit_together_wait_for_its_end(agentq: Any, cli: Cli, api: ModelApi) -> None:
    def all_are_here() -> None:
        api.gathering, api.reset_at = None, int(time.time()) + (20 if cli.says_reset else HOUR)

    environ = {**cli.prepare(agentq.home, api.url("usage")), **cli.plan}
    if cli.name == "opencode":
        # Several of them at once in a home in which none has run yet collide while they make its database.
        api.now = "ok"
        submit(agentq, cli, PROMPT, env=environ, session="before")
        assert agentq("run", "--drain", env=environ).returncode == 0
        api.now = None
    api.gathering = threading.Barrier(6, all_are_here)
    sessions = [f"talk-{number}" for number in range(6)]
    for session in sessions:
        submit(agentq, cli, PROMPT, env=environ, session=session)
    supervisor = agentq.start("run", "-j", "6", env=environ)
    until(lambda: [run["status"] for run in runs(agentq) if run["session"] in sessions] == ["rate_limited"] * 6, 200)

    listed = document(agentq, "list")["items"]
    shown = [document(agentq, "show", f"{session}/1") for session in sessions]
    assert len(listed) == 6
    for task in (*listed, *shown):
        assert (task["status"], task["attempts"], task["waiting_for"]["kind"]) == ("queued", 0, "limit"), task
        assert task["waiting_for"]["until"]
    if cli.says_reset:
        # One says it to the minute and means its end; one in seconds from when it ended.
        ends = {datetime.fromisoformat(task["waiting_for"]["until"]).timestamp() for task in shown}
        assert api.reset_at <= min(ends) <= max(ends) <= api.reset_at + 60, ends
    else:
        api.now = "ok"
        assert agentq("resume", "--agent", cli.name).returncode == 0
    done = agentq("wait", *(f"{session}/1" for session in sessions), "--timeout", "4m", timeout=260)
    assert done.returncode == 0, done.stdout + done.stderr
    supervisor.send_signal(signal.SIGTERM)
    supervisor.wait(30)

    for session in sessions:
        held, *lost, completed = runs_of(agentq, session)
        assert len(lost) == (cli.name == "gemini"), "see above"
        assert (held["status"], completed["status"], completed["result"]) == ("rate_limited", "success", ANSWER)
        assert document(agentq, "show", f"{session}/1")["attempts"] == 1


def runs_of(agentq: Any, session: str) -> list[Any]:
    """The runs of a session, oldest first."""
    return list(reversed(document(agentq, "runs", "--session", session)["items"]))
