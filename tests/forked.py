"""The client of `fork_server.py`: agentq as a forked process, with as much of `subprocess.Popen` as tests use."""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from fork_server import ANSWER, HEADER

HUGE_PAGES = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""For the server alone: where its memory is of huge pages, a fork takes half of the time."""

AT_START = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC_")
"""How variables begin that an interpreter or the loader reads once, at its start."""


def current_umask() -> int:
    """This process's, which is its one to read that sets nothing."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 8) for line in lines if line.startswith("Umask:"))


def at_start(environ: Mapping[str, str]) -> dict[str, str]:
    """Those of an environment."""
    return {name: value for name, value in environ.items() if name.startswith(AT_START)}


class Server:
    """One fork server, started when it is first needed; for one thread. `prefix` goes before its command line; it has
    loaded the modules `also`."""

    def __init__(self, environ: Mapping[str, str], prefix: Sequence[str] = (), also: Sequence[str] = ()) -> None:
        self.at_start = at_start(environ)
        self._socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, str(Path(__file__).with_name("fork_server.py")), str(theirs.fileno()), *also],
                env={"PATH": os.environ["PATH"], **HUGE_PAGES, **self.at_start},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def start(self, request: Mapping[str, Any], descriptors: Sequence[int]) -> tuple[int, int, int]:
        """Fork a child with these as its stdin, stdout and stderr: its pid, a pidfd, and where its exit can be read."""
        data = json.dumps(request).encode()
        exits, theirs = os.pipe()
        socket.send_fds(self._socket, [HEADER.pack(len(data))], [*descriptors, theirs])
        os.close(theirs)
        self._socket.sendall(data)
        answer, pidfds, _, _ = socket.recv_fds(self._socket, ANSWER.size, 1, socket.MSG_CMSG_CLOEXEC)
        assert answer, "the fork server is gone"
        return ANSWER.unpack(answer)[0], pidfds[0], exits

    def close(self) -> None:
        """End the server; its children live on."""
        self._socket.close()
        self.process.wait()


class Forked:
    """A command that a server forked. Streams are given and had as with `subprocess.Popen`, as text. It first runs
    the source `prepare`."""

    def __init__(
        self,
        server: Server,
        command: Sequence[str],
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        inside: int | None = None,
        prepare: str = "",
        umask: int = -1,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
    ) -> None:
        self.args = command
        self.returncode: int | None = None
        opened: list[int] = []
        ends: list[int] = []
        self.stdin, theirs = self._end(stdin, 0, opened)
        ends.append(theirs)
        self.stdout, theirs = self._end(stdout, 1, opened)
        ends.append(theirs)
        self.stderr, theirs = (None, ends[1]) if stderr == subprocess.STDOUT else self._end(stderr, 2, opened)
        ends.append(theirs)
        umask = current_umask() if umask < 0 else umask
        request = {"argv": list(argv), "env": dict(env), "cwd": str(cwd), "umask": umask, "inside": inside}
        request["prepare"] = prepare
        self.pid, self._pidfd, self._exits = server.start(request, ends)
        for descriptor in opened:
            os.close(descriptor)

    @staticmethod
    def _end(given: int | IO[Any] | None, number: int, opened: list[int]) -> tuple[IO[str] | None, int]:
        """Our end of a stream, if there is one, and the child's."""
        if given is None:
            return None, number
        if given == subprocess.DEVNULL:
            opened.append(os.open(os.devnull, os.O_RDWR))
            return None, opened[-1]
        if given == subprocess.PIPE:
            reading, writing = os.pipe()
            ours, theirs = (writing, reading) if number == 0 else (reading, writing)
            opened.append(theirs)
            return open(ours, "w" if number == 0 else "r", encoding="utf-8"), theirs
        return None, given if isinstance(given, int) else given.fileno()

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._exits, select.POLLIN)
            if not poll.poll(None if timeout is None else max(0, timeout) * 1000):
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout)
            told = os.read(self._exits, ANSWER.size)
            assert told, "the fork server is gone"
            self.returncode = ANSWER.unpack(told)[0]
            os.close(self._exits)
            os.close(self._pidfd)
        return self.returncode

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str | None, str | None]:
        """Give it `input`, read both streams to their end, and wait. Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        left = memoryview((input or "").encode(errors="surrogateescape"))
        parts: dict[IO[str], list[bytes]] = {}
        with selectors.DefaultSelector() as streams:
            if self.stdin is not None and not self.stdin.closed:
                os.set_blocking(self.stdin.fileno(), False)
                streams.register(self.stdin, selectors.EVENT_WRITE)
            for stream in (self.stdout, self.stderr):
                if stream is not None and not stream.closed:
                    # What a test has read ahead of us lies in its buffer.
                    os.set_blocking(stream.fileno(), False)
                    parts[stream] = []
                    streams.register(stream, selectors.EVENT_READ)
            while streams.get_map():
                ready = streams.select(None if end is None else max(0, end - time.monotonic()))
                if not ready and end is not None and time.monotonic() >= end:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                for key, _ in ready:
                    stream = key.fileobj
                    if stream is self.stdin:
                        try:
                            left = left[os.write(key.fd, left[:4096]) :] if left else left
                        except BrokenPipeError:
                            left = left[:0]
                        if not left:
                            streams.unregister(stream)
                            stream.close()
                    elif part := stream.buffer.read1(65536):
                        parts[stream].append(part)
                    else:
                        streams.unregister(stream)
        self.wait(None if end is None else end - time.monotonic())
        out, err = (self._text(stream, parts) for stream in (self.stdout, self.stderr))
        return out, err

    @staticmethod
    def _text(stream: IO[str] | None, parts: Mapping[IO[str], Sequence[bytes]]) -> str | None:
        if stream is None:
            return None
        stream.close()
        return b"".join(parts.get(stream, ())).decode().replace("\r\n", "\n").replace("\r", "\n")

    def send_signal(self, number: int) -> None:
        """Signal it, if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *error: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait()
