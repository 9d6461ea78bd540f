"""A prune that is refused, or interrupted, has removed nothing; one that is done leaves no file behind."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from driven import IMPATIENT, Driven


def done(aq: Driven, text: str = "kept") -> None:
    aq.exec("echo", text)
    aq.drain()


def depended_on(aq: Driven) -> None:
    aq.exec("true", given=("--after", "1", "--in", "1d"))


def depended_on_elsewhere(aq: Driven) -> None:
    aq.exec("true", given=("-s", "other", "--after-any", "1", "--in", "1d"))


def waits_again(aq: Driven) -> None:
    aq("retry", "1")


@pytest.mark.parametrize("why", [depended_on, depended_on_elsewhere, waits_again])
def test_a_refused_prune_has_removed_nothing(aq: Driven, why: Callable[[Driven], None]) -> None:
    done(aq)
    why(aq)
    aq.refused("prune", "1", "--yes", code=4)
    assert aq("logs", "1.1").stdout == "kept\n"
    assert "default/1.1" in aq.runs()
    assert [path.name for path in (aq.state_dir / "sessions/default").iterdir() if path.is_dir()] == ["runs"]


def test_what_is_locked_is_pruned_later_and_has_lost_nothing_till_then(aq: Driven) -> None:
    done(aq)
    config = aq.home / ".config/agentq/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('retention = "1ms"\n')
    with closing(sqlite3.connect(aq.state_dir / "sessions/default/inbound.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        soon = aq.agentq.constants(**IMPATIENT)
        assert "busy default" in aq("sweep", "--no-wake", code=1, env=soon).stdout
        assert (aq.state_dir / "sessions/default/runs/1.1/stdout").read_text() == "kept\n"
    assert "prune default/1" in aq("sweep", "--no-wake").stdout
    assert os.listdir(aq.state_dir / "sessions/default/runs") == []


def test_runs_that_cannot_be_moved_keep_their_task(aq: Driven) -> None:
    done(aq)
    elsewhere = aq.home / "elsewhere"
    elsewhere.mkdir()
    (aq.state_dir / "sessions/default/pruned").symlink_to(elsewhere)
    assert "link" in aq.refused("prune", "1", "--yes", code=2)
    assert aq("logs", "1").stdout == "kept\n"
    assert list(elsewhere.iterdir()) == []


def test_what_an_interrupted_prune_left_is_put_back_or_removed(aq: Driven) -> None:
    done(aq)
    done(aq)
    home = aq.state_dir / "sessions/default"
    aside = home / "pruned"
    aside.mkdir()
    (home / "runs/2.1").rename(aside / "2.1")
    lost = aside / "7.1"
    (lost / "cache").mkdir(parents=True)
    (lost / "cache/file").write_text("")
    (lost / "cache").chmod(0o500)
    assert "of 1 runs removed, of 1 restored" in aq("sweep", "--no-wake").stdout
    assert aq("logs", "2").stdout == "kept\n"
    assert not aside.exists()
    assert aq("sweep", "--no-wake").stdout == ""


def test_links_among_the_files_of_a_run_are_not_followed(aq: Driven) -> None:
    done(aq)
    elsewhere = aq.home / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("")
    runs = aq.state_dir / "sessions/default/runs"
    (runs / "1.1/link").symlink_to(elsewhere)
    moved = elsewhere / "1.1"
    aq("prune", "1", "--yes")
    assert (elsewhere / "precious").exists()
    done(aq)
    (runs / "2.1").rename(moved)
    (runs / "2.1").symlink_to(moved)
    aq("prune", "2", "--yes")
    assert {path.name for path in moved.iterdir()} >= {"stdout", "exit"}
    assert list(Path(runs).iterdir()) == []
