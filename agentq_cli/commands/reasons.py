"""Why the tasks that a command waits for do not run: reported on stderr after a while, and again when it changes."""

from __future__ import annotations

from collections.abc import Sequence

from agentq_cli.base.clock import monotonic_ms, rfc3339
from agentq_cli.base.errors import AgentqError
from agentq_cli.config.configuration import Config
from agentq_cli.diagnose.why import Why
from agentq_cli.engines.door import Queue
from agentq_cli.model.tasks import Task, WaitingFor
from agentq_cli.show import notices

LASTING_MS = 1000
"""How long something must hold a task back before it is reported: brief delays are not worth a line."""

NOBODY_MS = 5000
"""The same if only a supervisor is missing: one may be about to start."""

NOBODY = "nobody"
"""The key of the reason that no supervisor is running."""

MOST = 5
"""How many reasons one check reports; tasks that wait for the same thing count as one."""


class Reasons:
    """Why tasks do not run, updated by each check; `lines` are the reasons that have lasted.

    That other tasks use all slots is not reported: waiting for a slot is what a queue is for.
    """

    def __init__(self, queue: Queue, config: Config) -> None:
        self.lines: list[str] = []
        self._queue = queue
        self._config = config
        self._since: dict[str, int] = {}
        self._told: list[str] = []
        self._silent = False

    def drawn(self) -> None:
        """Stop writing to stderr, because a screen shows the lines from now on."""
        self._silent = True

    def update(self, tasks: Sequence[Task]) -> None:
        """Check the tasks that are still open."""
        now = monotonic_ms()
        try:
            found = self._found(tasks)
        except AgentqError:
            return  # busy or broken: the command finds that out when it reads the tasks that it waits for
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
    """A key that stays the same until there is something new to report; empty for a reason that is not reported."""
    if reason.kind == "slot":
        return "" if jobs else NOBODY
    if reason.kind == "session":
        return reason.kind  # the tasks before it in its lane change all the time
    return f"{reason.kind} {reason.brief} {reason.until}"


def _patience_ms(key: str) -> int:
    return NOBODY_MS if key == NOBODY else LASTING_MS


def _line(waiting: Sequence[tuple[Task, WaitingFor]]) -> str:
    task, reason = waiting[0]
    more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    until = "" if reason.until is None else rfc3339(reason.until)
    end = f"; until {until}" if until not in reason.detail else ""
    return f"{task.address}{more}: {reason.detail}{end}"
