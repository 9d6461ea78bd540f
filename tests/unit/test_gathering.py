"""Which ends are waited for, so that they are one commit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agentq_cli.supervise import gathering

NOW = 1_000_000


class Poll:
    """Lines that become readable at their times; the clock goes on while it waits."""

    def __init__(self, ends: dict[int, int]) -> None:
        self.now = NOW
        self.ends = ends

    def poll(self, wait_ms: int) -> list[tuple[int, int]]:
        until = self.now + wait_ms
        ready = sorted(line for line, at in self.ends.items() if at <= until)
        soonest = min((self.ends[line] for line in ready), default=until)
        self.now = max(self.now, soonest)
        return [(line, 1) for line in ready if self.ends[line] <= self.now]

    def unregister(self, line: int) -> None:
        del self.ends[line]


def run(began: int, ends: int, session: str = "s") -> tuple[int, int, str]:
    """A run that began so many milliseconds ago, and ends so many from now."""
    return began, ends, session


@pytest.mark.parametrize(
    ("runs", "ended", "waited"),
    [
        ([run(2, 0), run(2, 3)], [0, 1], 3),
        ([run(2, 0), run(2, 3), run(2, 7)], [0, 1, 2], 7),
        ([run(2, 0), run(2, 60_000)], [0], 10),  # for no longer than a commit takes
        ([run(2, 5), run(2, 8)], [], 0),  # not before one has ended
        ([run(2, 0), run(11, 3)], [0], 0),  # what lasts
        ([run(21, 0), run(2, 3)], [0], 0),  # for one that has lasted itself
        ([run(2, 0), run(2, 3, "other")], [0], 0),  # never one commit
        ([run(21, 0), run(2, 1), run(2, 0, "other")], [0, 2], 0),
    ],
)
def test_a_short_run_waits_for_as_short_ones_of_its_session(monkeypatch, runs, ended, waited) -> None:
    poll = Poll({line: NOW + ends for line, (_, ends, _) in enumerate(runs)})
    monkeypatch.setattr(gathering, "monotonic_ms", lambda: poll.now)
    watched = [
        SimpleNamespace(began=NOW - began, ended=False, worker=SimpleNamespace(session=session))
        for began, _, session in runs
    ]
    gathering.see_ends(poll, dict(enumerate(watched)), 10)
    assert [line for line, each in enumerate(watched) if each.ended] == ended
    assert poll.now - NOW == waited
