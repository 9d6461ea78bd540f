"""Small values as anybody may type them: read, or refused as usage; never another error, never for long."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from anything import texts
from hypothesis import example, given
from hypothesis import strategies as st

from agentq_cli.agents.profile import CONVERSATION
from agentq_cli.base.clock import rfc3339
from agentq_cli.base.errors import AgentqError, Usage
from agentq_cli.base.names import is_name
from agentq_cli.config import zones
from agentq_cli.options import values
from agentq_cli.options.new_task import DEPTH_LIMIT, depth
from agentq_cli.policy.cron import parse_cron
from agentq_cli.policy.schedule import Kind, Missed, Schedule, check, fires, first
from agentq_cli.show import documents

NOW = 1_774_785_600_000

near = st.text(st.sampled_from("0123456789dhmskKMGTPiB.-+:TZ *,/@Ee_ \n٣²"), max_size=24)
"""Text of the characters that the small values are made of."""

READERS: dict[str, Callable[[str], Any]] = {
    "duration": values.parse_duration,
    "size": values.parse_size,
    "time": lambda text: values.parse_time(text, zone="Europe/Berlin", now_ms=NOW),
    "either": lambda text: values.parse_time_or_duration(text, zone="UTC", now_ms=NOW),
    "since": lambda text: values.parse_since(text, zone="UTC", now_ms=NOW),
    "session": values.parse_session,
    "run": values.parse_run,
    "pair": values.parse_environment,
    "path": lambda text: values.parse_path(text, "path"),
    "zone": zones.check,
    "cron": parse_cron,
}


@pytest.mark.parametrize("name", READERS)
@given(text=near | texts)
@example(text="9999-12-31T23:59:59-23:59")
@example(text="0001-01-01T00:00:00+23:59")
@example(text="1" * 5000)
@example(text="~\0")
@example(text="~\ud800/x")
@example(text="tzdata.zi")
@example(text="ſun")
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    try:
        found = READERS[name](text)
    except Usage as error:
        assert error.code == 2
        return
    if name in ("time", "either", "since"):
        assert rfc3339(found).endswith("Z"), "a time that is taken can be written"
    elif name in ("duration", "size"):
        assert 0 < found < 1 << 63


@given(
    content=st.binary(max_size=60)
    | st.lists(texts, max_size=4).map(lambda lines: "\n".join(lines).encode("utf-8", "replace"))
)
def test_any_bytes_are_an_environment_file_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "env"
    file.write_bytes(content)
    try:
        pairs = values.parse_env_file(str(file))
    except Usage as error:
        assert str(file) in error.message
        return
    for name, value in pairs.items():
        assert b"=" not in os.fsencode(name) and b"\0" not in os.fsencode(name + value)


@pytest.mark.parametrize("path", ["a\0b", "\ud800", ".", "/dev/null/x", "x" * 300])
def test_what_is_no_file_is_no_environment_file(path: str) -> None:
    with pytest.raises(Usage):
        values.parse_env_file(str(path))


fields = st.text(st.sampled_from("0123456789*,-/LWRH?#sunMONjan"), min_size=1, max_size=8)
crons = st.tuples(*[fields | st.just("*")] * 5).map(" ".join) | st.sampled_from(["@daily", "@reboot", "@", "* * * * *"])


@given(
    text=crons,
    zone=st.sampled_from(["UTC", "America/New_York", "Pacific/Apia"]),
    now=st.integers(0, 253_402_300_799_999),
)
@example(text="0 0 29 2 1", zone="UTC", now=253_402_300_799_999)
def test_any_expression_fires_in_order_or_is_refused(text: str, zone: str, now: int) -> None:
    try:
        schedule = Schedule(Kind.CRON, expr=text, tz=zone)
        check(schedule)
    except Usage:
        return
    coming = fires(schedule, now, 3)
    assert coming == sorted(set(coming)) and all(at > now for at in coming)
    assert all(rfc3339(at) for at in coming)


@given(
    every=st.integers(1, values.LONGEST),
    start=st.integers(0, 253_402_300_799_999),
    now=st.integers(0, 253_402_300_799_999),
)
@example(every=values.LONGEST, start=253_402_300_799_999, now=NOW)
def test_no_slot_is_later_than_can_be_written(every: int, start: int, now: int) -> None:
    schedule = Schedule(Kind.EVERY, every_ms=every, start=start, missed=Missed.LATEST)
    slots = [first(schedule, now), *fires(schedule, now, 3)]
    assert all(rfc3339(at) for at in slots if at is not None)


@given(text=texts)
@example(text="²")
@example(text="٣")
def test_any_depth_is_a_number_or_none(text: str) -> None:
    try:
        assert 0 <= depth({"AGENTQ_DEPTH": text}) <= DEPTH_LIMIT
    except AgentqError as error:
        assert error.code == 4


@given(text=texts | st.from_regex(r"[A-Za-z0-9._:-]+\s?"))
@example(text="-x")
@example(text="a\n")
@example(text="a b")
def test_a_conversation_or_session_is_one_word_and_no_flag(text: str) -> None:
    for found in (re.match(CONVERSATION, text), is_name(text)):
        if found:
            assert text.isascii() and text.isprintable() and " " not in text
            assert not text.startswith(("-", ".", "/")) and "/" not in text and len(text) <= 128


@given(word=near | texts)
@example(word="")
@example(word="it's")
@example(word="ä")
def test_a_word_is_quoted_as_the_standard_library_quotes_it(word: str) -> None:
    assert documents.shell_word(word) == shlex.quote(word)
