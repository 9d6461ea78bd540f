"""Which host runs what: where something is bound to, and what hosts have passed over."""

from __future__ import annotations

from agentq_cli.base.json_text import dumps
from agentq_cli.policy.placement import COUNTS_MS, Bound, PassedOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.engines.fleet.opened import Opened
    from agentq_cli.model.addresses import Address


class Placing:
    """The sub-door of the same name."""

    def __init__(self, queue: Opened) -> None:
        self._queue = queue

    def expected(self, key: str) -> bool:
        """Whether the host of a place has not been lost, or gone for longer than a lease."""
        return bool(self._queue.reading.ask("placing.expected", {"key": key, "now": self._queue.now}))

    def bound(self, session: str) -> Bound | None:
        """The host that a session is bound to."""
        found = self._queue.reading.ask("placing.bound", {"name": session})
        return Bound(*found[0]) if found else None

    def ran_on(self, address: Address) -> Bound | None:
        """The host of a task's last run."""
        found = self._queue.reading.ask("placing.ran_on", address._asdict())
        return Bound(*found[0]) if found else None

    def note(self, passed: Sequence[PassedOver]) -> None:
        """Note what this host cannot run, and what it can by now. The writer's lock is not needed for that."""
        given = [{"session": each.session, "seq": each.seq, "reason": _shown(each.reason)} for each in passed]
        values = {**self._queue.own, "passed": dumps(given), "now": self._queue.now}
        database = self._queue.database
        database.change(b";".join(database.written(f"placing.{name}", values) for name in ("note", "forget")))

    def forget_environments(self) -> None:
        """Remove the environments captured here to which no task refers any more."""
        from agentq_cli.host import environments

        def referred(numbers: Sequence[int]) -> set[int]:
            found = self._queue.reading.ask("placing.environments", {"numbers": dumps(numbers)})
            return {int(number) for (number,) in found}

        environments.forget(self._queue.here, referred)

    def passed_over(self, session: str) -> list[PassedOver]:
        """What the hosts on duty cannot run of a session, as far as they noted it lately."""
        values = {"session": session, "since": self._queue.now - COUNTS_MS}
        return [PassedOver(*row) for row in self._queue.reading.ask("placing.passed_over", values)]


def _shown(reason: str | None) -> str | None:
    """The reason without what no database takes, as a path may have."""
    return None if reason is None else reason.encode("utf-8", "backslashreplace").decode().replace("\0", "\ufffd")
