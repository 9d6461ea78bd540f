"""Run a program to read what it prints, with a time limit that holds whatever processes it starts."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence

VERSION_SECONDS = 10
LONGEST_VERSION = 200
LONGEST_ANSWER = 1 << 20


def version(command: Sequence[str]) -> str | None:
    """The first line of an agent's version output; None if it prints nothing or fails."""
    answer = ask(command, VERSION_SECONDS)
    lines = (answer or "").strip().splitlines()
    return lines[0].strip()[:LONGEST_VERSION] if lines else None


def ask(command: Sequence[str], seconds: float) -> str | None:
    """What a program prints on stdout; None if it fails, does not exist, or does not end in time.

    The program writes to a file and leads its own process group, which is killed when the program ends. So a child that
    keeps stdout open is not waited for.
    """
    import subprocess
    import tempfile

    environ = {**os.environ, "NO_COLOR": "1"}
    with tempfile.TemporaryFile() as output:
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                env=environ,
                start_new_session=True,
            )
        except OSError:
            return None
        try:
            # Kill the group before reaping the child: until then its process group id cannot be reused.
            done = _ended(child.pid, seconds)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            code = child.wait()
        if not done or code != 0:
            return None
        output.seek(0)
        return output.read(LONGEST_ANSWER).decode(errors="replace")


def _ended(pid: int, seconds: float) -> bool:
    """Whether the child ends in time."""
    import select

    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(pidfd)
