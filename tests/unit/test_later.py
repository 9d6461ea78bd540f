"""A module that is imported once something of it is used."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from agentq_cli.later import Later

SLOW = """
import threading
threading.Event().wait(0.2)
there = True
"""


def test_threads_that_ask_at_the_same_time_all_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agentq_slow.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = Later("x")
    module._name = "agentq_slow"
    found: list[object] = []

    def ask() -> None:
        found.append(getattr(module, "there", None))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 4
    finally:
        sys.modules.pop("agentq_slow", None)


def test_what_is_not_in_it_is_missing() -> None:
    with pytest.raises(AttributeError):
        getattr(Later("names"), "nothing")  # noqa: B009 - the attribute is what is asked for
    assert Later("names").is_name("a")
