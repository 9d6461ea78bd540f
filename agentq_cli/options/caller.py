"""Who requests a task: a command that a person typed, or an agent through its session's outbound file."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from agentq_cli.config.configuration import Config

    class Caller(Protocol):
        """What reading the options of a task depends on: configuration, environment, umask, time and zone."""

        @property
        def config(self) -> Config:
            """The configuration."""

        @property
        def environ(self) -> Mapping[str, str]:
            """The environment of the requesting process."""

        @property
        def umask(self) -> int:
            """The umask that the task's runs get."""

        @property
        def url(self) -> str | None:
            """The database of the fleet that the task is for; None for the queue of this machine alone."""

        def may_have_trees(self) -> bool:
            """Whether a session may work in a tree that a new task of it should run in too; False costs nothing."""

        def now_ms(self) -> int:
            """The time now, in milliseconds."""

        def zone(self, typed: str | None = None, session: str = ...) -> str:
            """The IANA zone of naive times for a task of `session`; `typed` is `--tz`. Raises Usage if unknown."""

else:
    Caller = object  # only a type; loading Protocol would take time
