"""What a task is to do: the part that a new task, a stored one and the next occurrence share."""

from __future__ import annotations

from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.base.defaults import RETRIES
from agentq_cli.base.enumeration import StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentq_cli.model.addresses import Address


class Condition(StrEnum):
    """How a dependency must end for the task that waits for it to start."""

    SUCCESS = "success"
    ANY = "any"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Launch:
    """What only the start of a task's runs needs: environment, limits, retry policy; stored as one JSON column.

    `env` is what `--env-file` and `-e` gave; a variable whose value is None is taken from the host of a run. `captured`
    is the part of the submitting shell's environment that an older version stored. `stdin` is the absolute path of what
    a command reads, or a dash and then the text itself. `umask` is the submitter's. Runs up to K = `earlier_runs`
    belong to a task that this one replaced, and those up to `other_words` were asked something else. `continues` is the
    conversation in which a person has replied: the runs go on in that one or not at all. `on` are the names and labels
    that the host of the runs must all have. `conversation_key` is the line of work that was named for it.

    With `--worktree`, `repository` is the git directory that all checkouts of the repository share, `checkout` the top
    of the one that the task was submitted from, and `subdirectory` where in it that was; None, None and empty without.
    `branch` is None for the default one (`trees.records.branch_of`), `base` the name that is resolved when the tree is
    made.
    """

    env: Mapping[str, str | None] = field(default_factory=dict)
    captured: Mapping[str, str] = field(default_factory=dict)
    agent_args: tuple[str, ...] = ()
    stdin: str | None = None
    umask: int = 0o022
    timeout_ms: int | None = None
    grace_ms: int | None = None
    stall_timeout_ms: int | None = None
    memory_bytes: int | None = None
    depth: int = 0
    tz: str | None = None
    script: str | None = None
    retries: int | None = None
    backoff_ms: int | None = None
    max_backoff_ms: int | None = None
    on_crash: str | None = None
    max_cost_usd: float | None = None
    earlier_runs: int = 0
    other_words: int = 0
    continues: str | None = None
    check: str | None = None
    check_timeout_ms: int | None = None
    repository: str | None = None
    checkout: str | None = None
    subdirectory: str = ""
    branch: str | None = None
    base: str | None = None
    setup: str | None = None
    teardown: str | None = None
    land: str | None = None
    land_as: str | None = None
    push: str | None = None
    on: tuple[str, ...] = ()
    conversation_key: str | None = None

    @property
    def max_retries(self) -> int:
        """The N of `--retries`: N retries mean N+1 runs."""
        return RETRIES if self.retries is None else self.retries


OWN_BRANCH = "."
"""The branch of an isolated task in `Work.directory`; no branch has this name, or one with a colon."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """One task that another waits for. In a batch that is being submitted, `ref` is the position of a line of the
    batch."""

    address: Address | None
    on: Condition
    ref: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: the part that a new task, a stored one and the next occurrence of a series share.

    Code that passes a task's work on passes on this value. Each field is a column of the same name, in
    `engines/steps/rows`. `environment` is the number under which its session keeps the environment of the submitting
    shell; None if an older version stored the task.
    """

    kind: str
    cwd: str
    prompt: str | None = None
    argv: tuple[str, ...] | None = None
    agent: str | None = None
    priority: int = 0
    labels: tuple[str, ...] = ()
    key: str | None = None
    context: str = "session"
    launch: Launch = field(default_factory=Launch)
    after: tuple[Dependency, ...] = ()
    on_dep_failure: str = "cancel"
    expires_at: int | None = None
    shared: bool = False
    environment: int | None = None

    @property
    def directory(self) -> str:
        """The directory in which no other agent may edit while its own does; empty if others may, as beside a
        command. With a tree, which one that is, for commands too: `trees.records.tree_at` finds its path."""
        if self.launch.repository is not None:
            branch = self.launch.branch or (OWN_BRANCH if self.context == "isolated" else "")
            return f"{branch}:{self.launch.repository}"
        return self.cwd if self.kind == "prompt" and not self.shared else ""

    @property
    def shares_conversation(self) -> bool:
        """Whether it continues a conversation of its session, so that no other such task may run beside it in that."""
        return self.kind == "prompt" and self.context == "session"

    @property
    def in_line(self) -> bool:
        """Whether it is in a line of work of its session: it continues the line's conversation, or works in its
        tree."""
        return self.context == "session" and (self.kind == "prompt" or self.launch.repository is not None)

    @property
    def given_key(self) -> str | None:
        """The key of the line of work that was named for it; None if it may be in any, or is in none."""
        return self.launch.conversation_key if self.in_line else None
