"""What a run has printed, as lines for a screen: from near its end, and on from there as it grows.

Of an agent's events a person reads the transcript; what is none, stderr and the output of commands stand as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agentq_cli.agents.transcript import Transcript, transcript
from agentq_cli.agents.transcript_entries import Entry, Kind
from agentq_cli.agents.transcript_lines import lines
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.errors import AgentqError
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import RunId
from agentq_cli.model.tasks import Task
from agentq_cli.show.harmless import Decoder, harmless
from agentq_cli.show.pen import BUSY, DIM, GOOD, ODD, WRONG
from agentq_cli.supervise.plan import profile_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

FROM_END = 256 * 1024
"""How many bytes before the end reading begins. What is more than this behind the end is skipped."""

MOST_LINES = 3000
"""How many lines of a run are kept."""

LONGEST = 8000
"""How many characters of a line are kept."""

STYLES = {Kind.TEXT: "", Kind.CALL: BUSY, Kind.REFUSAL: ODD}


class Line(NamedTuple):
    """A line without anything that a terminal interprets, and its style."""

    text: str
    style: str = ""


CUT = Line("[what comes before this is not shown; v shows all]", DIM)


class Raw:
    """The bytes of a stream as the lines that they are; with `middle` they begin in the middle of one."""

    def __init__(self, middle: bool) -> None:
        self._skip = middle
        self._decoder = Decoder()
        self._rest = ""

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines that a piece completes."""
        *whole, self._rest = (self._rest + self._decoder.decode(piece)).split("\n")
        if self._skip and whole:
            del whole[0]
            self._skip = False
        yield from map(shortened, whole)
        if len(self._rest) > FROM_END:
            yield from self.end()

    def end(self) -> Iterator[Line]:
        """What is left without a line break."""
        if self._rest:
            yield shortened(self._rest)
        self._rest = ""


class Told:
    """The bytes of a stream as what its agent said and did."""

    def __init__(self, of: Transcript) -> None:
        self._transcript = of
        self._call: Entry | None = None

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines that a piece completes."""
        yield from self._drawn(self._transcript.feed(piece))

    def end(self) -> Iterator[Line]:
        """The last lines, once nothing more comes."""
        yield from self._drawn(self._transcript.end())

    def _drawn(self, entries: list[Entry]) -> Iterator[Line]:
        for entry in entries:
            before = [] if self._call is None else [self._call]
            for text in list(lines([*before, entry]))[len(before) :]:
                yield shortened(text, _style(entry))
            self._call = entry if entry.kind is Kind.CALL else None


Reading: TypeAlias = "Callable[[bool], Raw | Told]"
"""Makes what reads a stream, from its beginning or from the middle of a line."""


def reading(task: Task, config: Config, stream: str) -> Reading:
    """How a stream of the task's runs is read."""
    try:
        profile = profile_of(task, config) if stream == "stdout" else None
    except AgentqError:
        profile = None  # it has been taken out of the configuration

    def make(middle: bool) -> Raw | Told:
        found = transcript(profile, middle=middle)
        return Raw(middle) if found is None else Told(found)

    return make


class Printed:
    """One stream of a run, read from near its end."""

    def __init__(self, queue: Queue, run: RunId, stream: str, make: Reading) -> None:
        self._output = queue.output(run, stream)
        self._make = make
        self._lines = make(False)
        self._over = False

    def more(self, *, over: bool) -> list[Line]:
        """The lines since the last look; `over`: the run has ended, so that what is left is a line too."""
        found: list[Line] = []
        with self._output as output:
            end = output.size()
            if end - FROM_END > output.offset:
                found.append(CUT)
                output.offset = end - FROM_END
                self._lines = self._make(True)
            left = end - output.offset
            while left > 0 and (piece := output.read(left)):
                left -= len(piece)
                found += self._lines.feed(piece)
        if over and not self._over:
            self._over = True
            found += self._lines.end()
        return found if len(found) <= MOST_LINES else [CUT, *found[1 - MOST_LINES :]]


def shortened(text: str, style: str = "") -> Line:
    """A text as one line, harmless, and not longer than anybody reads."""
    text = harmless(text[: LONGEST + 1].expandtabs()).rstrip().replace("\n", " ")
    return Line(text if len(text) <= LONGEST else f"{text[:LONGEST]}…", style)


def _style(entry: Entry) -> str:
    if entry.kind is Kind.END:
        return GOOD if entry.ok else WRONG
    if entry.kind is Kind.RESULT:
        return DIM if entry.ok else WRONG
    return STYLES.get(entry.kind, DIM)
