"""What an agent said and did, as entries that a person reads: collected while a reader goes through its events.

All text of an entry is harmless on a terminal (`show.harmless`), and none of it is JSON of an event. Of tool calls only
the argument that matters is kept, of results their first and last line. Pure.
"""

from __future__ import annotations

import json

from agentq_cli.agents.reader import LONGEST_ERROR, LONGEST_HEAD, Verdict
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.enumeration import StrEnum
from agentq_cli.show.harmless import harmless, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Kind(StrEnum):
    """The kinds of entries."""

    TEXT = "text"
    THOUGHT = "thought"
    CALL = "call"
    RESULT = "result"
    REFUSAL = "refusal"
    NOTICE = "notice"
    UNKNOWN = "unknown"
    END = "end"


class Entry(NamedTuple):
    """One thing that an agent said or did.

    `text` is whole for what the agent says, and one short line for all else. `name` and `argument` are those of a tool
    call, of its result and of a refusal. `ok` is whether a result or the end was a success; None for a call that has no
    result at the end of the output. `inner` means that it came from a subagent. `until` is when a limit ends, in
    milliseconds. `verdict` is what the final event said.
    """

    kind: Kind
    text: str = ""
    name: str = ""
    argument: str = ""
    ok: bool | None = None
    inner: bool = False
    until: int | None = None
    verdict: Verdict | None = None


SHORT = 200
"""The most characters of what is not the agent's own text, nor a reason."""

LONGEST_PARTIAL = 64 << 10
"""How many characters of a line that comes in pieces are held back until it is complete."""

MOST_CALLS = 1000
"""How many calls that have no result yet are remembered, with what of their names is shown."""

TELLING = (
    *("command", "cmd", "file_path", "filePath", "absolute_path", "notebook_path", "pattern", "query", "url", "skill"),
    *("description", "path", "paths", "dir_path", "prompt", "title", "name"),
)
"""The arguments of tools that tell most about a call, most telling first."""

KINDS = ("type", "event", "subtype")
"""The keys that name the kind of an event."""


_entry = tuple.__new__
"""`Entry` with all of its fields, without the search for names and defaults."""


class Told:
    """Collects entries; `take` hands them over. Values of events may have any type."""

    def __init__(self) -> None:
        self.ended: Verdict | None = None
        self._entries: list[Entry] = []
        self._partial: list[str] = []
        self._waiting = 0
        self._streamed = 0
        self._calls: dict[str, tuple[str, str]] = {}
        self._last = ""

    def take(self) -> list[Entry]:
        """The entries since the last time."""
        entries, self._entries = self._entries, []
        return entries

    def text(self, said: object, *, inner: bool = False) -> None:
        """Something that the agent said; not again what has just come in pieces. Of a subagent only the beginning, as
        its report is the result of a call."""
        if not isinstance(said, str):
            return
        if inner:
            self._say(Kind.TEXT, short(said), inner=True)
            return
        repeated = self._streamed == len(said) > 0
        self.begin()
        self._last = said
        if not repeated:
            self._say(Kind.TEXT, clean(said.strip("\r\n")))

    def piece(self, said: object) -> None:
        """The next piece of what the agent says; told line by line."""
        if not isinstance(said, str) or not said:
            return
        self._streamed += len(said)
        if "\n" in said:
            whole, _, said = said.rpartition("\n")
            self._add(Kind.TEXT, clean("".join((*self._partial, whole)).removesuffix("\r")))
            self._partial, self._waiting = [], 0
        self._partial.append(said)
        self._waiting += len(said)
        if self._waiting > LONGEST_PARTIAL:
            self._end_partial()

    def begin(self) -> None:
        """The next piece begins a text."""
        self._end_partial()
        self._streamed = 0

    def words(self, lines: str) -> None:
        """Lines of plain output."""
        self._end_partial()
        text = Kind.TEXT
        self._entries += [
            _entry(Entry, (text, line, "", "", None, False, None, None)) for line in clean(lines).split("\n")
        ]

    def thought(self, said: object, *, inner: bool = False) -> None:
        """The beginning of what the agent thought."""
        self._end_partial()
        self._say(Kind.THOUGHT, short(said), inner=inner)

    def call(self, identifier: object, name: object, given: object, *, inner: bool = False) -> None:
        """The call of a tool with these arguments."""
        self._end_partial()
        named, argument = short(name) or "a tool", telling(given)
        if isinstance(identifier, str):
            if len(self._calls) >= MOST_CALLS:
                del self._calls[next(iter(self._calls))]
            self._calls[identifier[:SHORT]] = named, argument
        self._add(Kind.CALL, "", named, argument, None, inner)

    def called(self, identifier: object) -> bool:
        """Whether the call with this id waits for its result."""
        return isinstance(identifier, str) and identifier[:SHORT] in self._calls

    def result(self, identifier: object, said: object, *, ok: bool, refused: bool = False, inner: bool = False) -> None:
        """What came of a call: the first line of the answer, and the last one too of a failure."""
        self._end_partial()
        known = self._calls.pop(identifier[:SHORT], None) if isinstance(identifier, str) else None
        name, argument = known or ("", "")
        self._add(Kind.REFUSAL if refused else Kind.RESULT, shortened(said, both=not ok), name, argument, ok, inner)

    def refusal(self, name: object, given: object) -> None:
        """A call that was refused, told apart from its result."""
        self._end_partial()
        self._add(Kind.REFUSAL, "", short(name) or "a tool", telling(given), False)

    def notice(self, said: object, *, until: int | None = None, repeats: bool = False) -> None:
        """Something that the program reports; with `repeats` the end may give it as its reason once more."""
        if not isinstance(said, str):
            return
        self._end_partial()
        if repeats:
            self._last = said
        self._say(Kind.NOTICE, short(readable(said), LONGEST_ERROR), until=until)

    def unknown(self, event: dict[str, Any]) -> None:
        """An event that nobody here knows: its kind, and the first words in it."""
        from agentq_cli.agents.last_words import DEEPEST, spoken

        self._end_partial()
        kinds = [event.get(key) for key in KINDS]
        kind = " ".join(each for each in kinds if isinstance(each, str))
        said = spoken({key: value for key, value in event.items() if key not in KINDS}, DEEPEST)
        self._add(Kind.UNKNOWN, short(said), short(kind))

    def end(self, verdict: Verdict, said: object = None) -> None:
        """The final event, if the verdict has one: the answer `said`, if that has not been told yet, and how it
        went."""
        if not verdict.final:
            return
        self._end_partial()
        if said is not None and not isinstance(said, str):
            said = json.dumps(said, ensure_ascii=False)
        if said is not None and not self._last.strip().endswith(said.strip()):
            self._say(Kind.TEXT, clean(said.strip("\r\n")))
        error = verdict.error if verdict.error and verdict.error.strip() not in self._last else ""
        self._add(Kind.END, short(readable(error), LONGEST_ERROR), ok=verdict.ok, verdict=verdict)
        self._last = ""
        self.ended = verdict

    def close(self) -> None:
        """The output has ended: calls that have no result get none."""
        self._end_partial()
        for name, argument in self._calls.values():
            self._add(Kind.RESULT, "", name, argument)
        self._calls.clear()

    def _end_partial(self) -> None:
        """Something else comes after the pieces so far, or between two of them."""
        if self._partial:
            partial = "".join(self._partial)
            self._partial, self._waiting = [], 0
            self._say(Kind.TEXT, clean(partial))

    def _say(self, kind: Kind, text: str, *, inner: bool = False, until: int | None = None) -> None:
        """Add an entry unless it is blank."""
        if text and not text.isspace():
            self._add(kind, text, inner=inner, until=until)

    def _add(
        self,
        kind: Kind,
        text: str,
        name: str = "",
        argument: str = "",
        ok: bool | None = None,
        inner: bool = False,
        until: int | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        self._entries.append(_entry(Entry, (kind, text, name, argument, ok, inner, until, verdict)))


def clean(said: str) -> str:
    """The text, harmless and without halves of characters."""
    made = harmless(said)
    return said if made is said else made.encode("utf-8", "replace").decode()


def short(said: object, most: int = SHORT) -> str:
    """The beginning of a text, `most` characters on one line; empty for anything else."""
    if not isinstance(said, str):
        return ""
    if len(said) <= most and said.isprintable() and "  " not in said:
        return said.strip()
    line = one_line(said[: 4 * most]).encode("utf-8", "replace").decode().strip()
    return line if len(line) <= most and len(said) <= 4 * most else f"{line[: most - 1].rstrip()}…"


def shortened(said: object, *, both: bool = False) -> str:
    """The first line of a text, with `both` the last one too, and how many there are besides."""
    if not isinstance(said, str):
        return ""
    begin, end = _edges(said)
    more = said.count("\n", begin, end)
    if not more:
        return short(_uncontrolled(said[begin : min(end, begin + LONGEST_HEAD)]))
    first = short(_uncontrolled(said[begin : min(said.find("\n", begin), begin + LONGEST_HEAD)]))
    if not both:
        return f"{first} (+{more} {'line' if more == 1 else 'lines'})"
    last = short(_uncontrolled(said[max(said.rfind("\n", begin, end), end - LONGEST_HEAD) : end]))
    return f"{first} … {last}" if more > 1 else f"{first} {last}"


def _edges(said: str) -> tuple[int, int]:
    """Where the text begins and ends that is not blank."""
    return len(said) - len(said.lstrip()), len(said.rstrip())


def _uncontrolled(line: str) -> str:
    if "\x1b" not in line:
        return line
    from agentq_cli.agents.event_line import ESCAPE

    return ESCAPE.sub("", line)


def telling(given: object) -> str:
    """The argument that tells most about a call, else all of them in short."""
    if isinstance(given, str):
        return short(given)
    if not isinstance(given, dict):
        return ""
    for key in TELLING:
        value = given.get(key)
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            value = " ".join(value[:SHORT])
        if isinstance(value, str) and value.strip():
            return short(value)
    return short(", ".join(_argument(str(key), value) for key, value in list(given.items())[:10]))


def _argument(key: str, value: object) -> str:
    if isinstance(value, list):
        return f"{key}: {len(value)} {'item' if len(value) == 1 else 'items'}"
    if isinstance(value, dict):
        return f"{key}: …"
    return f"{key}: {str(value)[:SHORT]}"


def readable(said: str) -> str:
    """A reason with the API's response in it: the response's message in place of its JSON."""
    from agentq_cli.agents import api_errors

    for _ in range(2):
        answer = api_errors.answer(said, anywhere=True)
        message = answer.get("message") if answer else None
        if not isinstance(message, str):
            break
        before = said[: said.find("{")].strip(" \n[:(")
        said = f"{before}: {message}" if before else message
    return said
