"""`--dry-run` and `--next`: one document, `agentq.plan/1` with items, and as text the same; nothing is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from driven import Driven

KEYS = {"session", "agent", "argv", "env", "cwd", "due_at", "expires_at", "schedule", "environment"} | {
    *("worktree", "branch", "base", "setup", "teardown", "check", "land", "land_as", "push", "asks")
}
NOW = {"AGENTQ_NOW": "2026-03-02T10:00:00Z", "TZ": "UTC"}
WORK = ("-e", "SECRET=hunter-2", "-C", "/", "--exec", "--", "make", "all of it")
SCHEDULE = ("schedule", "--cron", "0 9 * * *", "--tz", "Europe/Berlin")


def plan(aq: Driven, *words: str, **options: Any) -> list[dict[str, Any]]:
    document = aq.json(*words, env=NOW, **options)
    assert (document["schema"], set(document)) == ("agentq.plan/1", {"schema", "items"})
    assert all(set(item) == KEYS for item in document["items"])
    assert not aq.state_dir.exists()
    return list(document["items"])


def test_a_schedule_says_what_it_would_start_where_and_when(aq: Driven) -> None:
    (item,) = plan(aq, *SCHEDULE, "--dry-run", "--expires", "30m", *WORK)
    assert (item["session"], item["argv"], item["cwd"]) == ("default", ["make", "all of it"], "/")
    assert "SECRET" in item["env"] and "hunter-2" not in json.dumps(item)
    assert (item["due_at"], item["expires_at"]) == ("2026-03-03T08:00:00.000Z", "2026-03-03T08:30:00.000Z")
    assert item["schedule"] == {
        "type": "cron",
        "expr": "0 9 * * *",
        "every_ms": None,
        "tz": "Europe/Berlin",
        "missed": "latest",
        "overlap": "skip",
        "next": ["2026-03-03T08:00:00.000Z", "2026-03-04T08:00:00.000Z", "2026-03-05T08:00:00.000Z"],
    }
    text = aq(*SCHEDULE, "--dry-run", *WORK, env=NOW).stdout
    for words in ("make 'all of it'", "SECRET", "cwd:", "2026-03-03T09:00:00+01:00  Europe/Berlin", "2026-03-05T08"):
        assert words in text
    assert "hunter-2" not in text and not aq.state_dir.exists()


def test_what_it_says_is_what_a_schedule_then_does(aq: Driven) -> None:
    for when in (
        ("--every", "1h"),
        ("--at", "2026-03-02T09:00:00Z"),
        ("--cron", "@daily"),
        ("--every", "1h", "--max-runs", "2"),
    ):
        (item,) = plan(aq, "schedule", *when, "--dry-run", "--expires", "30m", "-p", "3", *WORK)
        (task,) = aq.items("schedule", *when, "--expires", "30m", "-p", "3", *WORK, env=NOW)
        for name in ("session", "agent", "argv", "cwd", "due_at", "expires_at", "schedule"):
            if when[0] != "--at" or name != "schedule":
                assert item[name] == task[name], (when, name)
        import shutil

        shutil.rmtree(aq.state_dir)


@pytest.mark.parametrize("given", [(), ("-s", "docs"), ("--", "make")])
def test_next_alone_wants_no_work_and_has_the_same_shape(aq: Driven, given: tuple[str, ...]) -> None:
    words = given if given[:1] != ("--",) else ("--exec", *given)
    (item,) = plan(aq, *SCHEDULE, "--next", "5", *words)
    assert len(item["schedule"]["next"]) == 5 and item["schedule"]["next"][0] == "2026-03-03T08:00:00.000Z"
    assert item["argv"] is None and item["cwd"] is None
    lines = aq(*SCHEDULE, "--next", "2", *words, env=NOW).stdout.splitlines()
    assert lines == [
        "2026-03-03T09:00:00+01:00  Europe/Berlin  2026-03-03T08:00:00.000Z",
        "2026-03-04T09:00:00+01:00  Europe/Berlin  2026-03-04T08:00:00.000Z",
    ]


def test_next_says_how_many_times_a_dry_run_shows(aq: Driven) -> None:
    (item,) = plan(aq, *SCHEDULE, "--next", "5", "--dry-run", *WORK)
    assert item["argv"] == ["make", "all of it"] and len(item["schedule"]["next"]) == 5
    assert aq(*SCHEDULE, "--next", "5", "--dry-run", *WORK, env=NOW).stdout.count("next:") == 5


def test_a_submit_and_a_batch_have_the_same_shape(aq: Driven) -> None:
    (item,) = plan(aq, "submit", "--dry-run", *WORK)
    assert item["schedule"] is None and item["due_at"] == "2026-03-02T10:00:00.000Z"
    text = "".join(json.dumps({"exec": ["echo", f"{n} {n}"], "env": {"A": "hunter-2"}}) + "\n" for n in range(3))
    items = plan(aq, "submit", "--batch", "-", "--dry-run", input=text)
    assert [item["argv"][1] for item in items] == ["0 0", "1 1", "2 2"]
    shown = aq("submit", "--batch", "-", "--dry-run", input=text, env=NOW).stdout
    assert shown.count("cwd:") == 3 and "echo '1 1'" in shown and "hunter-2" not in shown
    assert plan(aq, "submit", "--batch", "-", "--dry-run", input="") == []
