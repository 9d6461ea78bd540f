"""The kind of file system that a path is on. Loaded by processes that must start at once."""

from __future__ import annotations

import os

# POSIX locks are unreliable or absent on these, and SQLite's rollback needs them.
NETWORK = (*("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "afs", "ceph", "glusterfs", "fuse", "fuseblk"),)


def kind_of(path: str) -> str:
    """The type of the file system that contains `path`, or would contain it; empty if it is not known."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        return file_system(os.path.realpath(path), mounts.read())


def is_network(kind: str) -> bool:
    """Whether file locks are unreliable on this kind."""
    return kind in NETWORK or kind.startswith("fuse.")


def file_system(path: str, mountinfo: str) -> str:
    """The type of the file system that contains `path`, from the text of `/proc/self/mountinfo` (proc(5))."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = fields[4]
        if "\\" in point:
            point = point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
        inside = point == "/" or path == point or path.startswith(point + "/")
        # If several file systems are mounted on one point, the last one is visible.
        if inside and len(point) >= len(best):
            best, kind = point, right.split(" ", 1)[0]
    return kind
