"""The decision: could it start, did we stop it, the stream's final event, the exit code; and the result file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from agentq_cli.agents.reader import Reader, open_reader
from agentq_cli.agents.verdict import STOPPED, crashed, outcome, read_result
from agentq_cli.model import FailureClass, RunStatus


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


@pytest.mark.parametrize("reason", STOPPED)
@pytest.mark.parametrize("code", [0, 143])
def test_what_we_stopped_is_never_a_success(reason: str, code: int) -> None:
    found = outcome(replace(ENDED, exit_code=code, stopped=reason), said(OK))
    status, failure, error = STOPPED[reason]
    assert (found.status, found.failure_class, found.error, found.exit_code) == (status, failure, error, code)
    assert found.status is not RunStatus.SUCCESS
    assert (found.tokens_in, found.tokens_out, found.cost_usd) == (3, 4, 0.5), "it has been paid for"


def test_a_stop_reason_of_a_newer_agentq_is_no_success() -> None:
    found = outcome(replace(ENDED, stopped="preempted"), said(OK))
    assert (found.status, found.failure_class, found.error) == (RunStatus.ERROR, FailureClass.ERROR, "preempted")


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
