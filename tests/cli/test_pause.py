"""`agentq pause` and `resume`: a task, a session, an agent, the queue; what `waiting_for` and `show` say of it."""

from __future__ import annotations

from driven import Driven, held


def waiting(aq: Driven, address: str) -> tuple[str, str]:
    found = aq.task(address)["waiting_for"]
    return found["kind"], found["detail"]


def test_a_task(aq: Driven) -> None:
    aq.batch({"exec": ["true"]}, {"exec": ["true"]})
    (item,) = aq.items("pause", "1", "--reason", "until the release")
    assert item == {"id": "default/1", "ok": True, "code": 0, "message": "default/1 is paused", "status": "paused"}
    aq.drain()
    task = aq.task("1")
    assert (task["status"], task["reason"], task["waiting_for"]["kind"]) == ("paused", "until the release", "paused")
    assert "until the release" in task["waiting_for"]["detail"]
    (item,) = aq.items("resume", "1")
    assert (item["ok"], item["status"]) == (True, "queued")
    aq.drain()
    assert aq.statuses() == {"default/1": "completed", "default/2": "completed"}
    changes = [(event["event"], event["from"], event["to"], event["actor"]) for event in aq.items("events", "1")]
    assert changes[-3:] == [
        ("resume", "paused", "queued", "user"),
        ("pause", "queued", "paused", "user"),
        ("submit", None, "queued", "user"),
    ]


def test_a_paused_lane_mate_holds_nobody_and_a_scheduled_one_is_so_again(aq: Driven) -> None:
    aq.batch(*({"exec": ["true"], "session": "lane"} for _ in range(2)), {"exec": ["true"], "in": "1h"})
    items = aq.items("pause", "lane/1", "9", "1", code=1)
    assert [(item["id"], item["ok"], item["code"], item["status"]) for item in items] == [
        ("lane/1", True, 0, "paused"),
        ("default/9", False, 3, None),
        ("default/1", True, 0, "paused"),
    ]
    aq.drain()
    assert aq.items("resume", "1")[0]["message"] == "default/1 is scheduled"
    assert aq.statuses() == {"lane/1": "paused", "lane/2": "completed", "default/1": "scheduled"}


def test_a_session_and_what_runs_in_it_ends_normally(aq: Driven) -> None:
    aq.batch({"exec": held("one"), "session": "a"}, {"exec": ["true"], "session": "a"}, {"exec": ["true"]})
    supervisor = aq.supervise()
    aq.started("one")
    (item,) = aq.items("pause", "-s", "a", "--reason", "moving")
    assert (item["id"], item["ok"], item["code"]) == ("a", True, 0)
    aq.let_go("one")
    aq("wait", "a/1", "default/1")
    kind, detail = waiting(aq, "a/2")
    assert kind == "paused"
    assert "'a'" in detail
    assert "moving" in detail
    paused = {session["name"]: session["paused"] for session in aq.items("sessions")}
    assert paused == {"a": True, "default": False}
    # It wakes the supervisor.
    aq("resume", "-s", "a")
    aq("wait", "a/2", "--timeout", "10s")
    assert supervisor.poll() is None


def test_an_agent(aq: Driven) -> None:
    aq.batch({"agent": "demo", "prompt": "hi"}, {"exec": ["true"]})
    (item,) = aq.items("pause", "--agent", "demo", "--reason", "too dear")
    assert (item["id"], item["ok"]) == ("demo", True)
    aq.drain()
    assert aq.statuses() == {"default/1": "queued", "default/2": "completed"}
    kind, detail = waiting(aq, "1")
    assert kind == "paused"
    assert "demo" in detail
    assert "too dear" in detail
    aq("resume", "--agent", "demo")
    aq.drain()
    assert aq.statuses()["default/1"] == "completed"
    assert "'demo'" in aq.refused("pause", "--agent", "dema", code=3)


def test_the_queue_and_sessions_that_appear_later(aq: Driven) -> None:
    (item,) = aq.items("pause", "--all", "--reason", "at night")
    assert item["ok"]
    aq.batch({"exec": ["true"]}, {"exec": ["true"], "session": "new"})
    assert aq.drain().stdout == ""
    for task in aq.items("list"):
        assert (task["status"], task["waiting_for"]["kind"]) == ("queued", "paused")
        assert "at night" in task["waiting_for"]["detail"]
    assert any(gate["holding"] and gate["name"] == "queue" for gate in aq.json("workers")["gates"])
    # A pause of its own stays when the queue's is lifted.
    aq("pause", "-s", "new")
    aq("resume", "--all")
    aq.drain()
    assert aq.statuses() == {"default/1": "completed", "new/1": "queued"}


def test_wrong_states_and_targets(aq: Driven) -> None:
    aq.batch({"exec": ["true"]}, {"exec": held("one")})
    supervisor = aq.supervise("--max-tasks", "2")
    aq.started("one")
    aq("wait", "1")
    for verb in ("pause", "resume"):
        lines = aq(verb, "1", "2", code=4).stderr.splitlines()
        assert "completed" in lines[0]
        assert "running" in lines[1]
    aq.refused("resume", "-s", "defautl", code=3)
    aq.refused("pause", code=2)
    aq.refused("pause", "1", "--all", code=2)
    aq.let_go("one")
    aq.ended(supervisor, 0)


def test_a_session_is_paused_before_its_first_task(aq: Driven) -> None:
    assert aq("pause", "-s", "later", "--reason", "not yet").stdout == "session later is paused\n"
    aq.exec("true", given=("-s", "later"))
    aq.exec("true")
    aq.drain()
    assert aq.statuses() == {"later/1": "queued", "default/1": "completed"}
    assert aq.task("later/1")["waiting_for"]["kind"] == "paused"
    aq("resume", "-s", "later")
    aq.drain()
    assert aq.statuses()["later/1"] == "completed"


def test_what_is_submitted_on_hold_starts_once_it_is_resumed(aq: Driven) -> None:
    """Whether it is the first of its session or not, waits for another or not, and for a series too."""
    now = {"AGENTQ_NOW": "2026-03-01T12:00:00Z"}
    assert aq("submit", "--hold", "--exec", "--", "true", env=now).stderr == ""
    aq.exec("true", given=("--hold",), env=now)
    aq.exec("true", given=("--hold", "--after", "1"), env=now)
    aq("schedule", "--hold", "--every", "1h", "--exec", "--", "true", env=now)
    later = {"AGENTQ_NOW": "2026-03-01T14:30:00Z"}
    aq.drain(env=later)
    assert set(aq.statuses().values()) == {"paused"}
    assert len(aq.statuses()) == 4
    (item,) = aq.items("resume", "3", env=later)
    assert item["status"] == "blocked"
    aq("resume", "1", "2", "4", env=later)
    aq.drain(env=later)
    assert [aq.statuses()[f"default/{n}"] for n in (1, 2, 3, 4)] == ["completed"] * 4
    lines = '{"exec": ["true"]}\n{"exec": ["true"], "hold": false}\n'
    batch = aq("submit", "--hold", "--batch", "-", input=lines).stdout.split()
    batch += aq.batch({"exec": ["true"], "hold": True})
    assert [aq.statuses()[address] for address in batch] == ["paused", "queued", "paused"]
