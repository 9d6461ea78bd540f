"""A full disk: refused, nothing half stored, and all is well again once there is space."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import queue_driver
from queue_driver import Clock, claim_next, command, ended, finish, prompt, start, submit

from agentq_cli.base.errors import Refused
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import Address, RunId

ROOT_ONLY = "a small file system can only be mounted by root"


class Disk:
    """A file system of 3 MiB that can be filled up to the last page."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def fill(self, leave: int = 0) -> None:
        with open(self.place / "ballast", "ab", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096) == 4096:
                    pass
            except OSError:
                pass
            file.truncate(max(0, file.tell() - leave))

    def free(self) -> None:
        (self.place / "ballast").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip(ROOT_ONLY)
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "agentq-test", str(place)]
    found = subprocess.run(mount, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {found.stderr.strip()}")
    yield Disk(place)
    if subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode:
        gc.collect()  # the traceback of a refusal may hold a cursor, and so the file of a connection that is closed
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def queue(disk: Disk) -> Iterator[Queue]:
    with queue_driver.Local(disk.place / "state").open(Clock()) as queue:
        yield queue


def whole(queue: Queue) -> None:
    """Every file passes SQLite's own check."""
    for path in Path(queue.state.path).rglob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)], path
    assert not list(Path(queue.state.path).rglob("*-journal"))


BIG = "x" * 400_000

SUBMITS: dict[str, Callable[[Queue], object]] = {
    "one task": lambda queue: submit(queue, prompt("a", BIG)),
    "many tasks": lambda queue: submit(queue, *[command("a", "x" * 300) for _ in range(1000)]),
    "a batch over sessions": lambda queue: submit(queue, command("a"), prompt("b", BIG), command("c")),
    "a new session": lambda queue: submit(queue, command("new")),
}


@pytest.mark.parametrize("leave", [0, 4096, 40_960, 200_000])
@pytest.mark.parametrize("what", SUBMITS)
def test_a_submit_on_a_full_disk_is_refused_and_nothing_is_half_stored(
    queue: Queue, disk: Disk, what: str, leave: int
) -> None:
    submit(queue, command("a"), command("b"))
    before = list(queue.tasks(ended=True)), list(queue.events())
    disk.fill(leave)
    if what == "a new session" and leave >= 40_960:
        leave = 0
        disk.fill()
    with pytest.raises(Refused, match=str(queue.state.path)):
        SUBMITS[what](queue)
    assert (list(queue.tasks(ended=True)), list(queue.events())) == before
    disk.free()
    whole(queue)
    for batch, committed, sessions, _ in queue.upkeep.batches():
        assert not committed
        queue.upkeep.settle_batch(batch, committed=False, sessions=sessions)
    assert (list(queue.tasks(ended=True)), list(queue.events())) == before
    SUBMITS[what](queue)
    assert len(list(queue.tasks())) > 2
    whole(queue)


def test_what_needs_no_space_goes_on(queue: Queue, disk: Disk) -> None:
    (address,) = submit(queue, command("a"))
    disk.fill()
    assert queue.task(address).status == "queued"
    assert [task.address for task in queue.tasks()] == [address]
    assert len(list(queue.sessions())) == 1


def test_a_change_on_a_full_disk_is_refused_and_can_be_made_later(queue: Queue, disk: Disk) -> None:
    first, second, third = submit(queue, command("a"), command("b"), command("c"))
    run = start(queue, first)
    disk.fill()
    for change in (
        lambda: finish(queue, run),
        lambda: queue.cancel(second),
        lambda: queue.pause(third, reason=None),
        lambda: queue.pause_session("c", reason=None, paused=True),
        lambda: queue.upkeep.note_sweep(),
        lambda: claim_next(queue),
    ):
        with pytest.raises(Refused, match=str(queue.state.path)):
            change()
    assert [queue.task(address).status for address in (first, second, third)] == ["running", "queued", "queued"]
    assert [worker.id for worker in queue.workers()] == [RunId("a", 1, 1)]
    disk.free()
    whole(queue)
    assert finish(queue, run) is not None
    assert list(queue.upkeep.post_results()) == []
    assert [message.id for message in queue.messages("a")] == ["a/1.1"]
    assert queue.cancel(second).status == "cancelled"
    assert ended(queue, Address("c", 1)).status == "completed"


def test_a_state_dir_on_a_full_disk_is_refused(disk: Disk) -> None:
    disk.fill()
    with pytest.raises(Refused, match="state"):
        queue_driver.Local(disk.place / "state").open(Clock())
    disk.free()
    with queue_driver.Local(disk.place / "state").open(Clock()) as queue:
        submit(queue, command("a"))
        whole(queue)
