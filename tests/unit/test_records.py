from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from agentq_cli.host import kernel, process
from agentq_cli.host.records import Cut, Exit, Start, Stop, Void
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.runs import Check
from agentq_cli.model.trees import Came, Landing, Left

ENDED = Exit(
    exit_code=0,
    signal=None,
    stopped=None,
    error=None,
    spawn_error=False,
    finished_at=1_700_000_000_000,
    duration_ms=12,
    peak_rss_bytes=4096,
    stdout_bytes=1,
    stderr_bytes=2,
)


def start_of_mine() -> Start:
    return Start(process.current(), 1_700_000_000_000, 123, locked=True)


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    (tmp_path / "s").mkdir()
    directory = RunDirectory(tmp_path / "s" / "runs" / "1.1")
    directory.create()
    return directory


def test_nothing_is_recorded_in_a_directory_that_is_not_there(tmp_path) -> None:
    directory = RunDirectory(tmp_path / "none")
    assert (directory.start(), directory.stop(), directory.exit(), directory.agent()) == (None, None, None, None)
    assert directory.cut("stdout") is None
    assert os.listdir(tmp_path) == []


def test_records_come_back_as_they_were_written(directory) -> None:
    start = start_of_mine()
    assert directory.write_start(start)
    assert directory.start() == start
    directory.write_agent(*process.own_start())
    assert directory.agent() == process.current()
    assert directory.post_stop("cancelled", 5)
    assert directory.stop() == Stop("cancelled", 5)
    directory.reserve_exit().write(ENDED)
    assert directory.exit() == ENDED
    directory.write_cut("stderr", Cut(4096, 8192, punched=True))
    assert directory.cut("stderr") == Cut(4096, 8192, punched=True)
    assert sorted(os.listdir(directory.path)) == ["exit", "start", "stderr.cut", "stop"]


def test_directories_and_records_are_private_without_a_umask(tmp_path) -> None:
    directory = RunDirectory(tmp_path / "runs" / "1.1")
    before = os.umask(0)
    try:
        directory.create()
        directory.write_start(start_of_mine())
        directory.write_agent(*process.own_start())
        directory.post_stop("cancelled", 1)
        directory.write_cut("stdout", Cut(0, 1, punched=True))
        directory.reserve_exit().write(ENDED)
    finally:
        os.umask(before)
    for path in (directory.path, os.path.dirname(directory.path)):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    for name in os.listdir(directory.path):
        assert stat.S_IMODE(os.stat(directory.file(name)).st_mode) == 0o600, name


def test_a_void_keeps_a_late_shim_out_and_makes_the_directory_it_needs(tmp_path) -> None:
    directory = RunDirectory(tmp_path / "runs" / "1.1")
    assert directory.write_void(77)
    assert directory.start() == Void(77)
    assert not directory.write_start(start_of_mine())
    assert directory.start() == Void(77)


def test_a_start_keeps_a_late_void_out(directory) -> None:
    assert directory.write_start(start_of_mine())
    assert not directory.write_void(77)
    assert directory.start() == start_of_mine()


def test_a_void_in_a_session_that_does_not_exist_is_an_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        RunDirectory(tmp_path / "gone" / "runs" / "1.1").write_void(1)


def test_of_many_at_once_one_takes_the_run(directory) -> None:
    gate, open_gate = os.pipe()
    children = []
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            os.close(open_gate)
            os.read(gate, 1)
            won = directory.write_void(number) if number % 2 else directory.write_start(start_of_mine())
            os._exit(1 if won else 0)
        children.append(pid)
    os.close(open_gate)
    os.close(gate)
    assert sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children) == 1


def test_the_first_reason_to_stop_stays(directory) -> None:
    assert directory.post_stop("timeout", 1)
    assert not directory.post_stop("cancelled", 2)
    assert directory.stop() == Stop("timeout", 1)


@pytest.mark.parametrize("torn", [b"", b'{"exit_code": 0, "sig', b"null\n", b'{"exit_code": 0}', b"\xff\x00"])
def test_an_empty_or_torn_exit_record_counts_as_none(directory, torn) -> None:
    Path(directory.file("exit")).write_bytes(torn)
    assert directory.exit() is None


def test_an_exit_record_of_a_newer_agentq_is_read(directory) -> None:
    Path(directory.file("exit")).write_text(json.dumps({"extra": 1} | ENDED._asdict()))
    assert directory.exit() == ENDED


def test_a_check_of_an_older_agentq_has_no_tree(directory) -> None:
    check = Check(0, None, None, None, duration_ms=1, output_bytes=2, tree="a" * 64)
    record = ENDED._replace(check=check)
    Path(directory.file("exit")).write_text(json.dumps(record.document()))
    assert directory.exit() == record
    older = {name: value for name, value in check._asdict().items() if name not in ("tree", "command")}
    Path(directory.file("exit")).write_text(json.dumps(record._asdict() | {"check": older}))
    assert directory.exit() == record._replace(check=check._replace(tree=None))


LEFT = Left("/r", "/t", "b", "0" * 40, "1" * 40, 1, 2, 3, 4, False, "2" * 40, None)
LANDING = Landing("main", Came.LANDED, "3" * 64, "4" * 64, ("a\nb", "c"), None)


@pytest.mark.parametrize(("name", "record"), [("left", LEFT), ("landing", LANDING)])
def test_a_record_of_a_tree_comes_back_and_counts_as_none_if_anything_in_it_is_not_what_it_should_be(
    directory, name: str, record: Left | Landing
) -> None:
    def read(values: object) -> object:
        Path(directory.file(name)).write_text(json.dumps(values))
        return getattr(directory, name)()

    assert getattr(directory, name)() is None
    assert read(record._asdict()) == record
    assert type(read(record._asdict())) is type(record)
    assert read([]) is None
    words, texts = ["--help", "0" * 39], ("repository", "worktree", "branch", "into", "why")
    for key in record._fields:
        others = (-1, 1 << 62, 1.5, True, *words, {}, [1])
        taken = [each for each in others if read(record._asdict() | {key: each}) is not None]
        assert taken == (words if key in texts else [True] if key == "dirty" else []), key
        assert read({each: value for each, value in record._asdict().items() if each != key}) is None, key


@pytest.mark.parametrize("torn", [b"", b'{"pid": 12, "sta'])
def test_a_torn_start_record_names_nobody_alive_and_keeps_the_run_taken(directory, torn) -> None:
    Path(directory.file("start")).write_bytes(torn)
    start = directory.start()
    assert isinstance(start, Start)
    assert not process.alive(start.identity)
    assert not directory.write_start(start_of_mine())


def test_exit_space_is_on_disk_before_there_is_a_record(directory) -> None:
    slot = directory.reserve_exit()
    (reserved,) = os.listdir(directory.path)
    assert os.stat(directory.file(reserved)).st_blocks * 512 >= 4096
    assert directory.exit() is None
    assert not slot.disk_full()
    slot.write(ENDED._replace(error="x" * 100_000))
    record = directory.exit()
    assert record is not None
    assert record.error == "x" * 500
    assert os.listdir(directory.path) == ["exit"]


def test_exit_space_has_its_place_with_the_start_record_and_says_if_that_was_taken_away(directory) -> None:
    slot = directory.reserve_exit()
    assert directory.write_start(start_of_mine(), slot=slot)
    assert (sorted(os.listdir(directory.path)), directory.exit()) == (["exit", "start"], None)
    Path(directory.file("exit")).rename(directory.file("moved"))
    Path(directory.file("exit")).write_text("{}")
    with pytest.raises(FileNotFoundError, match="exit"):
        slot.write(ENDED)
    directory.reserve_exit().write(ENDED)
    assert directory.exit() == ENDED


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_space_cannot_be_reserved_zeros_hold_it_and_are_no_record(directory, monkeypatch, number: int) -> None:
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(kernel, "reserve", refuse)
    slot = directory.reserve_exit()
    assert directory.write_start(start_of_mine(), slot=slot)
    assert (os.path.getsize(directory.file("exit")), directory.exit()) == (4096, None)
    assert not slot.disk_full()
    slot.write(ENDED)
    assert (directory.exit(), Path(directory.file("exit")).read_bytes()[-2:]) == (ENDED, b"}\n")


def test_exit_space_can_be_given_back(directory) -> None:
    directory.reserve_exit().release()
    assert os.listdir(directory.path) == []
