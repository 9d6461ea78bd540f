"""Starts agentq without the cost of an interpreter each time: everything is imported once, then forked.

A crash test runs thousands of commands. A forked one does what `python -m agentq_cli` does after its imports; what it
starts itself (the launcher, a detached supervisor) is started by exec as always. Run as `python forkserver.py FD`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def preload() -> None:
    """Import what any command needs, and read no file of a state dir."""
    import sqlite3  # noqa: F401

    import filelock  # noqa: F401

    from agentq_cli import __main__
    from agentq_cli.cli import app
    from agentq_cli.options.table import COMMANDS
    from agentq_cli.supervise import supervisor, sweep  # noqa: F401

    for name in COMMANDS:
        app.load(name)
    assert __main__.main


def become(request: dict[str, Any]) -> NoReturn:
    """In the forked child: be the command."""
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        streams = [os.open(os.devnull, os.O_RDONLY)]
        streams += [os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for name in ("out", "err")]
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir("/")
        os.environ.clear()
        os.environ.update(request["env"])
        sys.argv = ["agentq", *request["argv"]]
        if "AGENTQ_CRASH" in os.environ:
            import sitecustomize

            sitecustomize.activate(sys.argv)
        from agentq_cli.__main__ import main

        try:
            code = main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def serve(requests: socket.socket) -> None:
    """Fork for each line, report each end, until the other side is closed."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    poll.register(reader, select.POLLIN)
    pending = b""
    running: set[int] = set()
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if reader in ready:
            os.read(reader, 4096)
            report(requests, running)
        if requests.fileno() in ready:
            data = requests.recv(1 << 20)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for request in map(json.loads, lines):
                if "kill" in request:
                    # Only we know that its pid is still its own: nobody else reaps it.
                    if request["kill"] in running:
                        os.kill(request["kill"], signal.SIGKILL)
                    continue
                pid = os.fork()
                if pid == 0:
                    become(request)
                running.add(pid)
                tell(requests, pid=pid)


def report(requests: socket.socket, running: set[int]) -> None:
    """Reap; whoever was not started here came to us as the nearest reaper and concerns nobody."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        running.discard(pid)
        tell(requests, ended=pid, code=os.waitstatus_to_exitcode(status))


def tell(requests: socket.socket, **values: int) -> None:
    """Send one line."""
    requests.sendall(json.dumps(values).encode() + b"\n")


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(HERE / "hook")]
    from agentq_cli.host import kernel

    kernel.become_subreaper()
    preload()
    with contextlib.suppress(ConnectionError):  # The tests have ended.
        serve(socket.socket(fileno=int(sys.argv[1])))
