"""Asks for the end of a run, from any process: the request is recorded first, then the shim is notified."""

from __future__ import annotations

import signal

from agentq_cli.host import keeper
from agentq_cli.host.process import send
from agentq_cli.host.records import Start
from agentq_cli.host.run_directory import RunDirectory


def request_stop(directory: RunDirectory, *, reason: str, at: int) -> bool:
    """Record that the run is to be ended (the first reason stays) and wake its shim, which carries this out.

    True if a live shim was notified. False with a `start` record: the shim is gone, and the caller ends what is left
    (`tree.kill_orphans`). False without one: a shim that comes later finds the record and starts nothing. A shim in
    another PID namespace cannot be signalled; it checks for the record every second.
    """
    directory.post_stop(reason, at)
    start = directory.start()
    if not isinstance(start, Start) or not keeper.keeps(directory, start):
        return False
    if not keeper.is_foreign(start):
        send(start.identity, signal.SIGUSR1)
        send(start.identity, signal.SIGCONT)  # A stopped shim reacts to no other signal.
    return True
