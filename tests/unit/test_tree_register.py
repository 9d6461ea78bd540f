"""The records of trees: what is written is read again, numbers are unique, and a damaged record hides no other."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentq_cli.base.dataclass import replace
from agentq_cli.git.tree_lock import beside
from agentq_cli.trees import register
from agentq_cli.trees.records import TreeRecord


def record(trees: Path, name: str, number: int = 1) -> TreeRecord:
    return TreeRecord(
        number=number,
        path=f"{trees}/{name}",
        session="docs",
        seq=7,
        repository="/r/.git",
        checkout="/r",
        branch=os.fsdecode(b"agentq/\xff"),
        base="main",
        start="1" * 40,
        head="2" * 40,
        made_at=5,
        onto="main",
        set_up=True,
        teardown="a\nb",
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written = record(tmp_path, "a")
    register.write(written)
    assert register.read(written.path) == written
    later = replace(written, head="3" * 40)
    register.write(later)
    assert list(register.entries(str(tmp_path))) == [later]
    register.remove(written.path)
    register.remove(written.path)
    assert register.read(written.path) is None
    assert os.listdir(tmp_path) == []


def test_the_smallest_number_that_is_free_is_given_to_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = threads.map(
            lambda name: register.add(str(tmp_path), lambda number: record(tmp_path, f"t{name}", number)), range(8)
        )
        numbers = [each.number for each in made]
    assert sorted(numbers) == list(range(1, 9))
    register.remove(f"{tmp_path}/t{numbers.index(4)}")
    assert register.add(str(tmp_path), lambda number: record(tmp_path, "new", number)).number == 4


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "[]",
        "{}",
        *({"number": True}, {"number": -1}, {"seq": "7"}, {"branch": ""}, {"repository": "r"}, {"set_up": 1}),
        {"path": "/another"},
    ],
)
def test_a_damaged_record_hides_no_other(tmp_path: Path, damaged: str | dict[str, object]) -> None:
    sound = record(tmp_path, "sound")
    bad = record(tmp_path, "bad", 2)
    register.write(sound)
    register.write(bad)
    file = Path(beside(bad.path, register.WHAT))
    file.write_text(damaged if isinstance(damaged, str) else json.dumps(json.loads(file.read_text()) | damaged))
    with pytest.raises(register.BadRecord, match="bad"):
        register.read(bad.path)
    assert list(register.records(str(tmp_path))) == [sound]
    assert len(list(register.entries(str(tmp_path)))) == 2
