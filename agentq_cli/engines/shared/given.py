"""What an engine gives to the verbs that every engine shares: transactions, readings by name, and its bells.

An engine's queue derives first from its own class, which has these, and then from the classes of verbs. Only type
checkers load this: the verbs derive from `object`.
"""

from __future__ import annotations

from typing import Protocol

from agentq_cli.model.actions import Actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from agentq_cli.base.clock import Clock
    from agentq_cli.base.errors import AgentqError
    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.shared.turn import Turn
    from agentq_cli.engines.subdoors import Placing
    from agentq_cli.engines.transaction import Reading, Snapshots, Transaction, Values, Writing
    from agentq_cli.host.place import Place
    from agentq_cli.model.addresses import Address, RunId
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import NewTask, Task
    from agentq_cli.model.workers import Supervisor


class Given(Protocol):
    """An engine, open."""

    here: Place

    reading: Snapshots
    """What belongs to no session: the index of all tasks, their runs, events, supervisors."""

    _clock: Clock

    @property
    def machine(self) -> str:
        """The name of this machine, in a fleet as its configuration says."""

    @property
    def now(self) -> int:
        """The queue's wall clock."""

    def session_names(self) -> list[str]:
        """The names of all sessions."""

    def known(self, session: str) -> None:
        """Raises NotFound, with the nearest name, if there is no such session, and Usage if the name is not valid."""

    def unsettled_sessions(self) -> list[str]:
        """See `verbs.Queue`."""

    def settle_dependents_in(self, session: str, *, actor: Actor) -> list[Task]:
        """See `verbs.Queue`."""

    def ring(self) -> None:
        """Wake every waiting process after a commit that may concern it, except this one, which is awake."""

    def leave(self, identity: Identity, *, actor: Actor = ...) -> None:
        """See `verbs.Queue`."""

    def lives(self, owner: Identity) -> bool:
        """Whether a supervisor, or another owner of something, is still running."""

    def _is_there(self, supervisor: Supervisor) -> bool:
        """Whether a supervisor is alive, as far as that can be told from here."""

    def _lapsed(self, supervisor: Supervisor) -> bool:
        """Whether it has not renewed its row for so long that others may take over its runs."""

    @property
    def placing(self) -> Placing:
        """Which host runs what."""

    # Transactions

    def turn(
        self, session: str, outcomes: Mapping[RunId, Outcome] = ..., *, actor: Actor, background: bool = False
    ) -> AbstractContextManager[Turn]:
        """See `verbs.Queue`."""

    def in_session(
        self, session: str, *, actor: Actor = Actor.USER, create: bool = False, background: bool = False
    ) -> AbstractContextManager[Transaction]:
        """A transaction over a session, made with `create` if it does not exist. With `background` it waits for locks
        only briefly. Raises NotFound, Busy, Unreadable."""

    def in_queue(self, *, actor: Actor = Actor.USER) -> AbstractContextManager[Writing]:
        """A transaction over what belongs to no session."""

    def tell(self, statement: str, values: Values) -> None:
        """One commit of one statement over what belongs to no session."""

    def store_batch(
        self, tasks: Sequence[NewTask], sessions: Sequence[str], *, max_queued: int, owner: Identity, actor: Actor
    ) -> list[tuple[Address, bool]]:
        """`submit` for tasks of these sessions, more than one."""

    # Readings

    def of_session(self, session: str, *, background: bool = False) -> AbstractContextManager[Reading]:
        """What belongs to a session: its tasks and conversations. Raises Busy, Unreadable, and NotFound if it finds out
        that there is no such session; who must know asks `known` first."""

    def of_both(self, session: str) -> AbstractContextManager[Reading]:
        """What belongs to a session together with what belongs to none; waits only briefly. Raises as `of_session`."""

    def of_messages(self, session: str) -> AbstractContextManager[Reading]:
        """The messages of a session's agents. Raises as `of_session`."""

    def load(
        self, addresses: Collection[Address], trouble: list[AgentqError], *, background: bool = False
    ) -> list[Task]:
        """The tasks of one page, in its order, without those that do not exist. Those that cannot be read are left out,
        and why is added to `trouble`, once for each reason."""

    # After a commit

    def forget_runs(self, tasks: Sequence[Task]) -> None:
        """Remove what the runs of pruned tasks have left on this machine."""
