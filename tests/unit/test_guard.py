"""The guard around what a loop does in each session: put off ever longer, told once, forgotten once it goes well."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.base.errors import AgentqError, Busy, Refused, Unreadable
from agentq_cli.supervise import guard
from agentq_cli.supervise.guard import LASTING_AGAIN_MS, LONGEST_AGAIN_MS, Guard


class Time:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(guard, "monotonic_ms", time)
    return time


def fail(of: Guard, error: Exception, session: str | None = "s", step: str = "start") -> None:
    with of.guarding(session, step):
        raise error


def put_off_for(of: Guard, time: Time, session: str | None = "s", step: str = "start") -> int:
    """How many milliseconds pass until the step may be tried again."""
    (moment,) = of.moments()
    assert not of.may_run(session, step)
    before, time.now = time.now, moment
    assert of.may_run(session, step)
    return moment - before


ERRORS = [
    Busy("it is locked"),
    Refused("the disk is full"),
    OSError(errno.ENOTDIR, "Not a directory", "runs"),
    Unreadable("it is corrupt"),
    sqlite3.DatabaseError("anything"),
    RecursionError(),
    ValueError("a bug"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_fails_is_tried_again_ever_more_rarely_and_never_ends_the_loop(time: Time, error: Exception) -> None:
    of, waits = Guard(), []
    for _ in range(12):
        fail(of, error)
        waits.append(put_off_for(of, time))
    assert waits[0] == guard.AGAIN_MS and waits == sorted(waits)
    passing = isinstance(error, Busy | Refused | OSError)
    assert waits[-1] == (LONGEST_AGAIN_MS if passing else LASTING_AGAIN_MS)
    assert bool(of.lasting("start")) is not passing


def test_of_what_all_have_in_common_only_what_passes_is_caught(time: Time) -> None:
    fail(Guard(), Busy("it is locked"), None)
    fail(Guard(), OSError(errno.EMFILE, os.strerror(errno.EMFILE)), None)
    for error in (Unreadable("the index is corrupt"), ValueError("a bug")):
        with pytest.raises(type(error)):
            fail(Guard(), error, None)
    with pytest.raises(KeyboardInterrupt), Guard().guarding("s", "start"):
        raise KeyboardInterrupt


def test_trouble_is_told_once_and_a_lock_only_once_it_lasts(time: Time) -> None:
    of, told = Guard(), []
    for _ in range(8):
        fail(of, Unreadable("it is corrupt"), "bad")
        fail(of, Unreadable("it is corrupt"), "bad", "expire")
        fail(of, Busy("it is locked"), "busy")
        told.append(of.take_unreported())
        time.now += LASTING_AGAIN_MS
    assert told[0] == [("bad", "it is corrupt")]
    assert [each for each in told[1:] if each] == [[("busy", "it is locked")]]
    of.clear("bad", "start")
    fail(of, Unreadable("it is corrupt again"), "bad")
    assert of.take_unreported() == [("bad", "it is corrupt again")]


STEPS = st.tuples(st.sampled_from("abc"), st.sampled_from(["start", "expire"]), st.sampled_from([None, *ERRORS[:5]]))


@given(st.lists(STEPS, max_size=30))
def test_a_session_is_in_trouble_as_long_as_its_last_try_of_a_step_failed(tries: list) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(guard, "monotonic_ms", lambda: 0)
        of = Guard()
        last: dict[tuple[str, str], Exception | None] = {}
        for session, step, error in tries:
            last[session, step] = error
            with of.guarding(session, step) as tried:
                if error is not None:
                    raise error
            assert (tried.error is None) is (error is None)
            assert tried.error is None or isinstance(tried.error, AgentqError)
        for step in ("start", "expire"):
            assert of.put_off(step) == {
                name for (name, what), error in last.items() if what == step and error is not None
            }


def test_the_want_of_descriptors_is_one_trouble_of_the_process(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    of = Guard()
    assert guard.few_descriptors() is None
    monkeypatch.setattr(guard, "few_descriptors", lambda: "out of them")
    for session in "abc":
        fail(of, OSError(errno.EMFILE, "Too many open files"), session)
    assert of.take_unreported() == [(None, "out of them")] and of.general_trouble() == "out of them"
    time.now += LONGEST_AGAIN_MS
    assert of.general_trouble() is None
