"""What screens are drawn with, and the few words in which they say things."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.agents.last_words import last_words
from agentq_cli.show.drawing import Canvas, line, sentence
from agentq_cli.show.pen import SGR, STATUS_STYLES, Pen, is_plain
from agentq_cli.show.tables import cells, wrapped

NOW = 1_774_785_600_000  # 2026-03-29T12:00:00Z


@pytest.mark.parametrize(
    ("environ", "encoding", "plain"),
    [
        ({}, "utf-8", True),
        ({"LANG": "C"}, "utf-8", True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "utf-8", True),  # as Python leaves a C locale
        ({"LC_CTYPE": "C.UTF-8", "LANG": "en_US.UTF-8"}, "utf-8", False),
        ({"LC_ALL": "C.UTF-8", "LANG": "C", "LC_CTYPE": "C.UTF-8"}, "utf-8", False),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, "utf-8", True),
        ({"LANG": "en_US.UTF-8"}, "UTF-8", False),
        ({"LANG": "de_DE.ISO-8859-1"}, "iso8859-1", True),
    ],
)
def test_when_ascii_alone_is_drawn(environ: dict[str, str], encoding: str, plain: bool) -> None:
    assert is_plain(environ, encoding) is plain


@given(st.text(alphabet="ab日 ", max_size=60), st.integers(1, 30))
def test_wrapping_loses_no_word_and_fits_where_words_do(text: str, width: int) -> None:
    parts = wrapped(text, width).split("\n")
    assert " ".join(parts).split() == text.split()
    for part in parts:
        # One word, which is too long; or two, where the first is a column of its own.
        assert cells(part) <= width or len(part.split()) <= 1 + ("  " in text)


def test_wrapping_keeps_the_indent() -> None:
    assert wrapped("  one two three", 9) == "  one two\n  three"
    assert wrapped("ok   one two three", 12) == "ok   one two\n     three"
    assert wrapped("too-long-a-word  one two", 12) == "too-long-a-word\none two"


def test_colours_are_base_colours_that_no_background_swallows() -> None:
    assert {SGR[style] for style in STATUS_STYLES.values()} <= {"2", "31", "32", "33", "36"}


@pytest.mark.parametrize("style", SGR)
def test_rich_writes_each_style_as_a_pipe_gets_it(style: str) -> None:
    pen = Pen(True, False)
    assert Canvas(pen).lines([line(("word", style))], 40) == [pen("word", style)]


@given(
    st.lists(st.text(alphabet="ab日\n", min_size=1, max_size=12), min_size=1, max_size=6),
    st.integers(1, 40),
    st.booleans(),
)
def test_a_sentence_fits(parts: list[str], width: int, plain: bool) -> None:
    pen = Pen(False, plain)
    (drawn,) = Canvas(pen).lines([sentence([(part, "") for part in parts], pen)], width)
    assert cells(drawn) <= width


def test_a_pen_for_ascii_draws_nothing_else() -> None:
    pen = Pen(False, True)
    drawn = pen.ellipsis + pen.dot + pen.arrow + "".join(pen.spinner(second * 1000) for second in range(20))
    assert drawn.isascii()
    assert len({Pen(False, False).spinner(second * 1000) for second in range(10)}) == 10


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"type": "assistant", "message": {"content": [{"type": "text", "text": "first"}, {"text": "last "}]}}, "last"),
        ({"type": "item.completed", "item": {"type": "command_execution", "command": "make test"}}, "make test"),
        ({"type": "message", "role": "assistant", "content": "hello"}, "hello"),
        ({"type": "text", "part": {"type": "text", "text": "hello"}}, "hello"),
        ({"type": "result", "result": "done", "total_cost_usd": 1}, "done"),
        ({"type": "system", "subtype": "init"}, "system"),
        ({"usage": 3}, '{"usage": 3}'),
    ],
)
def test_the_last_words_of_an_agent_that_prints_events(event: dict[str, object], words: str) -> None:
    assert last_words(json.dumps(event)) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("plain words", "plain words"),
        ('xx", "text": "a \\"quoted\\" end"}]}}', 'a "quoted" end'),
        ('{"type": "text", "text": "cut sho', "cut sho"),
        ('{"type": "text", "text": "cut at \\', "cut at "),
        ("{not json}", "{not json}"),
        ("[" * 100_000 + "}", "[" * 100_000 + "}"),
        ('{"a":' * 5000 + "}" * 5000, '{"a":' * 5000 + "}" * 5000),
    ],
)
def test_the_last_words_of_anything_else(line: str, words: str) -> None:
    assert last_words(line) == words
