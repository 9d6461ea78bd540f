"""Our paths against the standard ones, which they become for whatever they do not know."""

from __future__ import annotations

import os
import pathlib
from pathlib import Path as Standard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.base.path import Path

parts = st.text("ab.%#? é", min_size=1, max_size=5).filter(lambda text: text not in (".", ".."))


@given(st.lists(parts, min_size=1, max_size=3), parts)
def test_a_path_is_spelled_as_the_standard_one(names: list[str], more: str) -> None:
    ours, theirs = Path("/", *names), Standard("/", *names)
    for mine, standard in ((ours, theirs), (ours / more, theirs / more), (ours.parent, theirs.parent)):
        assert str(mine) == os.fspath(mine) == f"{mine}" == str(standard)
        assert mine == standard and standard == mine and mine == Path(str(standard))
        assert hash(mine) == hash(standard)
        assert {standard: 1}[mine] == {mine: 1}[standard] == 1  # type: ignore[index]
        assert mine.name == standard.name
    assert str(ours.with_name(more)) == str(theirs.with_name(more))
    assert hash(ours / more) == hash(Path(str(theirs / more)))
    assert (ours < Path("/b")) is (str(ours) < "/b")
    assert ours.parts == theirs.parts  # of the standard one


SPELLINGS = ["", ".", "..", "/", "//", "///", "a", "./a", "a/", "a//b", "/a/../b", "//a", "///a", "a/.", " ", "A"]


@pytest.mark.parametrize("text", SPELLINGS)
def test_what_is_equal_hashes_equal_however_it_is_spelled(text: str) -> None:
    for other in (*map(Path, SPELLINGS), *map(Standard, SPELLINGS)):
        for mine in (Path(text), Standard(text)):
            assert mine != other or hash(mine) == hash(other), (mine, other)


def test_it_is_equal_to_paths_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    (entry,) = os.scandir(tmp_path)
    assert os.fspath(entry) == str(Path(entry))
    for other in (entry, str(entry), pathlib.PureWindowsPath(entry), None):
        assert Path(entry) != other


def test_it_finds_makes_reads_and_removes_files(tmp_path: pathlib.Path) -> None:
    place = Path(tmp_path) / "a" / "b"
    assert not place.exists()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.mkdir(mode=0o700, exist_ok=True)
    assert place.exists() and (tmp_path / "a/b").stat().st_mode == place.stat().st_mode
    with pytest.raises(FileExistsError):
        place.mkdir()
    with pytest.raises(FileNotFoundError):
        (place / "c" / "d").mkdir()
    file = place / "file"
    (tmp_path / "a/b/file").write_text("é")
    assert file.read_text(encoding="utf-8") == "é"
    with pytest.raises(FileExistsError):
        file.mkdir(exist_ok=True)
    with file.open("rb") as opened:
        assert opened.read() == "é".encode()
    assert not (file / "below").exists()
    file.unlink()
    file.unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        file.unlink()
    assert not Path("a\0b").exists()


def test_what_nobody_may_look_at_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refused)
    with pytest.raises(PermissionError):
        Path("/x").exists()
