"""What may be wrong with a fleet: hosts that are late or of another version, clocks apart, rings that do not arrive."""

from __future__ import annotations

import os
from collections.abc import Iterator

from agentq_cli import __version__
from agentq_cli.base import clock
from agentq_cli.base.clock import rfc3339
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.model.hosts import HostState
from agentq_cli.options.values import format_duration

APART_MS = 5_000
"""By how much the clocks of this machine and of the database may differ."""


def problems(queue: Queue, config: Config) -> Iterator[tuple[str, str, str]]:
    """Each problem: what is affected, what is wrong, and what to do. None without a fleet."""
    if config.url is None:
        return
    yield from _hosts(queue)
    yield from _clocks(queue)
    yield from _rings(queue)


def _hosts(queue: Queue) -> Iterator[tuple[str, str, str]]:
    found = queue.hosts()
    for host in found:
        seen = "never" if host.beat_at is None else rfc3339(host.beat_at)
        if host.state is HostState.LATE:
            help_ = "see whether `agentq run` works there; once its lease is over, others run what it ran"
            yield f"host {host.name}", f"late: its last sign was {seen}", help_
        elif host.state is HostState.LOST:
            runs = f", with {host.running} runs" if host.running else ""
            help_ = "any other host takes its runs over; `agentq run` or `agentq sweep` there makes it one again"
            yield f"host {host.name}", f"lost: its last sign was {seen}{runs}", help_
    others = [host for host in found if host.state is not HostState.LEFT and host.version != __version__]
    for version in sorted({host.version for host in others}):
        names = ", ".join(host.name for host in others if host.version == version)
        help_ = f"upgrade agentq on {'it' if len(others) == 1 else 'them'} or here, so that all are the same"
        yield "versions", f"{names}: agentq {version}, and here {__version__}", help_


def _clocks(queue: Queue) -> Iterator[tuple[str, str, str]]:
    apart = clock.from_environment(os.environ).now_ms() - queue.now
    if abs(apart) > APART_MS:
        order = "ahead of" if apart > 0 else "behind"
        what = f"this machine is {format_duration(abs(apart))} {order} the database, whose time counts for what is due"
        yield "clock", what, "set the clocks of both, `timedatectl status` tells how this one is kept"


def _rings(queue: Queue) -> Iterator[tuple[str, str, str]]:
    if not os.path.isdir(queue.here.bells):
        return  # no host, so that nothing waits here
    with queue.bell() as bell:
        why = bell.tried()
    if why is not None:
        yield "database", f"nobody is woken by it: {why}", "set listen_url in [fleet] to a way past the pooler"
