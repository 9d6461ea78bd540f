"""`agentq reply`: an ended task goes on in its own conversation, as its next attempt (with the demo agent)."""

from __future__ import annotations

from pathlib import Path

import pytest
from driven import Driven

RECALLED = "before: "


def recalled(aq: Driven, run: str) -> str:
    return str(aq.runs()[run]["result"]).rpartition(RECALLED)[2]


def test_an_isolated_task_goes_on_in_its_own_conversation(aq: Driven) -> None:
    aq.submit("-a", "demo", "apples", "--label", "x")
    aq.submit("-a", "demo", "pears")
    aq.drain("-j", "1")
    (item,) = aq.items("reply", "1", "recall")
    assert (item["id"], item["status"], item["prompt"], item["labels"]) == ("default/1", "queued", "recall", ["x"])
    aq.drain()
    runs = aq.runs()
    assert recalled(aq, "default/1.2") == "apples"
    assert runs["default/1.2"]["trigger"] == "reply"
    assert runs["default/1.2"]["conversation"] == runs["default/1.1"]["conversation"]
    assert (aq.state_dir / "sessions/default/runs/1.2/prompt").read_text() == "recall"
    events = [(event["event"], event["actor"], event["from"]) for event in aq.items("events", "1")]
    assert ("reply", "user", "completed") in events
    assert runs["default/1.1"]["conversation"] in next(
        str(event["reason"]) for event in aq.items("events", "1") if event["event"] == "reply"
    )
    # And once more, with the text on stdin.
    aq("reply", "1", "-", input="say 1 lines\nrecall\n")
    aq.drain()
    assert recalled(aq, "default/1.3").startswith("apples; recall")


def test_a_failed_one_gets_the_reply_and_nothing_else_as_its_prompt(aq: Driven) -> None:
    aq.submit("-a", "demo", "apples then fail")
    aq.drain(code=1)
    aq("reply", "1", "recall")
    aq.drain()
    assert aq.task("1")["status"] == "completed"
    assert recalled(aq, "default/1.2") == "apples then fail"
    assert (aq.state_dir / "sessions/default/runs/1.2/prompt").read_text() == "recall"


def test_a_task_of_a_session_goes_on_in_its_conversation_even_after_a_reset(aq: Driven) -> None:
    aq.submit("-s", "s", "-a", "demo", "apples")
    aq.drain()
    aq("reply", "s/1", "plums")
    aq.drain()
    aq.submit("-s", "s", "-a", "demo", "recall")
    aq.drain()
    assert recalled(aq, "s/2.1") == "apples; plums"
    aq("sessions", "reset", "s")
    aq("reply", "s/1", "recall")
    aq.drain()
    assert recalled(aq, "s/1.3") == "apples; plums; recall"
    aq.submit("-s", "s", "-a", "demo", "recall")
    aq.drain()
    assert recalled(aq, "s/3.1") == "nothing"
    aq("reply", "s/1", "recall")
    aq.submit("-s", "s", "-a", "demo", "recall")
    aq.drain()
    assert recalled(aq, "s/1.4") == "apples; plums; recall; recall"
    assert recalled(aq, "s/4.1") == "recall", "the session goes on in its own"


def test_its_conversation_is_lost_and_the_reply_does_not_begin_another(aq: Driven) -> None:
    aq.submit("-a", "demo", "apples")
    aq.drain()
    for kept in Path(aq.state_dir, "demo").iterdir():
        kept.unlink()
    aq("reply", "1", "recall")
    aq.drain(code=1)
    assert aq.task("1")["status"] == "failed"
    assert [run["status"] for run in aq.runs("1").values()] == ["error", "success"]


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("is a command", ["1", "x"]),
        ("cannot continue a conversation", ["2", "x"]),
        ("no conversation that could go on", ["3", "x"]),
        ("only an ended task", ["4", "x"]),
    ],
)
def test_what_cannot_go_on_says_so(aq: Driven, why: str, words: list[str]) -> None:
    (aq.home / "config.toml").write_text("[agents.mine]\nargv = ['cat']\n")
    aq.agentq.environ["AGENTQ_CONFIG"] = str(aq.home / "config.toml")
    aq.exec("true")
    aq.submit("-a", "mine", "x")
    aq.submit("-a", "demo", "--in", "1h", "x")
    aq("cancel", "3")
    aq.submit("-a", "demo", "--in", "1h", "x")
    aq.drain()
    assert why in aq.refused("reply", *words, code=4)


def test_what_is_no_reply(aq: Driven) -> None:
    aq.submit("-a", "demo", "x")
    assert "blank" in aq.refused("reply", "1", " ", code=2)
    assert "no such task" in aq.refused("reply", "9", "x", code=3)


def test_the_limits_and_the_cost_cap_hold_as_before(aq: Driven) -> None:
    aq.submit("-a", "demo", "--max-cost", "0.000001", "apples")
    aq.drain()
    assert "submit it again" in aq.refused("reply", "1", "x", code=4)
    aq.submit("-a", "demo", "--timeout", "2s", "apples")
    aq.drain()
    aq("reply", "2", "sleep 1m")
    aq.drain(code=1)
    assert aq.runs("2")["default/2.2"]["status"] == "timeout"
