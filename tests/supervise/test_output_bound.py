"""The bound of an output file, and reading it while and after it was cut."""

from __future__ import annotations

import errno
import os

import pytest
from supervised_runs import until

from agentq_cli.host import kernel, output
from agentq_cli.host.bound import BoundedOutput
from agentq_cli.host.output import OutputReader
from agentq_cli.host.run_directory import RunDirectory

MIB = 1 << 20


def text_of(directory: RunDirectory, offset: int = 0) -> bytes:
    return b"".join(OutputReader(directory, "stdout", offset).whole())


def last_lines(directory: RunDirectory, lines: int) -> bytes:
    return b"".join(OutputReader(directory, "stdout").tail(lines).whole())


def used(path: str) -> int:
    """Bytes on disk; the file system may count a block of its own bookkeeping."""
    return os.stat(path).st_blocks * 512 - 4096


@pytest.fixture
def directory(tmp_path) -> RunDirectory:
    (tmp_path / "s").mkdir()
    directory = RunDirectory(tmp_path / "s" / "runs" / "1.1")
    directory.create()
    return directory


@pytest.fixture
def without_holes(monkeypatch) -> None:
    def refused(descriptor: int, begin: int, end: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(kernel, "punch_hole", refused)


def test_a_hundred_megabytes_stay_within_a_bound_of_one_while_the_agent_runs(runs, tmp_path) -> None:
    os.mkfifo(tmp_path / "go")
    script = (
        "i=0; while [ $i -lt 100 ]; do head -c 1048576 /dev/zero | tr '\\0' \"x\"; i=$((i+1)); done;"
        f" echo; echo the newest line; echo ready >&2; read line < {tmp_path}/go"
    )
    run = runs.shell("echo the first line; " + script, output_bytes=MIB)
    until(lambda: "ready" in run.text("stderr"), "all is written")
    stdout = str(run.path("stdout"))
    until(lambda: used(stdout) <= MIB, "the bound is kept while it runs")
    assert run.directory.exit() is None
    (tmp_path / "go").write_text("\n")
    record = run.ended()
    written = len("the first line\n") + 100 * MIB + len("\nthe newest line\n")
    assert (record.exit_code, record.stdout_bytes) == (0, written)
    assert os.stat(stdout).st_size == written, "offsets are no longer valid"
    assert used(stdout) <= MIB
    read = text_of(run.directory)
    assert read.startswith(b"the first line\nxxx")
    assert read.endswith(b"xxx\nthe newest line\n")
    missing = OutputReader(run.directory, "stdout").cut_bytes()
    assert output.mark(missing) in read
    assert len(read) == written - missing + len(output.mark(missing))
    assert b"\0" not in read


def test_output_within_its_bound_is_whole(runs) -> None:
    run = runs.shell("head -c 1048576 /dev/zero | tr '\\0' x", output_bytes=MIB)
    assert run.ended().stdout_bytes == MIB
    assert text_of(run.directory) == b"x" * MIB
    assert OutputReader(run.directory, "stdout").cut_bytes() == 0


def test_without_holes_the_head_stays_and_what_follows_is_read_behind_the_mark(directory, without_holes) -> None:
    bounded = BoundedOutput(directory, "stdout", MIB)
    os.write(bounded.descriptor, b"h" * MIB)
    bounded.enforce()
    os.write(bounded.descriptor, b"lost" * MIB)
    bounded.enforce()
    os.write(bounded.descriptor, b"after the cut\n")
    bounded.enforce()
    assert os.stat(directory.file("stdout")).st_size <= MIB
    assert bounded.logical_size() == 5 * MIB + 14
    missing = OutputReader(directory, "stdout").cut_bytes()
    assert text_of(directory) == b"h" * (MIB // 2) + output.mark(missing) + b"after the cut\n"
    assert MIB // 2 + missing + 14 == bounded.logical_size()
    assert text_of(directory, bounded.logical_size() - 4) == b"cut\n"


def test_a_cut_is_recorded_before_it_is_made(directory, monkeypatch) -> None:
    punch = kernel.punch_hole
    seen = []

    def watched(descriptor: int, begin: int, end: int) -> None:
        cut = directory.cut("stdout")
        seen.append(cut is not None and cut.begin <= begin and end <= cut.end)
        punch(descriptor, begin, end)

    monkeypatch.setattr(kernel, "punch_hole", watched)
    bounded = BoundedOutput(directory, "stdout", 64 * 1024)
    for _ in range(3):
        os.write(bounded.descriptor, b"x" * 100_000)
        bounded.enforce()
    assert seen == [True, True, True]


@pytest.mark.parametrize("holes", [True, False])
def test_a_follower_reads_no_zeros_and_nothing_twice(directory, holes, request) -> None:
    if not holes:
        request.getfixturevalue("without_holes")
    bounded = BoundedOutput(directory, "stdout", 64 * 1024)
    read = []
    with OutputReader(directory, "stdout") as reader:
        for number in range(2000):
            os.write(bounded.descriptor, b"%06d %s\n" % (number, b"." * 200))
            if number % 10 == 0:
                read.append(reader.read(1000))
            if number % 50 == 0:
                bounded.enforce()
        while piece := reader.read():
            read.append(piece)
        assert reader.offset == reader.size() == 2000 * 208
    text = b"".join(read)
    assert b"\0" not in text
    lines = [line for line in text.split(b"\n") if len(line) == 207 and line[7:] == b"." * 200]
    assert lines == sorted(set(lines))
    assert b"bytes cut here]" in text
    assert b"000000 " in text
    assert b"001999 " in text


def test_a_cut_between_looking_and_reading_is_noticed(directory, monkeypatch) -> None:
    bounded = BoundedOutput(directory, "stdout", 64 * 1024)
    os.write(bounded.descriptor, b"x" * 400_000)
    pread = os.pread

    def slow(descriptor: int, limit: int, offset: int) -> bytes:
        bounded.enforce()
        return pread(descriptor, limit, offset)

    with OutputReader(directory, "stdout", 200_000) as reader:
        monkeypatch.setattr(os, "pread", slow)
        piece = reader.read()
        assert piece == output.mark(reader.offset - 200_000)
        rest = reader.read()
        assert rest == b"x" * len(rest)


@pytest.mark.parametrize(
    ("text", "lines", "tail"),
    [
        (b"one\ntwo\nthree\n", 2, b"two\nthree\n"),
        (b"one\ntwo\nthree", 2, b"two\nthree"),
        (b"one\ntwo\n", 5, b"one\ntwo\n"),
        (b"one\n\n\n", 2, b"\n\n"),
        (b"one", 1, b"one"),
        (b"one\ntwo\n", 0, b""),
        (b"", 3, b""),
        (b"x" * 200_000 + b"\n" + b"y" * 200_000 + b"\nend\n", 2, b"y" * 200_000 + b"\nend\n"),
    ],
)
def test_the_last_lines(directory, text, lines, tail) -> None:
    with open(directory.file("stdout"), "wb") as file:
        file.write(text)
    assert last_lines(directory, lines) == tail


def test_more_last_lines_than_follow_a_cut_begin_with_its_mark(directory) -> None:
    bounded = BoundedOutput(directory, "stdout", 64 * 1024)
    os.write(bounded.descriptor, b"head\n" + b"x" * 400_000 + b"\nend\n")
    bounded.enforce()
    tail = last_lines(directory, 10)
    assert tail.startswith(output.mark(OutputReader(directory, "stdout").cut_bytes()) + b"xxx")
    assert tail.endswith(b"xxx\nend\n")
    assert last_lines(directory, 1) == b"end\n"


def test_output_that_is_not_there_yet_is_empty(directory) -> None:
    with OutputReader(directory, "stdout") as reader:
        assert reader.read() == b""
        assert reader.size() == 0
        with open(directory.file("stdout"), "wb") as file:
            file.write(b"now")
        assert reader.read() == b"now"
    assert OutputReader(directory, "stderr").tail(3).offset == 0


def test_reading_what_an_agent_still_writes_comes_to_an_end(directory, monkeypatch) -> None:
    bounded = BoundedOutput(directory, "stdout", MIB)
    os.write(bounded.descriptor, b"x" * 100)
    pread = os.pread

    def growing(descriptor: int, limit: int, offset: int) -> bytes:
        os.write(bounded.descriptor, b"y" * 100_000)
        return pread(descriptor, limit, offset)

    monkeypatch.setattr(os, "pread", growing)
    assert text_of(directory) == b"x" * 100
