"""The permanent names of tasks and runs."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple

DEFAULT_SESSION = "default"


class Address(NamedTuple):
    """`SESSION/N`, the permanent name of a task."""

    session: str
    seq: int

    def __str__(self) -> str:
        return f"{self.session}/{self.seq}"


class RunId(NamedTuple):
    """`SESSION/N.K`, one attempt at a task."""

    session: str
    seq: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.session}/{self.seq}.{self.attempt}"

    @classmethod
    def read(cls, text: str) -> RunId | None:
        """The run of that name; None if it is none."""
        session, _, rest = text.rpartition("/")
        seq, _, attempt = rest.partition(".")
        return cls(session, int(seq), int(attempt)) if session and seq.isdecimal() and attempt.isdecimal() else None

    @property
    def address(self) -> Address:
        """The task that this is an attempt at."""
        return Address(self.session, self.seq)
