"""Runs a line of shell that belongs to a tree while a command of agentq waits for it: nothing of it goes on after."""

from __future__ import annotations

import os

from agentq_cli.base.environment import OF_REPOSITORY, OF_TREE, matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentq_cli.trees.records import TreeRecord


def run(
    line: str, place: str, environ: Mapping[str, str], *, seconds: float, out: int, inherit: tuple[int, ...] = ()
) -> int | None:
    """Run it in a directory, in a process group of its own; its output goes to the descriptor `out`.

    Returns the exit code, negative for a signal; None if it was not done after `seconds`. `inherit` are descriptors
    that it keeps open. Raises OSError if it cannot be started.
    """
    import contextlib
    import signal
    import subprocess

    child = subprocess.Popen(
        ["sh", "-c", line],
        cwd=place,
        env={name: environ[name] for name in environ if not matches(name, OF_REPOSITORY)} | {"PWD": place},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        pass_fds=inherit,
        start_new_session=True,
    )
    try:
        ended = _wait(child.pid, seconds)
    finally:
        # Before it is reaped nobody else has the number of its group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        code = child.wait()
    return code if ended else None


def _wait(pid: int, seconds: float) -> bool:
    """Wait until a child has ended, without reaping it; False if it has not after so long."""
    import select

    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def variables(record: TreeRecord) -> dict[str, str]:
    """What a task's processes are told of their tree."""
    values = (record.path, record.branch, record.checkout, record.start, str(record.number))
    return dict(zip(OF_TREE, values, strict=True))
