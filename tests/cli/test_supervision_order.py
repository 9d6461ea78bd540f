"""What starts when: never more at once than there are slots, in which order, and which may run side by side."""

from __future__ import annotations

from itertools import pairwise

from driven import Driven, held

MARK = 'echo "+ $AGENTQ_TASK" >> "$HOME/log"; {work}; echo "- $AGENTQ_TASK" >> "$HOME/log"'
"""Adds its beginning and its end to one log, a line each, in the order in which they came about."""


def marked(work: str = "true") -> list[str]:
    return ["sh", "-c", MARK.format(work=work)]


def log(aq: Driven) -> list[tuple[str, str]]:
    """Begun or ended, and the task."""
    return [(line[0], line[2:]) for line in (aq.home / "log").read_text().splitlines()]


def most_at_once(events: list[tuple[str, str]], session: str = "") -> int:
    running = most = 0
    for sign, task in events:
        if task.startswith(session):
            running += 1 if sign == "+" else -1
            most = max(most, running)
    assert running == 0
    return most


def begun(aq: Driven) -> list[str]:
    return [task for sign, task in log(aq) if sign == "+"]


def test_a_hundred_tasks_on_two_slots(aq: Driven) -> None:
    """Case 33: all finish, never more than two alive, one run each."""
    lines = [{"exec": marked("sleep 0.01"), "session": f"s{n % 7}" if n % 2 else "default"} for n in range(100)]
    addresses = aq.batch(*lines)
    aq.drain("-j", "2")
    assert sorted(begun(aq)) == sorted(addresses)
    events = log(aq)
    assert most_at_once(events) <= 2
    assert {most_at_once(events, f"s{n}/") for n in range(7) if n % 2} == {1}
    runs = aq.runs()
    assert len(runs) == 100
    assert {(run["status"], run["exit_code"], run["attempt"]) for run in runs.values()} == {("success", 0, 1)}


def test_priority_then_the_order_of_submission(aq: Driven) -> None:
    aq.batch(*({"exec": marked(), "priority": priority} for priority in (0, -100, 5, 0, 100, 5)))
    aq.drain("-j", "1")
    assert begun(aq) == [f"default/{seq}" for seq in (5, 3, 6, 1, 4, 2)]


def test_two_sessions_alternate_on_one_slot(aq: Driven) -> None:
    """Case 11: whatever the order in which they were handed in, and however long one of them is."""
    aq.batch(*({"exec": marked(), "session": "a"} for _ in range(8)))
    aq.batch(*({"exec": marked(), "session": "b"} for _ in range(4)))
    aq.drain("-j", "1")
    sessions = [task.partition("/")[0] for task in begun(aq)]
    assert sessions == ["a", "b"] * 4 + ["a"] * 4
    assert [task for task in begun(aq) if task.startswith("a")] == [f"a/{seq}" for seq in range(1, 9)]


def test_paused_and_future_ones_hide_nobody(aq: Driven) -> None:
    lines = [{"exec": ["true"], "in": "1h", "priority": 100} for _ in range(60)]
    aq.batch(*lines, *({"exec": ["true"], "priority": 50, "session": "p"} for _ in range(60)), {"exec": ["true"]})
    aq("pause", "-s", "p")
    assert aq.drain().stdout.count("start default/61.1") == 1


def test_default_runs_side_by_side_and_a_named_session_one_by_one(aq: Driven) -> None:
    aq.batch(
        *({"exec": held(name)} for name in ("d1", "d2")),
        *({"exec": held(name), "session": "lane"} for name in ("l1", "l2")),
    )
    supervisor = aq.supervise("--drain", "-j", "4")
    for name in ("d1", "d2", "l1"):
        aq.started(name)
    waiting = aq.task("lane/2")["waiting_for"]
    assert (waiting["kind"], waiting["ids"]) == ("session", ["lane/1"])
    assert len(aq.items("workers")) == 3
    assert not aq.has_started("l2")
    aq.let_go("l1")
    aq.started("l2")
    aq.let_go("d1", "d2", "l2")
    aq.ended(supervisor, 0)


def test_parallel_widens_a_session_but_not_one_of_its_conversations(aq: Driven) -> None:
    config = aq.home / "config.toml"
    profile = """argv = ["sh", "-c", '''{}''', "-", "{{agent_args}}"]""".format(held("")[2])
    config.write_text(f"[sessions.wide]\nparallel = 3\n[agents.held]\n{profile}\n")
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    prompt = {"session": "wide", "agent": "held", "prompt": "hi", "conversation": "one"}
    aq.batch(
        {"session": "wide", "exec": held("e1")},
        {**prompt, "agent_arg": ["p1"]},
        {**prompt, "agent_arg": ["p2"]},
        {"session": "wide", "exec": held("e2")},
        {"session": "wide", "exec": held("e3")},
    )
    supervisor = aq.supervise("--drain", "-j", "5")
    for name in ("e1", "p1", "e2"):
        aq.started(name)
    assert len(aq.items("workers")) == 3
    assert aq.task("wide/3")["waiting_for"]["kind"] == "session"
    aq.let_go("e1")
    aq.started("e3")
    assert not aq.has_started("p2")
    aq.let_go("p1")
    aq.started("p2")
    aq.let_go("p2", "e2", "e3")
    aq.ended(supervisor, 0)


def test_isolated_prompts_of_a_session_still_come_one_by_one(aq: Driven) -> None:
    aq.batch(*({"session": "s", "agent": "demo", "prompt": "sleep 50ms", "context": "isolated"} for _ in range(3)))
    aq.drain("-j", "3")
    runs = sorted(aq.runs().values(), key=lambda run: run["id"])
    assert [run["id"] for run in runs] == ["s/1.1", "s/2.1", "s/3.1"]
    for before, after in pairwise(runs):
        assert before["finished_at"] <= after["started_at"]


def test_no_supervisor_is_named_as_what_is_missing(aq: Driven) -> None:
    aq.exec("true")
    waiting = aq.task("1")["waiting_for"]
    assert waiting["kind"] == "slot"
    assert "agentq run" in waiting["detail"]
    waiting = aq.items("edit", "1", "--at", "2099-01-01T00:00:00Z")[0]["waiting_for"]
    assert (waiting["kind"], waiting["until"]) == ("time", "2099-01-01T00:00:00.000Z")
