"""The stages of a run in its tree, as its keeper carries them out: the program of the stages, and the setup command.

What needs git is a program of its own, which the keeper keeps as it keeps the agent; here are only its name and what it
is told. Only for use in a keeper, and loaded by none whose run has no tree.
"""

from __future__ import annotations

import sys

from agentq_cli.base import json_text
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.base.defaults import SETUP_TIMEOUT_MS
from agentq_cli.base.environment import OF_TREE
from agentq_cli.host import stage_records
from agentq_cli.host.kept import Kept
from agentq_cli.host.launch import ROOT
from agentq_cli.model.runs import LIMIT
from agentq_cli.model.statuses import FailureClass
from agentq_cli.model.trees import Left
from agentq_cli.policy import checked, stages
from agentq_cli.policy.landing_steps import Do
from agentq_cli.policy.stages import Came, Stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from agentq_cli.base.clock import Clock
    from agentq_cli.host.launch import LaunchRequest
    from agentq_cli.host.run_directory import RunDirectory
    from agentq_cli.model.trees import Made
    from agentq_cli.policy.landing_steps import Step

PROGRAM = (
    f"import sys; {ROOT!r} in sys.path or sys.path.insert(0, {ROOT!r}); from agentq_cli.trees.stage import main; main()"
)
OUTPUT = "stages"
"""The file of both of its streams: empty, unless it fails by a mistake of its own."""

SETUP = "setup"
"""The file of both streams of the setup command."""

CLOSING_MS = 300_000
LANDING_MS = 1_800_000
"""How long the snapshot that closes the run may take, and a step of landing: nobody can stop them."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a stage: changes of the facts of the exit record, and variables for what comes after it."""

    came: Came
    facts: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


class TreeStages:
    """Carries out the stages of one run. `deadline` is the run's; `keep` starts a program, given the files for its
    streams, and stays with it."""

    def __init__(
        self,
        request: LaunchRequest,
        directory: RunDirectory,
        clock: Clock,
        deadline: int | None,
        keep: Callable[..., None],
    ) -> None:
        assert request.tree is not None
        self._request = request
        self._asked = request.tree
        self._directory = directory
        self._clock = clock
        self._deadline = deadline
        self._keep = keep

    def carry_out(self, stage: Stage) -> Found:
        """Carry out a stage. Raises OSError if its record cannot be used."""
        return {Stage.TREE: self._make, Stage.SETUP: self._set_up, Stage.SNAPSHOT: self._leave}[stage]()

    def land(self, step: Step) -> Kept:
        """Run the program for a step of landing."""
        about = {"step": step.do, "checked": step.checked, "onto": step.onto}
        return self.program(Stage.LAND, limit_ms=None if step.do is Do.PUSH else LANDING_MS, about=about)

    def program(self, stage: str, *, limit_ms: int | None = None, about: Mapping[str, Any] | None = None) -> Kept:
        """Run the program of the stages for one of them, told `about` it. It is agentq's own, and reads none of the
        settings for Python in the task's environment. With `limit_ms` that alone ends it, and no stop of the run."""
        asked = self._asked._asdict()
        told = {"stage": stage, "run_dir": self._directory.path, "now_ms": self._clock.now_ms(), **asked}
        told["about"] = about
        argv = (sys.executable, "-I", "-S", "-c", PROGRAM, json_text.dumps(told))
        program = Kept(
            self._silent(argv)._replace(cwd="/"),
            self._directory,
            self._clock,
            self._deadline if limit_ms is None else None,
            None if limit_ms is None else monotonic_ms() + limit_ms,
            heeds_stops=limit_ms is None,
        )
        self._keep(program, OUTPUT, OUTPUT)
        return program

    def _silent(self, argv: tuple[str, ...]) -> LaunchRequest:
        return self._request._replace(argv=argv, stdin_path=None, stdin_text=None, interrupt_first=False)

    def _make(self) -> Found:
        program = self.program(Stage.TREE)
        made = stage_records.read_made(self._directory.path)
        if program.stopped is not None or made is None:
            return self._broken_off(program, Stage.TREE)
        came = Came.PASSED if made.failed is None else Came.ENDED
        return Found(came, {"failed": made.failed, "error": made.error}, variables(made))

    def _set_up(self) -> Found:
        made = stage_records.read_made(self._directory.path)
        if made is not None and made.set_up:
            return Found(Came.PASSED)
        began = monotonic_ms()
        argv = ("sh", "-c", self._asked.setup or "")
        program = Kept(self._silent(argv), self._directory, self._clock, self._deadline, began + SETUP_TIMEOUT_MS)
        from agentq_cli.host import check

        if (failure := check.prepared(self._directory, SETUP)) is None:
            self._keep(program, SETUP, SETUP)
        found = check.ended(program, failure, monotonic_ms() - began, SETUP)
        came = stages.came_of_check(found)
        if came is Came.PASSED:
            self.program(stage_records.SET_UP)
            return Found(came, {"failed": None, "error": None})
        if program.stopped not in (None, LIMIT):
            return self._broken_off(program, Stage.SETUP)
        error = f"setup {checked.shown_command(self._asked.setup or '')}: {checked.ending(found)}"
        return Found(came, {"failed": FailureClass.SETUP, "error": error})

    def _leave(self) -> Found:
        path = self._directory.path
        stage_records.remove(path, stage_records.LEFT)
        program = self.program(Stage.SNAPSHOT, limit_ms=CLOSING_MS)
        if self._directory.left() is None:
            if _is_killed(program):
                return Found(Came.INTERRUPTED)
            unknown = Left(self._asked.checkout, self._asked.path, self._asked.branch, why=_why_not(program))
            stage_records.write(path, stage_records.LEFT, unknown._asdict())
        return Found(Came.PASSED)

    def _broken_off(self, program: Kept, stage: Stage) -> Found:
        """What came of a stage before the agent whose program has not done its work."""
        if program.stopped in stages.OF_AGENT:
            self._directory.set_stop_aside()
            return Found(Came.INTERRUPTED)
        if program.stopped is not None:
            return Found(Came.ENDED, {"stopped": program.stopped, "failed": None, "error": None})
        facts = {"failed": FailureClass.CRASHED, "error": f"stage '{stage}': {_why_not(program)}"}
        return Found(Came.INTERRUPTED if _is_killed(program) else Came.ENDED, facts)


def variables(made: Made) -> dict[str, str]:
    """What a run is told about its tree once that is made; the rest it was told before."""
    return dict(zip(OF_TREE[-2:], (made.start, str(made.number)), strict=True))


def _is_killed(program: Kept) -> bool:
    return program.stopped is None and program.code is not None and program.code < 0


def _why_not(program: Kept) -> str:
    """Why a program has not done its work, in words."""
    if program.stopped == LIMIT:
        return "it took too long"
    if program.failure is not None:
        return program.failure
    if _is_killed(program):
        return f"its program was ended by signal {-(program.code or 0)}"
    return f"its program failed; see the file '{OUTPUT}'"
