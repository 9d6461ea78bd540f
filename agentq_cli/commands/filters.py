"""The filters of reading commands: checks sessions, statuses and times, and suggests the nearest name."""

from __future__ import annotations

from collections.abc import Iterable

from agentq_cli.base.errors import NotFound, Usage, nearest
from agentq_cli.host.place import is_there
from agentq_cli.model.addresses import DEFAULT_SESSION
from agentq_cli.options import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from agentq_cli.base.enumeration import StrEnum
    from agentq_cli.cli.context import Context
    from agentq_cli.engines.door import Queue

    Word = TypeVar("Word", bound=StrEnum)


NEWEST = 100
"""How many entries a log shows if no limit is given."""

RECENT = 10
"""With how many earlier entries a followed log begins."""


def has_session(at: Context, queue: Queue, name: str) -> bool:
    """Whether the session has anything to read. Raises Usage, and NotFound with the nearest name.

    Without a state dir every session is empty, and `default` exists even before its first task.
    """
    known = queue.session_names()
    if values.parse_session(name) in known:
        return True
    if name == DEFAULT_SESSION or not is_there(at.state_dir):
        return False
    raise NotFound(f"session '{name}': no such session{nearest(name, known) or '; see `agentq sessions`'}")


def statuses(given: Iterable[str] | None, known: type[Word]) -> frozenset[Word]:
    """The requested statuses; none means all. Raises Usage with the nearest one."""
    chosen = set()
    for text in given or ():
        try:
            chosen.add(known(text))
        except ValueError:
            words = [word.value for word in known]
            near = nearest(text, words) or f"; one of {', '.join(words)}"
            raise Usage(f"--status '{text}': no such status{near}") from None
    return frozenset(chosen)


def since(at: Context, text: str | None) -> int | None:
    """The time of `--since`, in milliseconds; None if it is not given."""
    return None if text is None else values.parse_since(text, zone=at.zone, now_ms=at.now_ms())
