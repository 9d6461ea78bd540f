"""The stages of one run, and which comes next: a state machine over what is known of those that came before. Pure.

A run goes through its line of stages in order, and a stage begins only once all before it have passed. Where a stage
ends the run instead, or a person or the time-out does, nothing more begins but what closes the run: nothing that is in
its tree may be lost. A stage that died with its keeper or was killed begins again if it may: the script and the agent
do not, since a second agent is another attempt and the retry rules decide on it; the others do, since each finds done
what it had done. To add a stage, give it its place in `LINE`, and to `AGAIN` if it may begin again; the keeper carries
it out.
"""

from __future__ import annotations

from agentq_cli.base.enumeration import StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentq_cli.model.runs import Check


class Stage(StrEnum):
    """A part of a run that its keeper carries out. `TREE`, `SNAPSHOT` and `LAND` need git; the program of the stages
    does them."""

    TREE = "tree"
    SETUP = "setup"
    SCRIPT = "script"
    AGENT = "agent"
    SNAPSHOT = "snapshot"
    CHECK = "check"
    LAND = "land"


LINE = (Stage.TREE, Stage.SETUP, Stage.SCRIPT, Stage.AGENT, Stage.SNAPSHOT, Stage.CHECK, Stage.LAND)
"""All stages, in order. A run without one of them passes from the one before to the one after."""

AGAIN = frozenset({Stage.TREE, Stage.SETUP, Stage.SNAPSHOT, Stage.CHECK, Stage.LAND})
"""The stages that may begin again within their run."""

CLOSING = frozenset({Stage.SNAPSHOT})
"""The stages that begin however the run ended, once it has its tree."""


AFTER = frozenset({Stage.CHECK, Stage.LAND})
"""The stages after the agent: a stop that was about the agent comes too late for them."""


class Came(StrEnum):
    """What came of a stage. `ENDED`: it decided how the run ends, as a failure does, or a script that skips the
    agent."""

    PASSED = "passed"
    ENDED = "ended"
    INTERRUPTED = "interrupted"


ENDING = frozenset({"cancelled", "timeout"})
"""The reasons of a stop that end the run whatever its stage; any other is about the stage in which it came."""

MOST_INTERRUPTIONS = 5
"""How often the stages of a run may be interrupted; a check that always kills its keeper must not run for ever."""


def line(
    *,
    script: bool,
    check: bool,
    tree: bool = False,
    setup: bool = False,
    land: bool = False,
    agent: bool = True,
) -> tuple[Stage, ...]:
    """The stages of a run that has a script, a check, a tree, a setup command, a landing, an agent, or not."""
    wanted = {
        Stage.TREE: tree,
        Stage.SETUP: setup,
        Stage.SCRIPT: script,
        Stage.AGENT: agent,
        Stage.SNAPSHOT: tree,
        Stage.CHECK: check,
        Stage.LAND: land,
    }
    return tuple(stage for stage in LINE if wanted[stage])


def following(
    line: Sequence[Stage], came: Mapping[Stage, Came], *, stopped: str | None = None, interruptions: int = 0
) -> Stage | None:
    """The stage to begin now; None if the run ends here, or has passed all of them.

    `came` has the stages that have begun. `stopped` is the reason of a stop that was asked for, `interruptions` how
    often stages of the run were interrupted, including this time.
    """
    over = stopped in ENDING
    for stage in line:
        if over and not (stage in CLOSING and came.get(Stage.TREE) is Came.PASSED):
            continue
        if stage not in came:
            return stage
        if came[stage] is Came.INTERRUPTED and stage in AGAIN and interruptions < MOST_INTERRUPTIONS:
            return stage
        over = over or came[stage] is not Came.PASSED
    return None


def passed(line: Sequence[Stage], came: Mapping[Stage, Came]) -> bool:
    """Whether the run has passed all of its stages: only then its work is done."""
    return all(came.get(stage) is Came.PASSED for stage in line)


INTERRUPTING = frozenset({1, 2, 9, 15})
"""SIGHUP, SIGINT, SIGKILL, SIGTERM: with these a person or the machine ends a process; by any other it fails itself."""

NOT_FOUND = frozenset({126, 127})
"""What a shell exits with if it cannot run a command, or finds none."""


OF_AGENT = frozenset({"linger", "stalled", "budget"})
"""The reasons of a stop that are about the agent alone. One that comes when its check has begun came too late."""


def came_of_check(check: Check) -> Came:
    """What came of a check that has ended, or of a setup command."""
    killed = check.stopped is None and check.error is None and check.signal in INTERRUPTING
    if killed or check.stopped in OF_AGENT:
        return Came.INTERRUPTED
    return Came.PASSED if check.passed else Came.ENDED
