"""The transcript of a run: bytes of its standard output in, as they arrive; entries for a person out.

It reads with the run's `Reader`, which does not see the bytes twice: who wants the verdict as well asks `reader` for
it. What is no event is told as the text that it is. The entries are the same however the bytes were split, and the
memory for them is bounded.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator

from agentq_cli.agents import event_line
from agentq_cli.agents.reader import LONGEST_LINE, Head, Reader, Verdict, open_reader, shallow
from agentq_cli.agents.transcript_entries import Entry, Told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.agents.profile import Profile

LONGEST_DOCUMENT = 1 << 20
"""The most bytes of a document on several lines; of a longer one the lines are told."""

TOO_LONG = f"of more than {LONGEST_LINE >> 20} MiB"

CUT = re.compile(rb"\[agentq: \d+ bytes cut here\]")
"""The line in the place of bytes that agentq itself cut out of the output (`host.output.mark`)."""


class Transcript:
    """One run of an agent whose output `reader` understands, which must have read nothing yet.

    With `middle` the bytes may begin in the middle of a line.
    """

    def __init__(self, reader: Reader, *, middle: bool = False) -> None:
        self.reader = reader
        self._told = Told()
        self._document: list[bytes] = []
        self._size = 0
        self._after_cut = middle

    def read(self, chunks: Iterable[bytes]) -> Iterator[Entry]:
        """The entries of a whole output, as its chunks come."""
        for chunk in chunks:
            yield from self.feed(chunk)
        yield from self.end()

    def feed(self, chunk: bytes) -> list[Entry]:
        """The entries that the next bytes complete."""
        words: list[bytes] = []
        for line in self.reader.lines.feed(chunk):
            if b"{" in line or line[:1] == b"[" or self._document or self._after_cut or type(line) is Head:
                if words:
                    self._told.words(_text(words))
                    words = []
                self._line(line)
            else:
                words.append(line)  # The reader would find no event on such a line either.
        if words:
            self._told.words(_text(words))
        return self._told.take()

    def end(self) -> list[Entry]:
        """The last entries, once the output has ended."""
        for line in self.reader.lines.close():
            self._line(line)
        self._end_document()
        self._told.close()
        self.reader.close()
        verdict = self.reader.verdict()
        if verdict.final:
            self._end(verdict, None)
        elif (among := self.reader.verdict_among_words()) is not None:
            self._end(among, among.result)
        return self._told.take()

    def _line(self, line: bytes) -> None:
        found = self.reader.take(line)
        alone = len(found) == 1 and _kind(found[0])
        events = found if alone else [event for event in found if _kind(event)]
        if not events and (self._document or line[:1] == b"{") and self._in_document(line):
            return
        if self._document:
            self._end_document()
        for event in events:
            if not self.reader.tell(event, self._told):
                self._told.unknown(event)
        if events:
            self._after_cut = False
        elif type(line) is Head:
            known = event_line.beginning(line)
            self._told.unknown({**(known if _kind(known) else {"type": "line"}), "text": TOO_LONG})
            verdict = self.reader.verdict()
            self._end(verdict, verdict.result)
        else:
            self._words(line, event=not found)

    def _words(self, line: bytes, *, event: bool) -> None:
        """Tell a line without an event of its own: words, or if there may be an `event`, words before one, or a part of
        one."""
        after_cut, self._after_cut = self._after_cut, line[:1] == b"[" and CUT.fullmatch(line) is not None
        if event and b'"' in line:
            if after_cut and line.endswith(b"}"):
                return  # the end of an event
            if line.startswith(b'{"') and self._part(line):
                return
            at = line.find(b'{"')
            for each in event_line.within(line) if at > 0 else ():
                if _kind(each) and shallow(each) and self.reader.tell(each, Told()):
                    self._told.words(_text([line[:at]]))
                    self.reader.tell(each, self._told)
                    return
        self._told.words(_text([line]))

    def _part(self, line: bytes) -> bool:
        """Tell an event of which only the beginning is there; returns whether it is one. After the first event,
        whatever begins like an event is one."""
        known = event_line.beginning(line)
        if not _kind(known) and not self.reader.silent:
            known = {"type": "event"}
        if _kind(known):
            self._told.unknown({**known, "text": "incomplete"})
        return _kind(known)

    def _end(self, verdict: Verdict, said: object) -> None:
        """Tell an end that no event has told."""
        if verdict != self._told.ended:
            self._told.end(verdict, said)

    def _in_document(self, line: bytes) -> bool:
        """Collect a JSON document on several lines, which some agents print instead of events; returns whether the line
        belongs to one."""
        line = line.rstrip(b"\r")
        if line[:1] not in (b" ", b"\t", b"}") if self._document else line != b"{":
            return False
        self._document.append(line)
        self._size += len(line) + sys.getsizeof(b"")
        if line == b"}" or self._size > LONGEST_DOCUMENT:
            self._end_document()
        return True

    def _end_document(self) -> None:
        """Tell the document if the reader knows it, else its lines."""
        lines, self._document, self._size = self._document, [], 0
        if not lines:
            return
        try:
            document = json.loads(b"\n".join(lines))
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or not shallow(document) or not self.reader.tell(document, self._told):
            self._told.words(_text(lines))


def transcript(profile: Profile | None, *, middle: bool = False) -> Transcript | None:
    """The transcript of a run with this profile (None: a command), fed with its standard output; None if its output is
    shown as it is, because nothing is known of its form."""
    reader = None if profile is None else open_reader(profile.reader)
    return None if reader is None else Transcript(reader, middle=middle)


def _text(lines: list[bytes]) -> str:
    """Lines of plain output as text."""
    whole = b"\n".join(lines)
    if b"\r" in whole:
        whole = b"\n".join([line.rstrip(b"\r") for line in lines])
    return whole.decode("utf-8", "replace")


def _kind(event: dict[str, Any]) -> bool:
    """Whether an object names its kind, as all events do; others are what the agent printed."""
    return isinstance(event.get("type") or event.get("event"), str)
