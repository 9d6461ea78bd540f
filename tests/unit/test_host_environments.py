"""The environments that a machine captured stay on it, one file each, as long as a task refers to them."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from agentq_cli.host import environments
from agentq_cli.host.place import Place

TEXT = '{"PATH": "/opt/bin:/bin", "WORD": "\udc80"}'


def files(place: Place) -> list[str]:
    return sorted(os.listdir(f"{place.path}/environments"))


def test_what_was_kept_is_found_here_and_nowhere_else(tmp_path: Path) -> None:
    here, there = Place(str(tmp_path / "here")), Place(str(tmp_path / "there"))
    number = environments.keep(here, "key", TEXT)
    assert environments.keep(here, "key", TEXT) == number
    assert environments.find(here, number) == TEXT
    assert environments.find(there, number) is None
    assert 0 <= number < 1 << 63
    # The number is in a row that others read: the same environment has another one in each place.
    assert environments.keep(there, "other key", TEXT) != number
    assert files(here) == [str(number)]
    assert stat.S_IMODE(os.stat(f"{here.path}/environments/{number}").st_mode) == 0o600


def test_it_is_forgotten_when_no_task_refers_to_it_and_no_submit_may_be_about_to(tmp_path: Path) -> None:
    place = Place(str(tmp_path))
    asked: list[set[int]] = []

    def referred(numbers: Sequence[int]) -> set[int]:
        asked.append(set(numbers))
        return {wanted} & set(numbers)

    assert environments.forget(place, referred) == 0
    wanted, old, young = (environments.keep(place, "key", text) for text in ("a", "b", "c"))
    for number in (wanted, old):
        os.utime(f"{tmp_path}/environments/{number}", (0, 0))
    assert environments.forget(place, referred) == 1
    assert files(place) == sorted(map(str, (wanted, young)))
    # What was found to be wanted is not asked for again before a day has passed.
    assert environments.forget(place, referred) == 0
    assert asked == [{wanted, old}]
