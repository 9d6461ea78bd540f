"""The process of a keeper: forked by the launcher, it keeps one run after the other (`shim`) until nobody wants it.

Between two runs nothing of the one before is left: its exit record is durable, its processes are gone, its descriptors
are closed. Which run it keeps, its name tells (`keeper`): it is set before the run is taken, and taken back after the
last thing that is done for the run. Anything unexpected ends the process, and with it the run's line.
"""

from __future__ import annotations

import os
import select

from agentq_cli.base.lean import signal, socket
from agentq_cli.host import handing, keeper, kernel, shim
from agentq_cli.host.launch import HELD_SIGNALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from agentq_cli.host.handing import Asked

IDLE_MS = 10_000
"""How long a keeper waits for its next run."""

MOST_RUNS = 200
"""How many runs a keeper keeps at most, so that what a run costs of memory does not add up."""

READY = b"r"
"""What a keeper writes to its launcher when it can be given a run."""


def main(launcher: socket.socket) -> NoReturn:
    """Serve the launcher at the other end of this socket, in a process that was forked for it; then exit."""
    try:
        os.setsid()
        # If those of the launcher stayed open here, a supervisor would not notice that the launcher ended.
        handing.close_all_but(0, 1, 2, launcher.fileno())
        kernel.name_process(keeper.IDLE)
        _serve(launcher)
    finally:
        os._exit(0)


def _serve(launcher: socket.socket) -> None:
    for number in range(1, MOST_RUNS + 1):
        asked = _next(launcher)
        if asked is None:
            return
        kernel.name_process(keeper.name(number))
        again = shim.keep(asked.data, number)
        _reset(launcher.fileno(), asked.line)
        kernel.name_process(keeper.IDLE)
        # After its last run it is not ready either: a request that comes then would find nobody.
        if not again or number == MOST_RUNS or _has_children():
            return
        try:
            # Before the line is closed: whoever sees that may have another run already.
            launcher.send(READY, socket.MSG_NOSIGNAL)
        except OSError:  # the launcher is gone
            return
        os.close(asked.line)


def _next(launcher: socket.socket) -> Asked | None:
    """The next request; None once it is time to end. From then on the launcher can send none: one that it has sent
    before is served."""
    poll = select.poll()
    poll.register(launcher, select.POLLIN)
    if not poll.poll(IDLE_MS):
        launcher.shutdown(socket.SHUT_RD)
    return handing.receive(launcher)


def _reset(*keep: int) -> None:
    """Be as before the run. What the run locked is let go with its descriptors."""
    handing.close_all_but(0, 1, 2, *keep)
    signal.pthread_sigmask(signal.SIG_SETMASK, HELD_SIGNALS)
    os.umask(0o077)
    os.chdir("/")


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
