"""How often the kernel has killed for want of memory in this process's cgroup, which its children are in too."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.supervise.process import read_file


def oom_kills(*, proc: str = "/proc", mount: str = "/sys/fs/cgroup") -> int | None:
    """The cgroup's `oom_kill` count: of cgroup v2 (memory.events) or v1 (memory.oom_control); None without either."""
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
    """Where the count may be (cgroups(7)), best first."""
    try:
        lines = (read_file(f"{proc}/self/cgroup") or b"").decode(errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        # In a container that is shown its path on the host, what is mounted is its own cgroup; so too with "/..".
        paths = (path.rstrip("/"), "") if not path.startswith("/..") else ("",)
        for each in paths:
            if "memory" in controllers.split(","):
                yield f"{mount}/memory{each}/memory.oom_control"
            elif number == "0":
                yield f"{mount}{each}/memory.events"
                yield f"{mount}/unified{each}/memory.events"
