"""agentq on a terminal, for tests of what a person sees."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping

from agentq_process import Agentq


def on_terminal(
    agentq: Agentq, *arguments: str, columns: int, env: Mapping[str, str] | None = None, code: int = 0
) -> str:
    """What agentq prints on a terminal so wide; it must exit with `code`, and where that is 0 say nothing on stderr."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        agentq.command(*arguments),
        env=agentq.environ | {"TERM": "xterm-256color"} | dict(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=subprocess.PIPE,
    )
    os.close(slave)
    parts = []
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            # Linux reports the end of a terminal that nobody holds open as EIO.
            break
        parts.append(part)
    os.close(master)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == code, stderr
    assert code or stderr == b""
    return b"".join(parts).decode().replace("\r\n", "\n")
