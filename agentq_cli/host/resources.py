"""The memory and load of the machine, and the memory that a run's processes use. Reads `/proc` and cgroup files.

Memory is that of the machine and of every cgroup around the process, from its own to the outermost visible one: version
2 (`memory.max`, `memory.high`), version 1 (`memory.limit_in_bytes`), or both at once. File pages, clean or dirty, count
as available there, as they do in the machine's `MemAvailable`: the kernel reclaims them when it must.
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Iterable, Iterator

from agentq_cli.base.dataclass import NamedTuple, dataclass
from agentq_cli.base.identity import Identity
from agentq_cli.host import process
from agentq_cli.policy.admission import Room

KIB = 1 << 10
NO_LIMIT = 1 << 60
"""Version 1 expresses no limit as the largest number of pages that it can count."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Reads the machine's state, afresh with each call. What cannot be read is left out; nothing is raised.

    `whose` is the process whose cgroups count, `self` or a pid. `proc` replaces `/proc`, and `root` is prepended to
    every mount point found.
    """

    whose: str = "self"
    proc: str = "/proc"
    root: str = ""

    def rooms(self) -> list[Room]:
        """The memory of the machine, and of each cgroup that has a limit."""
        machine = _numbers(self._read(f"{self.proc}/meminfo"), scale=KIB)
        rooms = []
        if "MemTotal" in machine and "MemAvailable" in machine:
            rooms.append(Room(machine["MemTotal"], machine["MemAvailable"]))
        for directory, name, version in self._cgroups():
            room = self._room_v2(directory, name) if version == 2 else self._room_v1(directory, name)
            if room is not None:
                rooms.append(room)
        return rooms

    def load(self) -> float | None:
        """The machine's 1-minute load average."""
        words = self._read(f"{self.proc}/loadavg").split()
        try:
            average = float(words[0])
        except (IndexError, ValueError):
            return None
        return average if math.isfinite(average) else None

    def _cgroups(self) -> Iterator[tuple[str, str, int]]:
        """Directory, name and version of every cgroup around the process that accounts for memory, its own first."""
        mountinfo, membership = (
            self._read(f"{self.proc}/self/mountinfo"),
            self._read(f"{self.proc}/{self.whose}/cgroup"),
        )
        return ((f"{self.root}{place}", name, version) for place, name, version in _places(mountinfo, membership))

    def _room_v2(self, directory: str, name: str) -> Room | None:
        limits = [_number(self._read(f"{directory}/{file}")) for file in ("memory.max", "memory.high")]
        if not any(map(_is_limited, limits)):
            return None
        stat = _numbers(self._read(f"{directory}/memory.stat"))
        reclaimable = sum(stat.get(key, 0) for key in ("inactive_file", "active_file", "slab_reclaimable"))
        return _room(limits, _number(self._read(f"{directory}/memory.current")), reclaimable, name)

    def _room_v1(self, directory: str, name: str) -> Room | None:
        limit = _number(self._read(f"{directory}/memory.limit_in_bytes"))
        if not _is_limited(limit):
            return None
        stat = _numbers(self._read(f"{directory}/memory.stat"))
        reclaimable = stat.get("total_inactive_file", 0) + stat.get("total_active_file", 0)
        return _room([limit], _number(self._read(f"{directory}/memory.usage_in_bytes")), reclaimable, name)

    def _read(self, path: str) -> str:
        try:
            with open(path, "rb") as file:
                return os.fsdecode(file.read())
        except OSError:
            return ""


class Mount(NamedTuple):
    """A mounted cgroup hierarchy that accounts for memory: the cgroup at its root, and the mount point."""

    root: str
    point: str
    version: int


@functools.lru_cache(2)
def _places(mountinfo: str, membership: str) -> tuple[tuple[str, str, int], ...]:
    """The directory, name and version of each cgroup that accounts for memory, from the contents of two files in
    `/proc`.

    They seldom change, and parsing them line by line takes longer than all other checks before a start.
    """
    found = []
    mounts = list(_mounts(mountinfo))
    for line in membership.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        version = 2 if number == "0" and not controllers else 1
        if (version == 1 and "memory" not in controllers.split(",")) or ".." in path.split("/"):
            continue
        fitting = [mount for mount in mounts if mount.version == version]
        # In a container the mount may show only the container's own cgroup, whatever its name outside.
        mount = next((each for each in fitting if _inside(path, each.root)), next(iter(fitting), None))
        if mount is None:
            continue
        below = path[len(mount.root.rstrip("/")) :] if _inside(path, mount.root) else ""
        names = [name for name in below.split("/") if name]
        for depth in range(len(names), -1, -1):
            place = "".join(f"/{name}" for name in names[:depth])
            found.append((f"{mount.point}{place}", f"{mount.root.rstrip('/')}{place}" or "/", version))
    return tuple(found)


def _mounts(mountinfo: str) -> Iterator[Mount]:
    """The mounts of `/proc/self/mountinfo` (proc_pid_mountinfo(5))."""
    for line in mountinfo.splitlines():
        place, _, kind = line.partition(" - ")
        fields, about = place.split(" "), kind.split(" ")
        if len(fields) < 5 or len(about) < 3:
            continue
        if about[0] == "cgroup2" or (about[0] == "cgroup" and "memory" in about[2].split(",")):
            yield Mount(_unescaped(fields[3]), _unescaped(fields[4]), 2 if about[0] == "cgroup2" else 1)


def _unescaped(text: str) -> str:
    r"""A path of mountinfo, in which blanks and backslashes are written like `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _inside(path: str, root: str) -> bool:
    return root == "/" or path == root or path.startswith(f"{root}/")


def _room(limits: Iterable[int | None], current: int | None, reclaimable: int, name: str) -> Room | None:
    limit = min((limit for limit in limits if limit is not None and _is_limited(limit)), default=None)
    if limit is None or current is None:
        return None
    return Room(limit, max(0, limit - current + min(reclaimable, current)), name)


def _is_limited(limit: int | None) -> bool:
    return limit is not None and limit < NO_LIMIT


def _number(text: str) -> int | None:
    """The number in a file with one number; None for `max` and for anything else."""
    return int(text) if text.strip().isdecimal() else None


def _numbers(text: str, *, scale: int = 1) -> dict[str, int]:
    """The name and number of each line, as in `/proc/meminfo` (in KiB) and `memory.stat`."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[1].isdecimal():
            found[words[0].rstrip(":")] = int(words[1]) * scale
    return found


def tree_memory(identities: Iterable[Identity]) -> int | None:
    """The bytes of memory that these processes use together. It adds up the proportional set size of each, so that
    shared pages count once, or the resident set size if that is not readable. None if none of the processes is left."""
    held = [memory for identity in identities if (memory := _memory(identity)) is not None]
    return sum(held) if held else None


def resident(identities: Iterable[Identity]) -> int:
    """The bytes that these processes hold resident, with shared pages counted for each. Never less than
    `tree_memory`, and far cheaper."""
    return sum(_resident(identity.pid) or 0 for identity in identities)


def _memory(identity: Identity) -> int | None:
    if not process.alive(identity):
        return None
    for line in (process.read_file(f"/proc/{identity.pid}/smaps_rollup") or b"").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * KIB
    return _resident(identity.pid)


def _resident(pid: int) -> int | None:
    """The resident set size (proc_pid_statm(5)); None if the process is gone."""
    pages = (process.read_file(f"/proc/{pid}/statm") or b"").split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 else None
