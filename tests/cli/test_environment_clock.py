"""`AGENTQ_NOW`: the wall clock of one process, for decisions and records; never waited for, never an agent's."""

from __future__ import annotations

from driven import Driven, until

NOW = "2026-03-01T12:00:00Z"


def at(text: str) -> dict[str, str]:
    return {"AGENTQ_NOW": text}


def test_it_is_the_time_of_all_that_is_recorded(aq: Driven) -> None:
    aq.exec("date", "+%Y", env=at(NOW))
    aq.drain(env=at("2026-03-01T14:00:00+02:00"))
    task, (run,) = aq.task("1"), aq.runs().values()
    fixed = "2026-03-01T12:00:00.000Z"
    assert {task["created_at"], task["due_at"]} == {fixed}
    assert {run["scheduled_for"], run["started_at"], run["finished_at"]} == {fixed}
    assert {event["at"] for event in aq.items("events")} == {fixed}
    assert {message["created_at"] for message in aq.items("messages")} == {fixed}
    # Durations are real.
    assert 0 <= run["duration_ms"] < 30_000


def test_what_is_due_follows_it_and_nobody_waits_for_it(aq: Driven) -> None:
    aq.batch({"exec": ["true"], "in": "1h"}, {"exec": ["true"], "in": "1s", "session": "s"}, env=at(NOW))
    assert aq.drain(env=at(NOW)).stdout == ""
    # One that stays on comes to an end by its idleness, which is no wall time.
    aq("run", "--idle-exit", "50ms", env=at("2026-03-01T12:00:00.999Z"))
    (task,) = [item for item in aq.items("list", env=at(NOW)) if item["id"] == "default/1"]
    assert (task["status"], task["waiting_for"]["kind"]) == ("scheduled", "time")
    aq.drain(env=at("2026-03-01T12:00:01Z"))
    assert set(aq.runs()) == {"s/1.1"}
    aq.drain(env=at("2026-03-01T13:00:00Z"))
    assert set(aq.runs()) == {"s/1.1", "default/1.1"}


def test_it_passes_to_the_supervisor_that_is_started(aq: Driven) -> None:
    """Of three ways to start one: a sweep, a detached run, a submit that waits."""
    aq.exec("sh", "-c", "echo ${AGENTQ_NOW-unset}", given=("--in", "1h"), env=at(NOW))
    aq("sweep", env=at("2026-03-01T13:00:00Z"))
    aq("wait", "1")
    until(lambda: not aq.json("workers")["supervisors"], what="the end of the sweep's supervisor")
    aq.exec("true", env=at(NOW))
    aq("run", "--detach", "--drain", env=at("2026-03-01T14:00:00Z"))
    aq("submit", "--wait", "--exec", "--", "true", env=at("2026-03-01T15:00:00Z"))
    assert {run["id"]: run["started_at"] for run in aq.runs().values()} == {
        "default/1.1": "2026-03-01T13:00:00.000Z",
        "default/2.1": "2026-03-01T14:00:00.000Z",
        "default/3.1": "2026-03-01T15:00:00.000Z",
    }
    assert aq("logs", "1").stdout == "unset\n"


def test_a_standing_clock_does_not_keep_a_time_out_from_working(aq: Driven) -> None:
    aq.exec("sleep", "60", given=("--timeout", "100ms"), env=at(NOW))
    aq.drain(code=1, env=at(NOW))
    (run,) = aq.runs().values()
    assert (run["status"], run["finished_at"]) == ("timeout", "2026-03-01T12:00:00.000Z")


def test_stored_times_are_the_same_in_every_zone(aq: Driven) -> None:
    """Case 5."""
    for zone in ("Pacific/Auckland", "UTC"):
        aq.exec(
            "true",
            given=("--at", "2026-03-01T12:00:00Z", "--expires", "2026-03-01T13:00:00Z"),
            env={"TZ": zone, **at(NOW)},
        )
    one, other = aq.items("list", env={"TZ": "Pacific/Auckland"})
    for key in ("due_at", "expires_at", "created_at"):
        assert one[key] == other[key]
        assert one[key].startswith("2026-03-01T1")


def test_a_value_that_is_no_time_is_refused(aq: Driven) -> None:
    for text in ("yesterday", "2026-03-01T12:00:00"):
        assert text in aq.refused("submit", "--exec", "--", "true", code=2, env=at(text))
    assert not aq.state_dir.exists()
