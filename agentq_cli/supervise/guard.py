"""What goes wrong in one session stays there: one guard around every step of a supervisor's loop, and of a sweep.

A step that fails is tried again later, each time later; nothing that a file, a lock or a disk can do ends the loop.
What is told, and told once, is what lasts: a file that is busy for a moment is no news.
"""

from __future__ import annotations

import os
import resource
import sqlite3
from types import TracebackType

from agentq_cli.clock import monotonic_ms
from agentq_cli.dataclass import dataclass
from agentq_cli.errors import AgentqError, Busy, Refused

AGAIN_MS = 200
LONGEST_AGAIN_MS = 5_000
"""How far apart at most what is locked, or what the machine refuses, is tried again."""

LASTING_AGAIN_MS = 30_000
"""The same for what somebody has to mend: a file that is corrupt, a directory that is none."""

STALE_MS = 60_000
"""A trouble that nobody has tried again for so long has gone with what was to be done."""

FEW_DESCRIPTORS = 12
"""With fewer left, what failed may well have failed for want of them: a transaction over two files takes six."""

DESCRIPTORS = "descriptors"
PASSING = (Busy, Refused)
"""What passes by itself, or so it is to be hoped: a lock, a full disk, a machine that has no process left."""


@dataclass(slots=True)
class Trouble:
    """A step that failed. `lasting`: not for a lock or by the machine. Times are monotonic milliseconds."""

    message: str
    lasting: bool
    busy: bool
    delay: int
    again_at: int
    told: bool = False


class Tried:
    """Around a step: what it raises is noted, and goes no further. `error` is None where it went well."""

    __slots__ = ("_guard", "_session", "_step", "error", "of_files")

    def __init__(self, guard: Guard, session: str | None, step: str) -> None:
        self.error: AgentqError | None = None
        self.of_files = False
        """Whether the operating system refused a file: one of a run, as the store names its own."""
        self._guard = guard
        self._session = session
        self._step = step

    @property
    def lasting(self) -> bool:
        """Whether it failed for something that does not pass by itself."""
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
    """What has failed last in each session, step by step, and when it is to be tried again.

    A session of None is what all have in common: the index, the process itself.
    """

    def __init__(self) -> None:
        self._troubles: dict[tuple[str | None, str], Trouble] = {}

    def over(self, session: str | None, step: str) -> Tried:
        """Around a step. Of what all sessions have in common only what passes by itself is caught: a corrupt or
        exchanged index ends whoever works on it."""
        return Tried(self, session, step)

    def note(self, session: str | None, step: str, error: AgentqError) -> None:
        """A step has failed: it is put off, longer each time."""
        busy = isinstance(error, Busy)
        lasting = not isinstance(error, PASSING)
        before = self._troubles.get((session, step))
        most = LASTING_AGAIN_MS if lasting else LONGEST_AGAIN_MS
        delay = AGAIN_MS if before is None else min(2 * before.delay, most)
        told = before is not None and before.told and before.message == error.message
        again_at = monotonic_ms() + delay
        self._troubles[session, step] = Trouble(error.message, lasting, busy, delay, again_at, told)
        if isinstance(error, Refused) and step != DESCRIPTORS and (scarce := few_descriptors()) is not None:
            self.note(None, DESCRIPTORS, Refused(scarce))

    def clear(self, session: str | None, step: str) -> None:
        """A step went well, or is not to be tried again."""
        if self._troubles:
            self._troubles.pop((session, step), None)

    def may(self, session: str | None, step: str) -> bool:
        """Whether a step is not put off."""
        found = self._troubles.get((session, step)) if self._troubles else None
        return found is None or found.again_at <= monotonic_ms()

    def put_off(self, step: str) -> set[str]:
        """The sessions in which a step is."""
        now = monotonic_ms()
        return {
            session
            for (session, what), trouble in self._troubles.items()
            if session is not None and what == step and trouble.again_at > now
        }

    def lasting(self, step: str) -> set[str]:
        """The sessions in which a step failed for what does not pass by itself."""
        return {
            session
            for (session, what), trouble in self._troubles.items()
            if session is not None and what == step and trouble.lasting
        }

    def moments(self) -> list[int]:
        """When something is to be tried again (monotonic)."""
        now = monotonic_ms()
        for key, trouble in list(self._troubles.items()):
            if now - trouble.again_at >= STALE_MS:
                del self._troubles[key]
        return [trouble.again_at for trouble in self._troubles.values() if trouble.again_at > now]

    def take(self) -> list[tuple[str | None, str]]:
        """What is wrong and was not told yet: session and message. A lock is told of once it has lasted."""
        found: list[tuple[str | None, str]] = []
        scarce = (None, DESCRIPTORS) in self._troubles
        for (session, step), trouble in self._troubles.items():
            # What fails for want of descriptors is one trouble, and not one of each session.
            if trouble.told or (trouble.busy and trouble.delay < LONGEST_AGAIN_MS) or (scarce and step != DESCRIPTORS):
                continue
            trouble.told = True
            if (session, trouble.message) not in found:
                found.append((session, trouble.message))
        return found

    def general(self) -> str | None:
        """What is wrong with this process, or with what all sessions have in common, and was told; a lock is not."""
        if self._troubles and self.may(None, DESCRIPTORS):
            self._troubles.pop((None, DESCRIPTORS), None)
        found = (trouble for (session, _), trouble in self._troubles.items() if session is None)
        return next((trouble.message for trouble in found if trouble.told and not trouble.busy), None)


def translated(error: Exception) -> AgentqError:
    """The error as one of ours; what the operating system said, whatever it is, is a refusal."""
    if isinstance(error, AgentqError):
        return error
    if isinstance(error, OSError) and not isinstance(error, sqlite3.Error):
        where = f"'{os.fsdecode(error.filename)}'" if error.filename is not None else "the system"
        return Refused(f"{where}: {error.strerror or error}")
    from agentq_cli import failures

    return failures.translated(error)


def few_descriptors() -> str | None:
    """What to say where this process has hardly any descriptor left; None where it has."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError:
        used = limit
    if limit - used >= FEW_DESCRIPTORS:
        return None
    return f"this process is out of file descriptors ({limit} at most): raise `ulimit -n`, or run fewer at once"
