"""What a run has printed, as lines for a screen: from near its end, and on from there as it grows."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.agents.last_words import last_words
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import RunId
from agentq_cli.show.harmless import Decoder, harmless
from agentq_cli.show.pen import DIM

FROM_END = 256 * 1024
"""How many bytes before the end reading begins."""

AT_ONCE = 256 * 1024
"""How many bytes one look reads; what is more than this behind the end is skipped."""

MOST_LINES = 3000
"""How many lines of a run are kept."""

LONGEST = 2000
"""How many characters of a line are kept."""

STREAMS = ("stdout", "stderr")


class Line(NamedTuple):
    """A line without anything that a terminal interprets, and its style."""

    text: str
    style: str = ""


class Lines:
    """The bytes of a stream as the lines that they are. `spoken`: of an agent's event, its text is shown."""

    def __init__(self, *, spoken: bool) -> None:
        self._spoken = spoken
        self._decoder = Decoder()
        self._rest = ""

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines that a piece completes."""
        *whole, self._rest = (self._rest + self._decoder.decode(piece)).split("\n")
        yield from map(self._line, whole)
        if len(self._rest) > AT_ONCE:
            yield from self.end()

    def end(self) -> Iterator[Line]:
        """What is left without a line break."""
        if self._rest:
            yield self._line(self._rest)
        self._rest = ""

    def _line(self, line: str) -> Line:
        text = last_words(line) if self._spoken and line.startswith("{") else line
        return shortened(text)


def shortened(text: str, style: str = "") -> Line:
    """A text as one line, harmless, and not longer than anybody reads."""
    text = harmless(text[: LONGEST + 1].expandtabs()).rstrip().replace("\n", " ")
    return Line(text if len(text) <= LONGEST else f"{text[:LONGEST]}…", style)


class Printed:
    """One stream of a run, read from near its end."""

    def __init__(self, queue: Queue, run: RunId, stream: str, *, spoken: bool) -> None:
        self._output = queue.output(run, stream)
        self._lines = Lines(spoken=spoken)
        self._skip = False

    def more(self, *, over: bool) -> list[Line]:
        """The lines since the last look; `over`: no more will come, so that what is left is a line too."""
        found: list[Line] = []
        with self._output as output:
            end = output.size()
            if end - output.offset > FROM_END:
                before = end - FROM_END - output.offset
                found.append(Line(f"[{before} bytes before this are not shown; v shows all]", DIM))
                output.offset = end - FROM_END
                self._skip = True
            left = min(end - output.offset, AT_ONCE)
            while left > 0 and (piece := output.read(left)):
                left -= len(piece)
                if self._skip:
                    begin = piece.find(b"\n") + 1
                    if not begin:
                        continue
                    piece, self._skip = piece[begin:], False
                found += self._lines.feed(piece)
        if over and not left:
            found += self._lines.end()
        return found[-MOST_LINES:]
