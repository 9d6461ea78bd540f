"""Probes: memory of the machine and of cgroups of both versions, as recorded files show it; a tree's own memory."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentq_cli.base.identity import Identity
from agentq_cli.host import process
from agentq_cli.host.resources import Resources, tree_memory
from agentq_cli.policy.admission import Room

MIB = 1 << 20
UNLIMITED = "9223372036854771712"

MEMINFO = """MemTotal:        4015104 kB
MemFree:          211420 kB
MemAvailable:    2867564 kB
HugePages_Total:       0
"""
MACHINE = Room(4_015_104 * 1024, 2_867_564 * 1024)

V2_MOUNT = "31 23 0:28 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "36 25 0:31 / /sys/fs/cgroup/memory rw,nosuid,relatime shared:17 - cgroup cgroup rw,memory"
OTHERS = """22 28 0:20 / /sys rw,nosuid - sysfs sysfs rw
35 25 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:16 - cgroup cgroup rw,cpu,cpuacct
33 25 0:28 / /sys/fs/cgroup/systemd rw shared:10 - cgroup cgroup rw,xattr,name=systemd
"""


class Machine:
    """A directory that looks like the files of a machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.resources = Resources(proc=f"{root}/proc", root=str(root))
        self.write("proc/meminfo", MEMINFO)
        self.write("proc/loadavg", "3.60 2.77 3.18 8/102 10201\n")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def cgroups(self, membership: str, *mounts: str) -> None:
        self.write("proc/self/cgroup", membership)
        self.write("proc/self/mountinfo", OTHERS + "".join(f"{mount}\n" for mount in mounts))

    def second(self, path: str, maximum: str | int, current: int, *, high: str | int = "max", stat: str = "") -> None:
        """The files of a cgroup of version 2."""
        place = f"sys/fs/cgroup{path}"
        self.write(f"{place}/memory.max", f"{maximum}\n")
        self.write(f"{place}/memory.high", f"{high}\n")
        self.write(f"{place}/memory.current", f"{current}\n")
        self.write(f"{place}/memory.stat", stat or "anon 1\ninactive_file 0\nactive_file 0\n")

    def first(self, path: str, limit: str | int, usage: int, *, inactive: int = 0, active: int = 0) -> None:
        """The files of a cgroup of version 1."""
        place = f"sys/fs/cgroup/memory{path}"
        self.write(f"{place}/memory.limit_in_bytes", f"{limit}\n")
        self.write(f"{place}/memory.usage_in_bytes", f"{usage}\n")
        stat = f"inactive_file 7\nhierarchical_memory_limit 5\ntotal_inactive_file {inactive}\n"
        self.write(f"{place}/memory.stat", f"{stat}total_active_file {active}\n")

    @property
    def rooms(self) -> list[Room]:
        return self.resources.rooms()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_cgroups_the_machine_counts(machine: Machine) -> None:
    assert machine.rooms == [MACHINE]
    assert machine.resources.load() == 3.6


def test_every_level_of_version_2_counts_with_its_limit(machine: Machine) -> None:
    machine.cgroups("0::/user.slice/user-1000.slice/run-7.scope\n", V2_MOUNT)
    machine.second("/user.slice/user-1000.slice/run-7.scope", "max", 100 * MIB)
    machine.second("/user.slice/user-1000.slice", 800 * MIB, 500 * MIB)
    machine.second("/user.slice", 2000 * MIB, 600 * MIB)
    # The root cgroup has no such files.
    assert machine.rooms == [
        MACHINE,
        Room(800 * MIB, 300 * MIB, "/user.slice/user-1000.slice"),
        Room(2000 * MIB, 1400 * MIB, "/user.slice"),
    ]


def test_files_in_the_cache_are_available_and_never_more_than_the_limit(machine: Machine) -> None:
    machine.cgroups("0::/a\n", V2_MOUNT)
    stat = f"anon 3\ninactive_file {100 * MIB}\nactive_file {50 * MIB}\nslab_reclaimable {10 * MIB}\nshmem 9\n"
    machine.second("/a", 400 * MIB, 300 * MIB, stat=stat)
    assert machine.rooms[1:] == [Room(400 * MIB, 260 * MIB, "/a")]
    machine.second("/a", 400 * MIB, 20 * MIB, stat=stat)
    assert machine.rooms[1:] == [Room(400 * MIB, 400 * MIB, "/a")]


def test_memory_high_is_a_limit_too_and_over_it_nothing_is_left(machine: Machine) -> None:
    machine.cgroups("0::/a\n", V2_MOUNT)
    machine.second("/a", 500 * MIB, 150 * MIB, high=200 * MIB)
    assert machine.rooms[1:] == [Room(200 * MIB, 50 * MIB, "/a")]
    machine.second("/a", "max", 250 * MIB, high=200 * MIB)
    assert machine.rooms[1:] == [Room(200 * MIB, 0, "/a")]


def test_a_container_of_version_2_sees_its_own_cgroup_as_the_root(machine: Machine) -> None:
    machine.cgroups("0::/\n", V2_MOUNT)
    machine.second("", 512 * MIB, 128 * MIB)
    assert machine.rooms[1:] == [Room(512 * MIB, 384 * MIB, "/")]


def test_a_container_that_has_just_its_own_cgroup_mounted(machine: Machine) -> None:
    """The mount's root is the cgroup's name outside: as it is in /proc/self/cgroup, or another where that is hidden."""
    mount = V2_MOUNT.replace(" / /sys", " /docker/abc /sys")
    machine.second("", 512 * MIB, 128 * MIB)
    machine.second("/job", 100 * MIB, 90 * MIB)
    machine.second("/d", 1, 1)
    for membership, rooms in (
        ("0::/docker/abc\n", [Room(512 * MIB, 384 * MIB, "/docker/abc")]),
        (
            "0::/docker/abc/job\n",
            [Room(100 * MIB, 10 * MIB, "/docker/abc/job"), Room(512 * MIB, 384 * MIB, "/docker/abc")],
        ),
        ("0::/docker/abcd\n", [Room(512 * MIB, 384 * MIB, "/docker/abc")]),
        ("0::/\n", [Room(512 * MIB, 384 * MIB, "/docker/abc")]),
    ):
        machine.cgroups(membership, mount)
        assert machine.rooms[1:] == rooms, membership


def test_every_level_of_version_1_counts_with_its_limit(machine: Machine) -> None:
    machine.cgroups("4:memory:/system/job\n3:cpu,cpuacct:/elsewhere\n1:name=systemd:/init\n", V1_MOUNT)
    machine.first("/system/job", 300 * MIB, 200 * MIB, inactive=50 * MIB, active=25 * MIB)
    machine.first("/system", UNLIMITED, 900 * MIB)
    machine.first("", 1000 * MIB, 990 * MIB)
    assert machine.rooms == [
        MACHINE,
        Room(300 * MIB, 175 * MIB, "/system/job"),
        Room(1000 * MIB, 10 * MIB, "/"),
    ]


def test_both_versions_at_once(machine: Machine) -> None:
    unified = V2_MOUNT.replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified ")
    machine.cgroups("8:pids:/\n4:memory:/job\n0::/job\n", V1_MOUNT, unified)
    machine.first("/job", 300 * MIB, 200 * MIB)
    # Memory belongs to version 1, so that the other one has none of its files.
    machine.write("sys/fs/cgroup/unified/job/cgroup.procs", "1\n")
    assert machine.rooms[1:] == [Room(300 * MIB, 100 * MIB, "/job")]


def test_controllers_that_are_mounted_together_and_blanks_in_paths(machine: Machine) -> None:
    mount = r"36 25 0:31 / /sys/fs/cgroup/all\040in\134one rw - cgroup cgroup rw,cpu,memory"
    machine.cgroups("4:cpu,memory:/my job\n", mount)
    place = "sys/fs/cgroup/all in\\one/my job"
    for name, text in (("limit_in_bytes", "100"), ("usage_in_bytes", "60"), ("stat", "")):
        machine.write(f"{place}/memory.{name}", text)
    assert machine.rooms[1:] == [Room(100, 40, "/my job")]


def test_the_cgroups_of_another_process(machine: Machine) -> None:
    machine.cgroups("0::/mine\n", V2_MOUNT)
    machine.write("proc/4711/cgroup", "0::/theirs\n")
    machine.second("/mine", 100 * MIB, 0)
    machine.second("/theirs", 200 * MIB, 0)
    other = Resources("4711", machine.resources.proc, machine.resources.root)
    assert other.rooms() == [MACHINE, Room(200 * MIB, 200 * MIB, "/theirs")]


@pytest.mark.parametrize(
    "membership", ["", "0::/../outside\n", "nonsense\n", "0::\n", ":::::\n", "0::/gone (deleted)\n"]
)
def test_a_membership_that_leads_nowhere_holds_nothing(machine: Machine, membership: str) -> None:
    machine.second("/../outside", 100 * MIB, 0)
    machine.cgroups(membership, V2_MOUNT, "1 2", "- - -", "36 25 0:31 /x - cgroup2 cgroup2")
    assert machine.rooms == [MACHINE]


@pytest.mark.parametrize("file", ["memory.max", "memory.current"])
@pytest.mark.parametrize("text", [None, "", "garbage\n", "-5\n", "1e9\n", "\udcff\n"])
def test_a_number_that_cannot_be_read_is_no_limit(machine: Machine, file: str, text: str | None) -> None:
    machine.cgroups("0::/a\n", V2_MOUNT)
    machine.second("/a", 100 * MIB, 10 * MIB)
    assert len(machine.rooms) == 2
    path = machine.root / "sys/fs/cgroup/a" / file
    path.unlink()
    if text is not None:
        path.write_bytes(os.fsencode(text))
    assert machine.rooms == [MACHINE]


def test_a_garbled_stat_counts_nothing_as_cache(machine: Machine) -> None:
    machine.cgroups("0::/a\n", V2_MOUNT)
    machine.second("/a", 100, 60, stat="inactive_file\nactive_file x\n\n  \nslab_reclaimable 5\n")
    assert machine.rooms[1:] == [Room(100, 45, "/a")]


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    empty = Resources(proc=f"{tmp_path}/proc", root=str(tmp_path))
    assert (empty.rooms(), empty.load()) == ([], None)
    for text in ("", "\n", "high\n", "nan 1 1\n"):
        (tmp_path / "proc").mkdir(exist_ok=True)
        (tmp_path / "proc/loadavg").write_text(text)
        (tmp_path / "proc/meminfo").write_text("MemTotal: lots kB\nMemAvailable: 5 kB\n")
        assert (empty.rooms(), empty.load()) == ([], None)


def test_this_machine_can_be_read() -> None:
    (machine, *cgroups) = Resources().rooms()
    assert machine.cgroup is None
    assert 0 < machine.available < machine.total
    assert all(0 <= room.available <= room.total for room in cgroups)
    assert Resources().load() is not None


# A tree's memory

HOLDER = """
import mmap, os, sys
shared = mmap.mmap(-1, 64 << 20)
shared.write(b"x" * (64 << 20))
children = []
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if not pid:
        shared.seek(0); shared.read()
        os.write(1, b"%d\\n" % os.getpid())
        sys.stdin.read()
        os._exit(0)
os.write(1, b"%d\\n" % os.getpid())
sys.stdin.read()
"""
"""Holds 64 MiB, which its children share and all have mapped and touched."""


@pytest.fixture
def holders() -> Iterator[list[Identity]]:
    """A process and two children of it that share 64 MiB."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        found = [process.identity_of(int(program.stdout.readline())) for _ in range(3)]
        yield [identity for identity in found if identity is not None]


def test_memory_that_a_tree_shares_counts_once(holders: list[Identity]) -> None:
    together, alone = tree_memory(holders), tree_memory(holders[:1])
    assert len(holders) == 3
    assert together is not None
    assert alone is not None
    assert 64 * MIB < together < 2 * 64 * MIB
    assert alone < together


def test_where_shares_cannot_be_read_each_process_counts_in_full(
    holders: list[Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = process.read_file
    monkeypatch.setattr(process, "read_file", lambda path: None if path.endswith("smaps_rollup") else read(path))
    together = tree_memory(holders)
    assert together is not None
    assert together > 3 * 64 * MIB


def test_processes_that_are_gone_or_that_are_others_by_now_hold_nothing(holders: list[Identity]) -> None:
    recycled = holders[0]._replace(start_time=holders[0].start_time + 1)
    assert tree_memory([recycled, Identity(0, 0, "")]) is None
    assert tree_memory([]) is None
    assert tree_memory([recycled, holders[1]]) == pytest.approx(tree_memory(holders[1:2]), rel=0.2)


def test_mapped_memory_of_this_process_shows_in_its_measure() -> None:
    mine = [process.current()]
    before = tree_memory(mine)
    assert before is not None
    with mmap.mmap(-1, 32 * MIB) as held:
        held.write(b"x" * (32 * MIB))
        after = tree_memory(mine)
        assert after is not None
        assert after - before > 24 * MIB
