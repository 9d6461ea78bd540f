"""What anybody may write where agentq reads: hypothesis strategies that several tests draw from."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

HOSTILE = [
    *("", " ", "\0", "a\0b", "\ud800", "\udcff", "\x1b[31m", "\x1b]52;c;cm0=\x07", "\r", "\u202e", "\u2028", "𝄞" * 3),
    *("~", "~root/x", "~no-such-user/x", "~\ud800", "/", "/dev/null", ".", "..", "../x", "x" * 300, "x/" * 3000),
    *("-1", "0", "1e3", "٣", "²", "NaN", "1" * 30, "99999999999999999999d", "9999-12-31T23:59:59-23:59", "1969-12-31"),
    *("2026-02-30", "2026-03-29T02:30", "0001-01-01", "24:00", "10m", "1h", "500ms", "Z", "UTC", "Europe/Berlin"),
    *("posix/UTC", "a/../b", "[" * 20, "{}", "null", "true", "default", "demo", "--json", "-x", "A=B", "=", "A=\0"),
]
"""Texts that were trouble for somebody once."""

texts = st.sampled_from(HOSTILE) | st.text(st.characters(codec=None), max_size=20)
numbers = st.integers() | st.sampled_from([0, -1, 1 << 31, 1 << 63, -(1 << 63), 1 << 64, 10**40]) | st.floats()


def nested(levels: int, opened: str = "[", closed: str = "]") -> str:
    """JSON of so many lists in one another."""
    return opened * levels + closed * levels


values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value, with the numbers that Python's reader takes too: Infinity, NaN."""

depths = st.sampled_from([1, 99, 100, 101, 150, 199, 200, 201, 800, 900, 940, 950, 960, 970, 980, 990, 1000, 100_000])
deep = depths.map(nested) | depths.map(lambda levels: nested(levels, '{"a":', "}").replace('"a":}', '"a":1}'))
"""JSON texts about as deep as the interpreter's stack, whatever of it is in use."""


def spelled(value: Any) -> str:
    """The value as JSON, halves of surrogate pairs as escapes."""
    return json.dumps(value)


def objects(known: dict[str, st.SearchStrategy[Any]], *bases: dict[str, Any]) -> st.SearchStrategy[str]:
    """JSON objects that begin as one of `bases`, with up to three known keys that hold what belongs there or anything.

    Most are good but for one thing, as an object of which nothing is right is refused for the first.
    """
    keys = st.sampled_from(sorted(known))

    @st.composite
    def made(draw: st.DrawFn) -> str:
        pairs = {name: spelled(value) for name, value in draw(st.sampled_from(bases)).items()}
        wild = draw(st.integers(0, 3))  # how many of them are anything at all
        for number, name in enumerate(draw(st.lists(keys, max_size=3))):
            if number >= wild:
                pairs[name] = spelled(draw(known[name]))
            else:
                pairs[name] = draw(deep) if draw(st.integers(0, 3)) == 0 else spelled(draw(values | texts))
        if draw(st.integers(0, 9)) == 0:
            pairs[draw(texts)] = spelled(draw(values))
        if draw(st.integers(0, 9)) == 0:
            pairs.pop(draw(st.sampled_from(sorted(pairs))))
        return "{" + ", ".join(f"{spelled(name)}: {value}" for name, value in pairs.items()) + "}"

    return made()
