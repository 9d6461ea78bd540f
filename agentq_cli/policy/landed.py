"""What the landing of a run means for the run, and what the next attempt is told of it. Pure."""

from __future__ import annotations

from agentq_cli.base.dataclass import replace
from agentq_cli.model.statuses import FailureClass, RunStatus
from agentq_cli.model.trees import WAITS, Came
from agentq_cli.policy.checked import stopped_during

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.trees import Landing

CLASSES = {
    Came.UNCOMMITTED: FailureClass.LAND,
    Came.CONFLICT: FailureClass.CONFLICT,
    Came.HELD: FailureClass.LAND,
    Came.FAILING: FailureClass.LAND,
    Came.UNFIT: FailureClass.CHECK,
    Came.REFUSED: FailureClass.LAND,
}
"""The failure class of a landing that did not do all that was asked."""

SHOWN = 5
"""How many paths an error names."""


def judged(outcome: Outcome, landing: Landing | None, into: str | None, *, stopped: str | None = None) -> Outcome:
    """How a run ended of which agent and check ended with `outcome`, and the landing on the branch `into` (None: it
    lands on none) with `landing` (None: that did not come to an end). `stopped` is why the run was stopped, if it
    was."""
    if into is None:
        return outcome
    outcome = replace(outcome, landing=landing)
    if landing is not None and landing.came == Came.UNFIT and outcome.failure_class is FailureClass.CHECK:
        return replace(outcome, error=f"{outcome.error}, once merged with '{into}'")
    if outcome.status is not RunStatus.SUCCESS:
        return outcome
    if landing is not None and landing.came in CLASSES:
        failure = CLASSES[Came(landing.came)]
        return replace(outcome, status=RunStatus.ERROR, failure_class=failure, error=shown(landing))
    if landing is not None:
        return outcome
    end = stopped_during(stopped, "landing")
    status, failure, error = end or (RunStatus.CRASHED, FailureClass.CRASHED, "its landing was interrupted")
    return replace(outcome, status=status, failure_class=failure, error=error)


def shown(landing: Landing) -> str:
    """How a landing ended, in words."""
    if landing.came == Came.LANDED:
        return f"landed on '{landing.into}' as {landing.commit}"
    return f"{_failure(landing)}{_named(landing.paths)}"


def _failure(landing: Landing) -> str:
    into, why = f"'{landing.into}'", landing.why
    if landing.came == Came.REFUSED:
        return f"landed on {into} and not pushed: {why}"
    if landing.came == Came.FAILING:
        return f"waits to land: {into} itself fails its check"
    told = {
        Came.UNCOMMITTED: "files are not committed",
        Came.CONFLICT: f"conflict{f': {why}' if why else ''}",
        Came.UNFIT: f"its check fails once it is merged with {into}",
    }
    return f"cannot land on {into}: {told.get(Came(landing.came), why)}"


def _named(paths: Sequence[str]) -> str:
    if not paths:
        return ""
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return f": {', '.join(repr(path) for path in paths[:SHOWN])}{more}"


def lands_alone(landing: Landing | None) -> bool:
    """Whether the run after one whose landing ended so lands without an agent, which could do nothing about it."""
    return landing is not None and landing.came in WAITS


def told(landing: Landing) -> str | None:
    """What comes before the prompt of the attempt after a landing that its agent can do something about; None if a
    failed check says all there is to say."""
    into, files = landing.into, "".join(f"    {path}\n" for path in landing.paths)
    if landing.came == Came.UNFIT:
        return f"Your work passed its check on its own. Since then {into} was merged into your branch for the landing."
    if landing.came == Came.UNCOMMITTED:
        return (
            f"Your work cannot land on {into}: these files are not committed.\n\n{files}\n"
            "Commit what belongs to the task, and remove the rest or have git ignore it."
        )
    if landing.came == Came.CONFLICT:
        why = f": {landing.why}" if landing.why else ""
        conflicts = f"These files conflict:\n\n{files}\n" if landing.paths else ""
        return (
            f"Your work cannot land on {into}, which has changed meanwhile{why}.\n{conflicts}"
            f"Merge {into} into this branch, resolve what conflicts, and commit the merge."
        )
    return None
