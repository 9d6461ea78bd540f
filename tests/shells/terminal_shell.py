"""A shell on a terminal of its own: what a person types goes in, and what it shows comes out."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PATIENCE = 60
"""Seconds after which a shell that shows nothing of what is waited for has failed; a busy machine is slow."""

BEGIN = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class TerminalShell:
    """A running shell; `type` writes to it as a person does, `until` waits for a text that it shows."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> None:
        self._terminal, inside = pty.openpty()
        # A shell edits a line only on a terminal that controls it. (A fork of this process, which has threads, would
        # be the shorter way, and one that newer Pythons warn of.)
        command = [sys.executable, "-c", BEGIN, *argv]
        self._process = subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, env=environ, cwd=cwd)
        os.close(inside)
        self._seen = ""

    def type(self, text: str) -> None:
        """Type it."""
        os.write(self._terminal, text.encode())

    def until(self, text: str) -> str:
        """Everything it showed up to this text, which is shown from now on or since the last call."""
        end = time.monotonic() + PATIENCE
        while text not in self._seen:
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"waited for {text!r}, saw {self._seen!r}"
            self._seen += os.read(self._terminal, 65536).decode(errors="replace")
        before, _, self._seen = self._seen.partition(text)
        return before

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)


@contextlib.contextmanager
def on_terminal(argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> Iterator[TerminalShell]:
    """A shell that is ended with the block."""
    shell = TerminalShell(argv, environ, cwd)
    try:
        yield shell
    finally:
        shell.close()


TYPED = {
    "agentq canc": "cancel",
    "agentq list --st\tu\t fa": "list|--status|failed",
    "agentq list --label a": "list|--label|a:b",
    "agentq list --label=x": "list|--label=x@y/z",
    "agentq show docs/1": "show|docs/1",
    "agentq cancel si": "cancel|site.v2/1",
    "agentq submit -s si": "submit|-s|site.v2",
}
"""What is typed before the last TAB, and the words that the command then gets."""
