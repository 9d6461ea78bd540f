"""Keeps a failure in one session from affecting the others: one guard around every step of a supervisor's loop and of a
sweep.

A failed step is retried later, with increasing back-off. Nothing that a file, a lock or a disk can do ends the loop.
Only lasting trouble is reported, and only once: a file that is busy for a moment is not worth a message.
"""

from __future__ import annotations

import os
import resource
from types import TracebackType

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError, Busy, Refused

AGAIN_MS = 200
LONGEST_AGAIN_MS = 5_000
"""The longest back-off after a lock or a refusal by the operating system."""

LASTING_AGAIN_MS = 30_000
"""The longest back-off after trouble that someone has to fix: a corrupt file, or something else in a directory's
place."""

STALE_MS = 60_000
"""Trouble whose step has not been retried for this long is forgotten: the work itself has gone."""

FEW_DESCRIPTORS = 12
"""With fewer descriptors left than this, a failure was probably caused by their lack: a transaction over two files
takes six."""

DESCRIPTORS = "descriptors"
PASSING = (Busy, Refused)
"""Failures that should pass by themselves: a lock, a full disk, a machine that cannot create another process."""


@dataclass(slots=True)
class Trouble:
    """A step that failed. `lasting`: not because of a lock or a refusal by the operating system. Times are monotonic
    milliseconds."""

    message: str
    lasting: bool
    busy: bool
    delay: int
    again_at: int
    reported: bool = False


class Tried:
    """A context manager around a step: it records an exception and goes no further with it. `error` is None if the
    step succeeded."""

    __slots__ = ("_guard", "_session", "_step", "error", "of_files")

    def __init__(self, guard: Guard, session: str | None, step: str) -> None:
        self.error: AgentqError | None = None
        self.of_files = False
        """Whether the error was an OSError, hence about a file of a run: the store translates the errors of its own
        files."""
        self._guard = guard
        self._session = session
        self._step = step

    @property
    def lasting(self) -> bool:
        """Whether the step failed for a reason that does not pass by itself."""
        return self.error is not None and not isinstance(self.error, PASSING)

    def __enter__(self) -> Tried:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._guard.clear(self._session, self._step)
            return False
        if not isinstance(error, Exception):
            return False
        found = translated(error)
        if self._session is None and not isinstance(found, PASSING):
            return False
        self.error = found
        self.of_files = isinstance(error, OSError)
        self._guard.note(self._session, self._step, found)
        return True


class Guard:
    """The last failure of each step in each session, and when to retry it.

    The session None stands for what all sessions share: the index, and this process itself.
    """

    def __init__(self) -> None:
        self._troubles: dict[tuple[str | None, str], Trouble] = {}

    def guarding(self, session: str | None, step: str) -> Tried:
        """Guard a step. For what all sessions share, only failures that pass by themselves are caught: a corrupt or
        replaced index ends the process that works on it."""
        return Tried(self, session, step)

    def note(self, session: str | None, step: str, error: AgentqError) -> None:
        """Record that a step has failed and put it off, longer each time."""
        busy = isinstance(error, Busy)
        lasting = not isinstance(error, PASSING)
        before = self._troubles.get((session, step))
        most = LASTING_AGAIN_MS if lasting else LONGEST_AGAIN_MS
        delay = AGAIN_MS if before is None else min(2 * before.delay, most)
        reported = before is not None and before.reported and before.message == error.message
        again_at = monotonic_ms() + delay
        self._troubles[session, step] = Trouble(error.message, lasting, busy, delay, again_at, reported)
        if isinstance(error, Refused) and step != DESCRIPTORS and (scarce := few_descriptors()) is not None:
            self.note(None, DESCRIPTORS, Refused(scarce))

    def clear(self, session: str | None, step: str) -> None:
        """Record that a step succeeded or will not be retried."""
        if self._troubles:
            self._troubles.pop((session, step), None)

    def may_run(self, session: str | None, step: str) -> bool:
        """Whether a step may run now, because it is not put off."""
        found = self._troubles.get((session, step)) if self._troubles else None
        return found is None or found.again_at <= monotonic_ms()

    def again_at(self, session: str | None, step: str) -> int:
        """When a step may run (monotonic), 0 if it is not put off."""
        found = self._troubles.get((session, step))
        return 0 if found is None else found.again_at

    def put_off(self, step: str) -> set[str]:
        """The sessions in which this step is put off."""
        now = monotonic_ms()
        return {
            session
            for (session, what), trouble in self._troubles.items()
            if session is not None and what == step and trouble.again_at > now
        }

    def lasting(self, step: str) -> set[str]:
        """The sessions in which this step failed for a reason that does not pass by itself."""
        return {
            session
            for (session, what), trouble in self._troubles.items()
            if session is not None and what == step and trouble.lasting
        }

    def moments(self) -> list[int]:
        """When steps are to be retried (monotonic)."""
        now = monotonic_ms()
        for key, trouble in list(self._troubles.items()):
            if now - trouble.again_at >= STALE_MS:
                del self._troubles[key]
        return [trouble.again_at for trouble in self._troubles.values() if trouble.again_at > now]

    def take_unreported(self) -> list[tuple[str | None, str]]:
        """Trouble that has not been reported yet, as session and message. A busy lock is reported once it has
        lasted."""
        found: list[tuple[str | None, str]] = []
        scarce = (None, DESCRIPTORS) in self._troubles
        for (session, step), trouble in self._troubles.items():
            # A lack of descriptors is reported once, not once per session.
            if (
                trouble.reported
                or (trouble.busy and trouble.delay < LONGEST_AGAIN_MS)
                or (scarce and step != DESCRIPTORS)
            ):
                continue
            trouble.reported = True
            if (session, trouble.message) not in found:
                found.append((session, trouble.message))
        return found

    def general_trouble(self) -> str | None:
        """Reported trouble of this process, or of what all sessions share, other than busy locks; None if there is
        none."""
        if self._troubles and self.may_run(None, DESCRIPTORS):
            self._troubles.pop((None, DESCRIPTORS), None)
        found = (trouble for (session, _), trouble in self._troubles.items() if session is None)
        return next((trouble.message for trouble in found if trouble.reported and not trouble.busy), None)


def translated(error: Exception) -> AgentqError:
    """The error as one of agentq's own; any error of the operating system becomes a refusal."""
    if isinstance(error, AgentqError):
        return error
    if isinstance(error, OSError):
        where = f"'{os.fsdecode(error.filename)}'" if error.filename is not None else "the system"
        return Refused(f"{where}: {error.strerror or error}")
    from agentq_cli.base import translation

    return translation.translated(error)


def few_descriptors() -> str | None:
    """A message if this process has hardly any descriptors left; else None."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError:
        used = limit
    if limit - used >= FEW_DESCRIPTORS:
        return None
    return f"this process is out of file descriptors (limit {limit}): raise `ulimit -n`, or run fewer at once"
