"""The times of new tasks, from options as a person typed them; what a person may not have meant is said."""

from __future__ import annotations

from agentq_cli.base.errors import Usage
from agentq_cli.options import values
from agentq_cli.show import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agentq_cli.options.caller import Caller
    from agentq_cli.options.table import Given


class TaskTimes:
    """Reads the times of the tasks of one command. A duration given to --expires counts from `counted_from`, or from
    now."""

    def __init__(self, at: Caller, counted_from: int | None) -> None:
        self._at = at
        self._now = at.now_ms()
        self._counted_from = self._now if counted_from is None else counted_from
        self._told: set[tuple[str, str]] = set()

    def due(self, given: Given, session: str, what: Callable[[str], str]) -> int | None:
        """The time before which a task must not start; None: at once."""
        at, delay = given.get("at"), given.get("in")
        if at is not None and delay is not None:
            raise Usage(f"{what('at')} '{at}', {what('in')} '{delay}': not together; a task has one time")
        if delay is not None:
            return self._now + values.parse_duration(delay, what("in"))
        if at is None:
            return None
        zone = self._zone(given, session)
        due_at = values.parse_time(at, zone=zone, now_ms=self._now, what=what("at"))
        self._say("at", at, due_at, zone, "runs at once", what)
        return due_at

    def _say(
        self, name: str, typed: str, moment: int, zone: Callable[[], str], if_past: str, what: Callable[[str], str]
    ) -> None:
        """Say once that a time is past, or which moment is meant by one as people say it."""
        if (name, typed) in self._told:
            return
        self._told.add((name, typed))
        if moment < self._now:
            notices.warn(f"{what(name)} '{typed}': that is past; it {if_past}")
        elif values.is_said(typed):
            notices.note(f"{what(name)} '{typed}': {notices.coming(moment, zone(), self._now)}")

    def expires(self, given: Given, options: Given, session: str, what: Callable[[str], str]) -> int | None:
        """The time by which a task must have started; None: it never expires."""
        typed = given.get("expires")
        if typed is None:
            default = options.get("expires")
            return None if default is None else self._counted_from + int(default)
        zone = self._zone(given, session)
        expires_at = values.parse_time_or_duration(typed, zone=zone, now_ms=self._counted_from, what=what("expires"))
        self._say("expires", typed, expires_at, zone, "will not run", what)
        return expires_at

    def _zone(self, given: Given, session: str) -> Callable[[], str]:
        return lambda: self._at.zone(given.get("tz"), session)
