"""The errors of one input, such as a file, gathered so that all of them are told at once."""

from __future__ import annotations

from agentq_cli.base.errors import AgentqError

MOST_TOLD = 20
"""How many errors of an input are told one by one."""


class Several(AgentqError):
    """Several errors; exit code, kind and message are those of the first."""

    def __init__(self, errors: list[AgentqError]) -> None:
        super().__init__(errors[0].message)
        self.code = errors[0].code
        self.kind = errors[0].kind
        self.parts = tuple(errors[:MOST_TOLD])
        self.more = len(errors) - len(self.parts)


class Gathered:
    """Errors with the lines that they are about."""

    def __init__(self) -> None:
        self._found: list[tuple[int, AgentqError]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, line: int, error: AgentqError) -> None:
        """Add an error."""
        self._found.append((line, error))

    def check(self) -> None:
        """Raise what was gathered, in the order of the lines: the error itself if there is only one, else Several."""
        errors = [error for _, error in sorted(self._found, key=lambda found: found[0])]
        if errors:
            raise Several(errors) if len(errors) > 1 else errors[0]
