"""A key is held by one live task of its session."""

from __future__ import annotations

from agentq_cli.base.errors import WrongState
from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.transaction import Transaction


def holder(write: Transaction, key: str) -> Address | None:
    """The live task that holds a key, or None."""
    found = write.ask("write.live_of_key", {"key": key})
    return Address(write.session, found[0][0]) if found else None


def refuse_held(write: Transaction, key: str | None, *own: str | None) -> None:
    """Raises WrongState if `key` is held by another task and is not one of its `own`."""
    if key is None or key in own:
        return
    held_by = holder(write, key)
    if held_by is not None:
        raise WrongState(f"key '{key}': {held_by} holds it")
