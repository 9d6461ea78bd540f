"""Asking a program for a line, with a time limit that holds whatever it starts."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence

VERSION_SECONDS = 10
LONGEST_VERSION = 200
LONGEST_ANSWER = 1 << 20


def version(command: Sequence[str]) -> str | None:
    """The first line that an agent prints of its version; a silent or broken one has none."""
    answer = ask(command, VERSION_SECONDS)
    lines = (answer or "").strip().splitlines()
    return lines[0].strip()[:LONGEST_VERSION] if lines else None


def ask(command: Sequence[str], seconds: float) -> str | None:
    """What a program prints on stdout; None where it fails, is not there, or does not end in time.

    It writes into a file and leads a group of its own, which ends with it: a child that keeps stdout open is not waited
    for.
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
            # Not reaped before its group has been killed: until then the group's number is its own.
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
    """Whether a child ends in time."""
    import select

    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(pidfd)
