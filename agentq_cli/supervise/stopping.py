"""How a supervisor ends when it is told to: it leaves what runs, waits for it, or cancels it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from agentq_cli.host import stop
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import RunId
from agentq_cli.supervise.duty import Duty, Happening
from agentq_cli.supervise.signals import ORDERS, Signals
from agentq_cli.supervise.watch import Watched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

WHAT = {
    "leave": "leaving them running",
    "wait": "waiting for them; a second signal leaves them running",
    "cancel": "cancelling them; a second signal leaves them running",
}


class Stopping:
    """Whether it is to end and `how`, a key of `WHAT`; None: it is not. `why` says what told it first. `signal` is the
    first signal that came and was no order: an order to end is no failure."""

    def __init__(self, duty: Duty) -> None:
        self.how: str | None = None
        self.why: str | None = None
        self.signal: int | None = None
        self._duty = duty
        self._cancelling: set[tuple[RunId, str]] = set()

    @property
    def leaving(self) -> bool:
        """Whether it ends now, whatever runs."""
        return self.how == "leave"

    def heed(self, signals: Signals, watched: Mapping[RunId, Watched]) -> Iterator[Happening]:
        """Take the signals that have arrived."""
        for number in signals.take():
            by = "agentq stop" if number in ORDERS else signal.Signals(number).name
            self.why = self.why or f"stopped by {by}"
            if number in ORDERS:
                self.how = ORDERS[number]
            elif self.how is None:
                self.signal = number
                self.how = self._duty.settings.on_stop or ("wait" if number == signal.SIGINT else "leave")
            else:
                self.how = "leave"
            then = f"{len(watched)} running, {WHAT[self.how]}" if watched else "nothing runs"
            yield self._duty.tell("stop", reason=f"{signal.Signals(number).name}: {then}")
            self._cancelling = set()
            if self.how == "cancel":
                self._cancelling = {(run, step) for run in watched for step in ("tell", "record")}

    def cancel_on(self, watched: Mapping[RunId, Watched]) -> None:
        """Cancel what is to be cancelled, each run told and recorded as soon as possible."""
        guard = self._duty.guard
        for run, step in list(self._cancelling):
            name = f"cancel: {step} {run}"
            if run not in watched:
                self._cancelling.discard((run, step))
                guard.clear(run.session, name)
            elif guard.may_run(run.session, name):
                with guard.guarding(run.session, name):
                    self._cancel(watched[run], step)
                    self._cancelling.discard((run, step))

    def _cancel(self, watched: Watched, step: str) -> None:
        # If its session is locked, telling its keeper is enough to make it cancelled.
        queue = self._duty.queue
        if step == "tell":
            stop.request_stop(watched.directory, reason="cancelled", at=queue.now)
        else:
            queue.request_stop(
                watched.worker.id, reason="cancelled", cancel=True, actor=Actor.SUPERVISOR, background=True
            )
