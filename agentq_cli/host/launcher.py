"""The process that forks the keepers: small, single-threaded and without a database, so that forking is safe and cheap.

A fresh interpreter would cost each keeper 6 to 16 ms and 9 MB; a fork of this process costs 2 ms and the pages it
changes, and a keeper serves run after run. The launcher ends when the supervisor closes the socket or dies; the keepers
live on until their runs have ended. Where these have a lease it stays as long, and kills what a keeper left behind that
was killed itself.
"""

from __future__ import annotations

import errno
import gc
import os
import resource  # noqa: F401  (os.wait4 would load it in every keeper anew)
import select

from agentq_cli.base.context import suppress
from agentq_cli.base.identity import Identity
from agentq_cli.base.lean import signal, socket
from agentq_cli.host import handing, kernel, process, tree
from agentq_cli.host.crew import Crew
from agentq_cli.host.launch import ANSWER, HELD_SIGNALS, LaunchRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

SELDOM_MS = 1_000
"""How often at least to look for what a killed keeper has left behind and cannot be ended."""


def main(descriptor: int) -> NoReturn:
    """Serve the socket `descriptor` until its other end is closed."""
    signal.pthread_sigmask(signal.SIG_SETMASK, HELD_SIGNALS)
    # Python ignores some signals, and those that a caller ignores (as nohup does) are inherited. Agents get the
    # defaults, and an ignored SIGCHLD would lose their exit status.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    kernel.default_library_signals()
    os.setsid()
    os.umask(0o077)
    os.chdir("/")
    # Anything else that the supervisor's caller left open (a lock, a pipe) must not stay open during a run.
    handing.close_all_but(0, 1, 2, descriptor)
    kernel.name_process("agentq-launcher")
    process.realm()  # Read once for all keepers.
    # Without garbage collection the pages from before the fork are never written to and stay shared with all keepers.
    gc.disable()
    gc.freeze()
    serve(socket.socket(fileno=descriptor))
    os._exit(0)


def serve(requests: socket.socket) -> None:
    """Give each run that is asked for to a keeper, and reap those that ended, until end of file; and then until no
    keeper is idle or has a run with a lease."""
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    crew = Crew(poll)
    left: list[tree.Orphans] = []
    wait_ms = tree.SETTLE_MS
    asked = True
    while asked or left or crew.stays:
        for descriptor, _ in poll.poll(wait_ms if left else None):
            if descriptor in crew:
                left += _left_by(*crew.reap(descriptor))
                wait_ms = tree.SETTLE_MS
            elif not _answer(requests, crew):
                poll.unregister(requests)
                crew.dismiss()
                asked = False
        if left:
            # At each step: what a dying agent leaves behind comes here only once it is dead.
            strays = _strays(crew.pids)
            for each in left:
                each.remember(strays)
        with suppress(OSError):  # Out of descriptors: the next look finds them.
            left = [each for each in left if not each.step()]
        wait_ms = min(2 * wait_ms, SELDOM_MS)


def _answer(requests: socket.socket, crew: Crew) -> bool:
    """Serve the next request; False at the end of file."""
    number = 0
    try:
        asked = handing.receive(requests)
        if asked is None:
            return False
        try:
            if asked.leased:
                _prepare_for_leases()
            crew.give(asked)
        finally:
            os.close(asked.line)
    except ConnectionError:  # the supervisor has gone with something unread
        return False
    except OSError as error:
        number = error.errno or errno.EAGAIN
    try:
        requests.sendall(ANSWER.pack(number))
    except OSError:
        return False
    return True


def _prepare_for_leases() -> None:
    from agentq_cli.host import fuse  # noqa: F401  (each keeper would load it anew)

    kernel.become_subreaper()


def _left_by(request: bytes, status: int) -> list[tree.Orphans]:
    """What is to be killed after the end of a keeper: everything of a run whose lease was over before its keeper could
    do that."""
    if not (request and os.WIFSIGNALED(status)):
        return []
    env = LaunchRequest.decode(request).env
    return [tree.Orphans(env.get("AGENTQ_RUN", ""), env.get("AGENTQ_STATE_DIR", ""), grace_ms=0)]


def _strays(keepers: set[int]) -> set[Identity]:
    """What dead keepers have left behind: it becomes a child of this process, whatever it did to its session and
    environment."""
    return {
        Identity(stat.pid, stat.start_time, process.realm())
        for stat in process.processes()
        if stat.parent == os.getpid() and stat.pid not in keepers
    }
