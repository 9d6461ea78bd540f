"""A transcript as plain lines, for pipes and screens without colours. What the agent says stands as it is; all else
stands in brackets, the results of tools indented below their calls:

    I will run a command.
    [Bash] make test
      [failed] exit code 2 … make: *** [test] Error 2
    The tests fail.
    [done: 300 tokens in, 60 out, $0.0028]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agentq_cli.agents.reader import Verdict
from agentq_cli.agents.transcript_entries import Entry, Kind
from agentq_cli.base.clock import rfc3339
from agentq_cli.show.costs import used

INNER = "    "
"""What comes from a subagent is indented by this."""


class Page:
    """Turns entries into lines, in their order. With a `width` lines in brackets are cut to so many cells; what the
    agent says is never cut."""

    def __init__(self, width: int | None = None) -> None:
        self._width = width
        self._call: Entry | None = None

    def lines(self, entry: Entry) -> list[str]:
        """The lines of the next entry, without line breaks."""
        call, self._call = self._call, entry if entry.kind is Kind.CALL else None
        if entry.kind is Kind.TEXT and not entry.inner:
            return entry.text.split("\n")
        line = (INNER if entry.inner else "") + _line(entry, call)
        return [line if self._width is None else _cut(line, self._width)]


def lines(entries: Iterable[Entry], width: int | None = None) -> Iterator[str]:
    """The lines of a transcript, as its entries come."""
    page = Page(width)
    for entry in entries:
        yield from page.lines(entry)


def ending(verdict: Verdict) -> str:
    """The tokens and the cost that a final event reports."""
    of = " of the whole conversation" if verdict.tokens_of_conversation else ""
    return used(verdict, of=of)


def _line(entry: Entry, call: Entry | None) -> str:
    """The line of an entry; `call` is the entry before it if that is a call."""
    if entry.kind is Kind.CALL:
        return f"[{entry.name}] {entry.argument}".rstrip()
    if entry.kind in (Kind.RESULT, Kind.REFUSAL):
        return _result(entry, call)
    if entry.kind is Kind.END:
        return _end(entry)
    whose = {Kind.TEXT: "says", Kind.THOUGHT: "thinks", Kind.UNKNOWN: entry.name}.get(entry.kind)
    until = "" if entry.until is None else f", until {rfc3339(entry.until)[:16]}Z"
    return f"[{': '.join(each for each in (whose, entry.text) if each)}{until}]"


def _result(entry: Entry, call: Entry | None) -> str:
    refused = entry.kind is Kind.REFUSAL
    how = "refused" if refused else {True: "ok", False: "failed", None: "no result"}[entry.ok]
    if call is None or (call.name, call.argument) != (entry.name, entry.argument):
        how = f"{how}: {entry.name} {entry.argument}".rstrip(" :")
    return f"  [{how}] {entry.text}".rstrip()


def _end(entry: Entry) -> str:
    assert entry.verdict is not None
    failure = entry.verdict.failure_class
    how = "done" if entry.ok else "failed" if failure is None else f"failed, {failure}"
    reason = f": {entry.text}" if entry.text else ""
    return f"[{how}{reason}; {ending(entry.verdict)}]"


def _cut(line: str, width: int) -> str:
    if line.isascii() and len(line) <= width:
        return line
    from rich.cells import cell_len, set_cell_size

    return line if cell_len(line) <= width else set_cell_size(line, width - 1) + "…"
