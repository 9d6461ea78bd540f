"""The copy of the parsed config file: used only while nothing has changed, and only if nobody else could write it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from agentq_cli.base import clock
from agentq_cli.base.errors import Usage
from agentq_cli.config import configuration, parsed, reading
from agentq_cli.config.configuration import Config

TEXT = """
jobs = 3
[defaults]
env = { NAME = "wert" }
label = ["ä", "b"]
[limits]
load = 1.5
[hooks]
"task.finished" = ["true"]
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state dir."""
    made = tmp_path / "state"
    made.mkdir(0o700)
    return made


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config file; every file counts as changed long enough ago."""
    monkeypatch.setattr(clock, "settled", lambda ctime_ns: True)
    made = tmp_path / "config.toml"
    made.write_text(TEXT)
    return made


def load(file: Path, state: Path | None) -> Config:
    return configuration.load({"AGENTQ_CONFIG": str(file)}, state_dir=None if state is None else str(state))


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the files that were parsed."""
    found: list[str] = []
    parse = reading._parse
    monkeypatch.setattr(reading, "_parse", lambda path, text: (found.append(path), parse(path, text))[1])
    return found


def test_the_second_reading_parses_nothing_and_finds_the_same(file: Path, state: Path, parses: list[str]) -> None:
    first = load(file, state)
    assert load(file, state) == first == load(file, None)
    assert parses == [str(file)] * 2
    assert [path.name for path in state.iterdir()] == [parsed.NAME]
    assert (state / parsed.NAME).stat().st_mode & 0o777 == 0o600


def test_a_changed_file_is_parsed_again(file: Path, state: Path) -> None:
    load(file, state)
    file.write_text(TEXT.replace("3", "4"))
    assert load(file, state).jobs == load(file, state).jobs == 4


def test_another_file_is_parsed(file: Path, state: Path, tmp_path: Path) -> None:
    load(file, state)
    other = tmp_path / "other.toml"
    os.rename(file, other)
    file.write_text("jobs = 5")
    assert load(file, state).jobs == 5
    assert load(other, state).jobs == 3


def test_a_file_that_could_change_unnoticed_is_not_kept(
    file: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "settled", lambda ctime_ns: False)
    load(file, state)
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("text", ["jobs = 0", "jobs =", "[defaults]\nagent = 'nobody'", "when = 2026-01-01"])
def test_a_file_with_an_error_is_not_kept(file: Path, state: Path, text: str) -> None:
    file.write_text(text)
    for _ in range(2):
        with pytest.raises(Usage, match=f"{file}:"):
            load(file, state)
    assert list(state.iterdir()) == []


def test_what_has_become_wrong_is_told_with_its_line(
    file: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('\ntz = "Europe/Berlin"\n')
    load(file, state)
    from agentq_cli.config import zones

    monkeypatch.setattr(zones, "known", lambda name: False)
    with pytest.raises(Usage, match=f"{file}:2: tz 'Europe/Berlin'"):
        load(file, state)


def test_home_is_where_it_is_now(file: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('[defaults]\ncwd = "~/work"\n')
    for home in ("/one", "/two"):
        monkeypatch.setenv("HOME", home)
        assert load(file, state).defaults["cwd"] == f"{home}/work"


def for_all(copy: Path) -> None:
    copy.chmod(0o644)


def linked(copy: Path) -> None:
    copy.rename(copy.with_name("elsewhere"))
    copy.symlink_to("elsewhere")


def linked_twice(copy: Path) -> None:
    copy.with_name("elsewhere").hardlink_to(copy)


def torn(copy: Path) -> None:
    copy.write_bytes(copy.read_bytes()[:-3])


def zeros(copy: Path) -> None:
    copy.write_bytes(bytes(len(copy.read_bytes())))


def not_a_table(copy: Path) -> None:
    copy.write_bytes(copy.read_bytes().partition(b", {")[0] + b", 3]")


def a_directory(copy: Path) -> None:
    copy.unlink()
    copy.mkdir()


def a_fifo(copy: Path) -> None:
    copy.unlink()
    os.mkfifo(copy, 0o600)


@pytest.mark.parametrize(
    "spoil",
    [for_all, linked, linked_twice, torn, zeros, not_a_table, a_directory, a_fifo],
    ids=lambda each: each.__name__,
)
def test_a_copy_that_is_not_fit_is_not_used(file: Path, state: Path, parses: list[str], spoil: object) -> None:
    first = load(file, state)
    assert callable(spoil)
    spoil(state / parsed.NAME)
    assert load(file, state) == first
    assert parses == [str(file)] * 2


def test_where_nothing_can_be_written_the_file_is_read_each_time(file: Path, tmp_path: Path, parses: list[str]) -> None:
    missing = tmp_path / "missing"
    assert load(file, missing) == load(file, missing)
    assert parses == [str(file)] * 2 and not missing.exists()


def test_a_state_dir_that_goes_away_meanwhile_is_no_trouble(
    file: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(new: str, path: str) -> None:
        shutil.rmtree(state)
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "rename", rename)
    assert load(file, state).jobs == 3
    assert not state.exists()
