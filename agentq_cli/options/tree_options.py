"""The options of a task that runs in a tree of its own: which of them go together, and what of them is stored.

Whether a repository can have that tree is asked of it by the caller's `Admit`: nothing here knows git.
"""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.environment import OF_REPOSITORY, matches
from agentq_cli.base.errors import Usage
from agentq_cli.options import values
from agentq_cli.options.texts import word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    from agentq_cli.model.addresses import Address
    from agentq_cli.model.work import Work
    from agentq_cli.options.table import Given

OF_TREE = ("branch", "base", "setup", "teardown", "land", "land_as", "push")
"""The options that only a task in a tree has."""

OF_LANDING = ("land_as", "push")
"""Those that only a task that lands has."""

PLACE = ("repository", "checkout", "subdirectory", "base")
"""The fields of a launch that the repository decides on."""


LANDS_MORE = "that would land what you have not committed, as your work; commit it first, or land by hand"
"""Why a task does not land that begins with the caller's uncommitted files."""


class LineOfBatch(NamedTuple):
    """A base: the branch of the task of another line of the same batch, which has this name."""

    name: str


class TreeAsked(NamedTuple):
    """What is asked of a repository: a tree for a task of `session` that runs in `directory`.

    `own`: it is isolated, so the tree is not that of a conversation; otherwise `conversation` is the key of that, None
    if any of the session's will do. `task` is the address of one that is changed, None for a
    new one, whose `key` may be that of a live one. `wanted`: it shall have a tree; otherwise only if its session works
    in one of the repository around the directory. `typed`: a person asked for the tree, and not the config;
    `base_typed`: for the base. `base_task` is the task, or the line of the batch, that `--base @ID` names. The others
    are the options.
    """

    session: str
    directory: str
    own: bool
    task: Address | None
    key: str | None
    wanted: bool
    typed: bool
    base_typed: bool
    branch: str | None
    base: str | None
    base_task: Address | LineOfBatch | None
    land: str | None
    push: str | None
    setup: str | None
    teardown: str | None
    conversation: str | None = None


Admit: TypeAlias = "Callable[[TreeAsked], Mapping[str, Any] | None]"
"""The fields of a launch that say where the tree belongs (`PLACE`), and others that are those of its session's tree;
None if the config asks for a tree where there can be none, or if nobody does. Raises what the repository refuses."""


class Trees:
    """The trees of the tasks that one command makes; `admit` None: there are none. `task` is the task that it changes,
    if it makes no new ones."""

    def __init__(self, admit: Admit | None, task: Address | None = None) -> None:
        self._admit = admit
        self._task = task
        self._lines: dict[tuple[str | None, str], str] = {}
        self._sessions: dict[str, str | None] = {}
        self._branches: dict[tuple[str, str | None], str | None] = {}

    def fields(
        self,
        given: Given,
        options: Given,
        what: Callable[[str], str],
        *,
        session: str,
        directory: str,
        own: bool,
    ) -> dict[str, Any]:
        """The fields of a task's launch that are about its tree; none if it has no tree. What the config sets for trees
        does not hold for a task without one. Raises Usage, and what the repository refuses."""
        typed = given.get("worktree")
        wanted = options.get("worktree") if typed is None else typed
        inherits = wanted is None and not own and self._task is None
        if not (wanted or inherits) or self._admit is None:
            _refuse(given, OF_TREE, what, "worktree")
            return {}
        words = {name: value for name, value in given.items() if not isinstance(value, LineOfBatch)}
        found = {name: word(name, words, options, what) for name in OF_TREE}
        if found["land"] is None:
            _refuse(given, OF_LANDING, what, "land")
            found |= dict.fromkeys(OF_LANDING)
        base = given.get("base")
        if isinstance(base, LineOfBatch):
            found["base"] = f"@{base.name}"
        else:
            base = base_task(found["base"], what)
            found["base"] = found["base"] if base is None else f"@{base}"
        if found["base"] == "." and found["land"] is not None:
            raise Usage(f"{what('base')} '.': not together with {_bare('land', what)}: {LANDS_MORE}")
        asked = TreeAsked(
            session=session,
            directory=directory,
            own=own,
            task=self._task,
            key=given.get("key"),
            wanted=bool(wanted),
            typed=bool(typed),
            base_typed=given.get("base") is not None,
            branch=found["branch"],
            base=found["base"],
            base_task=base,
            land=found["land"],
            push=found["push"],
            setup=found["setup"],
            teardown=found["teardown"],
            conversation=None if own else given.get("conversation"),
        )
        placed = self._admit(asked)
        if placed is None:
            _refuse(given, OF_TREE, what, "worktree")
            return {}
        return {**found, **placed}

    def check(self, work: Work, session: str, base: str | LineOfBatch | None, what: Callable[[str], str]) -> None:
        """Raise Usage if the tree of a new task is not its own among those of the same command, or begins where it does
        not wait for. `base` is what was said of that."""
        launch, own = work.launch, work.context == "isolated"
        line = f"{session}/{len(self._lines)}" if own else f"{session} {launch.conversation_key or ''}"
        if launch.branch is not None and self._lines.setdefault((launch.repository, launch.branch), line) != line:
            raise Usage(f"{what('branch')} '{launch.branch}': another of these tasks has it")
        if not own and self._sessions.setdefault(session, launch.repository) != launch.repository:
            raise Usage(f"{what('cwd')} '{work.cwd}': all tasks of session '{session}' are in one repository")
        key = session, launch.conversation_key
        if not own and self._branches.setdefault(key, launch.branch) != launch.branch:
            raise Usage(f"{what('branch')} '{launch.branch}': all tasks of a conversation share one tree")
        for name in launch.env:
            if matches(name, OF_REPOSITORY):
                raise Usage(f"{what('env')} '{name}': names a repository, and the task has a tree of its own")
        if isinstance(base, str):
            check_base(work, what)


def base_task(base: str | None, what: Callable[[str], str]) -> Address | None:
    """The task that a base `@ID` names; None for another base, also for git's own that begin so: `@`, `@~1`,
    `@{upstream}`. Raises Usage."""
    named = (base or "").removeprefix("@")
    if named == base or not named[:1].isalnum():
        return None
    return values.parse_address(named, f"{what('base')} '{base}':")


def check_base(work: Work, what: Callable[[str], str]) -> None:
    """Raise Usage if the task does not wait for the task whose branch its own begins at."""
    named = base_task(work.launch.base, what)
    if named is not None and named not in [each.address for each in work.after]:
        raise Usage(f"{what('base')} '{work.launch.base}': {must_wait(what)}")


def must_wait(what: Callable[[str], str]) -> str:
    """What a base is refused for that is the branch of a task which is not waited for."""
    return f"the task must wait for it; give {_bare('after', what)} too"


def check_series(work: Work, what: Callable[[str], str]) -> None:
    """Raise Usage if the occurrences of a series could not each have a branch."""
    if work.launch.branch is not None and work.context == "isolated":
        raise Usage(
            f"{what('branch')} '{work.launch.branch}': each occurrence has a tree of its own; leave it out, or give"
            f" {what('context')} session"
        )


def _refuse(given: Given, names: tuple[str, ...], what: Callable[[str], str], lacking: str) -> None:
    for name in names:
        if given.get(name) is not None:
            raise Usage(f"{what(name)} '{given[name]}': needs {_bare(lacking, what)}")


def _bare(name: str, what: Callable[[str], str]) -> str:
    """An option as the person writes it, without the line that it is missing from."""
    return what(name).rpartition(" ")[2]
