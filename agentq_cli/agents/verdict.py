"""How a run ended, decided from everything that is known about it.

The exit code alone is never the verdict: one agent exits 0 after SIGTERM, another calls every API failure a success.
The order is: could it be started, did we stop it, the stream's final event, the exit code.
"""

from __future__ import annotations

import json
import os
import signal
import stat

from agentq_cli.agents.reader import Reader, Verdict, storable
from agentq_cli.agents.reset_time import reset_time
from agentq_cli.dataclass import dataclass
from agentq_cli.model import FailureClass, Outcome, RunStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class ExitFacts(Protocol):
        """The exit record of a run, as the shim wrote it."""

        @property
        def exit_code(self) -> int | None: ...
        @property
        def signal(self) -> int | None: ...
        @property
        def stopped(self) -> str | None: ...
        @property
        def error(self) -> str | None: ...
        @property
        def spawn_error(self) -> bool: ...
        @property
        def finished_at(self) -> int: ...
        @property
        def duration_ms(self) -> int: ...
        @property
        def peak_rss_bytes(self) -> int | None: ...
        @property
        def stdout_bytes(self) -> int: ...
        @property
        def stderr_bytes(self) -> int: ...
        @property
        def script_outcome(self) -> str | None: ...
        @property
        def oom_kills(self) -> int | None: ...


LARGEST_RESULT = 1 << 20
"""Bytes of a result file (CONTRACT, what an agent process gets)."""

STOPPED = {
    "cancelled": (RunStatus.CANCELLED, FailureClass.CANCELLED, "cancelled"),
    "timeout": (RunStatus.TIMEOUT, FailureClass.TIMEOUT, "ran longer than its time-out"),
    "stalled": (
        RunStatus.STALLED,
        FailureClass.STALLED,
        "no output and no heartbeat for longer than its stall time-out",
    ),
    "oom": (RunStatus.OOM, FailureClass.OOM, "used more memory than its limit"),
    "budget": (RunStatus.ERROR, FailureClass.BUDGET, "cost more than its limit"),
}
"""What becomes of a run that agentq itself stopped, by the reason recorded."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The part of an outcome that has to be decided."""

    status: RunStatus
    failure_class: FailureClass | None = None
    error: str | None = None
    conversation_lost: bool = False


def outcome(
    exit: ExitFacts, reader: Reader | None, stderr_tail: bytes = b"", *, streams: bool = True, result: Any = None
) -> Outcome:
    """The outcome of a run that has an exit record, all of whose output `reader` was fed (None: it has no reader).

    `streams` is the profile's; `result` is what `read_result` found, and wins over the text of the stream.
    """
    if reader is not None and exit.exit_code is not None and not exit.signal:
        reader.ended(exit.exit_code)
    verdict = _verdict(reader, stderr_tail)
    explained = None
    if reader is not None and not exit.signal:
        explained = reader.explain(stderr_tail.decode("utf-8", "replace"))
    decision = decide(exit, verdict, explained, streams=streams and reader is not None)
    said = verdict if verdict.final or explained is None else explained
    return Outcome(
        status=decision.status,
        finished_at=exit.finished_at,
        duration_ms=exit.duration_ms,
        exit_code=128 + exit.signal if exit.signal else exit.exit_code,
        signal=exit.signal or None,
        failure_class=decision.failure_class,
        error=decision.error,
        result=verdict.result if result is None else result,
        conversation=None if decision.conversation_lost else verdict.conversation,
        conversation_lost=decision.conversation_lost,
        tokens_in=verdict.tokens_in,
        tokens_out=verdict.tokens_out,
        tokens_of_conversation=verdict.tokens_of_conversation,
        cost_usd=verdict.cost_usd,
        peak_rss_bytes=exit.peak_rss_bytes,
        stdout_bytes=exit.stdout_bytes,
        stderr_bytes=exit.stderr_bytes,
        script_outcome=exit.script_outcome,
        reset_at=_reset_at(said, exit) if decision.failure_class is FailureClass.RATE_LIMITED else None,
    )


def crashed(
    reader: Reader | None,
    *,
    finished_at: int,
    duration_ms: int,
    error: str,
    stdout_bytes: int = 0,
    stderr_bytes: int = 0,
) -> Outcome:
    """The outcome of a run whose process is gone without an exit record, whatever its stream had said by then."""
    verdict = _verdict(reader)
    return Outcome(
        status=RunStatus.CRASHED,
        finished_at=finished_at,
        duration_ms=duration_ms,
        failure_class=FailureClass.CRASHED,
        error=error,
        conversation=verdict.conversation,
        tokens_in=verdict.tokens_in,
        tokens_out=verdict.tokens_out,
        tokens_of_conversation=verdict.tokens_of_conversation,
        cost_usd=verdict.cost_usd,
        stdout_bytes=stdout_bytes,
        stderr_bytes=stderr_bytes,
    )


def decide(exit: ExitFacts, verdict: Verdict, explained: Verdict | None, *, streams: bool) -> Decision:
    """Status, class and reason. `explained` is what standard error gave away about a missing final event."""
    if exit.spawn_error:
        return Decision(RunStatus.SPAWN_ERROR, FailureClass.SPAWN, exit.error or "could not be started")
    if exit.stopped is not None:
        status, failure, reason = STOPPED.get(exit.stopped, (RunStatus.ERROR, FailureClass.ERROR, exit.stopped))
        return Decision(status, failure, exit.error or reason)
    if exit.script_outcome == "skip":
        return Decision(RunStatus.SKIPPED)
    if exit.script_outcome == "error":
        return Decision(RunStatus.SCRIPT_ERROR, FailureClass.ERROR, exit.error)
    if exit.error is not None:
        return Decision(RunStatus.ERROR, FailureClass.ERROR, exit.error)
    if verdict.final and verdict.ok:
        return Decision(RunStatus.SUCCESS)
    if not verdict.final and exit.oom_kills and _killed(exit):
        return Decision(RunStatus.OOM, FailureClass.OOM, "killed by the kernel, which was out of memory")
    said = verdict if verdict.final else explained
    if said is not None:
        status = RunStatus.RATE_LIMITED if said.failure_class is FailureClass.RATE_LIMITED else RunStatus.ERROR
        return Decision(status, said.failure_class, said.error, said.conversation_lost)
    ending = _ending(exit)
    if streams:
        return Decision(RunStatus.ERROR, FailureClass.NO_VERDICT, f"ended without its final event ({ending})")
    if exit.exit_code == 0 and not exit.signal:
        return Decision(RunStatus.SUCCESS)
    return Decision(RunStatus.ERROR, FailureClass.ERROR, ending)


def read_result(path: str | os.PathLike[str]) -> Any:
    """The JSON value that the agent wrote to `AGENTQ_RESULT`; None where there is none that could be taken.

    The file is the agent's, so anything may lie there: a symbolic link, a pipe that would block, more than
    `LARGEST_RESULT` bytes, and what is not JSON, are all left alone.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:
        content = file.read(LARGEST_RESULT + 1)
    if len(content) > LARGEST_RESULT:
        return None
    try:
        return storable(json.loads(content.decode("utf-8")))
    except (ValueError, RecursionError):
        return None


def _verdict(reader: Reader | None, stderr_tail: bytes = b"") -> Verdict:
    if reader is None:
        return Verdict()
    reader.close()
    verdict = reader.verdict()
    return verdict if verdict.final else reader.elsewhere(stderr_tail) or verdict


def _reset_at(verdict: Verdict, exit: ExitFacts) -> int | None:
    """When the limit ends that the agent met."""
    if verdict.reset_at is not None or verdict.reset_said is None:
        return verdict.reset_at
    return reset_time(verdict.reset_said, exit.finished_at)


def _killed(exit: ExitFacts) -> bool:
    """Whether it ended by SIGKILL, or is a shell whose command did."""
    return exit.signal == signal.SIGKILL or exit.exit_code == 128 + signal.SIGKILL


def _ending(exit: ExitFacts) -> str:
    """How the process ended, in words."""
    if exit.signal:
        return f"ended by {_signal_name(exit.signal)}"
    return f"exit code {exit.exit_code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
