"""What an attempt left in a repository, for the attempt after it and for people."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple

MOST_PATHS = 200
"""How many changed paths a checkpoint has at most."""

SAID_BYTES = 2048
"""How much of the end of what the agent said it has."""

UNENDED = "what it left: the attempt has not ended, or its keeper vanished"
"""What is missing from a checkpoint until the attempt has ended."""


class Checkpoint(NamedTuple):
    """Where an attempt found a repository and how it left that.

    `repository` is the directory of the checkout. A branch is None if HEAD was on none, a head (a commit) if the branch
    had none; both are None if they could not be found out. `paths`, from that directory, are those that its commits
    changed and those that it changed without committing, `more` how many there are besides. `said` is the end of what
    the agent said. `missing` says in words what is not known, and why.
    """

    repository: str
    branch_before: str | None = None
    head_before: str | None = None
    branch_after: str | None = None
    head_after: str | None = None
    paths: tuple[str, ...] = ()
    more: int = 0
    said: str = ""
    missing: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether it was completed at the end of the attempt, or later."""
        return UNENDED not in self.missing

    def document(self) -> dict[str, object]:
        """Its keys in JSON."""
        return self._asdict() | {"paths": list(self.paths), "missing": list(self.missing)}
