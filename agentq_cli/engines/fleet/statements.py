"""What one process says again and again is prepared in its session of the server, which then neither reads nor plans it
anew: most of what a claim and a finish cost a server is that.

Only a process that has its session to itself may do so: behind a pooler each transaction may be in another one.
"""

from __future__ import annotations

from agentq_cli.engines.fleet.queries import parts

OFTEN = 3
"""How often a statement is said before it is prepared."""

PLANS_MS = 10_000
"""How long a plan may last."""

OPTIONAL = ")s IS NULL"
"""What makes the best plan of a statement depend on its values."""


class Statements:
    """Those of one session. A text has the placeholders of the driver."""

    def __init__(self) -> None:
        self._planned_at = 0
        self._said: dict[str, int] = {}
        self._prepared: dict[str, str] = {}

    def old(self, now: int) -> bool:
        """Whether their plans are to be made anew: tables may have grown since. `now` is monotonic."""
        old = now - self._planned_at >= PLANS_MS
        if old:
            self._planned_at = now
        return old

    def prepared(self, text: str) -> str | None:
        """How to say what is prepared, with the same placeholders; None if it is not."""
        return self._prepared.get(text)

    def due(self, text: str) -> bool:
        """Count one more use; returns whether it is time to prepare it."""
        said = self._said[text] = self._said.get(text, 0) + 1
        return said == OFTEN and OPTIONAL not in text

    def prepare(self, text: str) -> str:
        """The statement that prepares it; `done` follows."""
        numbers: dict[str, int] = {}
        whole = "".join(
            part.replace("%%", "%") if not is_name else f"${numbers.setdefault(part, len(numbers) + 1)}"
            for part, is_name in parts(text)
        )
        return f"PREPARE {self._name} AS {whole}"

    def done(self, text: str) -> None:
        """It is prepared."""
        names = dict.fromkeys(part for part, is_name in parts(text) if is_name)
        values = ", ".join(f"%({name})s" for name in names)
        self._prepared[text] = f"EXECUTE {self._name}({values})" if names else f"EXECUTE {self._name}"

    @property
    def _name(self) -> str:
        return f"agentq_{len(self._prepared)}"
