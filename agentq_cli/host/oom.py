"""How often the kernel has killed processes for lack of memory in this process's cgroup, which includes its
children."""

from __future__ import annotations

from agentq_cli.host.process import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def oom_kills(*, proc: str = "/proc", mount: str = "/sys/fs/cgroup") -> int | None:
    """The cgroup's `oom_kill` count, from cgroup v2 (memory.events) or v1 (memory.oom_control); None if neither has
    it."""
    for path in _files(proc, mount):
        try:
            content = read_file(path)
        except OSError:
            continue
        for line in (content or b"").splitlines():
            name, _, count = line.partition(b" ")
            if name == b"oom_kill" and count.isdigit():
                return int(count)
    return None


def _files(proc: str, mount: str) -> Iterator[str]:
    """Where the count may be found (cgroups(7)), most likely first."""
    try:
        lines = (read_file(f"{proc}/self/cgroup") or b"").decode(errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        # In a container that sees its path on the host, the mount shows the container's own cgroup; the same applies to
        # "/..".
        paths = (path.rstrip("/"), "") if not path.startswith("/..") else ("",)
        for each in paths:
            if "memory" in controllers.split(","):
                yield f"{mount}/memory{each}/memory.oom_control"
            elif number == "0":
                yield f"{mount}{each}/memory.events"
                yield f"{mount}/unified{each}/memory.events"
