"""What is long is read a part at a time, and the parts are the whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.agents.reader import open_reader
from agentq_cli.agents.transcript import Transcript
from agentq_cli.commands.reading import Reading
from agentq_cli.host.output import Output, mark
from agentq_cli.mcp import calls, pages, wire


class Written(Output):
    """Bytes in memory, of which some were cut."""

    def __init__(self, data: bytes, gap: tuple[int, int] | None = None, *, ended: bool = True) -> None:
        super().__init__()
        self._data, self._gap, self._ended = data, gap, ended

    @property
    def ended(self) -> bool:
        return self._ended

    def step(self, limit: int = 65536) -> tuple[int, bytes]:
        gap = self._gap
        if gap is not None and gap[0] <= self.offset < gap[1]:
            missing, self.offset = gap[1] - self.offset, gap[1]
            return missing, b""
        end = gap[0] if gap is not None and self.offset < gap[0] else len(self._data)
        data = self._data[self.offset : min(end, self.offset + limit)]
        self.offset += len(data)
        return 0, data

    def size(self) -> int:
        return len(self._data)


def whole(output: Output, **how: bool) -> str:
    """All pages of it, one after the other."""
    texts, offset = [], 0
    while True:
        output.offset = offset
        page = pages.plain_page(output, **how)
        texts.append(page.text)
        assert page.next_offset > offset or not page.more
        offset = page.next_offset
        if not page.more:
            return "".join(texts)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a few bytes."""
    monkeypatch.setattr(pages, "LONGEST_PAGE", 7)
    monkeypatch.setattr(pages, "MOST_READ", 300)


@given(st.text("aä€😀 \n"))
def test_the_parts_of_an_output_are_the_output(text: str) -> None:
    data = text.encode()
    assert whole(Written(data), ended=True) == text
    parts, offset = [], 0
    while True:
        page = pages.part((data[at : at + 5] for at in range(0, len(data), 5)), offset)
        parts.append(page.text)
        offset = page.next_offset
        if not page.more:
            break
    assert "".join(parts) == text


def test_half_of_a_character_waits_for_the_other_half_while_a_run_goes_on() -> None:
    half = "aä".encode()[:-1]
    output = Written(half, ended=False)
    assert pages.plain_page(output, ended=False) == ("a", 1, False)
    assert pages.plain_page(Written(half), ended=True) == ("a\ufffd", 2, False)


def test_a_cut_is_told_in_its_place_and_control_characters_do_no_harm() -> None:
    output = Written(b"abc" + b"-" * 50 + b"\x1b]0;x\x07", (3, 53))
    assert whole(output, ended=True) == f"abc{mark(50).decode()}\u241b]0;x\u2407"


EVENTS = [
    b'{"type":"system","subtype":"init","session_id":"s","model":"m"}',
    b'{"type":"assistant","message":{"content":[{"type":"text","text":"first"}]}}',
    b"words without an event",
    b'{"type":"assistant","message":{"content":[{"type":"text","text":"second"}]}}',
]


def claude(middle: bool = False) -> Transcript:
    """A transcript of Claude's events."""
    reader = open_reader("claude")
    assert reader is not None
    return Transcript(reader, middle=middle)


@pytest.mark.parametrize("tail", [b"", b"\n", b"\nhalf of a line"], ids=["ended", "whole", "half"])
def test_a_transcript_is_read_in_whole_lines(tail: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LONGEST_PAGE", 70)
    data = b"\n".join(EVENTS) + tail
    said = Reading(claude(), None)
    expected = b"".join(said.whole([data])).decode()
    texts, offset = [], 0
    output = Written(data)
    for _ in range(20):
        output.offset = offset
        page = pages.transcript_page(output, lambda middle: Reading(claude(middle), None))
        texts.append(page.text)
        offset = page.next_offset
        if not page.more:
            break
    assert offset == len(data)
    assert "".join(texts).split() == expected.split()
    live = Written(data, ended=False)
    page = pages.transcript_page(live, lambda middle: Reading(claude(middle), None))
    assert data[: page.next_offset].endswith(b"\n") or page.next_offset == 0


def test_halves_of_characters_are_replaced_in_both_directions() -> None:
    assert calls.clean({"\udc80": ["a\ud83d", {"b": "\U0001f600"}, 1]}) == {"?": ["a?", {"b": "\U0001f600"}, 1]}
    line = r'{"a": "\ud83d\ude00 \uD83D x\ude00"}'
    assert json.loads(wire.whole(line)) == {"a": "\U0001f600 ? x?"}


def test_a_line_that_is_no_json_stays_as_it_is() -> None:
    for line in (r'{"a": "\ud83d"', r"\ud800", '{"a": "\\\\ud83d"}'):
        assert wire.whole(line) in (line, '{"a": "\\\\ud83d"}')
