"""How a run ended, decided from everything that is known about it.

The exit code alone never decides: one agent exits with 0 after SIGTERM, another calls every API failure a success.
These are checked in order: whether it could be started, whether a person cancelled it, a final event that reports
success, whether agentq stopped it, any other final event, the exit code. So it does not matter who ends the process
after a successful final event, or how: its work is done.
"""

from __future__ import annotations

import json
import os
import signal
import stat

from agentq_cli.agents.reader import Reader, Verdict, storable
from agentq_cli.agents.reset_time import reset_time
from agentq_cli.base.dataclass import dataclass
from agentq_cli.model.runs import LEASE, Outcome
from agentq_cli.model.statuses import FailureClass, RunStatus

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
        def failed(self) -> str | None: ...
        @property
        def oom_kills(self) -> int | None: ...


LARGEST_RESULT = 1 << 20
"""The most bytes of a result file (CONTRACT, what an agent process gets)."""

STOPPED = {
    "cancelled": (RunStatus.CANCELLED, FailureClass.CANCELLED, "cancelled"),
    "timeout": (RunStatus.TIMEOUT, FailureClass.TIMEOUT, "ran longer than its time-out"),
    "stalled": (
        RunStatus.STALLED,
        FailureClass.STALLED,
        "no output and no heartbeat for longer than its stall time-out",
    ),
    "oom": (RunStatus.OOM, FailureClass.OOM, "used more memory than its limit"),
    LEASE: (RunStatus.CRASHED, FailureClass.CRASHED, "the lease of its host was over"),
    "budget": (RunStatus.ERROR, FailureClass.BUDGET, "cost more than its limit"),
}
"""The end of a run that agentq stopped itself, by the recorded reason."""

CANCELLED = "cancelled"
LINGER = "linger"
"""The reason of a stop after the final event, for a process that only had to exit: the final event decides."""

SENT = frozenset((signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM))
"""Signals with which a person or the machine ends a process; if it ended by another signal, the fault was its own."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The part of an outcome that has to be decided."""

    status: RunStatus
    failure_class: FailureClass | None = None
    error: str | None = None
    conversation_lost: bool = False


def outcome(
    exit: ExitFacts,
    reader: Reader | None,
    stderr_tail: bytes = b"",
    *,
    streams: bool = True,
    result: Any = None,
    at_stop: Verdict | None = None,
) -> Outcome:
    """The outcome of a run that has an exit record. `reader` has been fed all of its output (None: the run has no
    reader).

    `streams` is the profile's. `result` is what `read_result` found, and takes precedence over the text of the stream.
    `at_stop` is what the agent had said when our stop sequence began: its reaction to the stop says nothing about its
    work.
    """
    if reader is not None and exit.exit_code is not None and not exit.signal:
        reader.ended(exit.exit_code)
    verdict = _verdict(reader, stderr_tail)
    if at_stop is not None and at_stop.final:
        verdict = at_stop
    explained = None
    if reader is not None and not exit.signal:
        explained = reader.explain(stderr_tail.decode("utf-8", "replace"))
    final_first = at_stop is not None and at_stop.final
    decision = decide(exit, verdict, explained, streams=streams and reader is not None, final_first=final_first)
    return _outcome(
        decision,
        verdict,
        verdict if verdict.final or explained is None else explained,
        reader,
        nothing_done=exit.error is None and _nothing_done(decision, reader, exit.signal),
        at_once=exit.stopped == LEASE,
        finished_at=exit.finished_at,
        duration_ms=exit.duration_ms,
        exit_code=128 + exit.signal if exit.signal else exit.exit_code,
        signal=exit.signal or None,
        result=verdict.result if result is None else result,
        peak_rss_bytes=exit.peak_rss_bytes,
        stdout_bytes=exit.stdout_bytes,
        stderr_bytes=exit.stderr_bytes,
        script_outcome=exit.script_outcome,
    )


def crashed(
    reader: Reader | None,
    *,
    finished_at: int,
    duration_ms: int,
    error: str,
    stopped: str | None = None,
    result: Any = None,
    stdout_bytes: int = 0,
    stderr_bytes: int = 0,
    at_once: bool = False,
) -> Outcome:
    """The outcome of a run whose process is gone without an exit record: what its stream had said by then decides.

    `stopped` is the reason if someone had asked for it to be stopped; `at_once`: see `Outcome`.
    """
    verdict = _verdict(reader)
    if verdict.final and stopped != CANCELLED and (verdict.ok or stopped not in STOPPED):
        decision = _said(verdict)
    elif stopped in STOPPED:
        decision = Decision(*STOPPED[stopped])
    else:
        decision = Decision(RunStatus.CRASHED, FailureClass.CRASHED, error)
    return _outcome(
        decision,
        verdict,
        verdict,
        reader,
        nothing_done=_nothing_done(decision, reader, None),
        at_once=at_once or stopped == LEASE,
        finished_at=finished_at,
        duration_ms=duration_ms,
        result=verdict.result if result is None else result,
        stdout_bytes=stdout_bytes,
        stderr_bytes=stderr_bytes,
    )


def _outcome(
    decision: Decision, verdict: Verdict, said: Verdict, reader: Reader | None, *, finished_at: int, **facts: Any
) -> Outcome:
    """The outcome; `said` is the verdict, or the explanation that replaces it."""
    limited = decision.failure_class is FailureClass.RATE_LIMITED
    return Outcome(
        status=decision.status,
        finished_at=finished_at,
        failure_class=decision.failure_class,
        error=decision.error,
        conversation=None if decision.conversation_lost else verdict.conversation,
        conversation_lost=decision.conversation_lost,
        conversation_full=reader is not None
        and decision.failure_class is FailureClass.CONTEXT
        and reader.conversation_is_full,
        tokens_in=verdict.tokens_in,
        tokens_out=verdict.tokens_out,
        tokens_of_conversation=verdict.tokens_of_conversation,
        cost_usd=verdict.cost_usd,
        list_price=verdict.list_price,
        turns=verdict.turns,
        reset_at=_reset_at(said, finished_at) if limited else None,
        **facts,
    )


def decide(
    exit: ExitFacts, verdict: Verdict, explained: Verdict | None, *, streams: bool, final_first: bool = False
) -> Decision:
    """Status, class and reason. `explained` is what standard error revealed about a missing final event.

    `final_first` means that the final event arrived before our stop sequence began.
    """
    if exit.spawn_error:
        return Decision(RunStatus.SPAWN_ERROR, FailureClass.SPAWN, exit.error or "could not be started")
    if exit.stopped == CANCELLED:
        return Decision(*STOPPED[CANCELLED])
    if exit.stopped not in (None, LINGER) and not (verdict.final and (verdict.ok or final_first)):
        status, failure, reason = STOPPED.get(exit.stopped or "", (RunStatus.ERROR, FailureClass.ERROR, exit.stopped))
        return Decision(status, failure, exit.error or reason)
    if exit.failed is not None:
        return Decision(RunStatus.ERROR, _class(exit.failed), exit.error)
    if exit.script_outcome == "skip":
        return Decision(RunStatus.SKIPPED)
    if exit.script_outcome == "error":
        return Decision(RunStatus.SCRIPT_ERROR, FailureClass.ERROR, exit.error)
    if exit.error is not None:
        return Decision(RunStatus.ERROR, FailureClass.ERROR, exit.error)
    if verdict.final and verdict.ok:
        return Decision(RunStatus.SUCCESS)
    if not verdict.final and exit.oom_kills and _killed(exit):
        return Decision(RunStatus.OOM, FailureClass.OOM, "killed by the kernel because memory ran out")
    said = verdict if verdict.final else explained
    if said is not None:
        return _said(said)
    ending = _ending(exit)
    if streams:
        return Decision(RunStatus.ERROR, FailureClass.NO_VERDICT, f"ended without its final event ({ending})")
    if exit.exit_code == 0 and not exit.signal:
        return Decision(RunStatus.SUCCESS)
    return Decision(RunStatus.ERROR, FailureClass.ERROR, ending)


def _class(name: str) -> FailureClass:
    """The failure class of this name, which a keeper of another version may have written."""
    return FailureClass(name) if name in set(FailureClass) else FailureClass.ERROR


def _said(verdict: Verdict) -> Decision:
    """The decision from a final event, or from the explanation that replaces it."""
    if verdict.ok:
        return Decision(RunStatus.SUCCESS)
    status = RunStatus.RATE_LIMITED if verdict.failure_class is FailureClass.RATE_LIMITED else RunStatus.ERROR
    return Decision(status, verdict.failure_class, verdict.error, verdict.conversation_lost)


def _nothing_done(decision: Decision, reader: Reader | None, signal: int | None) -> bool:
    """See `Outcome.nothing_done`. The conversation may be at fault if it was refused, or if the run ended or hung in
    silence.

    It is not at fault for a usage limit, an account, a key, a network or wrong options, nor if someone ended the run by
    a signal.
    """
    if reader is None or reader.worked:
        return False
    failure = decision.failure_class
    if failure in (FailureClass.STALLED, FailureClass.TIMEOUT):
        return reader.silent
    if failure is FailureClass.CONTEXT:
        return reader.conversation_is_full
    if failure is FailureClass.NO_VERDICT:
        return signal not in SENT
    return failure is FailureClass.ERROR


def read_result(path: str | os.PathLike[str]) -> Any:
    """The JSON value that the agent wrote to `AGENTQ_RESULT`; None if there is no acceptable one.

    The agent controls this file, so a symbolic link, a pipe that would block, more than `LARGEST_RESULT` bytes, and
    anything that is not JSON are ignored.
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
    return (
        verdict if verdict.final else reader.verdict_among_words() or reader.verdict_on_stderr(stderr_tail) or verdict
    )


def _reset_at(verdict: Verdict, finished_at: int) -> int | None:
    """When the usage limit ends that the agent reached."""
    if verdict.reset_at is not None or verdict.reset_said is None:
        return verdict.reset_at
    return reset_time(verdict.reset_said, finished_at)


def _killed(exit: ExitFacts) -> bool:
    """Whether the process was ended by SIGKILL, or is a shell whose command was."""
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
