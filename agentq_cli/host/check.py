"""The check of a run: a shell command that runs once the agent says that its work is done, and decides whether it is.

It is kept as the agent is, and prints to the file `check`. Only for use in a shim.
"""

from __future__ import annotations

from agentq_cli.base.clock import Clock, monotonic_ms
from agentq_cli.host import said
from agentq_cli.host.kept import Kept
from agentq_cli.host.launch import LaunchRequest
from agentq_cli.host.records import Exit
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.runs import Check
from agentq_cli.model.statuses import RunStatus

OUTPUT = "check"
"""The file of both of its streams."""


def wanted(request: LaunchRequest, directory: RunDirectory, record: Exit) -> bool:
    """Whether the agent says that its work is done, so that the check is next."""
    stream = said.follower(directory, request.reader)
    found = said.outcome(directory, record, stream, reader=request.reader, streams=request.streams)
    return found.status is RunStatus.SUCCESS


def prepared(directory: RunDirectory, output: str) -> str | None:
    """Remove what an interrupted check, or setup command, has printed to this file. Returns why that cannot be done."""
    try:
        directory.clear(output)
    except OSError as error:
        return f"'{directory.file(output)}': {error.strerror}"
    return None


def program(request: LaunchRequest, directory: RunDirectory, clock: Clock, deadline: int | None) -> Kept:
    """The check, to be started; `deadline` is the run's."""
    asked = request._replace(
        argv=("sh", "-c", request.check or ""), stdin_path=None, stdin_text=None, interrupt_first=False
    )
    return Kept(asked, directory, clock, deadline, monotonic_ms() + request.check_timeout_ms)


def ended(program: Kept, failure: str | None, duration_ms: int, output: str) -> Check:
    """How it ended, having printed to the file `output`. `failure` is why it was not started."""
    code = program.code
    return Check(
        exit_code=code if code is None or code >= 0 else None,
        signal=-code if code is not None and code < 0 else None,
        stopped=program.stopped,
        error=failure or program.failure,
        duration_ms=duration_ms,
        output_bytes=program.bounded_size(output),
    )
