"""Why those that a command waits for do not run: told on stderr once it has lasted, and again when it changes."""

from __future__ import annotations

from collections.abc import Sequence

from agentq_cli.base.clock import monotonic_ms, rfc3339
from agentq_cli.base.errors import AgentqError
from agentq_cli.config.configuration import Config
from agentq_cli.diagnose.why import Why
from agentq_cli.engines.door import Queue
from agentq_cli.model import Task, WaitingFor
from agentq_cli.show import notices

LASTING_MS = 1000
"""For how long something keeps a task before it is told: what passes by itself in a moment is no news."""

NOBODY_MS = 5000
"""The same where a supervisor is all that is missing: one may be about to start."""

NOBODY = "nobody"
"""The key of that reason."""

MOST = 5
"""Reasons that are told of one look; tasks that wait for the same are one."""


class Reasons:
    """Why tasks do not run, kept up to date by a look now and then; `lines` are those that have lasted.

    That others take all slots is no reason that is told: it is what a queue is for.
    """

    def __init__(self, queue: Queue, config: Config) -> None:
        self.lines: list[str] = []
        self._queue = queue
        self._config = config
        self._since: dict[str, int] = {}
        self._told: list[str] = []
        self._silent = False

    def drawn(self) -> None:
        """The lines are shown on a screen from now on: nothing is to be written between its own."""
        self._silent = True

    def look(self, tasks: Sequence[Task]) -> None:
        """Look at those that are still open."""
        now = monotonic_ms()
        try:
            found = self._found(tasks)
        except AgentqError:
            return  # busy, or in trouble: whoever waits finds that out by what it waits for
        self._since = {key: self._since.get(key, now) for key in found}
        lasting = [key for key in found if now - self._since[key] >= _patience_ms(key)][:MOST]
        self.lines = [_line(found[key]) for key in lasting]
        for key, line in zip(lasting, self.lines, strict=True):
            if key not in self._told and not self._silent:
                notices.waiting(line)
        self._told = lasting

    def _found(self, tasks: Sequence[Task]) -> dict[str, list[tuple[Task, WaitingFor]]]:
        why = Why(self._queue, self._config)
        found: dict[str, list[tuple[Task, WaitingFor]]] = {}
        for task in tasks:
            reason = why.of(task)
            if reason is not None and (key := _key(reason, jobs=why.jobs(task.session))):
                found.setdefault(key, []).append((task, reason))
        return found


def _key(reason: WaitingFor, *, jobs: int) -> str:
    """The same for as long as there is nothing new to tell; empty for what is not told."""
    if reason.kind == "slot":
        return "" if jobs else NOBODY
    if reason.kind == "session":
        return reason.kind  # who is before it in its lane changes all the time
    return f"{reason.kind} {reason.brief} {reason.until}"


def _patience_ms(key: str) -> int:
    return NOBODY_MS if key == NOBODY else LASTING_MS


def _line(waiting: Sequence[tuple[Task, WaitingFor]]) -> str:
    task, reason = waiting[0]
    more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    until = "" if reason.until is None else rfc3339(reason.until)
    end = f"; until {until}" if until not in reason.detail else ""
    return f"{task.address}{more}: {reason.detail}{end}"
