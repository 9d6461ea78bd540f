"""Starts agentq without the cost of an interpreter: everything is imported once, then forked for each command.

A forked child does what `python -m agentq_cli` does after its imports, with the arguments, environment, directory,
umask and descriptors that it is given. The launcher of a supervisor that was forked is forked from it, but not where a
`sitecustomize` wants to be loaded by each interpreter anew; what else it starts itself (a detached supervisor, agents)
is started by exec as always. Run as `python fork_server.py FD [MODULE]...`; see `forked.py` for the other end.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

HEADER = struct.Struct("!I")
"""The length of a request, which is JSON and follows; stdin, stdout, stderr and a pipe for the exit come with it."""

ANSWER = struct.Struct("!i")
"""The child's pid, with a pidfd of it; in the pipe for the exit, what `waitstatus_to_exitcode` says."""

SELDOM = ("agentq_cli.top", "agentq_cli.manual", "agentq_cli.mcp")
"""What next to no command imports, and takes a third of the memory, or seconds: each fork would take longer."""

USED = ("sqlite3", "croniter", "zoneinfo", "subprocess", "tempfile", "difflib", "platform", "uuid")
"""What commands import when they need it; not filelock, as each fork of what has loaded that takes 6 ms longer."""

STREAMS = (("stdin", "r", -1), ("stdout", "w", -1), ("stderr", "w", 1))
"""As an interpreter makes them for these descriptors, which may be a pipe, a file or a terminal."""

HOOK = "sitecustomize"
"""What an interpreter loads at its start, if it is there; see `crash/hook`."""

real_spawn = os.posix_spawn


def preload(also: Sequence[str]) -> None:
    """Import what any command needs, and these modules, and call nothing of it: caches are filled by each child, for
    its environment."""
    import agentq_cli

    for module in pkgutil.walk_packages(agentq_cli.__path__, "agentq_cli."):
        if not module.name.startswith(SELDOM):
            importlib.import_module(module.name)
    for name in (*USED, *also):
        importlib.import_module(name)
    # Never collected and so never written to: their pages stay shared.
    gc.collect()
    gc.freeze()


def become(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """In the forked child: be the command, to the end of the process."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, number)
        os.closerange(3, 1 << 20)
        if request["inside"] is not None:
            enter(request["inside"])
        for number, (name, mode, buffering) in enumerate(STREAMS):
            old = getattr(sys, name)
            how = {"encoding": old.encoding, "errors": old.errors, "newline": "\n", "closefd": False}
            setattr(sys, name, open(number, mode, buffering, **how))  # noqa: SIM115
        os.chdir(request["cwd"])
        os.umask(request["umask"])
        os.environ.clear()
        os.environ.update(request["env"])
        time.tzset()
        sys.orig_argv = [sys.executable, "-m", "agentq_cli", *request["argv"]]
        if HOOK in sys.modules:
            importlib.reload(sys.modules[HOOK])
        else:
            os.posix_spawn = spawn
        from agentq_cli import __main__

        sys.argv = [__main__.__file__, *request["argv"]]
        exec(request["prepare"], {})
        try:
            __main__.program()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            sys.stdout.flush()
    except BaseException:
        code = 1
        traceback.print_exc()
    finally:
        os._exit(code)


def enter(process: int) -> None:
    """Go on in another's PID and mount namespaces, as nsenter(1) does: by a child, for which this process waits."""
    libc = ctypes.CDLL(None, use_errno=True)
    # All of them first: once inside, that process has another pid.
    names = [os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY) for kind in ("user", "pid", "mnt")]
    if os.geteuid() == 0:
        os.close(names.pop(0))
    for name in names:
        if libc.setns(name, 0):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(name)
    if child := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os._exit(code if code >= 0 else 128 - code)


def spawn(path: str, argv: Sequence[str], env: Mapping[str, str], **options: Any) -> int:
    """`os.posix_spawn`, but a launcher is forked: its first deeds make it the same as one with an interpreter anew."""
    from agentq_cli.host import launch, launcher

    before, _, after = launch.PROGRAM.format(root=launch.ROOT, socket=" ").rpartition(" ")
    if not argv[-1].startswith(before):
        return real_spawn(path, argv, env, **options)
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, options["setsigmask"])
        for _, number, name, flags, mode in options["file_actions"]:
            os.dup2(os.open(name, flags, mode), number)
        launcher.main(int(argv[-1].removeprefix(before).removesuffix(after)))
    finally:
        os._exit(1)


def serve(requests: socket.socket) -> None:
    """Fork for each request and tell each end, until the other side is closed."""
    exits: dict[int, int] = {}
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    poll.register(reader, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if reader in ready:
            os.read(reader, 4096)
            reap(exits)
        if requests.fileno() in ready:
            header, descriptors, _, _ = socket.recv_fds(requests, HEADER.size, 4)
            if not header:
                return
            data = b""
            while missing := HEADER.unpack(header)[0] - len(data):
                data += requests.recv(missing)
            request = json.loads(data)
            pid = os.fork()
            if pid == 0:
                become(request, descriptors)
            exits[pid] = descriptors.pop()
            pidfd = os.pidfd_open(pid)
            socket.send_fds(requests, [ANSWER.pack(pid)], [pidfd])
            for descriptor in (pidfd, *descriptors):
                os.close(descriptor)


def reap(exits: dict[int, int]) -> None:
    """Tell the ends of our children; whoever came to us as the nearest reaper concerns nobody."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            if pid in exits:
                with contextlib.suppress(BrokenPipeError):  # nobody waits for it
                    os.write(exits[pid], ANSWER.pack(os.waitstatus_to_exitcode(status)))
                os.close(exits.pop(pid))


if __name__ == "__main__":
    del sys.path[0]
    preload(sys.argv[2:])
    from agentq_cli.host import kernel

    kernel.become_subreaper()
    with contextlib.suppress(ConnectionError):  # the tests have ended
        serve(socket.socket(fileno=int(sys.argv[1])))
