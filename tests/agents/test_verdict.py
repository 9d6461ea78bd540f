"""The decision: could it start, was it cancelled, a final event that reports success, did we stop it, any other final
event, the exit code; and the result file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from agentq_cli.agents.reader import Reader, open_reader
from agentq_cli.agents.verdict import LINGER, STOPPED, crashed, outcome, read_result
from agentq_cli.model.statuses import FailureClass, RunStatus


@dataclass(frozen=True)
class Exit:
    """An exit record, of a run that ended with 0 where nothing else is said."""

    exit_code: int | None = 0
    signal: int | None = None
    stopped: str | None = None
    error: str | None = None
    spawn_error: bool = False
    finished_at: int = 2000
    duration_ms: int = 1500
    peak_rss_bytes: int | None = 4096
    stdout_bytes: int = 10
    stderr_bytes: int = 20
    script_outcome: str | None = None
    oom_kills: int | None = None
    stdout_at_stop: int | None = None
    failed: str | None = None


ENDED = Exit()
OK = {"event": "end", "ok": True, "result": "done", "tokens_in": 3, "tokens_out": 4, "cost_usd": 0.5}


def said(*events: dict[str, Any]) -> Reader:
    reader = open_reader("events")
    assert reader is not None
    reader.feed("".join(json.dumps(event) + "\n" for event in events).encode())
    return reader


@pytest.mark.parametrize(
    ("code", "signal", "status", "shown", "error"),
    [
        (0, None, RunStatus.SUCCESS, 0, None),
        (3, None, RunStatus.ERROR, 3, "exit code 3"),
        (None, 15, RunStatus.ERROR, 143, "ended by SIGTERM"),
        (None, 9, RunStatus.ERROR, 137, "ended by SIGKILL"),
        (None, 40, RunStatus.ERROR, 168, "ended by signal 40"),
        (255, None, RunStatus.ERROR, 255, "exit code 255"),
    ],
)
def test_a_command_is_judged_by_its_exit(
    code: int | None, signal: int | None, status: RunStatus, shown: int, error: str | None
) -> None:
    found = outcome(replace(ENDED, exit_code=code, signal=signal), None)
    assert (found.status, found.exit_code, found.signal, found.error) == (status, shown, signal, error)
    assert found.failure_class is (None if status is RunStatus.SUCCESS else FailureClass.ERROR)
    assert (found.finished_at, found.duration_ms, found.peak_rss_bytes) == (2000, 1500, 4096)
    assert (found.stdout_bytes, found.stderr_bytes) == (10, 20)


def test_a_record_without_code_and_signal_is_no_success() -> None:
    assert outcome(replace(ENDED, exit_code=None), None).status is RunStatus.ERROR


@pytest.mark.parametrize("reason", [*STOPPED, "preempted"])
@pytest.mark.parametrize("code", [0, 143])
@pytest.mark.parametrize("events", [[], [{"event": "start"}, {"event": "text"}]], ids=["silent", "in the middle"])
def test_an_exit_code_after_our_own_stop_is_never_a_success(
    reason: str, code: int, events: list[dict[str, Any]]
) -> None:
    for reader in (said(*events), None):
        found = outcome(replace(ENDED, exit_code=code, stopped=reason), reader)
        status, failure, error = STOPPED.get(reason, (RunStatus.ERROR, FailureClass.ERROR, reason))
        assert (found.status, found.failure_class, found.error, found.exit_code) == (status, failure, error, code)
        assert found.status is not RunStatus.SUCCESS


LIMIT = {
    "event": "end",
    "ok": False,
    "class": "rate_limited",
    "error": "5-hour limit",
    "reset_at": "2026-03-29T01:00:00Z",
}


@pytest.mark.parametrize("reason", [*STOPPED, LINGER, "preempted", None])
def test_a_final_event_that_is_ok_decides_whoever_ends_the_process_and_however(reason: str | None) -> None:
    for exit in (ENDED, replace(ENDED, exit_code=3), replace(ENDED, exit_code=None, signal=9, oom_kills=1)):
        found = outcome(replace(exit, stopped=reason), said(OK))
        assert (found.tokens_in, found.tokens_out, found.cost_usd) == (3, 4, 0.5), "it has been paid for"
        if reason == "cancelled":
            assert (found.status, found.failure_class) == (RunStatus.CANCELLED, FailureClass.CANCELLED)
        else:
            assert (found.status, found.failure_class, found.error) == (RunStatus.SUCCESS, None, None)
            assert found.result == "done"
    gone = crashed(said(OK), finished_at=9, duration_ms=8, error="gone", stopped=reason)
    assert gone.status is (RunStatus.CANCELLED if reason == "cancelled" else RunStatus.SUCCESS)
    assert (gone.result, gone.cost_usd) == ("done", 0.5)


@pytest.mark.parametrize("reason", [*STOPPED, LINGER, None])
def test_a_final_event_that_reports_a_failure_decides_where_it_came_before_our_stop(reason: str | None) -> None:
    stopped = replace(ENDED, exit_code=None, signal=9, stopped=reason, stdout_at_stop=100)
    before = outcome(stopped, said(LIMIT), at_stop=said(LIMIT).verdict())
    if reason == "cancelled":
        assert before.status is RunStatus.CANCELLED
        return
    assert (before.status, before.failure_class) == (RunStatus.RATE_LIMITED, FailureClass.RATE_LIMITED)
    assert before.reset_at == 1_774_746_000_000
    # What it says of our own signal is no news.
    after = outcome(stopped, said(LIMIT), at_stop=said().verdict())
    assert after.status is (STOPPED[reason][0] if reason in STOPPED else RunStatus.RATE_LIMITED)
    late = outcome(stopped, said(OK, {"event": "end", "ok": False, "error": "interrupted"}), at_stop=said(OK).verdict())
    assert (late.status, late.result) == (RunStatus.SUCCESS, "done")


def test_a_failure_that_was_reported_before_a_crash_keeps_its_class() -> None:
    found = crashed(said(LIMIT), finished_at=9, duration_ms=8, error="gone")
    assert (found.status, found.reset_at) == (RunStatus.RATE_LIMITED, 1_774_746_000_000)
    # Nobody knows which came first.
    found = crashed(said(LIMIT), finished_at=9, duration_ms=8, error="gone", stopped="stalled")
    assert found.failure_class is FailureClass.STALLED
    assert crashed(said(LIMIT), finished_at=9, duration_ms=8, error="gone", stopped=LINGER).reset_at is not None


def test_what_ended_in_another_turn_after_its_last_word_has_not_said_it() -> None:
    begun = said(OK, {"event": "start", "conversation": "c1"})
    assert outcome(replace(ENDED, stopped="stalled"), begun).status is RunStatus.STALLED
    assert outcome(replace(ENDED, stopped=LINGER), begun).failure_class is FailureClass.NO_VERDICT
    assert crashed(begun, finished_at=9, duration_ms=8, error="gone").status is RunStatus.CRASHED


START, WORK = {"event": "start", "conversation": "c1"}, {"event": "text", "text": "…"}


def ended_with(name: str, **more: Any) -> dict[str, Any]:
    return {"event": "end", "ok": False, "class": name, "error": "no", **more}


@pytest.mark.parametrize(
    ("exit", "events", "nothing"),
    [
        ({}, [START, ended_with("context")], True),
        ({}, [START, ended_with("error")], True),
        ({}, [], True),
        ({"exit_code": 1}, [START], True),
        ({"exit_code": None, "signal": 11}, [START], True),
        ({"stopped": "stalled"}, [], True),
        ({"stopped": "timeout"}, [], True),
        # It began: what it waits for is a network.
        ({"stopped": "stalled"}, [START], False),
        ({"stopped": "timeout"}, [START], False),
        # Something was done.
        ({}, [START, WORK, ended_with("context")], False),
        ({}, [START, WORK, ended_with("error")], False),
        ({}, [START, ended_with("error", turns=2)], False),
        ({}, [START, WORK], False),
        # The conversation has nothing to do with these.
        *(
            ({}, [START, ended_with(name)], False)
            for name in ("auth", "billing", "rate_limited", "network", "overloaded", "config", "denied", "budget")
        ),
        ({"exit_code": None, "signal": 9}, [], False),
        ({"exit_code": None, "signal": 15}, [START], False),
        ({"exit_code": None, "signal": 9, "oom_kills": 1}, [], False),
        ({"stopped": "cancelled"}, [], False),
        ({"stopped": "oom"}, [], False),
        ({"exit_code": None, "spawn_error": True, "error": "no such directory"}, [], False),
        ({"exit_code": None, "script_outcome": "error", "error": "exit code 1"}, [], False),
        ({"exit_code": None, "script_outcome": "skip"}, [], False),
        ({"error": "no space left"}, [], False),
        ({}, [START, OK], False),
    ],
)
def test_a_run_that_failed_before_anything_was_done_is_known(
    exit: dict[str, Any], events: list[dict[str, Any]], nothing: bool
) -> None:
    assert outcome(replace(ENDED, **exit), said(*events)).nothing_done is nothing
    assert not outcome(replace(ENDED, **exit), None).nothing_done, "of what nobody reads nobody knows"


def test_what_could_not_start_says_why() -> None:
    found = outcome(replace(ENDED, exit_code=None, spawn_error=True, error="nope: No such file"), said(OK))
    assert (found.status, found.failure_class) == (RunStatus.SPAWN_ERROR, FailureClass.SPAWN)
    assert found.error == "nope: No such file"


def test_a_run_that_could_not_be_kept_failed_whatever_the_agent_says() -> None:
    found = outcome(replace(ENDED, error="stdout: No space left on device"), said(OK))
    assert (found.status, found.error) == (RunStatus.ERROR, "stdout: No space left on device")


@pytest.mark.parametrize(("code", "signal"), [(0, None), (1, None), (None, 15)])
def test_the_final_event_beats_the_exit_code(code: int | None, signal: int | None) -> None:
    exit = replace(ENDED, exit_code=code, signal=signal)
    assert outcome(exit, said(OK)).status is RunStatus.SUCCESS
    failed = outcome(exit, said({"event": "end", "ok": False, "class": "network", "error": "no route"}))
    assert (failed.status, failed.failure_class, failed.error) == (RunStatus.ERROR, FailureClass.NETWORK, "no route")


@pytest.mark.parametrize(("code", "signal", "ending"), [(0, None, "exit code 0"), (None, 9, "ended by SIGKILL")])
def test_an_agent_that_streams_and_ends_without_a_final_event_has_no_verdict(
    code: int | None, signal: int | None, ending: str
) -> None:
    reader = said({"event": "start", "conversation": "c1"})
    found = outcome(replace(ENDED, exit_code=code, signal=signal), reader)
    assert (found.status, found.failure_class) == (RunStatus.ERROR, FailureClass.NO_VERDICT)
    assert found.error == f"ended without its final event ({ending})"
    assert found.conversation == "c1"


def test_an_agent_that_does_not_stream_is_judged_by_its_exit_too() -> None:
    assert outcome(ENDED, said(), streams=False).status is RunStatus.SUCCESS
    assert outcome(replace(ENDED, exit_code=2), said(), streams=False).failure_class is FailureClass.ERROR


def test_a_limit_carries_its_reset_time_and_other_failures_none() -> None:
    event = {"event": "end", "ok": False, "class": "rate_limited", "reset_at": "2026-03-29T01:00:00.250Z"}
    found = outcome(ENDED, said(event))
    assert (found.status, found.failure_class) == (RunStatus.RATE_LIMITED, FailureClass.RATE_LIMITED)
    assert found.reset_at == 1_774_746_000_250
    assert outcome(ENDED, said({**event, "reset_at": "soon"})).reset_at is None
    assert outcome(ENDED, said({**event, "class": "auth"})).reset_at is None
    assert outcome(replace(ENDED, stopped="cancelled"), said(event)).reset_at is None


def test_a_lost_conversation_is_reported_and_not_kept() -> None:
    event = {"event": "end", "ok": False, "error": "no such", "conversation_lost": True}
    found = outcome(ENDED, said({"event": "start", "conversation": "c1"}, event))
    assert (found.conversation, found.conversation_lost) == (None, True)


@pytest.mark.parametrize("name", ["crashed", "cancelled", "timeout", "made up", 5, None])
def test_an_agent_cannot_name_a_class_that_is_not_its_to_tell(name: object) -> None:
    found = outcome(replace(ENDED, exit_code=1), said({"event": "end", "ok": False, "class": name}))
    assert found.failure_class is FailureClass.ERROR


def test_a_final_event_without_its_line_end_counts() -> None:
    reader = open_reader("events")
    assert reader is not None
    reader.feed(json.dumps(OK).encode())
    assert outcome(ENDED, reader).status is RunStatus.SUCCESS


def test_the_result_file_wins_over_the_text(tmp_path: Path) -> None:
    assert outcome(ENDED, said(OK)).result == "done"
    assert outcome(ENDED, said(OK), result={"a": 0}).result == {"a": 0}
    assert outcome(ENDED, said(OK), result=0).result == 0
    assert outcome(ENDED, None, result=[]).result == []


def test_a_crash_keeps_what_the_stream_had_said() -> None:
    reader = said({"event": "start", "conversation": "c1"})
    found = crashed(reader, finished_at=9, duration_ms=8, error="gone", stdout_bytes=7)
    assert (found.status, found.failure_class, found.conversation) == (RunStatus.CRASHED, FailureClass.CRASHED, "c1")
    assert (found.finished_at, found.duration_ms, found.error, found.stdout_bytes) == (9, 8, "gone", 7)
    assert found.exit_code is None


def test_a_crash_after_the_final_event_says_whose_tokens_it_tells() -> None:
    reader = open_reader("codex")
    assert reader is not None
    reader.feed(b'{"type": "turn.completed", "usage": {"input_tokens": 7, "output_tokens": 2}}\n')
    found = crashed(reader, finished_at=9, duration_ms=8, error="gone")
    assert (found.tokens_in, found.tokens_out, found.tokens_of_conversation) == (7, 2, True)


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, "é"]}, 0, False, "", [], "text"])
def test_a_result_file_is_read_whatever_json_it_holds(tmp_path: Path, value: object) -> None:
    (tmp_path / "result").write_text(json.dumps(value))
    found = read_result(tmp_path / "result")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"NaN", b"[Infinity]", b'{"a": 1} 2', b'"' + b"x" * (1 << 20) + b'"', b"[" * 200_000],
    ids=["empty", "torn", "no text", "NaN", "infinite", "more than one", "too large", "too deep"],
)
def test_what_is_no_result_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result").write_bytes(content)
    assert read_result(tmp_path / "result") is None


def test_a_result_of_exactly_the_limit_is_taken(tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b'"' + b"x" * ((1 << 20) - 2) + b'"')
    assert len(read_result(tmp_path / "result")) == (1 << 20) - 2


def test_a_result_that_is_no_plain_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('"s3cret"')
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    for name in ("link", "pipe", "directory", "missing"):
        assert read_result(tmp_path / name) is None
    assert read_result(Path("/dev/zero")) is None


def test_half_a_surrogate_pair_can_be_stored(tmp_path: Path) -> None:
    (tmp_path / "result").write_text('{"a": "\\ud83d"}')
    json.dumps(read_result(tmp_path / "result"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"exit_code": None, "signal": 9, "oom_kills": 1}, RunStatus.OOM),
        ({"exit_code": 137, "oom_kills": 2}, RunStatus.OOM),
        ({"exit_code": None, "signal": 9, "oom_kills": 0}, RunStatus.ERROR),
        ({"exit_code": None, "signal": 9, "oom_kills": None}, RunStatus.ERROR),
        ({"exit_code": None, "signal": 15, "oom_kills": 1}, RunStatus.ERROR),
        ({"exit_code": 1, "oom_kills": 1}, RunStatus.ERROR),
        ({"exit_code": 0, "oom_kills": 1}, RunStatus.SUCCESS),
        ({"exit_code": None, "signal": 9, "oom_kills": 1, "stopped": "cancelled"}, RunStatus.CANCELLED),
        ({"exit_code": None, "signal": 9, "oom_kills": 1, "stopped": "timeout"}, RunStatus.TIMEOUT),
    ],
)
def test_a_kill_that_nobody_of_us_sent_while_the_kernel_killed_is_oom(
    changes: dict[str, Any], status: RunStatus
) -> None:
    found = outcome(replace(ENDED, **changes), None)
    assert found.status is status
    assert (found.failure_class is FailureClass.OOM) is (status is RunStatus.OOM)


def test_the_final_event_comes_before_the_kernel_s_kill() -> None:
    killed = replace(ENDED, exit_code=None, signal=9, oom_kills=1)
    assert outcome(killed, said(OK)).status is RunStatus.SUCCESS
    failed = outcome(killed, said({"event": "end", "ok": False, "error": "no"}))
    assert failed.status is RunStatus.ERROR
    assert outcome(killed, said()).failure_class is FailureClass.OOM
