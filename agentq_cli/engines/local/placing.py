"""Where tasks run, if there is only one host: everything fits it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.model.addresses import Address
    from agentq_cli.policy.placement import PassedOver


class Placing:
    """The one host."""

    def expected(self, key: str) -> bool:
        """No other host comes."""
        return False

    def bound(self, session: str) -> None:
        """Every session is here."""

    def ran_on(self, address: Address) -> None:
        """Every run was here."""

    def note(self, passed: Sequence[PassedOver]) -> None:
        """Nothing is passed over here."""

    def passed_over(self, session: str) -> list[PassedOver]:
        """Nothing."""
        return []
