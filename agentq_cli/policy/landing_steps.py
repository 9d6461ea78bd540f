"""What the keeper does next to land a task's work, given what came of the step before. Pure.

The work is merged with its branch first, and only the tree that the check passed on lands. A check that fails on the
merged tree is run once more there, and then on the branch alone: what fails there too is not the work's fault. After
that look at the branch, the task's tree is always brought home. Whatever dies in between, landing begins again with
`begin`; nothing that came before needs to be known for that.
"""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.enumeration import StrEnum
from agentq_cli.model.trees import Came, Landing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Do(StrEnum):
    """A step. `CHECK` runs the check in the task's tree. The others are git's: merge and land, show the branch alone in
    the task's tree, bring that tree back to the task's branch, and push. `END`: there is nothing more to do."""

    LAND = "land"
    CHECK = "check"
    VISIT = "visit"
    HOME = "home"
    PUSH = "push"
    END = "end"


class Reply(NamedTuple):
    """What came of a step of git's: one of `Came`, or `AGAIN` if the tree was brought to the merge with the branch,
    and the check has not passed on that `tree`; `DONE` of a visit, the way home and a push. `onto` is where the branch
    was."""

    came: str
    commit: str | None = None
    tree: str | None = None
    onto: str | None = None
    paths: tuple[str, ...] = ()
    why: str | None = None


AGAIN, DONE = "again", "done"

MOST_ROUNDS = 20
"""How often the work is merged and checked anew because the branch has moved during its check."""

MOST_PATHS = 200
MOST_SIZE = 20_000
"""How many paths a landing names, and how many characters they have as they are written in a record."""


class Step(NamedTuple):
    """What to do now, and what is known.

    `into` is the branch to land on; `pushes`, whether it is pushed then. `checked` is the tree that the check passed
    on, empty for none; None if the task has no check. `tree` is the merged tree that is being checked, with the branch
    at `onto`; the check has failed on it `failed` times. `visiting`: the task's tree shows the branch alone. `landing`
    is how it ended, None until that is known; it stays None if it was stopped before.
    """

    do: Do
    into: str
    checked: str | None
    pushes: bool = False
    tree: str = ""
    onto: str = ""
    failed: int = 0
    rounds: int = 0
    visiting: bool = False
    landing: Landing | None = None


def begin(into: str, checked: str | None, *, pushes: bool = False) -> Step:
    """The first step."""
    return Step(Do.LAND, into, checked, pushes)


def replied(step: Step, reply: Reply) -> Step:
    """The step after one of git's."""
    if step.do is Do.PUSH:
        return step._replace(do=Do.END) if reply.came == DONE else _refused(step, reply.why)
    if reply.came == AGAIN and step.rounds < MOST_ROUNDS:
        tree, onto = reply.tree or "", reply.onto or ""
        return step._replace(do=Do.CHECK, tree=tree, onto=onto, failed=0, rounds=step.rounds + 1)
    if reply.came == AGAIN:
        reply = Reply(Came.HELD, why=f"it moved {MOST_ROUNDS} times during the check")
    if reply.came != DONE:
        do = Do.PUSH if reply.came == Came.LANDED and step.pushes else Do.END
        return step._replace(do=do, landing=_landing(step, reply))
    if step.do is Do.VISIT:
        return step._replace(do=Do.CHECK, visiting=True)
    return step._replace(do=Do.END, visiting=False)


def checked(step: Step, passed: bool, *, absent: bool = False) -> Step:
    """The step after a check that has ended. `absent`: there was no such program or directory, which says nothing
    against the branch alone."""
    if step.visiting:
        reply = Reply(Came.UNFIT if passed or absent else Came.FAILING)
        return step._replace(do=Do.HOME, landing=_landing(step, reply))
    if passed:
        return step._replace(do=Do.LAND, checked=step.tree)
    return step._replace(do=Do.VISIT if step.failed else Do.CHECK, failed=step.failed + 1)


def stopped(step: Step) -> Step:
    """The step after one during which a person or a limit has ended the run."""
    if step.do is Do.PUSH:
        return _refused(step, "it was stopped")
    return step._replace(do=Do.HOME if step.visiting else Do.END)


def _refused(step: Step, why: str | None) -> Step:
    assert step.landing is not None
    return step._replace(do=Do.END, landing=step.landing._replace(came=Came.REFUSED, why=why))


def _landing(step: Step, reply: Reply) -> Landing:
    return Landing(step.into, reply.came, reply.commit, reply.tree, reply.paths, reply.why)


def few(paths: Sequence[str]) -> tuple[str, ...]:
    """The first paths, as many as a landing names."""
    found: list[str] = []
    room = MOST_SIZE
    for path in paths[:MOST_PATHS]:
        room -= len(ascii(path))
        if room < 0:
            break
        found.append(path)
    return tuple(found)
