"""Reads what an agent prints: bytes in, as they arrive; a verdict out.

A reader is incremental and pure. It does no I/O, never raises because of what an agent wrote, keeps a bounded amount of
it, and reaches the same verdict however the bytes were split into chunks. It ignores what it does not know, since newer
agents add events and keys.
"""

from __future__ import annotations

import copy
import json
import math
import re

from agentq_cli.agents import event_line
from agentq_cli.agents.profile import CONVERSATION
from agentq_cli.base.dataclass import dataclass
from agentq_cli.config.schema import READERS as READERS
from agentq_cli.model.statuses import FailureClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.agents.transcript_entries import Told

LONGEST_LINE = 4 << 20
"""The most bytes of a line; of a longer line only the beginning is kept."""

LONGEST_HEAD = 64 << 10
"""How many bytes of an overlong line are kept, so that a long answer does not cost the final event."""

MOST_DOUBTFUL = 8
"""How many of the newest lines with both words and a possible event are kept, to be read again at the end."""

LONGEST_LEAVINGS = 256
"""The end of an event is searched within this many last bytes of its line; terminal output may follow the event."""

LONGEST_RESULT = 1 << 20
"""How many characters of a result text are kept."""

LONGEST_ERROR = 1000
LATEST_TIME = 253_402_300_799_000
"""The last millisecond that RFC 3339 can express."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the agent itself said about a run; a field is None if it said nothing.

    `final` says whether its final event arrived, `ok` whether that event reported success. `conversation_lost` means
    that the agent does not know the conversation it was to continue. Tokens count all input, cached or not;
    `tokens_of_conversation` means that they cover the whole conversation so far. `reset_at` is when a usage limit ends,
    in milliseconds; `reset_said` is the sentence that may say so if there is no field for it. `denials` are the tools
    that the agent was refused. `list_price` means that a subscription pays, so that the cost is what the tokens would
    have cost without it. `turns` is how often the model answered.
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
    list_price: bool = False
    turns: int | None = None
    reset_at: int | None = None
    reset_said: str | None = None
    denials: tuple[str, ...] = ()


class Head(bytes):
    """The beginning of a line that was too long."""


class Lines:
    """Splits a stream into lines; of a line longer than `LONGEST_LINE` only a `Head` is kept. NUL bytes at the start of
    a line are dropped: they are how a file reads where its middle was punched out."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._head: Head | None = None

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their line breaks."""
        *lines, rest = chunk.split(b"\n")
        # Only the first of them has a part in earlier chunks; most others are lines as they stand.
        unusual = len(chunk) > LONGEST_LINE or b"\n\0" in chunk
        for at in range(len(lines) if unusual else min(len(lines), 1)):
            self._add(lines[at])
            lines[at] = self._line()
        self._add(rest)
        return lines

    def close(self) -> list[bytes]:
        """The last line, if the stream ended without a line break."""
        line = self._line()
        return [line] if line else []

    @property
    def pending(self) -> bytearray:
        """The part of the current, incomplete line received so far."""
        return self._pending

    def _add(self, part: bytes) -> None:
        if not self._pending:
            part = part.lstrip(b"\0")
        if self._head is not None:
            return
        if len(self._pending) + len(part) <= LONGEST_LINE:
            self._pending += part
        else:
            self._head = Head(self._pending[:LONGEST_HEAD] + part[: max(0, LONGEST_HEAD - len(self._pending))])
            self._pending.clear()

    def _line(self) -> bytes:
        line = bytes(self._pending) if self._head is None else self._head
        self._pending.clear()
        self._head = None
        return line


class Reader:
    """The base class of all readers of JSON Lines; each instance reads one run."""

    def __init__(self) -> None:
        self.lines = Lines()
        self._conversation: str | None = None
        self._started = False
        self._worked = False
        self._final: dict[str, Any] | None = None
        self._tried = (0, False)
        self._doubtful: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        """Process the next bytes of standard output."""
        for line in self.lines.feed(chunk):
            self.take(line)

    def take(self, line: bytes) -> list[dict[str, Any]]:
        """Process one of `lines`; returns the events on it that were processed, none of an overlong line."""
        if type(line) is Head:
            self._cut(line)
            return []
        if b"{" not in line:
            return []
        found = event_line.events(line, self._conversation)
        if line.count(b"[") + line.count(b"{") > 2 * DEEPEST:
            found = [event for event in found if shallow(event, 2 * DEEPEST)]
        for event in found:
            self.event(event)
            self._started = True
        if not found and b'{"' in line and len(line) <= LONGEST_HEAD:
            self._doubtful = [*self._doubtful[1 - MOST_DOUBTFUL :], line]
        return found

    def flush(self) -> None:
        """Treat the part of the last line received so far as the whole line."""
        for line in self.lines.close():
            self.take(line)

    def close(self) -> None:
        """Note that standard output has ended: a last line without a line break counts too."""
        self.flush()

    def verdict_among_words(self) -> Verdict | None:
        """The verdict if events that stand among words on their lines are counted too; None if none of them is a final
        event. Used for a stream that ended without a final event, before all of its work would be done again."""
        tried = copy.deepcopy(self)
        for line in self._doubtful:
            for event in event_line.within(line):
                if shallow(event, 2 * DEEPEST):
                    tried.event(event)
        verdict = tried.verdict()
        return verdict if verdict.final else None

    def verdict_on_stderr(self, stderr: bytes) -> Verdict | None:
        """The verdict of an agent that wrote its events, including a final one, to standard error; else None. Used only
        if standard output held no event at all, because tools write to standard error too."""
        if self._started:
            return None
        tried = copy.deepcopy(self)
        tried.feed(stderr)
        tried.close()
        verdict = tried.verdict()
        return verdict if verdict.final else None

    def ended(self, exit_code: int) -> None:
        """Note the exit code of the process, for agents that encode something in it."""
        return

    @property
    def conversation(self) -> str | None:
        """The id of the conversation, once it has been seen."""
        return self._conversation

    @property
    def silent(self) -> bool:
        """Whether no event has been seen yet."""
        return not self._started

    @property
    def worked(self) -> bool:
        """Whether any work was done: the model answered, or a tool was used."""
        return self._worked

    @property
    def finished(self) -> bool:
        """Whether the final event arrived and no new turn has begun since; after that the agent only has to exit."""
        return self._final is not None

    def seems_finished(self) -> bool:
        """Whether the agent would be finished if nothing more came: one that hangs may have omitted its last line
        break."""
        pending = self.lines.pending
        if self.finished or b"}" not in pending[-LONGEST_LEAVINGS:]:
            return self.finished
        if self._tried[0] != len(pending):
            tried = copy.deepcopy(self)
            tried.flush()
            self._tried = (len(pending), tried.finished)
        return self._tried[1]

    @property
    def conversation_is_full(self) -> bool:
        """Whether a failure of class `context` means that the conversation is full, so that it cannot be continued."""
        return True

    def verdict(self) -> Verdict:
        """The verdict from what has been read so far."""
        raise NotImplementedError

    def explain(self, stderr: str) -> Verdict | None:
        """Why an agent ended without a final event, if its standard error says so in a known form; else None."""
        return None

    def event(self, event: dict[str, Any]) -> None:
        """Process one event; any key may be missing or have another type."""
        raise NotImplementedError

    def tell(self, event: dict[str, Any], told: Told) -> bool:
        """Tell a person what an event says that `event` has processed, if it is worth telling; returns whether its kind
        is known."""
        raise NotImplementedError

    def _told(self, cli: str, lines: list[str]) -> Verdict | None:
        """A usage limit, missing login or similar that this CLI reported on standard error before its stream began."""
        from agentq_cli.agents import meanings

        found = None if self._started else meanings.told(cli, lines)
        if found is None:
            return None
        failure, said = found
        return Verdict(failure_class=failure, error=text(said, LONGEST_ERROR), reset_said=text(said, LONGEST_ERROR))

    def _cut(self, head: bytes) -> None:
        """Process the beginning of an overlong event, but only a success: the part that tells of a failure may be
        missing."""
        event = event_line.beginning(head)
        if event and shallow(event, 2 * DEEPEST):
            tried = copy.deepcopy(self)
            tried.event(event)
            if tried.verdict().ok:
                self.event(event)
                self._started = True

    def _saw_conversation(self, value: object) -> None:
        if value != self._conversation and isinstance(value, str) and re.match(CONVERSATION, value):
            self._conversation = value


class Said:
    """Text that an agent sends in pieces. Keeps the last text, up to a little more than can be stored."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._anew = False

    def add(self, piece: object) -> None:
        """Add the next piece; anything but a string is ignored."""
        if not isinstance(piece, str):
            return
        if self._anew:
            self._pieces, self._length, self._anew = [], 0, False
        if piece and self._length <= LONGEST_RESULT:
            self._pieces.append(piece)
            self._length += len(piece)

    def begin_anew(self) -> None:
        """Let the next piece replace the text so far; if no piece follows, the text stays."""
        self._anew = True

    def text(self) -> str | None:
        """The whole text, truncated like every result."""
        return text("".join(self._pieces))


def text(value: object, limit: int = LONGEST_RESULT) -> str | None:
    """A string that can be stored: truncated to `limit`, with lone surrogates replaced; None for anything else."""
    if not isinstance(value, str):
        return None
    if len(value) > limit:
        value = value[:limit] + " […]"
    return value.encode("utf-8", "replace").decode("utf-8")


def count(value: object) -> int | None:
    """A count that fits into a database column, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else None


def dollars(value: object) -> float | None:
    """A finite, non-negative amount, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        amount = float(value)
    except OverflowError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def storable(value: Any) -> Any:
    """A JSON value with lone surrogates replaced; None if JSON cannot express it (NaN) or it is nested too deeply."""
    if not shallow(value):
        return None
    try:
        return json.loads(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


DEEPEST = 100
"""The greatest depth of nested lists and objects. A value that one call could just read, a call deeper in the stack
might be unable to write."""


def shallow(value: object, levels: int = DEEPEST) -> bool:
    """Whether a JSON value nests at most this many levels of lists and objects."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(shallow(inner, levels - 1) for inner in value)


def open_reader(name: str) -> Reader | None:
    """A new reader of that name, or None for `none`, for which only the exit code counts."""
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
    from agentq_cli.agents.own_events import EventsReader

    return EventsReader()
