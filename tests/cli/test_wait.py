"""`agentq wait`: exit codes, several tasks, a session, and its time-out."""

from __future__ import annotations

import signal

from driven import Driven, held, until

CODES = {"exit 0": 0, "exit 7": 7, "kill -TERM $$": 143, "kill -SEGV $$": 139}


def test_one_task_gives_its_code(aq: Driven) -> None:
    aq.batch(*({"exec": ["sh", "-c", script]} for script in CODES), {"exec": ["/no/such/program"]})
    aq.drain(code=1)
    for seq, code in enumerate(CODES.values(), start=1):
        assert aq("wait", str(seq), code=code).stdout.startswith(f"default/{seq} ")
    assert "failed" in aq("wait", "5", code=1).stdout
    (task,) = aq.items("wait", "2", code=7)
    assert (task["id"], task["status"], task["exit_code"]) == ("default/2", "failed", 7)


def test_several_give_0_or_1(aq: Driven) -> None:
    aq.batch({"exec": ["true"]}, {"exec": ["true"]}, {"exec": ["sh", "-c", "exit 9"]})
    aq.drain(code=1)
    assert [task["id"] for task in aq.items("wait", "2", "1")] == ["default/2", "default/1"]
    aq("wait", "1", "3", code=1)
    aq.refused("wait", "1", "4", code=3)
    aq.refused("wait", "1.1", code=2)
    aq.refused("wait", code=2)
    aq.refused("wait", "1", "-s", "default", code=2)


def test_it_blocks_until_the_end(aq: Driven) -> None:
    aq.exec(*held("one", 5))
    waiting = aq.start("wait", "1")
    supervisor = aq.supervise("--drain")
    aq.started("one")
    assert waiting.poll() is None
    aq.let_go("one")
    aq.ended(waiting, 5)
    aq.ended(supervisor, 1)


def test_the_time_out_is_124_and_names_what_is_open(aq: Driven) -> None:
    aq.exec("true")
    line = aq.refused("wait", "1", "--timeout", "100ms", code=124)
    assert "default/1" in line
    document = aq.json("wait", "1", "--timeout", "100ms", code=124)
    assert (document["schema"], document["code"], document["kind"]) == ("agentq.error/1", 124, "timeout")
    # Nothing of the task has changed, and a clock that stands still does not hold it up.
    assert aq.statuses() == {"default/1": "queued"}
    aq.refused("wait", "1", "--timeout", "100ms", code=124, env={"AGENTQ_NOW": "2026-03-01T12:00:00Z"})


def test_a_session_means_what_is_live_and_due_at_the_call(aq: Driven) -> None:
    lane = {"session": "lane"}
    aq.batch(
        {**lane, "exec": ["sh", "-c", "exit 3"]},
        {**lane, "exec": held("one", 0)},
        {**lane, "exec": ["true"], "in": "1h"},
        {**lane, "exec": ["true"]},
        {"exec": ["true"], "in": "1h"},
    )
    aq("pause", "lane/4")
    supervisor = aq.supervise()
    aq.started("one")
    waiting = aq.start("wait", "-s", "lane", "--json")
    # The wait is on when its bell hangs beside the supervisor's.
    until(lambda: len(list((aq.state_dir / "bells").iterdir())) == 2, what="wait")
    aq.exec(*held("later"), given=("-s", "lane"))
    aq.let_go("one")
    out, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 0
    assert '"lane/2"' in out
    for other in ("lane/1", "lane/3", "lane/4", "lane/5"):
        assert f'"{other}"' not in out
    aq.let_go("later")
    aq("wait", "lane/5")
    assert aq.items("wait", "-s", "lane") == []
    aq.refused("wait", "-s", "lame", code=3)
    assert supervisor.poll() is None


def test_a_session_gives_1_whatever_the_code_of_its_failed_task(aq: Driven) -> None:
    aq.exec("sh", "-c", "exit 7", given=("-s", "lane"))
    waiting = aq.start("wait", "-s", "lane")
    until(lambda: list((aq.state_dir / "bells").iterdir()), what="wait")
    aq.drain(code=1)
    aq.ended(waiting, 1)


def test_signals_end_it(aq: Driven) -> None:
    aq.exec("true")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        waiting = aq.start("wait", "1")
        until(lambda: list((aq.state_dir / "bells").iterdir()), what="wait")
        aq.signal(waiting, number)
        aq.ended(waiting, code)
        assert waiting.stderr is not None
        assert "Traceback" not in waiting.stderr.read()
    assert aq.statuses() == {"default/1": "queued"}
