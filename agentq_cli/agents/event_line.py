"""The events on one line of an agent's output.

A line is not always the event alone: shells, wrappers and the agents' own terminal code write escape sequences, titles,
prompts and progress bars onto the same line, before it, behind it, or between two events. What may stand there is what
no agent can say in words. Words are never passed over: a line that talks about an event is none. An event counts only
where everything that follows it on its line may stand there too, so nothing inside another event is one. Pure.
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
"""Terminal control sequences (ECMA-48, xterm's ctlseqs); one that is cut off ends before the event."""

PIECE = re.compile(r"[^\0\r\n\x0b\x0c\x1c-\x1e\x85]+")
"""A carriage return begins the line anew, and NULs are a hole in the file: neither can be in an event."""

BLANK = r"[\x00-\x20\x7f-\xa0\ufeff\ufffd\u200b\u2500-\u28ff]*+"
"""Control characters, byte order marks, halves of characters, spinners and bars."""

BLANKS = re.compile(BLANK)
PROMPT = re.compile(BLANK + r"(?:[^\s{}]{1,80} ){0,2}[^\s{}]{0,80}[$#%>❯»➜λ]" + BLANK)
"""A shell's prompt: no more than three words, the last of which ends as prompts do."""

OPENING = re.compile(r'\{\s*"')
QUOTING = frozenset("\"'`{[")
DECODER = json.JSONDecoder()

FARTHEST = 1000
"""Characters of a line among which an event must begin."""
MOST_TRIES = 1000
"""Pieces of one line that are looked at, and events that are taken from one."""


def events(line: bytes, conversation: str | None) -> Iterator[dict[str, Any]]:
    """The events on a line, in order. `conversation` is the agent's own id, if it is known: with it, an event is known
    for the agent's whatever stands before it."""
    if b"{" not in line:
        return
    # One character cut in two must not cost the final event; in a string it is only a replaced character.
    text = line.decode("utf-8", "replace")
    if text.lstrip().startswith("{"):
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            if isinstance(event, dict):
                yield event
            return
    tries = 0
    for piece in PIECE.finditer(text):
        if "{" not in piece[0]:
            continue
        tries += 1
        if tries > MOST_TRIES:
            return
        plain = ESCAPE.sub("", piece[0])
        for opening in OPENING.finditer(plain, 0, FARTHEST):
            found = _sequence(plain, opening.start())
            if found and (_may_stand(plain[: opening.start()]) or _is_of(conversation, found)):
                yield from found
                break


def within(line: bytes) -> Iterator[dict[str, Any]]:
    """What may be an event on a line that has words before it or behind it: the first object, unless it stands within
    another one or is quoted."""
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
    """The keys and values with which an event begins whose line was cut off; empty where none is whole."""
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
                break  # what is not followed by anything may itself be cut
            fields[key] = value
    except (ValueError, RecursionError):
        pass
    return fields


def _sequence(text: str, at: int) -> list[dict[str, Any]]:
    """The objects that fill the line from there to its end; none where something else is left over."""
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


def _may_stand(text: str) -> bool:
    return BLANKS.fullmatch(text) is not None or PROMPT.fullmatch(text) is not None


def _is_of(conversation: str | None, found: list[dict[str, Any]]) -> bool:
    return conversation is not None and all(conversation in event.values() for event in found)
