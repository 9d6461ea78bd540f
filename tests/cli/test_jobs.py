"""`agentq jobs`: how many tasks run at once, shown and set while a supervisor runs."""

from __future__ import annotations

import pytest
from driven import Driven, held, until


def shown(aq: Driven, **options: object) -> tuple[int, str]:
    found = aq.json("jobs", **options)
    return found["jobs"], found["source"].partition(" ")[0]


def test_a_supervisor_follows_at_once(aq: Driven) -> None:
    aq.batch(*[{"exec": held(name), "session": name} for name in "abcd"])
    aq("jobs", "1")
    supervisor = aq.supervise()
    other = aq.supervise("-s", "nothing", "-j", "7")
    aq.started("a")
    assert aq("jobs", "3").stdout == "3 (agentq jobs)\n"
    aq.started("b")
    aq.started("c")
    until(lambda: {item["jobs"] for item in aq.json("workers")["supervisors"]} == {3, 7})
    assert aq("jobs").stderr == f"supervisor {other.pid} runs 7 at once\n"
    assert not aq.has_started("d")
    # With fewer, what runs goes on; the next one starts once there is room.
    aq("jobs", "1")
    aq.let_go("a")
    aq("wait", "a/1")
    assert not aq.has_started("d")
    aq.let_go("b", "c")
    aq.started("d")
    aq.let_go("d")
    aq("stop")
    aq.ended(supervisor, 0)
    events = [event["reason"] for event in aq.items("events") if event["event"] == "jobs"]
    assert events == ["1, before 3", "3, before 1", "1, before unset"]


def test_the_order_is_flag_environment_this_file_default(aq: Driven) -> None:
    assert shown(aq) == (2, "default")
    assert not aq.state_dir.exists()
    (aq.home / "config.toml").write_text("jobs = 5\n")
    file = {"AGENTQ_CONFIG": str(aq.home / "config.toml")}
    assert shown(aq, env=file) == (5, "file")
    aq("jobs", "4", env=file)
    assert shown(aq, env=file) == (4, "agentq")
    over = {**file, "AGENTQ_JOBS": "6"}
    assert shown(aq, env=over) == (6, "environment")
    assert "overrides" in aq("jobs", "3", env=over).stderr
    for words, environ, jobs in ((("-j", "9"), over, 9), ((), over, 6), ((), file, 3)):
        supervisor = aq.supervise(*words, env=environ)
        until(lambda: aq.json("workers")["supervisors"])
        assert [item["jobs"] for item in aq.json("workers")["supervisors"]] == [jobs]
        aq("stop")
        aq.ended(supervisor, 0)
    aq("jobs", "--reset", env=file)
    assert shown(aq, env=file) == (5, "file")


def test_a_lost_index_keeps_it(aq: Driven) -> None:
    aq.exec("true")
    aq("jobs", "4")
    aq("pause", "--all")
    (aq.state_dir / "agentq.db").unlink()
    aq("sweep", "--reindex", "--no-wake")
    assert shown(aq) == (4, "agentq")
    aq("resume", "--all")
    assert shown(aq) == (4, "agentq"), "a resume lifts pauses only"
    assert aq("health").returncode == 0


@pytest.mark.parametrize("words", [["0"], ["x"], ["-1"], ["99999999"], ["1.5"], ["3", "--reset"]])
def test_what_is_no_number_of_jobs(aq: Driven, words: list[str]) -> None:
    aq.refused("jobs", *words, code=2)
    assert not aq.state_dir.exists()
