"""What is known of processes whose pids count elsewhere: in another PID namespace, or in another boot."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentq_cli.base import procfs
from agentq_cli.base.identity import Identity
from agentq_cli.host import attendance, bells, keeper, process, record_files
from agentq_cli.host.records import Start
from agentq_cli.host.ring import held, ring
from agentq_cli.host.run_directory import RunDirectory

BOOT = procfs.boot_id()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "bells").mkdir()
    return tmp_path / "bells"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    (tmp_path / "s").mkdir()
    found = RunDirectory(tmp_path / "s" / "runs" / "1.1")
    found.create()
    yield found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end


def hang(directory: Path, identity: Identity) -> int:
    """A bell of that name, held open."""
    os.mkfifo(directory / identity.name)
    return os.open(directory / identity.name, os.O_RDWR | os.O_NONBLOCK)


def test_a_realm_is_the_boot_and_any_namespace_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    links = {"/proc/self/ns/pid": procfs.FIRST_NAMESPACE, "/proc/self": str(os.getpid())}
    monkeypatch.setattr(os, "readlink", links.__getitem__)
    for namespace, self, realm in (
        (procfs.FIRST_NAMESPACE, str(os.getpid()), BOOT),
        ("pid:[4026532201]", str(os.getpid()), f"{BOOT}/4026532201"),
        ("pid:[4026532201]", "4711", f"{BOOT}/4026532201?"),
    ):
        monkeypatch.setattr(procfs, "_realm", None)
        links |= {"/proc/self/ns/pid": namespace, "/proc/self": self}
        assert procfs.realm() == realm
        assert procfs.boot_of(realm) == BOOT


def test_names_of_bells_differ_where_pids_count_apart() -> None:
    assert Identity(7, 100, "b").name == "7-100"
    assert Identity(7, 100, "b/12").name == "7-100-12"


@pytest.mark.parametrize("boot", ["another", f"{BOOT}/12", "another/12"])
def test_a_process_elsewhere_lives_for_as_long_as_it_holds_its_bell(directory: Path, boot: str) -> None:
    # This very pid lives here; that says nothing of one elsewhere.
    identity = process.current()._replace(boot_id=boot)
    assert not attendance.lives(identity, directory)
    bell = hang(directory, identity)
    assert attendance.lives(identity, directory)
    os.close(bell)
    assert not attendance.lives(identity, directory)


def test_a_process_of_this_realm_lives_with_or_without_a_bell(directory: Path) -> None:
    assert attendance.lives(process.current(), directory)
    assert not attendance.lives(process.current()._replace(start_time=1), directory)


def test_a_bell_that_nobody_holds_is_removed_and_one_that_is_being_hung_is_not(directory: Path) -> None:
    abandoned, hanging = Identity(7, 1, f"{BOOT}/12"), directory / ".8-1"
    os.close(hang(directory, abandoned))
    os.mkfifo(hanging)
    with bells.Bell(directory) as mine:
        ring(directory)
        assert mine.wait(0)
        assert held(mine.path)
        assert sorted(path.name for path in directory.iterdir()) == sorted([os.path.basename(mine.path), hanging.name])
    assert not held(mine.path)


def test_a_bell_is_not_rung_through_a_link(directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    (directory / "9-9").symlink_to(target)
    ring(directory)
    assert target.read_bytes() == b""


def test_a_keeper_elsewhere_lives_for_as_long_as_it_locks_its_record(run: RunDirectory) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(writer)
            taken = run.write_start(Start(process.current()._replace(boot_id=f"{BOOT}/12"), 1, 1))
            os._exit(0 if taken and os.read(reader, 1) == b"" else 1)
        finally:
            os._exit(2)
    try:
        until(lambda: run.start() is not None)
        start = run.start()
        assert isinstance(start, Start)
        assert start.locked
        assert keeper.is_foreign(start)
        assert keeper.keeps(run, start)
        assert keeper.pidfd(start) is None
        assert not keeper.wait(run, start, 1)
    finally:
        os.close(writer)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        os.close(reader)
    assert keeper.wait(run, start, 1)
    assert not keeper.keeps(run, start)


def test_a_record_without_locks_tells_nothing_but_its_boot(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_files, "lock", lambda descriptor, *, shared=False: False)
    assert run.write_start(Start(process.current()._replace(boot_id=f"{BOOT}/12"), 1, 1))
    start = run.start()
    assert isinstance(start, Start)
    assert not start.locked
    assert keeper.keeps(run, start)
    assert not keeper.keeps(run, start._replace(identity=start.identity._replace(boot_id="another/12")))
