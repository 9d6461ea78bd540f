"""Any address of a series is a name of it while it lives, also once that occurrence was pruned."""

from __future__ import annotations

from typing import Any

import pytest
from driven import Driven

DAY = "2026-03-{:02}T10:00:05Z"


def at(day: int) -> dict[str, Any]:
    return {"env": {"AGENTQ_NOW": DAY.format(day)}}


@pytest.fixture
def series(aq: Driven) -> Driven:
    """default/1, 3, 4 and 5 ran and all but the last are pruned; default/6 waits. default/2 was no part of it."""
    aq("schedule", "--every", "24h", "--key", "k", "--exec", "--", "true", **at(1))
    aq("submit", "--exec", "--", "true", **at(1))
    for day in (2, 3, 4, 5):
        aq.drain(**at(day))
    assert [task["id"] for task in aq.items("list", **at(5))] == ["default/6"]
    aq("prune", "1", "2", "3", "4", "--yes", **at(5))
    assert set(aq.tasks()) == {"default/5", "default/6"}
    return aq


@pytest.mark.parametrize("address", ["1", "3", "default/4"])
def test_a_pruned_address_changes_the_live_occurrence(series: Driven, address: str) -> None:
    aq = series
    assert "default/6 is paused" in aq("pause", address, "--reason", "quiet", **at(5)).stdout
    assert "default/6 is scheduled" in aq("resume", address, **at(5)).stdout
    (edited,) = aq.items("edit", address, "--label", "x", **at(5))
    assert (edited["id"], edited["labels"]) == ("default/6", ["x"])
    (extra,) = aq.items("trigger", address, **at(5))
    assert (extra["id"], extra["series"]) == ("default/7", "default/1")
    aq("sweep", "--reindex", "--no-wake", **at(5))
    assert "would be cancelled" in aq("cancel", "--dry-run", address, **at(5)).stdout
    assert "default/6 is cancelled; its series has ended" in aq("cancel", address, **at(5)).stdout
    # Now it is the name of nothing.
    assert "no such task" in aq.refused("show", "3", code=3)


def test_what_reads_one_occurrence_says_that_it_was_pruned(series: Driven) -> None:
    aq = series
    for address in ("1", "3", "4"):
        for command in ("show", "logs", "runs", "events", "wait"):
            line = aq.refused(command, address, code=3, **at(5))
            assert "pruned" in line and "default/6" in line, (command, line)
        for command in ("retry", "prune"):
            given = ("--yes",) if command == "prune" else ()
            assert "default/6" in aq(command, address, *given, code=3, **at(5)).stderr
        line = aq.refused("submit", "--after", address, "--exec", "--", "true", code=3, **at(5))
        assert "pruned" in line and "default/6" in line
    # One that was never of the series is not there at all.
    for command in ("show", "pause", "cancel"):
        done = aq(command, "2", code=3, **at(5))
        assert "no such task" in done.stderr and "default/6" not in done.stderr


def test_a_key_finds_the_series_as_ever(series: Driven) -> None:
    done = series("schedule", "--every", "24h", "--key", "k", "--exec", "--", "true", **at(5))
    assert done.stdout == "default/6\n" and "2026-03-06T10:00:05.000Z" in done.stderr


def test_an_extra_occurrence_names_itself(aq: Driven) -> None:
    aq("schedule", "--every", "24h", "--exec", "--", "true", **at(1))
    aq("trigger", "1", **at(1))
    aq.drain(**at(1))
    aq("prune", "2", "--yes", **at(1))
    assert "no such task" in aq.refused("show", "2", code=3, **at(1))
    assert "no such task" in aq("pause", "2", code=3, **at(1)).stderr


def test_names_of_a_series_that_ended_are_forgotten_with_it(series: Driven) -> None:
    from contextlib import closing
    from sqlite3 import connect

    def names() -> int:
        with closing(connect(series.state_dir / "sessions" / "default" / "inbound.db")) as database:
            return int(database.execute("SELECT count(*) FROM session_state WHERE name GLOB 'pruned/*'").fetchone()[0])

    assert names() == 2
    series("cancel", "3", **at(5))
    series("prune", "5", "6", "--yes", **at(5))
    assert names() == 0
