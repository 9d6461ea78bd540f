"""A run whose keeper died with only its check left: a new keeper takes it over and runs the check again.

The agent has done its work and is not started again. Any number of processes may try: the first keeper to write its
`start` record has the run.
"""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass, replace
from agentq_cli.model.statuses import FailureClass, RunStatus
from agentq_cli.policy import checked, stages
from agentq_cli.policy.stages import Came, Stage
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


def judged(task: Task, directory: RunDirectory, outcome: Outcome, *, stopped: str | None) -> Outcome | None:
    """How a run ended whose keeper died, and whose agent ended with `outcome`; None if its check is to be run again."""
    command = task.work.launch.check
    if command is None or outcome.status is not RunStatus.SUCCESS:
        return outcome
    line = stages.line(script=task.work.launch.script is not None, check=True)
    came = dict.fromkeys(line, Came.PASSED) | {Stage.CHECK: Came.INTERRUPTED}
    takes = directory.takes()
    if stages.following(line, came, stopped=stopped, interruptions=takes) is not None:
        return None
    if stopped in stages.ENDING:
        return checked.judged(outcome, None, command, stopped=stopped)
    why = f"its keeper process vanished {takes} times during its check"
    return replace(outcome, status=RunStatus.CRASHED, failure_class=FailureClass.CRASHED, error=why)


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
        return plan.request(claim, self.config, self.queue.here, self.clock, self.environ, zone, take=take)

    def launch_alone(self, run: RunId, take: int) -> bool:
        """Start one from a process that has no launcher; False if the run has ended. Raises OSError."""
        from agentq_cli.host.launch import Launcher

        request = self.request(run, take)
        if request is None:
            return False
        launcher = Launcher()
        launcher.start()
        try:
            os.close(launcher.launch(request)[1])
        finally:
            launcher.close()
        return True
