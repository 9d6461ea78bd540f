"""What the fleet needs to stay in order: little, since the server keeps its tables."""

from __future__ import annotations

import os

from agentq_cli.base.context import suppress
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.fleet import leftovers
from agentq_cli.engines.nouns import Leftovers
from agentq_cli.host.ring import held
from agentq_cli.model.actions import Actor, SweepAction
from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentq_cli.engines.fleet.queue import FleetQueue
    from agentq_cli.engines.nouns import Fault
    from agentq_cli.engines.subdoors import FindRun, Step
    from agentq_cli.model.addresses import RunId

FORGOTTEN_MS = 7 * 86_400_000
"""How long a host is listed after it has left."""


class Upkeep:
    """One pass; a sweep calls `begin`, `asking` and `end`, a supervisor `recall`."""

    def __init__(self, queue: FleetQueue) -> None:
        self._queue = queue

    def begin(
        self,
        find_run: FindRun,
        *,
        host: str,
        session: str | None = None,
        rebuild: bool = False,
        config: str | None = None,
    ) -> Step:
        queue = self._queue
        queue.tell("dispatch.set_meta", {"name": "last_sweep_at", "value": queue.now})
        if not queue.database.rehearsing:
            for reason, run, task in queue.tend(actor=Actor.SWEEP):
                yield SweepAction("lost", *_named(run), reason if task is None else f"{task.status} ({reason})")
        for statement in ("hosts.forget_left", "hosts.forget_ended"):
            queue.tell(statement, {"before": queue.now - FORGOTTEN_MS})
        for dead in queue.clear_dead(actor=Actor.SWEEP):
            yield SweepAction("forget", None, None, None, f"supervisor {dead.identity.pid} is gone")

    def asking(self) -> list[str]:
        return self._queue.voice.changed()

    def end(self, session: str | None = None) -> Step:
        self._queue.voice.record()
        if not self._queue.database.rehearsing:
            self._queue.placing.forget_environments()
            self._forget_runs()
        yield from ()

    def recall(self, find_run: FindRun, *, host: str, wanted: Callable[[str], bool]) -> Iterator[str]:
        self._forget_runs()
        yield from ()

    def _forget_runs(self) -> None:
        """Remove what is here of runs that some machine has pruned."""

        def known(addresses: Sequence[Address]) -> set[Address]:
            found = self._queue.reading.ask("placing.tasks", {"addresses": dumps(addresses)})
            return {Address(*row) for row in found}

        with suppress(OSError):  # another sweep tries again
            leftovers.forget(self._queue.here, known)

    def give_up(self, run: RunId) -> None:
        self._queue.tell("dispatch.delete_worker", run._asdict())

    def faults(self) -> Iterator[tuple[str, Fault]]:
        yield from ()

    def leftovers(self) -> Leftovers:
        try:
            names = os.listdir(self._queue.here.bells)
        except OSError:
            names = []
        bells = sum(not held(f"{self._queue.here.bells}/{name}") for name in names)
        return Leftovers(batches=0, supervisors=0, bells=bells, commits=0)


def _named(run: RunId | None) -> tuple[str | None, str | None, str | None]:
    """Its session, task and run, as an action names them."""
    return (None, None, None) if run is None else (run.session, str(run.address), str(run))
