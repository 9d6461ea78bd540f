"""What a client may do, as the person who configured the server allowed it.

Without `--allow` that is what an agent may request in its outbound.db: the options that the table declares for a
`request`, in the server's own session; and to pause, resume, cancel and retry prompts, and to read, there.
"""

from __future__ import annotations

from collections.abc import Iterable

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError
from agentq_cli.model.addresses import DEFAULT_SESSION
from agentq_cli.options.table import ALLOWED, rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SESSIONS, AGENT, EXEC, DIRECTORY, ENVIRONMENT, OPTIONS, LAND, ALL = ALLOWED
"""What `--allow` takes."""

REQUESTED = frozenset(row.name for row in rows("request"))
"""The options that every client may give a task."""

OPENED = {
    AGENT: ("agent", "agent_arg"),
    EXEC: ("exec", "shell", "stdin", "script", "check", "setup", "teardown"),
    DIRECTORY: ("cwd", "on", "shared", "worktree", "branch", "base"),
    ENVIRONMENT: ("env", "env_file"),
    LAND: ("land", "land_as", "push"),
    OPTIONS: (
        *(
            "conversation",
            "key",
            "replace",
            "hold",
            "expires",
            "after",
            "after_any",
            "after_failure",
            "on_dep_failure",
            "start",
        ),
        *("until", "max_runs", "missed", "overlap", "pause_after", "timeout", "grace", "stall_timeout"),
        *("check_timeout", "memory", "max_cost", "retries", "backoff", "max_backoff", "on_crash"),
    ),
}
"""The options of a task that each word lifts; an option that is nowhere here needs `all`."""

_OPENER = {name: word for word, names in OPENED.items() for name in names}


class NotAllowed(AgentqError):
    """The server was not configured to allow this."""

    code = 2
    kind = "not_allowed"


@dataclass(frozen=True, slots=True)
class Limits:
    """The sessions of the server, its own first; the names of its tools, none for all of them; and what is allowed."""

    sessions: tuple[str, ...] = (DEFAULT_SESSION,)
    read_only: bool = False
    tools: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()

    @property
    def own(self) -> str:
        """The session of a call that names none."""
        return self.sessions[0]

    def allows(self, word: str) -> bool:
        """Whether this is allowed; `all` allows everything."""
        return word in self.allowed or ALL in self.allowed

    def require(self, word: str, what: str) -> None:
        """Raises NotAllowed unless this is allowed; `what` is what needs it."""
        if not self.allows(word):
            raise NotAllowed(f"{what}: this server lacks `--allow {word}`")

    def check_session(self, name: str, what: str) -> None:
        """Raises NotAllowed if a session is none of the server's; `what` names it."""
        if name not in self.sessions and not self.allows(SESSIONS):
            known = ", ".join(self.sessions)
            raise NotAllowed(f"{what}: not in a session of this server ({known}), which lacks `--allow {SESSIONS}`")

    def opens(self, name: str) -> bool:
        """Whether an option of a task is allowed."""
        return name in REQUESTED or self.allows(_OPENER.get(name, ALL))

    def check_task_options(self, given: Iterable[str]) -> None:
        """Raises NotAllowed if an option of a task is not allowed."""
        for name in given:
            if name not in REQUESTED:
                self.require(_OPENER.get(name, ALL), name)


def own_sessions(named: Iterable[str] | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The sessions of a server: those that are named, else that of the agent that starts it, else `default`."""
    return tuple(dict.fromkeys(named or ())) or (environ.get("AGENTQ_SESSION") or DEFAULT_SESSION,)
