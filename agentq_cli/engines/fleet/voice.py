"""What agents request in the outbound files of this machine."""

from __future__ import annotations

from agentq_cli.engines.shared.voice import Applying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Voice(Applying):
    """The requests in the sessions' outbound files."""

    def changed(self, sessions: Iterable[str] | None = None) -> list[str]:
        """Those of the sessions (all by default) in which something may have been requested."""
        return []

    def stamp(self, session: str) -> str | None:
        return None

    def may_ask(self, session: str) -> bool:
        return False

    def remember(self, session: str, seen: str | None) -> None:
        """Nothing is read yet."""

    def record(self) -> None:
        """Nothing is read yet."""

    def asked(self, session: str, most: int) -> Iterator[tuple[str, object]]:
        yield from ()
