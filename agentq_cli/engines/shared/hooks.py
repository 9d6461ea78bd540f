"""Which hooks are to be run: the sub-door over `steps.hooks`."""

from __future__ import annotations

from agentq_cli.base.identity import Identity
from agentq_cli.engines.steps import hooks as hook_calls
from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentq_cli.engines.shared.given import Given
    from agentq_cli.model.actions import Actor
    from agentq_cli.policy import hooks as hook_policy


class Hooks:
    """The hooks that events call; each call belongs to one process."""

    def __init__(self, queue: Given) -> None:
        self._queue = queue

    def wait(self, names: Collection[str], *, after: int, configured_at: int) -> bool:
        begin = after or hook_calls.begin(self._queue.reading, now=self._queue.now, configured_at=configured_at)
        return bool(hook_calls.find(self._queue.reading, names, after=begin, now=self._queue.now))

    def begun(self) -> bool:
        return hook_calls.begun(self._queue.reading)

    def called(self, names: Collection[str], *, configured_at: int) -> list[tuple[str, Address | None]]:
        """What the next `collect` would find: the hook, and the task whose event calls it."""
        begin = hook_calls.begin(self._queue.reading, now=self._queue.now, configured_at=configured_at)
        found = hook_calls.find(self._queue.reading, names, after=begin, now=self._queue.now)
        return [
            (hook, None if told.session is None or told.seq is None else Address(told.session, told.seq))
            for hook, told in found
        ]

    def collect(self, names: Collection[str], owner: Identity, *, configured_at: int) -> None:
        with self._queue.in_queue() as write:
            hook_calls.collect(write, names, owner, configured_at=configured_at)

    def owners(self) -> list[Identity | None]:
        """The processes that have hooks to run; None if nobody owns these."""
        return hook_calls.owners(self._queue.reading)

    def inherit(self, owner: Identity) -> None:
        gone = [each for each in self.owners() if each is None or not self._queue.lives(each)]
        if gone:
            self.take(gone, owner)

    def take(self, gone: Sequence[Identity | None], owner: Identity) -> None:
        """Take over the hooks of dead processes."""
        with self._queue.in_queue() as write:
            hook_calls.take(write, gone, owner)

    def own(self, owner: Identity, *, limit: int) -> list[hook_policy.Call]:
        return hook_calls.mine(self._queue.reading, owner, limit=limit)

    def record(self, ran: Sequence[hook_policy.Ran], owner: Identity, *, actor: Actor) -> None:
        with self._queue.in_queue(actor=actor) as write:
            hook_calls.record(write, ran, owner)

    def failures(self) -> list[hook_policy.Failure]:
        return hook_calls.failures(self._queue.reading)
