"""A run whose keeper died after its agent had begun: a new keeper takes it over, and does what comes after the agent.

Without a tree that is the check of an agent that has done its work; in a tree at least what closes the run. The agent
is not started again. Any number of processes may try: the first keeper to write its
`start` record has the run.
"""

from __future__ import annotations

import os
import select

from agentq_cli.base.dataclass import dataclass, replace
from agentq_cli.host import take_over
from agentq_cli.model.statuses import FailureClass, RunStatus
from agentq_cli.policy import checked, landed, stages
from agentq_cli.supervise import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentq_cli.base.clock import Clock
    from agentq_cli.config.configuration import Config
    from agentq_cli.engines.door import Queue
    from agentq_cli.host.launch import LaunchRequest
    from agentq_cli.host.run_directory import RunDirectory
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task
    from agentq_cli.policy.stages import Stage


def goes_on(task: Task) -> bool:
    """Whether anything comes after the agent in a task's runs, so that the end of the agent is on record."""
    return task.work.launch.check is not None or task.work.launch.repository is not None


def judged(task: Task, directory: RunDirectory, outcome: Outcome, *, stopped: str | None) -> Outcome | None:
    """How a run ended whose keeper died, and whose agent ended with `outcome`; None if a new keeper is to take it
    over."""
    stage = _next(task, directory, outcome, stopped)
    takes = directory.takes()
    if stage is not None and takes < stages.MOST_INTERRUPTIONS:
        return None
    if stage is not None:
        why = f"its keeper process vanished {takes} times during its {stage}"
        return replace(outcome, status=RunStatus.CRASHED, failure_class=FailureClass.CRASHED, error=why)
    passed = directory.passed()
    command = None if passed is not None and passed.lands else task.work.launch.check
    outcome = checked.judged(outcome, directory.checked(), command, stopped=stopped)
    return landed.judged(outcome, outcome.landing, task.work.launch.land, stopped=stopped)


def _next(task: Task, directory: RunDirectory, outcome: Outcome, stopped: str | None) -> Stage | None:
    """What comes after the agent of a run and is not done."""
    launch = task.work.launch
    done = outcome.status is RunStatus.SUCCESS
    tree = launch.repository is not None and _has_tree(directory)
    if not (tree or done):
        return None
    line = stages.line(
        script=launch.script is not None,
        check=launch.check is not None,
        tree=tree,
        land=launch.land is not None,
    )
    return stages.following(line, take_over.came(line, directory, done=done), stopped=stopped)


def _has_tree(directory: RunDirectory) -> bool:
    from agentq_cli.host import stage_records

    made = stage_records.read_made(directory.path)
    return made is not None and made.failed is None


@dataclass(frozen=True, slots=True)
class Keepers:
    """Makes the launches of keepers that take runs over. `environ` is the environment of this process."""

    queue: Queue
    config: Config
    clock: Clock
    environ: Mapping[str, str]

    def request(self, run: RunId, take: int) -> LaunchRequest | None:
        """The launch of a keeper; None if the run has ended."""
        claim = self.queue.claimed(run)
        if claim is None:
            return None
        zone = claim.task.work.launch.tz or plan.zone(self.config, self.environ, claim.task.session)
        here, find = self.queue.here, self.queue.task
        return plan.request(claim, self.config, here, self.clock, self.environ, zone, take=take, find=find)

    def launch_alone(self, run: RunId, take: int, *, wait_ms: int = 0) -> bool:
        """Start one from a process that has no launcher, and wait for its end for as long as that; False if the run
        has ended. Raises OSError."""
        from agentq_cli.host.launch import Launcher

        request = self.request(run, take)
        if request is None:
            return False
        launcher = Launcher()
        launcher.start()
        try:
            line = launcher.launch(request)
            if wait_ms:
                select.select([line], [], [], wait_ms / 1000)
            os.close(line)
        finally:
            launcher.close()
        return True
