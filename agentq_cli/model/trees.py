"""What a run asks of the working tree of its task, what it leaves there, and what came of landing it."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.enumeration import StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Asked(NamedTuple):
    """The tree of a run: what making, leaving and landing it need to know.

    `path` is where it lies, below the directory of the trees. `session`, `number` and `attempt` are the run's; `own`
    says that the tree is its task's; otherwise it is that of its session's conversation with the key `conversation`.
    `repository` is the git directory, `checkout` the checkout that it was asked for in, `subdirectory` where in it.
    `branch` begins at what the name `base` stands for. `title` is what the task is called. `land` is the branch that it
    lands on, `land_as` how, `push` the remote that gets it. `lands`: the run does nothing else. If the base is another
    task (`@ID`), `base_branch` is its branch, and `base_task` session and number.
    """

    path: str
    session: str
    number: int
    attempt: int
    own: bool
    repository: str
    checkout: str
    subdirectory: str
    branch: str
    base: str
    title: str
    setup: str | None = None
    teardown: str | None = None
    land: str | None = None
    land_as: str | None = None
    push: str | None = None
    lands: bool = False
    base_branch: str | None = None
    base_task: Sequence[object] | None = None
    conversation: str | None = None

    @property
    def directory(self) -> str:
        """Where in the tree the run works."""
        return f"{self.path}/{self.subdirectory}" if self.subdirectory else self.path


class Made(NamedTuple):
    """The tree of a run before anything else of the run begins: `path` is where it lies, `directory` where in it the
    run works, `start` the commit at which its branch began,
    `number` that of the tree, `set_up` whether its setup command has succeeded. `notes` are sentences for whoever reads
    about the run. If it could not be made, `error` says why, and `failed` is the failure class."""

    path: str = ""
    directory: str = ""
    start: str = ""
    number: int = 0
    set_up: bool = False
    notes: tuple[str, ...] = ()
    failed: str | None = None
    error: str | None = None


class Left(NamedTuple):
    """What was in a tree at the end of a run, against the commit `base` at which its branch began.

    `repository` is the checkout that the task was submitted from, `worktree` the path of the tree, `branch` its branch.
    `head` is the commit of HEAD, `snapshot` the commit that also has what was uncommitted (`dirty`); the same commit if
    nothing was. `why` says why the snapshot is missing or what it lacks. `files_changed`, `insertions` and `deletions`
    count uncommitted work too. What could not be found out is None.
    """

    repository: str
    worktree: str
    branch: str
    base: str | None = None
    head: str | None = None
    commits: int | None = None
    files_changed: int | None = None
    insertions: int | None = None
    deletions: int | None = None
    dirty: bool | None = None
    snapshot: str | None = None
    why: str | None = None


class Came(StrEnum):
    """What came of landing. NOTHING: there was no change. UNCOMMITTED: files are not committed. HELD: a person has to
    finish something first. FAILING: the branch itself fails the check. UNFIT: the check fails once the work is merged.
    REFUSED: the remote refused the push."""

    LANDED = "landed"
    NOTHING = "nothing"
    UNCOMMITTED = "uncommitted"
    CONFLICT = "conflict"
    HELD = "held"
    FAILING = "failing"
    UNFIT = "unfit"
    REFUSED = "refused"


class Landing(NamedTuple):
    """How a landing on the branch `into` ended. `commit` is where that branch is now, `tree` the tree that landed,
    which is the one that the check passed on; both None unless it landed. `paths` are the files that it is about (at
    most 200), `why` says in words what kept it."""

    into: str
    came: str
    commit: str | None = None
    tree: str | None = None
    paths: tuple[str, ...] = ()
    why: str | None = None

    @property
    def shown(self) -> str | None:
        """`landed` of the contract: the commit, `nothing`, or None if it has not landed."""
        return Came.NOTHING.value if self.came == Came.NOTHING else self.commit


OF_RUN = Left._fields[:-1]
"""The keys of `Left` in the document of a run under its own name; `why` is `note` there."""

WAITS = frozenset({Came.HELD, Came.FAILING, Came.REFUSED})
"""What the agent can do nothing about: the next run lands without an agent."""
