"""Which file system a directory lies on. Imports nothing that takes time."""

from __future__ import annotations

# POSIX locks are unreliable or absent on these, and SQLite's rollback needs them.
NETWORK_FILE_SYSTEMS = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "afs", "ceph", "glusterfs", "fuse", "fuseblk"),
)
MOUNTS = "/proc/self/mountinfo"


def network_file_system(path: str) -> str | None:
    """The type of the network file system that a real path lies on, or would lie on; None where it is a local one."""
    with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts:
        kind = file_system(path, mounts.read())
    return kind if kind in NETWORK_FILE_SYSTEMS or kind.startswith("fuse.") else None


def file_system(path: str, mountinfo: str) -> str:
    """The type of the file system that holds `path`, from the text of `/proc/self/mountinfo` (proc(5))."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
        inside = point == "/" or path == point or path.startswith(point + "/")
        # Of several mounts on one point the last is the one that is seen.
        if inside and len(point) >= len(best):
            best, kind = point, right.split(" ", 1)[0]
    return kind
