"""`--max-cost`: what all runs of a task may cost together, for agents that say what they cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from driven import Driven, until

PRICED = """
printf '{"event": "end", "ok": false, "class": "network", "error": "no route", "cost_usd": %s}\\n' "$(cat "$HOME/cost")"
exit 1
"""
# As opencode tells it: what each step cost, on the way.
STEPS = """
step() { printf '{"type": "step_finish", "sessionID": "ses_1", "part": {"reason": "%s", "cost": 0.4}}\\n' "$1"; }
step tool-calls
step tool-calls
if [ -e "$HOME/twice" ] && [ "$AGENTQ_ATTEMPT" = 1 ]; then exit 1; fi
touch "$HOME/two"
while [ ! -e "$HOME/go" ]; do sleep 0.02; done
step tool-calls
if [ -e "$HOME/final" ]; then step stop; fi
touch "$HOME/three"
sleep 600
"""


@pytest.fixture
def agents(aq: Driven) -> Path:
    """The agents `priced`, which says at its end what it cost, `steps`, which says so on the way, and `silent`."""
    for name, script in (("priced", PRICED), ("steps", STEPS)):
        (aq.home / name).write_text(f"#!/bin/sh\n{script}")
        (aq.home / name).chmod(0o755)
    config = aq.home / "config.toml"
    config.write_text(
        f'[agents.priced]\nargv = ["{aq.home}/priced"]\nreader = "events"\nreports_cost = true\n'
        'max_cost = ["--at-most", "{usd}"]\n'
        f'[agents.steps]\nargv = ["{aq.home}/steps"]\nreader = "opencode"\nreports_cost = true\n'
        '[agents.silent]\nargv = ["true"]\n'
    )
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    return config


def test_what_nobody_could_keep_to_is_refused(aq: Driven, agents: Path) -> None:
    for value in ("0", "-1", "nan", "inf", "1e13"):
        assert "--max-cost" in aq.refused("submit", "-a", "demo", f"--max-cost={value}", "x", code=2)
    assert "'lots': not a number" in aq.refused("submit", "-a", "demo", "--max-cost", "lots", "x", code=2)
    for agent in ("silent", "codex", "gemini"):
        line = aq.refused("submit", "-a", agent, "--max-cost", "2", "x", code=2)
        assert line == f"agentq: error: --max-cost '2': agent '{agent}' reports no cost"
    line = aq.refused("submit", "--max-cost", "2", "--exec", "--", "true", code=2)
    assert line == "agentq: error: --max-cost '2': a command has no agent that could say what it costs"
    for value in ('"2"', "0", "true", "1e400", f"1{'0' * 400}"):
        text = f'{{"prompt": "x", "agent": "demo", "max_cost": {value}}}'
        assert "line 1: max_cost" in aq.refused("submit", "--batch", "-", input=text, code=2)
    assert aq.tasks() == {}

    # What the config says of all agents is no refusal, but it is said.
    agents.write_text(agents.read_text() + "[defaults]\nmax_cost = 2.0\n")
    done = aq("submit", "-a", "silent", "x")
    assert (
        "agentq: warning: max_cost '2' of the config does not hold here: agent 'silent' reports no cost" in done.stderr
    )
    assert "warning" not in aq("submit", "--exec", "--", "true").stderr


def test_the_attempts_together_and_the_agents_own_cap(aq: Driven, agents: Path) -> None:
    (aq.home / "cost").write_text("0.3")
    given = ("-a", "priced", "--max-cost", "1", "--backoff", "1ms")
    address = aq.submit(*given, "the work")
    assert "priced --at-most 1.000000\n" in aq("submit", *given, "--dry-run", "x").stdout
    aq.drain(code=1)
    runs = sorted(aq.runs().values(), key=lambda run: run["attempt"])
    assert [run["cost_usd"] for run in runs] == [0.3] * 4
    assert [run["argv"][1:] for run in runs] == [["--at-most", f"{left}00000"] for left in ("1.0", "0.7", "0.4", "0.1")]
    task = aq.task(address)
    assert (task["status"], task["attempts"]) == ("failed", 4)
    assert task["reason"] == "no route; its runs cost 1.20 USD of 1.00 USD"
    (shown,) = [line for line in aq("show", address).stdout.splitlines() if line.startswith("Cost:")]
    assert shown.endswith(" 1.20 USD of 1.00 USD")
    assert "submit it again" in aq.refused("retry", address, code=4)

    # A batch line, the config, an edit.
    (second,) = aq.batch({"agent": "priced", "prompt": "x", "max_cost": 1, "backoff": "1ms"})
    aq("edit", second, "--max-cost", "0.2")
    assert "reports no cost" in aq.refused("edit", second, "--agent", "silent", code=2)
    aq.drain(code=1)
    assert aq.task(second)["reason"] == "no route; its runs cost 0.30 USD of 0.20 USD"


def test_a_run_that_costs_too_much_on_the_way_is_ended(aq: Driven, agents: Path) -> None:
    address = aq.submit("-a", "steps", "--max-cost", "1.0", "--retries", "3", "the work")
    supervisor = aq.supervise("--drain")
    until((aq.home / "two").exists)
    (aq.home / "go").touch()
    aq.ended(supervisor, 1)
    (run,) = aq.runs().values()
    assert (run["status"], run["failure_class"], run["cost_usd"]) == ("error", "budget", 1.2)
    assert aq.task(address)["status"] == "failed", "a budget is not retried, whatever --retries says"
    (stop,) = [event for event in aq.items("events", address) if event["event"] == "stop"]
    assert (stop["actor"], stop["reason"]) == ("supervisor", "budget")


def test_what_the_runs_before_have_cost_counts(aq: Driven, agents: Path) -> None:
    (aq.home / "twice").touch()
    aq.submit("-a", "steps", "--max-cost", "1.6", "--backoff", "1ms", "the work")
    aq.drain(code=1)
    runs = aq.runs()
    first, second = runs["default/1.1"], runs["default/1.2"]
    assert (first["failure_class"], first["cost_usd"]) == ("no_verdict", 0.8)
    assert (second["failure_class"], second["cost_usd"]) == ("budget", 0.8)


def test_sweep_alone_keeps_the_cost_and_leaves_alone_what_is_done(aq: Driven, agents: Path) -> None:
    aq.submit("-a", "steps", "--max-cost", "1.0", "the work")
    supervisor = aq.supervise()
    until((aq.home / "two").exists)
    aq.kill_hard(supervisor)
    assert not [item for item in aq.items("sweep", "--no-wake") if item["action"] == "stop"], "0.80 of 1.00"
    (aq.home / "final").touch()
    (aq.home / "go").touch()
    until((aq.home / "three").exists)
    assert not [item for item in aq.items("sweep", "--no-wake") if item["action"] == "stop"], "its final event is there"
    aq("cancel", "1")

    for name in ("final", "go", "two", "three"):
        (aq.home / name).unlink()
    aq.submit("-a", "steps", "--max-cost", "1.0", "the work")
    supervisor = aq.supervise()
    until((aq.home / "two").exists)
    aq.kill_hard(supervisor)
    (aq.home / "go").touch()
    until((aq.home / "three").exists)
    (stop,) = [item for item in aq.items("sweep", "--no-wake") if item["action"] == "stop"]
    assert stop["detail"] == "budget: cost 1.20 USD of 1.00 USD that was left"
    until(lambda: aq("sweep", "--no-wake") and aq.task("2")["status"] == "failed", what="its end")
    assert aq.runs()["default/2.1"]["failure_class"] == "budget"
