"""Reading what an agent prints: bytes in, as they come; a verdict out.

A reader is incremental and pure: it does no I/O, never raises on what an agent wrote, holds a bounded amount of it, and
comes to the same verdict however the bytes were cut. What it does not know it ignores: a newer agent adds events and
keys.
"""

from __future__ import annotations

import copy
import json
import math

from agentq_cli.agents import event_line
from agentq_cli.agents.profile import CONVERSATION
from agentq_cli.config_schema import READERS as READERS
from agentq_cli.dataclass import dataclass
from agentq_cli.model import FailureClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_LINE = 4 << 20
"""Bytes of one line; of a longer one only the beginning is kept."""

LONGEST_HEAD = 64 << 10
"""Bytes of such a line that are kept: the end of a long answer must not cost the final event."""

MOST_DOUBTFUL = 8
"""Lines with words beside what may be an event that are kept for a last look, the newest."""

LONGEST_LEAVINGS = 256
"""Bytes behind an event on its line, which a terminal was to get, among which its end is looked for."""

LONGEST_RESULT = 1 << 20
"""Characters of a result text that are kept."""

LONGEST_ERROR = 1000
LATEST_TIME = 253_402_300_799_000
"""The last millisecond that RFC 3339 can write."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the agent itself said about a run; None where it said nothing.

    `final` is whether its final event came, `ok` whether that reported success. `conversation_lost` means that the
    conversation to be continued is unknown to it. Tokens count everything that went in, cached or not;
    `tokens_of_conversation` means that they are those of the whole conversation so far. `reset_at` is when a usage
    limit ends, in milliseconds; `reset_said` is the sentence that may say so where there is no field for it. `denials`
    are the tools that it was refused.
    """

    final: bool = False
    ok: bool = False
    result: Any = None
    failure_class: FailureClass | None = None
    error: str | None = None
    conversation: str | None = None
    conversation_lost: bool = False
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_of_conversation: bool = False
    cost_usd: float | None = None
    reset_at: int | None = None
    reset_said: str | None = None
    denials: tuple[str, ...] = ()


class Lines:
    """Cuts a stream into lines. One over `LONGEST_LINE` is dropped, and so are NUL bytes at the start of one: that is
    how a hole in a file whose middle was cut out reads. `heads` are the beginnings of the dropped ones."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._head = b""
        self._skipping = False
        self.heads: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their line ends."""
        *ended, rest = chunk.split(b"\n")
        lines: list[bytes] = []
        for part in ended:
            self._add(part)
            if not self._skipping:
                lines.append(bytes(self._pending))
            self._reset()
        self._add(rest)
        return lines

    def close(self) -> list[bytes]:
        """The line that the end of the stream completes, if any."""
        line = bytes(self._pending)
        skipped = self._skipping
        self._reset()
        return [] if skipped or not line else [line]

    @property
    def pending(self) -> bytearray:
        """What has come of a line that is not complete yet."""
        return self._pending

    def _add(self, part: bytes) -> None:
        if not self._pending:
            part = part.lstrip(b"\0")
        if not self._skipping and len(self._pending) + len(part) <= LONGEST_LINE:
            self._pending += part
        elif not self._skipping:
            self._skipping = True
            self._head = bytes(self._pending[:LONGEST_HEAD]) + part[: max(0, LONGEST_HEAD - len(self._pending))]
            self._pending.clear()

    def _reset(self) -> None:
        if self._skipping:
            self.heads.append(self._head)
        self._pending.clear()
        self._head = b""
        self._skipping = False


class Reader:
    """The base of all readers of JSON Lines; one is good for one run."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._conversation: str | None = None
        self._started = False
        self._worked = False
        self._final: dict[str, Any] | None = None
        self._tried = (0, False)
        self._doubtful: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of standard output."""
        self._take(self._lines.feed(chunk))

    def flush(self) -> None:
        """Take what has come of the last line for all of it."""
        self._take(self._lines.close())

    def close(self) -> None:
        """Standard output has ended: a last line without its line end counts too."""
        self.flush()

    def look_again(self) -> Verdict | None:
        """What it says with the events that stand among words on their lines, one of them the final one; None where
        there is none. For a stream that ended without: before all of its work is done again."""
        tried = copy.deepcopy(self)
        for line in self._doubtful:
            for event in event_line.within(line):
                if shallow(event, 2 * DEEPEST):
                    tried.event(event)
        verdict = tried.verdict()
        return verdict if verdict.final else None

    def elsewhere(self, stderr: bytes) -> Verdict | None:
        """What an agent says that wrote its events, one of them the final one, to standard error; None where it did
        not. Asked only where standard output held no event at all: what else is written there, tools write too."""
        if self._started:
            return None
        tried = copy.deepcopy(self)
        tried.feed(stderr)
        tried.close()
        verdict = tried.verdict()
        return verdict if verdict.final else None

    def ended(self, exit_code: int) -> None:
        """The process has ended with this code; for an agent that says something by it."""
        return

    @property
    def conversation(self) -> str | None:
        """The id of the conversation, as soon as it was seen."""
        return self._conversation

    @property
    def silent(self) -> bool:
        """Whether it has not said one event yet."""
        return not self._started

    @property
    def worked(self) -> bool:
        """Whether anything was done: the model has answered, or a tool was used."""
        return self._worked

    @property
    def finished(self) -> bool:
        """Whether its final event came and no new turn has begun since; from then on it has only to exit."""
        return self._final is not None

    def seems_finished(self) -> bool:
        """The same where nothing more comes: an agent that hangs may have left out the end of its last line."""
        pending = self._lines.pending
        if self.finished or b"}" not in pending[-LONGEST_LEAVINGS:]:
            return self.finished
        if self._tried[0] != len(pending):
            tried = copy.deepcopy(self)
            tried.flush()
            self._tried = (len(pending), tried.finished)
        return self._tried[1]

    @property
    def full(self) -> bool:
        """Whether a failure of class `context` means that the conversation has no room left, so that none goes on."""
        return True

    def verdict(self) -> Verdict:
        """What is known so far."""
        raise NotImplementedError

    def explain(self, stderr: str) -> Verdict | None:
        """Why an agent ended without a final event, where its standard error says so in a form that is known."""
        return None

    def event(self, event: dict[str, Any]) -> None:
        """Take one event; any key may be missing or of another type."""
        raise NotImplementedError

    def _told(self, cli: str, lines: list[str]) -> Verdict | None:
        """A limit, a login or the like that this CLI names on standard error before its stream has begun."""
        from agentq_cli.agents import meanings

        found = None if self._started else meanings.told(cli, lines)
        if found is None:
            return None
        failure, said = found
        return Verdict(failure_class=failure, error=text(said, LONGEST_ERROR), reset_said=text(said, LONGEST_ERROR))

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            self._line(line)
        heads, self._lines.heads = self._lines.heads, []
        for head in heads:
            self._cut(head)

    def _line(self, line: bytes) -> None:
        opened = line.count(b"[") + line.count(b"{")
        found = False
        for event in event_line.events(line, self._conversation):
            found = True
            if opened <= 2 * DEEPEST or shallow(event, 2 * DEEPEST):
                self.event(event)
                self._started = True
        if not found and b'{"' in line and len(line) <= LONGEST_HEAD:
            self._doubtful = [*self._doubtful[1 - MOST_DOUBTFUL :], line]

    def _cut(self, head: bytes) -> None:
        """Take the beginning of an event that was too long: only a success, since what makes a failure may be cut."""
        event = event_line.beginning(head)
        if event and shallow(event, 2 * DEEPEST):
            tried = copy.deepcopy(self)
            tried.event(event)
            if tried.verdict().ok:
                self.event(event)
                self._started = True

    def _saw_conversation(self, value: object) -> None:
        if isinstance(value, str) and CONVERSATION.match(value):
            self._conversation = value


class Said:
    """What an agent says in pieces: the last thing that it said, of which a little more than can be stored is kept."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._anew = False

    def add(self, piece: object) -> None:
        """Take the next piece; what is no string is none."""
        if not isinstance(piece, str):
            return
        if self._anew:
            self._pieces, self._length, self._anew = [], 0, False
        if piece and self._length <= LONGEST_RESULT:
            self._pieces.append(piece)
            self._length += len(piece)

    def begin_anew(self) -> None:
        """Let the next piece replace what was said before; without one that stays the last thing."""
        self._anew = True

    def text(self) -> str | None:
        """All of it, cut as every result is."""
        return text("".join(self._pieces))


def text(value: object, limit: int = LONGEST_RESULT) -> str | None:
    """A string that can be stored: cut to `limit`, half of a surrogate pair replaced; None for anything else."""
    if not isinstance(value, str):
        return None
    if len(value) > limit:
        value = value[:limit] + " […]"
    return value.encode("utf-8", "replace").decode("utf-8")


def count(value: object) -> int | None:
    """A count that a database column holds, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else None


def dollars(value: object) -> float | None:
    """A finite amount that is not negative, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        amount = float(value)
    except OverflowError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def storable(value: Any) -> Any:
    """A JSON value with every half surrogate pair replaced; None where JSON cannot say it (NaN) or it is too deep."""
    if not shallow(value):
        return None
    try:
        return json.loads(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


DEEPEST = 100
"""Lists and objects in one another. What one call can still read another, deeper in the stack, no longer can write."""


def shallow(value: object, levels: int = DEEPEST) -> bool:
    """Whether a JSON value has no more than so many lists and objects in one another."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(shallow(inner, levels - 1) for inner in value)


def open_reader(name: str) -> Reader | None:
    """A new reader of that name, or None for `none`: then only the exit code counts."""
    assert name in READERS, name
    if name == "none":
        return None
    if name == "claude":
        from agentq_cli.agents.claude import ClaudeReader

        return ClaudeReader()
    if name == "codex":
        from agentq_cli.agents.codex import CodexReader

        return CodexReader()
    if name == "gemini":
        from agentq_cli.agents.gemini import GeminiReader

        return GeminiReader()
    if name == "opencode":
        from agentq_cli.agents.opencode import OpencodeReader

        return OpencodeReader()
    from agentq_cli.agents.events import EventsReader

    return EventsReader()
