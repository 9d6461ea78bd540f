"""What an attempt is told of the attempts before it."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.host import checkpoint
from agentq_cli.host.records import read_checkpoint
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.checkpoints import MOST_PATHS, SAID_BYTES, Checkpoint
from agentq_cli.policy.checkpoints import TOLD_BYTES, end_of, told

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=()), min_size=1, max_size=400)
SAYABLE = st.characters(exclude_characters="\0", codec="utf-8")
SAID = st.text(SAYABLE, max_size=SAID_BYTES).map(lambda text: end_of(text, SAID_BYTES))
CHECKPOINTS = st.builds(
    Checkpoint,
    repository=NAMES,
    branch_before=st.none() | NAMES,
    head_before=st.none() | NAMES,
    branch_after=st.none() | NAMES,
    head_after=st.none() | NAMES,
    # A few names again and again: to draw so many different ones takes longest.
    paths=st.builds(
        lambda names, times: tuple(names * times)[:MOST_PATHS], st.lists(NAMES, max_size=9), st.integers(1, MOST_PATHS)
    ),
    more=st.integers(0, 1 << 40),
    said=SAID,
    missing=st.lists(SAID, max_size=4).map(tuple),
)


@given(st.lists(CHECKPOINTS, max_size=3))
def test_what_is_told_fits_and_keeps_its_end(attempts: list[Checkpoint]) -> None:
    text = told(attempts)
    assert len(text.encode("utf-8", "replace")) <= TOLD_BYTES
    assert text == "" or text.endswith("\nSee what is done, and go on from there.")
    for attempt in attempts:
        if attempt.paths:
            assert "Changed files:" in text
        assert read_checkpoint(attempt.document()) == attempt


def test_a_full_one_fits_with_all_that_was_said() -> None:
    full = Checkpoint("/" + "x" * 5000, *("b" * 250, "a" * 64, "c" * 250, "b" * 64), tuple(map(str, range(200))), 7)
    text = told([full._replace(said="é" * 1024, missing=("m" * 300,) * 5)])
    assert 3000 < len(text.encode()) <= TOLD_BYTES
    assert "é" * 700 in text
    assert "and 7 more" in text


def test_attempts_are_told_together_and_one_that_left_nothing_not_at_all() -> None:
    at = Checkpoint("/r", "main", "1", "main", "1")
    first = at._replace(head_after="2", paths=("a", "b"), said="first")
    second = at._replace(head_before="2", head_after="2", paths=("b",))
    text = told([at, first, second, at._replace(head_before="2", head_after="2")])
    assert "Commit: 1 before, 2 after" in text
    assert "\n  b\n  a\n" in text
    assert "\nfirst\n" in text
    assert told([]) == told([at]) == ""


def test_a_checkout_is_found_as_git_finds_it(tmp_path: Path) -> None:
    below = tmp_path / "repository/a/b"
    below.mkdir(parents=True)
    assert checkpoint.find_checkout(str(below), {}) is None
    (tmp_path / "repository/.git").mkdir()
    assert checkpoint.find_checkout(str(below), {}) is None, "an empty .git is none"
    (tmp_path / "repository/.git/HEAD").write_text("ref: refs/heads/main\n")
    assert checkpoint.find_checkout(str(below), {}) == str(tmp_path / "repository")
    ceiling = {"GIT_CEILING_DIRECTORIES": f"/x:{tmp_path / 'repository'}"}
    assert checkpoint.find_checkout(str(below), ceiling) is None
    (below / ".git").write_text("gitdir: elsewhere\n")
    assert checkpoint.find_checkout(str(below), {}) == str(below), "a tree, or a submodule"
    (tmp_path / "link").symlink_to(below.parent)
    assert checkpoint.find_checkout(str(tmp_path / "link"), {}) == str(tmp_path / "repository")
    assert checkpoint.find_checkout(str(tmp_path / "missing"), {}) is None


def test_a_record_of_long_names_can_be_read_again(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "runs/1.1")
    directory.create()
    kept = checkpoint._kept(f"{number:03}" + "\udcff" * 200 for number in range(300))
    assert 0 < len(kept) < MOST_PATHS
    made = Checkpoint("/r", paths=kept, said="\x01" * SAID_BYTES)
    directory.write_checkpoint(made)
    assert directory.checkpoint() == made
    for forged in ({"repository": 1}, {**made.document(), "said": "a\0b"}, {**made.document(), "paths": ["x"] * 999}):
        (tmp_path / "runs/1.1/checkpoint").write_text(json.dumps(forged))
        assert directory.checkpoint() is None
