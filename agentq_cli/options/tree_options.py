"""The options of a task that runs in a tree of its own: which of them go together, and what of them is stored.

Whether a repository can have that tree is asked of it by the caller's `Admit`: nothing here knows git.
"""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.errors import Usage
from agentq_cli.options.texts import word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    from agentq_cli.options.table import Given

OF_TREE = ("branch", "base", "setup", "teardown", "land", "land_as", "push")
"""The options that only a task in a tree has."""

OF_LANDING = ("land_as", "push")
"""Those that only a task that lands has."""


class TreeAsked(NamedTuple):
    """What is asked of a repository: a tree for a task of `session` that runs in `directory`. `own`: it is isolated, so
    the tree is not its session's. `typed`: a person asked for it, and not the config. The others are the options."""

    session: str
    directory: str
    own: bool
    typed: bool
    branch: str | None
    base: str | None
    land: str | None
    push: str | None


Admit: TypeAlias = "Callable[[TreeAsked], Mapping[str, Any] | None]"
"""The fields of a launch that say where the tree belongs; None if the config asks for a tree where there can be none.
Raises what the repository refuses."""


def tree_fields(
    given: Given,
    options: Given,
    what: Callable[[str], str],
    *,
    session: str,
    directory: str,
    own: bool,
    admit: Admit | None,
) -> dict[str, Any]:
    """The fields of a task's launch that are about its tree; none if it has no tree. What the config sets for trees
    does not hold for a task without one. Raises Usage, and what `admit` raises."""
    wanted = given.get("worktree")
    if not (options.get("worktree") if wanted is None else wanted) or admit is None:
        _refuse(given, OF_TREE, what, "worktree")
        return {}
    found = {name: word(name, given, options, what) for name in OF_TREE}
    if found["land"] is None:
        _refuse(given, OF_LANDING, what, "land")
        found |= dict.fromkeys(OF_LANDING)
    asked = TreeAsked(
        session, directory, own, bool(wanted), found["branch"], found["base"], found["land"], found["push"]
    )
    placed = admit(asked)
    if placed is None:
        _refuse(given, OF_TREE, what, "worktree")
        return {}
    return {**found, **placed}


def _refuse(given: Given, names: tuple[str, ...], what: Callable[[str], str], lacking: str) -> None:
    for name in names:
        if given.get(name) is not None:
            raise Usage(f"{what(name)} '{given[name]}': needs {what(lacking)}")
