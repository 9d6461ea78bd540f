"""`agentq wait`: exit codes, several tasks, a session, and its time-out."""

from __future__ import annotations

import signal

from driven import Driven, held, until

ENDS: list[tuple[list[str], int]] = [
    (["true"], 0),
    (["true"], 0),
    (["sh", "-c", "exit 7"], 7),
    (["sh", "-c", "kill -SEGV $$"], 139),
    (["/no/such/program"], 1),
]


def test_one_task_gives_its_code_and_several_0_or_1(aq: Driven) -> None:
    aq.batch(*({"exec": argv} for argv, _ in ENDS))
    aq.drain(code=1)
    for seq, (_, code) in enumerate(ENDS, start=1):
        assert aq("wait", str(seq), code=code).stdout.startswith(f"default/{seq} ")
    assert [task["id"] for task in aq.items("wait", "2", "1")] == ["default/2", "default/1"]
    assert [task["exit_code"] for task in aq.items("wait", "1", "3", "5", code=1)] == [0, 7, None]
    stopped = aq.exec("true")
    aq("cancel", stopped)
    assert aq("wait", stopped, code=1).stdout == f"{stopped} cancelled\n"
    aq.refused("wait", "1", "9", code=3)
    aq.refused("wait", "1.1", code=2)
    aq.refused("wait", code=2)


def test_the_time_out_is_124_and_names_what_is_open(aq: Driven) -> None:
    aq.exec("true")
    assert "default/1" in aq.refused("wait", "1", "--timeout", "100ms", code=124)
    # A clock that stands still does not hold it up.
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
        waiting = aq.start("wait", "1", "--json")
        until(lambda: list((aq.state_dir / "bells").iterdir()), what="wait")
        aq.signal(waiting, number)
        assert waiting.communicate(timeout=30) == ("", "")
        assert waiting.returncode == code


def test_all_waits_for_every_session(aq: Driven) -> None:
    assert aq("wait", "--all").stdout == ""
    aq.batch({"exec": ["true"]}, {"exec": ["false"], "session": "a"}, {"exec": ["true"], "in": "1h"})
    told = aq("wait", "--all", "--timeout", "1ms", code=124).stderr
    assert "2 still open" in told and "default/1" in told and "a/1" in told
    aq.drain(code=1)
    assert aq("wait", "--all").stdout == "", "the one that is not due is not waited for"
    assert "only one of these" in aq.refused("wait", "--all", "1", code=2)


def test_it_ends_with_the_first_that_fails(aq: Driven) -> None:
    aq.batch({"exec": held("one")}, {"exec": ["true"]}, {"exec": held("two", 3)})
    aq.supervise("-j", "3")
    aq.started("one")
    waiting = aq.start("wait", "1-3", "--status", "failed")
    aq("wait", "2")
    aq.let_go("two")
    assert aq.ended(waiting) == 1
    assert aq.statuses()["default/1"] == "running"
    aq.let_go("one")
    assert aq.items("wait", "1", "--status", "failed")[0]["status"] == "completed"
    assert "--status 'running'" in aq.refused("wait", "1", "--status", "running", code=2)
