"""Which directories get in each other's way, and what waits for one: against the paths taken apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.agents import profile
from agentq_cli.config.configuration import Config
from agentq_cli.policy import order
from agentq_cli.policy.directories import Directories
from agentq_cli.policy.order import Head, Snapshot

NOW = 1000
paths = st.lists(st.sampled_from(["a", "A", "ab", "b", " ", "é"]), max_size=4).map(lambda names: "/" + "/".join(names))


def related(one: str, other: str) -> bool:
    """One is the other, is inside it or around it."""
    return PurePosixPath(one).is_relative_to(other) or PurePosixPath(other).is_relative_to(one)


@given(st.lists(paths, max_size=5), paths)
def test_a_directory_overlaps_itself_what_is_inside_and_what_is_around(taken: list[str], path: str) -> None:
    assert Directories(taken).overlap(path) == any(related(each, path) for each in taken)


@given(paths, paths)
def test_to_overlap_is_mutual_and_the_root_overlaps_everything(one: str, other: str) -> None:
    assert Directories([one]).overlap(other) == Directories([other]).overlap(one)
    assert Directories([one]).overlap("/")
    assert Directories(["/"]).overlap(one)


def test_a_name_that_begins_with_another_or_differs_in_case_is_another_directory() -> None:
    assert not Directories(["/work/repo"]).overlap("/work/repo2")
    assert not Directories(["/work/repo"]).overlap("/work/Repo")


@pytest.mark.parametrize("name", ["repo", "repo/", "repo/.", "link", "link/../link/", "./repo//"])
def test_the_real_path_counts_however_it_is_spelled(tmp_path: Path, name: str) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "link").symlink_to("repo")
    config = Config(path="")
    assert profile.edited(config, "claude", f"{tmp_path}/{name}") == os.path.realpath(tmp_path / "repo")


def test_the_agent_clis_edit_and_demo_commands_and_unknown_agents_do_not() -> None:
    config = Config(path="")
    assert {name for name in profile.names(config) if profile.profile(config, name).edits} == {
        "claude",
        "codex",
        "gemini",
        "opencode",
    }
    assert profile.edited(config, "claude", "") is None
    assert profile.edited(config, "demo", "/") is None
    assert profile.edited(config, "gone", "/") is None


# The pick


def head(session: str, seq: int, directory: str, **fields: object) -> Head:
    values: dict[str, object] = {
        "agent": "claude",
        "priority": 0,
        "due_at": NOW,
        "expires_at": None,
        "retry": False,
        "shares": False,
        "last_start_at": 0,
    }
    return Head(session, seq, **(values | fields), directory=directory)  # type: ignore[arg-type]


def picked(*heads: Head, edited: Sequence[str] = (), width: int | None = None) -> tuple[str, int] | None:
    found = order.pick(
        Snapshot(heads, directories=edited),
        now=NOW,
        ageing_ms=None,
        parallel=lambda session: width,
        place=lambda head: head.directory,
    )
    return None if found is None else (found.session, found.seq)


def test_what_waits_for_its_directory_holds_up_nothing_elsewhere() -> None:
    assert picked(head("a", 1, "/repo"), head("b", 1, "/other"), edited=["/repo"]) == ("b", 1)
    assert picked(head("default", 1, "/repo"), head("default", 2, "/other"), edited=["/repo"]) == ("default", 2)


def test_a_session_that_runs_one_task_at_a_time_keeps_its_order() -> None:
    heads = (head("a", 1, "/repo"), head("a", 2, "/other"), head("b", 3, "/third"))
    assert picked(*heads, edited=["/repo"], width=1) == ("b", 3)
    assert picked(*heads[:2], edited=["/repo"], width=1) is None
    assert picked(*heads, edited=["/repo"], width=2) == ("a", 2)


def test_a_command_and_a_shared_task_never_wait_for_a_directory() -> None:
    assert picked(head("a", 1, ""), edited=["/"]) == ("a", 1)


def test_what_waits_for_a_directory_goes_before_later_ones_inside_it() -> None:
    heads = (head("a", 1, "/repo", due_at=NOW - 1), head("b", 1, "/repo/inner"), head("c", 1, "/elsewhere", due_at=NOW))
    assert picked(*heads[:2], edited=["/repo/outer"]) is None
    assert picked(*heads, edited=["/repo/outer"]) == ("c", 1)


def test_what_may_not_start_for_another_reason_takes_no_directory() -> None:
    heads = (head("a", 1, "/repo", due_at=NOW + 1), head("b", 1, "/repo/inner"))
    assert picked(*heads, edited=["/repo/outer"]) == ("b", 1)


@given(st.lists(st.tuples(paths, st.integers(1, 3)), min_size=1, max_size=8), st.integers(1, 4))
def test_every_task_starts_and_no_two_ever_edit_in_one_place(tasks: list[tuple[str, int]], slots: int) -> None:
    """Each task is a directory and how many rounds it takes; a stream of new ones inside comes at each round."""
    waiting = {seq: head("default", seq, path, due_at=NOW - 100 + seq) for seq, (path, _) in enumerate(tasks)}
    wanted = set(waiting)
    running: dict[int, tuple[str, int]] = {}
    for turn in range(sum(rounds for _, rounds in tasks) + 5 * len(tasks)):
        later = 1000 + turn
        waiting[later] = head("default", later, "/a/b", due_at=NOW - 50)
        while len(running) < slots:
            found = picked(*waiting.values(), edited=[path for path, _ in running.values()])
            if found is None:
                break
            chosen = waiting.pop(found[1])
            assert not any(related(path, chosen.directory) for path, _ in running.values())
            running[chosen.seq] = (chosen.directory, tasks[chosen.seq][1] if chosen.seq < 1000 else 2)
        assert running, "nothing runs, so something must be able to start"
        running = {seq: (path, left - 1) for seq, (path, left) in running.items() if left > 1}
    assert not wanted & waiting.keys()
