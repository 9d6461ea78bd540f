"""The events on one line of an agent's output.

A line may hold more than an event: shells, wrappers and the agents' own terminal code write escape sequences, titles,
prompts and progress bars before, after or between events. Only text that no agent could say in words is skipped; a line
that talks about an event is not an event. An event counts only if everything after it on its line may also be skipped,
so nothing inside another event counts. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ESCAPE = re.compile(
    r"\x1b(?:"
    r"\][^\x07\x1b\x9c]*+(?:\x07|\x1b\\|\x9c)"  # OSC: titles, links, the working directory
    r"|[PX^_k][^\x1b\x9c]*+(?:\x1b\\|\x9c)"  # DCS, SOS, PM, APC, the title of screen
    r"|[]PX^_k][^\x07\x1b\x9c{]*+"  # one of these that never ends
    r"|\[[0-?]*+[ -/]*+[@-z|}~]?"  # CSI: colours, the cursor, bracketed paste; `{` ends none here
    r"|[ -/]++[0-z|}~]?|[0-Z\\a-z|}~]?)"  # character sets, keypad modes
)
"""Terminal control sequences (ECMA-48, xterm's ctlseqs). A truncated sequence ends before the event."""

PIECE = re.compile(r"[^\0\r\n\x0b\x0c\x1c-\x1e\x85]+")
"""A carriage return starts the line anew, and NULs are a hole in the file; neither can be inside an event."""

BLANK = r"[\x00-\x20\x7f-\xa0\ufeff\ufffd\u200b\u2500-\u28ff]*+"
"""Control characters, byte order marks, halves of characters, spinners and progress bars."""

BLANKS = re.compile(BLANK)
PROMPT = re.compile(BLANK + r"(?:[^\s{}]{1,80} ){0,2}[^\s{}]{0,80}[$#%>❯»➜λ]" + BLANK)
"""A shell prompt: at most three words, the last of which ends as prompts do."""

OPENING = re.compile(r'\{\s*"')
QUOTING = frozenset("\"'`{[")
DECODER = json.JSONDecoder()
SCAN = DECODER.scan_once  # type: ignore[attr-defined]
"""As `DECODER.raw_decode`, without the call around it: raises StopIteration too."""

FARTHEST = 1000
"""An event must begin within this many characters of its line."""
MOST_TRIES = 1000
"""How many pieces of one line are examined, and how many events are taken from one piece."""


def events(line: bytes, conversation: str | None) -> list[dict[str, Any]]:
    """The events on a line, in order. `conversation` is the agent's own id, if known: an event that contains it is the
    agent's, whatever precedes it on the line."""
    # A character that was cut in two must not cost the final event; within a string it only becomes a replacement
    # character.
    text = line.decode("utf-8", "replace")
    whole = text.strip(" \t\r\n")
    if whole.startswith("{"):
        # As `json.loads`, which takes half as long again for a small event.
        try:
            event, end = SCAN(whole, 0)
        except (ValueError, RecursionError, StopIteration):
            end = -1
        if end == len(whole):
            return [event]
    return _among_leavings(text, conversation)


def _among_leavings(text: str, conversation: str | None) -> list[dict[str, Any]]:
    tries = 0
    events: list[dict[str, Any]] = []
    for piece in PIECE.finditer(text):
        if "{" not in piece[0]:
            continue
        tries += 1
        if tries > MOST_TRIES:
            break
        plain = ESCAPE.sub("", piece[0])
        for opening in OPENING.finditer(plain, 0, FARTHEST):
            found = _sequence(plain, opening.start())
            if found and (_is_skippable(plain[: opening.start()]) or _is_of(conversation, found)):
                events += found
                break
    return events


def within(line: bytes) -> Iterator[dict[str, Any]]:
    """A possible event on a line that has words before or after it: the first object, unless it is inside another
    object or quoted."""
    text = ESCAPE.sub("", line.decode("utf-8", "replace"))
    opening = OPENING.search(text, 0, FARTHEST)
    if opening is None or not QUOTING.isdisjoint(text[: opening.start()]):
        return
    try:
        event, _ = DECODER.raw_decode(text, opening.start())
    except (ValueError, RecursionError):
        return
    yield event


def beginning(head: bytes) -> dict[str, Any]:
    """The first keys and values of an event whose line was truncated; empty if not even one pair is complete."""
    text = ESCAPE.sub("", head.decode("utf-8", "replace"))
    fields: dict[str, Any] = {}
    at = _blank_until(text, 0)
    try:
        while text[at : at + 1] == ("," if fields else "{"):
            key, at = DECODER.raw_decode(text, _blank_until(text, at + 1))
            at = _blank_until(text, at)
            if not isinstance(key, str) or text[at : at + 1] != ":":
                break
            value, at = DECODER.raw_decode(text, _blank_until(text, at + 1))
            at = _blank_until(text, at)
            if text[at : at + 1] != ",":
                break  # without a following comma, the value itself may be truncated
            fields[key] = value
    except (ValueError, RecursionError):
        pass
    return fields


def _sequence(text: str, at: int) -> list[dict[str, Any]]:
    """The objects that fill the line from `at` to its end; empty if anything else is left over."""
    found: list[dict[str, Any]] = []
    while len(found) < MOST_TRIES:
        try:
            event, at = DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
        found.append(event)
        at = _blank_until(text, at)
        if text[at : at + 1] not in ("", "{") and (prompt := PROMPT.match(text, at)) is not None:
            at = prompt.end()
        if at == len(text):
            return found
        if text[at] != "{":
            break
    return []


def _blank_until(text: str, at: int) -> int:
    blank = BLANKS.match(text, at)
    return at if blank is None else blank.end()


def _is_skippable(text: str) -> bool:
    return BLANKS.fullmatch(text) is not None or PROMPT.fullmatch(text) is not None


def _is_of(conversation: str | None, found: list[dict[str, Any]]) -> bool:
    return conversation is not None and all(conversation in event.values() for event in found)
