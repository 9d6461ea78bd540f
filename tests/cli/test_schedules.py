"""`agentq schedules`: one row a series."""

from __future__ import annotations

from driven import Driven
from terminal import on_terminal

NOW, FIRST, SECOND = ({"AGENTQ_NOW": f"2026-03-01T{hour}:00:00Z"} for hour in (10, 11, 12))


def test_one_row_a_series_with_its_last_run_and_its_failures_in_a_row(aq: Driven) -> None:
    aq("schedule", "--every", "1h", "--start", FIRST["AGENTQ_NOW"], "--exec", "--", "sh", "-c", "exit 3", env=NOW)
    aq("schedule", "-s", "docs", "--cron", "0 9 * * *", "--tz", "UTC", "--exec", "--", "true", env=NOW)
    aq.exec("true", given=["--in", "1d"], env=NOW)
    for now in (FIRST, SECOND):
        aq.drain(code=1, env=now)
    aq("pause", "docs/1", "--reason", "holidays", env=SECOND)
    hourly, daily = aq.items("schedules", env=SECOND)
    assert (hourly["id"], hourly["task"], hourly["runs"], hourly["failures_in_a_row"]) == (
        "default/1",
        "default/4",
        2,
        2,
    )
    assert (hourly["last_run"], hourly["last_status"]) == ("default/3.1", "error")
    assert hourly["next_due_at"] == "2026-03-01T13:00:00.000Z"
    assert (daily["id"], daily["last_run"], daily["runs"]) == ("docs/1", None, 0)
    assert (daily["paused"], daily["reason"]) == (True, "holidays")
    assert [item["id"] for item in aq.items("schedules", "-s", "docs")] == ["docs/1"]

    header, line, _ = aq("schedules", env=SECOND).stdout.splitlines()
    assert header.split("  ")[0] == "SERIES"
    assert "every 1h" in line
    assert "2026-03-01T13:00:00.000Z" in line
    shown = on_terminal(aq.agentq, "schedules", columns=120, env={**SECOND, "NO_COLOR": "1"})
    assert "0 9 * * * UTC" in shown

    aq("prune", "1", "3", "--yes")
    (run,) = [item["last_run"] for item in aq.items("schedules", "-s", "default", env=SECOND)]
    assert run is None
    aq("cancel", "1", "docs/1", env=SECOND)
    assert aq.items("schedules") == []
