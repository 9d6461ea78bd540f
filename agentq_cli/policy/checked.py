"""What the check of a run means for the run, and what the next attempt is told of it.
Pure."""

from __future__ import annotations

from agentq_cli.base.dataclass import replace
from agentq_cli.model.runs import LEASE, LIMIT
from agentq_cli.model.statuses import FailureClass, RunStatus
from agentq_cli.policy.stages import NOT_FOUND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.runs import Check, Outcome

STOPPED = {
    "cancelled": (RunStatus.CANCELLED, FailureClass.CANCELLED, "cancelled during its {stage}"),
    "timeout": (RunStatus.TIMEOUT, FailureClass.TIMEOUT, "ran longer than its time-out, during its {stage}"),
    LEASE: (RunStatus.CRASHED, FailureClass.CRASHED, "the lease of its host was over, during its {stage}"),
    "oom": (RunStatus.OOM, FailureClass.OOM, "its {stage} used more memory than its limit"),
}
"""The end of a run that agentq stopped during a stage after its agent, by the reason."""

SHOWN = 100
"""How many characters of a command an error shows."""

TOLD_BYTES = 4096
"""How much of the end of a check's output the next attempt is told."""


def judged(outcome: Outcome, check: Check | None, command: str | None, *, stopped: str | None = None) -> Outcome:
    """How a run ended of which the agent ended with `outcome`, and the check of this command (None: it has none) with
    `check` (None: it did not come to it). `stopped` is why the run was stopped before its check, if it was."""
    if command is None or outcome.status is not RunStatus.SUCCESS:
        return outcome
    if check is not None:
        outcome = replace(outcome, check=check._replace(command=command))
        if check.passed:
            return outcome
    end = stopped_during(stopped if check is None else check.stopped, "check")
    status, failure, error = end or (RunStatus.ERROR, *_failure(check, command))
    return replace(outcome, status=status, failure_class=failure, error=error)


def stopped_during(reason: str | None, stage: str) -> tuple[RunStatus, FailureClass, str] | None:
    """The end of a run that agentq stopped for this reason during a stage after its agent; None if it did not."""
    if reason not in STOPPED:
        return None
    status, failure, error = STOPPED[reason]
    return status, failure, error.format(stage=stage)


def _failure(check: Check | None, command: str) -> tuple[FailureClass, str]:
    shown = f"check {shown_command(command)}"
    if check is None:
        return FailureClass.CHECK, f"{shown}: it was not run"
    if check.error is not None:
        return FailureClass.CONFIG, f"{shown}: {check.error}"
    failure = FailureClass.CONFIG if check.exit_code in NOT_FOUND else FailureClass.CHECK
    return failure, f"{shown}: {ending(check)}"


def shown_command(command: str) -> str:
    """A command as an error shows it."""
    return f"'{command if len(command) <= SHOWN else f'{command[:SHOWN]}…'}'"


def ending(check: Check) -> str:
    """How a check ended, in words."""
    if check.passed:
        return "passed"
    if check.stopped == LIMIT:
        return "ran longer than its time-out"
    if check.stopped is not None:
        return f"stopped: {check.stopped}"
    if check.error is not None:
        return check.error
    return f"exit code {check.exit_code}" if check.signal is None else f"ended by signal {check.signal}"


def told(check: Check, output: str, *, shown_bytes: int) -> str:
    """What comes before the prompt of the attempt after a failed check. `output` is the end of what the check printed,
    of which `shown_bytes` are shown."""
    head = f"You said that this task was done, but its check failed ({ending(check)}):\n\n    {check.command}\n\n"
    if not output.strip():
        return f"{head}It printed nothing. Find out why, correct it, and finish the task."
    cut = "" if check.output_bytes <= shown_bytes else f" (the last {shown_bytes} of {check.output_bytes} bytes)"
    return f"{head}Its output{cut}:\n\n{output.rstrip()}\n\nCorrect what it found, and finish the task."
