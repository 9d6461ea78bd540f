"""agentq on a terminal, for tests of what a person sees."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping
from typing import Any

from agentq_process import Agentq
from driven import until


def on_terminal(
    agentq: Agentq, *arguments: str, columns: int, env: Mapping[str, str] | None = None, code: int = 0
) -> str:
    """What agentq prints on a terminal so wide; it must exit with `code`, and where that is 0 say nothing on stderr."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = agentq.start(*arguments, env={"TERM": "xterm-256color"} | dict(env or {}), stdout=slave)
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
    assert code or stderr == ""
    return b"".join(parts).decode().replace("\r\n", "\n")


def all_on_terminal(agentq: Agentq, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """What agentq prints if stdout and stderr are one terminal; it must exit with 0."""
    master, slave = pty.openpty()
    process = agentq.start(*arguments, env={"TERM": "xterm-256color"} | dict(env or {}), stdout=slave, stderr=slave)
    os.close(slave)
    parts = []
    with contextlib.suppress(OSError):  # Linux reports the end of a terminal that nobody holds open as EIO
        while part := os.read(master, 65536):
            parts.append(part)
    os.close(master)
    text = b"".join(parts).decode().replace("\r\n", "\n")
    assert process.wait(timeout=30) == 0, text
    return text


SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """agentq in the foreground of a terminal of its own, that is typed on and looked at while it goes on."""

    def __init__(
        self, agentq: Agentq, *arguments: str, columns: int = 80, rows: int = 24, env: Mapping[str, str] | None = None
    ) -> None:
        self.master, self._slave = pty.openpty()
        self.resize(columns, rows)
        self.before = self.attributes()
        slave = self._slave

        def take_over() -> None:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            agentq.command(*arguments),
            env=agentq.environ | {"TERM": "xterm-256color"} | dict(env or {}),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=agentq.home,
            preexec_fn=take_over,
        )
        self.text = ""

    def attributes(self) -> list[Any]:
        """How the terminal is set: whether it echoes, and the like."""
        return termios.tcgetattr(self._slave)

    def resize(self, columns: int, rows: int) -> None:
        """Make it so large; whoever is in its foreground is told."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        """Type keys."""
        os.write(self.master, keys.encode())

    def read(self) -> str:
        """All that was written to it so far."""
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.text += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                break
        return self.text

    def says(self, *words: str) -> str:
        """What was written to it, sequences left out, once all of these words are in it."""
        until(lambda: all(word in SEQUENCE.sub("", self.read()) for word in words), what=f"{words} on the terminal")
        return SEQUENCE.sub("", self.text)

    def ended(self, code: int) -> str:
        """What was written to it until agentq has ended, which must be with this code."""

        def over() -> bool:
            self.read()
            return self.process.poll() is not None

        until(over, what="the end")
        assert self.process.returncode == code, self.read()
        return self.read()

    def hang_up(self) -> None:
        """Take it away, as a closed window or a lost connection does."""
        os.close(self.master)
        os.close(self._slave)
        self.master = self._slave = -1

    def close(self) -> None:
        """Be done with it."""
        self.process.kill()
        self.process.wait()
        for descriptor in (self.master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)


@contextlib.contextmanager
def screen(agentq: Agentq, *arguments: str, **options: Any) -> Iterator[Screen]:
    """agentq on a terminal of its own until the end of the block."""
    shown = Screen(agentq, *arguments, **options)
    try:
        yield shown
    finally:
        shown.close()
