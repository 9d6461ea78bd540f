"""What a keeper knows that takes over a run whose agent has ended, read from the run's files."""

from __future__ import annotations

from agentq_cli.host.output import OutputReader
from agentq_cli.policy.stages import Came, Stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.host.records import Exit
    from agentq_cli.host.run_directory import RunDirectory


def facts(directory: RunDirectory, nothing: Exit) -> tuple[bool, Exit]:
    """How the agent ended, and whether that is on record. `nothing` is what is known of no run."""
    recorded = directory.passed()
    if recorded is not None:
        return True, recorded._replace(check=directory.checked())
    stop = directory.stop()
    with OutputReader(directory, "stdout") as stdout, OutputReader(directory, "stderr") as stderr:
        printed = nothing._replace(stdout_bytes=stdout.size(), stderr_bytes=stderr.size())
    return False, printed if stop is None else printed._replace(stopped=stop.reason)


def variables(directory: RunDirectory) -> dict[str, str]:
    """What the run was told about its tree."""
    from agentq_cli.host import stage_records, tree_stages

    made = stage_records.read_made(directory.path)
    return {} if made is None else tree_stages.variables(made)


def came(line: Sequence[Stage], directory: RunDirectory, *, done: bool) -> dict[Stage, Came]:
    """What came of the stages before it. `done`: the agent has done its work, so that what comes after it begins."""
    found: dict[Stage, Came] = {}
    for stage in line:
        if stage is Stage.SNAPSHOT:
            if directory.left() is None:
                break
        elif stage is Stage.LAND or (stage is Stage.CHECK and not (done and directory.checked())):
            break
        found[stage] = Came.ENDED if stage is Stage.AGENT and not done else Came.PASSED
    return found
