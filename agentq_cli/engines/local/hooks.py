"""Which hooks are to be run: the sub-door over `hook_calls`."""

from __future__ import annotations

from agentq_cli.base.identity import Identity
from agentq_cli.engines.local import hook_calls
from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentq_cli.engines.local.runs import Attendance
    from agentq_cli.model.actions import Actor
    from agentq_cli.policy import hooks as hook_policy


class Hooks:
    """The hooks that events call; each call belongs to one process."""

    def __init__(self, queue: Attendance) -> None:
        self._queue = queue

    def wait(self, names: Collection[str], *, after: int, configured_at: int) -> bool:
        begin = after or hook_calls.begin(self._queue.index, now=self._queue.now, configured_at=configured_at)
        return bool(hook_calls.find(self._queue.index, names, after=begin, now=self._queue.now))

    def begun(self) -> bool:
        return hook_calls.begun(self._queue.index)

    def called(self, names: Collection[str], *, configured_at: int) -> list[tuple[str, Address | None]]:
        """What the next `collect` would find: the hook, and the task whose event calls it."""

        begin = hook_calls.begin(self._queue.index, now=self._queue.now, configured_at=configured_at)
        found = hook_calls.find(self._queue.index, names, after=begin, now=self._queue.now)
        return [
            (hook, None if told.session is None or told.seq is None else Address(told.session, told.seq))
            for hook, told in found
        ]

    def collect(self, names: Collection[str], owner: Identity, *, configured_at: int) -> None:
        hook_calls.collect(
            self._queue.index, self._queue.state.index, names, owner, now=self._queue.now, configured_at=configured_at
        )

    def owners(self) -> list[Identity | None]:
        """The processes that have hooks to run; None if nobody owns these."""

        return hook_calls.owners(self._queue.index)

    def inherit(self, owner: Identity) -> None:
        gone = [each for each in self.owners() if each is None or not self._queue.lives(each)]
        if gone:
            self.take(gone, owner)

    def take(self, gone: Sequence[Identity | None], owner: Identity) -> None:
        """Take over the hooks of dead processes."""

        hook_calls.take(self._queue.index, self._queue.state.index, gone, owner)

    def own(self, owner: Identity, *, limit: int) -> list[hook_policy.Call]:
        return hook_calls.mine(self._queue.index, owner, limit=limit)

    def record(self, ran: Sequence[hook_policy.Ran], owner: Identity, *, actor: Actor) -> None:
        hook_calls.record(self._queue.index, self._queue.state.index, ran, owner, now=self._queue.now, actor=actor)

    def failures(self) -> list[hook_policy.Failure]:
        return hook_calls.failures(self._queue.index)
