"""A state dir that cannot be written: read-only, full, or beyond the size that files may have.

What reads still reads, what writes says why in one line and stores nothing, and all goes on once there is room.
"""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from agentq_process import Agentq
from driven import Driven, held

pytestmark = pytest.mark.timeout(300)

READING = [
    *(
        ["list", "--all"],
        ["show", "1"],
        ["show", "x/2"],
        ["runs"],
        ["events"],
        ["logs", "1"],
        ["sessions"],
        ["workers"],
    ),
    *(["messages", "-s", "default"], ["wait", "1"], ["sweep", "--dry-run"], ["submit", "--dry-run", "--exec", "true"]),
    *(["prune", "1", "--dry-run"], ["agents"], ["config", "show"]),
]
WRITING = [
    *(["submit", "--exec", "true"], ["submit", "-s", "new", "--exec", "true"], ["submit", "-s", "x", "--exec", "true"]),
    *(["submit", "--wait", "--exec", "true"], ["schedule", "--every", "1h", "--exec", "true"], ["sweep"]),
    *(["cancel", "x/2"], ["pause", "x/2"], ["pause", "--all"], ["pause", "-s", "x"], ["edit", "x/2", "-p", "3"]),
    *(["retry", "1"], ["prune", "1", "--yes"], ["submit", "--batch", "-"]),
]
BATCH = '{"session": "x", "exec": ["true"]}\n{"session": "new", "exec": ["true"]}\n'


class Disk:
    """A file system of the test's own that can be filled and made read-only."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def fill(self) -> None:
        with (self.place / "ballast").open("wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        (self.place / "ballast").unlink()

    def writable(self, yes: bool) -> None:
        subprocess.run(["mount", "-o", f"remount,{'rw' if yes else 'ro'}", str(self.place)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "agentq-test", str(place)]
    found = subprocess.run(mount, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"a file system cannot be mounted here: {found.stderr.strip()}")
    yield Disk(place)
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def aq(disk: Disk, tmp_path: Path) -> Iterator[Driven]:
    """A state dir on that disk, with two tasks that have ended and one that waits."""
    (tmp_path / "home").mkdir()
    program = Agentq(tmp_path / "home", disk.place / "state")
    aq = Driven(program)
    aq.exec("echo", "hello")
    aq.exec("true", given=("-s", "x"))
    aq.drain()
    aq.exec("true", given=("-s", "x"))
    yield aq
    program.stop()


def kept(aq: Driven, name: str = "*.db") -> dict[str, bytes]:
    """The files that hold state, byte for byte."""
    files = (path for path in sorted(aq.state_dir.rglob(name)) if path.stat().st_size)
    return {str(path.relative_to(aq.state_dir)): path.read_bytes() for path in files}


def check(aq: Driven, *words: str) -> None:
    """Reading reads as before, writing is refused with one of the words; no task is different after it."""
    statuses = aq.statuses()
    for command in READING:
        done = aq(*command)
        assert done.stdout, command
    assert [item["id"] for item in aq.items("list", "--all")] == [*statuses]
    for command in WRITING:
        told = aq.refused(*command, code=1, input=BATCH)
        assert any(word in told for word in words), told
        assert str(aq.state_dir) in told, told
    assert aq.statuses() == statuses


def goes_on(aq: Driven) -> None:
    """Nothing of what was refused was done, and everything can be done now."""
    assert aq.statuses() == {"x/2": "queued", "default/1": "completed", "x/1": "completed"}
    assert aq.batch({"session": "new", "exec": ["true"]}, {"session": "x", "exec": ["true"]}) == ["new/1", "x/3"]
    assert aq.exec("true") == "default/2"
    aq("sweep", "--no-wake")
    aq.drain()
    assert set(aq.statuses().values()) == {"completed"}
    for path in aq.state_dir.rglob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)], path


def test_a_read_only_state_dir_is_read_and_not_written(disk: Disk, aq: Driven) -> None:
    before = kept(aq)
    disk.writable(False)
    check(aq, "Read-only file system", "readonly database")
    told = aq.refused("run", "--drain", code=1)
    assert "readonly" in told
    aq.refused("run", "--detach", code=1)
    assert kept(aq) == before
    disk.writable(True)
    goes_on(aq)


def test_a_full_disk_is_read_and_not_written(disk: Disk, aq: Driven) -> None:
    before = kept(aq, "inbound.db")
    disk.fill()
    check(aq, "no space left", "No space left")
    assert kept(aq, "inbound.db") == before
    disk.free()
    goes_on(aq)


def test_on_a_full_disk_waiting_goes_on_waiting(disk: Disk, aq: Driven) -> None:
    """There is no room for its bell: it looks each second instead."""
    disk.fill()
    assert "x/2" in aq.refused("wait", "x/2", "--timeout", "1s", code=124)
    disk.free()
    waiting = aq.start("wait", "x/2")
    aq.drain()
    aq.ended(waiting, 0)


def test_a_supervisor_says_why_it_starts_nothing_on_a_full_disk_and_goes_on_once_there_is_room(
    disk: Disk, aq: Driven
) -> None:
    config = aq.home / "config.toml"
    config.write_text("jobs = 1\n")
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    aq.exec(*held("one"), given=("-p", "50"))
    supervisor = aq.start("run", stderr=subprocess.DEVNULL)
    aq.started("one")
    assert aq.statuses()["x/2"] == "queued"
    disk.fill()
    config.write_text("jobs = 2\n")
    ring(aq)
    assert supervisor.stdout is not None
    told = next(line for line in supervisor.stdout if "trouble" in line)
    assert "no space left" in told and str(aq.state_dir) in told
    assert (aq.statuses()["default/2"], aq.statuses()["x/2"]) == ("running", "queued")
    disk.free()
    aq("wait", "x/2")
    aq.let_go("one")
    aq("wait", "default/2")
    aq.signal(supervisor, signal.SIGTERM)
    aq.ended(supervisor, 143)
    later = [line for line in supervisor.stdout.read().splitlines() if "trouble" in line]
    said = [line.partition(" ")[2] for line in (told.rstrip("\n"), *later)]
    assert sorted(set(said)) == sorted(said), "it is said once of each file"
    assert set(aq.statuses().values()) == {"completed"}


def ring(aq: Driven) -> None:
    """Have a supervisor look, as a commit does; it needs no room."""
    for bell in (aq.state_dir / "bells").iterdir():
        with suppress(OSError):
            descriptor = os.open(bell, os.O_WRONLY | os.O_NONBLOCK)
            os.write(descriptor, b".")
            os.close(descriptor)


@pytest.mark.parametrize("kibibytes", [1, 8, 40, 64])
def test_a_limit_on_the_size_of_files_is_an_error_like_any_other(tmp_path: Path, kibibytes: int) -> None:
    """`ulimit -f`: no signal ends it half way."""
    (tmp_path / "home").mkdir()
    program = Agentq(tmp_path / "home", tmp_path / "state")
    aq = Driven(program)
    aq.exec("true")
    before = aq.statuses()

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kibibytes * 1024, kibibytes * 1024))

    assert aq("list", preexec_fn=limited).stdout.count("default/1") == 1
    for command in (["submit", "-s", "new", "--exec", "true"], ["run", "--drain"], ["sweep", "--no-wake"]):
        told = aq.refused(*command, code=1, preexec_fn=limited)
        assert "disk error" in told
    assert aq.statuses() == before
    aq.drain()
    assert aq.statuses() == {"default/1": "completed"}
    program.stop()
