"""An event is understood whatever a terminal left on its line, and nothing that only talks of one is one."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest
from endings import Ending
from hypothesis import given
from hypothesis import strategies as st
from test_reader import BEGINNING, NAMES, SUCCESS, fed, opened

from agentq_cli.agents import event_line
from agentq_cli.agents.last_words import last_words
from agentq_cli.agents.verdict import outcome
from agentq_cli.model.statuses import FailureClass, RunStatus

LEAVINGS = {
    "colour": b"\x1b[0m",
    "colour with subparameters": b"\x1b[38:2::1:2:3m",
    "cursor hidden": b"\x1b[?25l",
    "bracketed paste": b"\x1b[?2004h\x1b[?2004l\r",
    "pasted": b"\x1b[200~\x1b[201~",
    "cursor's shape": b"\x1b[2 q",
    "title, BEL": b"\x1b]0;work: ready\x07",
    "title, ST": "\x1b]2;in {braces} — ü\x1b\\".encode(),
    "title, C1 ST": "\x1b]2;t\x9c".encode(),
    "title without an end": b"\x1b]0;work",
    "link": b"\x1b]8;;https://x.test/{a}\x1b\\here\x1b]8;;\x1b\\\r",
    "directory": b"\x1b]7;file://host/home\x07\x1b]133;A\x07",
    "device control": b"\x1bP+q544e\x1b\\",
    "screen's title": b"\x1bkbash\x1b\\",
    "character set": b"\x1b(B\x1b)0",
    "keypad": b"\x1b=\x1b>",
    "saved cursor": b"\x1b7\x1b8",
    "reset": b"\x1bc",
    "a sequence cut short": b"\x1b[?25",
    "nothing but the escape": b"\x1b",
    "byte order mark": b"\xef\xbb\xbf",
    "NULs": b"\0\0\0",
    "bells and backspaces": b"\x07\x08\x08\x7f",
    "carriage return": b"\r",
    "half a character": b"\xa9\xa9",
    "progress bar": "Fetching  45%|████▌     | 45/100\rFetching 100%|██████████|\r".encode(),
    "spinner": "⠋ ⠙ ".encode(),
    "a prompt": b"$ ",
    "a longer prompt": b"\x1b[01;32muser@host\x1b[00m:\x1b[01;34m~/x\x1b[00m$ ",
    "a prompt of two words": b"[user@host work]# ",
    "an environment's prompt": b"(venv) user@host:~$ ",
    "zsh's mark": b"\x1b[1m\x1b[7m%\x1b[27m\x1b[1m\x1b[0m      \r \r",
    "cleared line": b"reading\x1b[2K\r",
    "all at once": b"\xef\xbb\xbf\x1b]0;x\x07\r\0\x1b[?25h\x1b[2K\r",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_terminals_leavings_before_the_final_event_do_not_hide_it(name: str) -> None:
    *first, final, _ = SUCCESS[name].split(b"\r\n")
    lines = [line + b"\n" for line in first]
    for what, before in LEAVINGS.items():
        assert fed(name, [*lines, before + final]).ok, what
        assert fed(name, [*lines, before + b"\n", before + final + b"\n"]).result == "done", what


BEHIND = {what: left for what, left in LEAVINGS.items() if what not in ("link", "progress bar", "cleared line")}
"""What may stand behind an event too: those have words in them, with which a line may begin that talks of an event."""


@pytest.mark.parametrize("name", NAMES)
def test_nor_do_they_behind_it(name: str) -> None:
    lines = SUCCESS[name].rstrip().split(b"\r\n")
    for what, behind in BEHIND.items():
        assert fed(name, [behind.join(lines) + behind]).result == "done", f"{what}, between two events on one line"


@pytest.mark.parametrize("name", NAMES)
def test_several_events_on_one_line_all_count(name: str) -> None:
    line = (BEGINNING[name].replace(b"NAME", b"abc-1") + SUCCESS[name]).replace(b"\r\n", b"").replace(b"\n", b"")
    for data in (line, line + b"\n", b"\x1b[0m" + line + b"\x1b[0m\r\n"):
        verdict = fed(name, [data])
        assert (verdict.ok, verdict.result) == (True, "done")
        assert verdict.conversation in ("abc-1", None if name == "none" else verdict.conversation)


@pytest.mark.parametrize("name", NAMES)
@given(
    before=st.sampled_from([left for what, left in LEAVINGS.items() if what != "title without an end"]),
    behind=st.sampled_from(list(BEHIND.values())),
    step=st.integers(1, 50),
)
def test_however_the_bytes_were_cut(name: str, before: bytes, behind: bytes, step: int) -> None:
    data = b"\n".join(before + line + behind for line in SUCCESS[name].split(b"\r\n") if line)
    assert fed(name, [data[at : at + step] for at in range(0, len(data), step)]).ok


TALK = (
    b"I would print FINAL",
    b"Output: FINAL",
    b"the last line must be FINAL",
    b"FINAL is what I print",
    b"FINAL.",
    b"`FINAL`",
    b'"FINAL"',
    b"[FINAL]",
    b'{"said": FINAL}',
    b'{"type": "assistant", "event": "text", "message": FINAL}',
    b'{"type": "user", "content": [FINAL, FINAL]}',
    b"\x1b[32mI would print\x1b[0m FINAL",
    b"\x1b]0;FINAL\x07",
    b"\x1b]0;FINAL\x1b\\",
    b"\x1bPFINAL\x1b\\",
    b'cut","parameters": FINAL}',
    b'{"type": "assistant", "text": "cut FINAL',
    b"+ echo FINAL",
    b"- FINAL",
    b"1. FINAL",
    b"line one of several $ that say FINAL",
)


@pytest.mark.parametrize("name", NAMES)
def test_words_about_a_final_event_are_none(name: str) -> None:
    final = SUCCESS[name].rstrip().split(b"\r\n")[-1]
    if name == "opencode" and final.startswith(b'{"type": "step_finish"'):
        assert fed(name, [final]).ok, "the event alone is final"
    begin = BEGINNING[name].replace(b"NAME", b"abc-1")
    for talk in TALK:
        line = talk.replace(b"FINAL", final)
        assert not fed(name, [line]).final, talk
        assert not fed(name, [begin, line + b"\n", b"\x1b[0m" + line]).final, talk


@pytest.mark.parametrize("name", NAMES)
def test_a_final_event_in_the_words_of_another_is_none(name: str) -> None:
    said = SUCCESS[name].decode()
    events = (
        {"type": "assistant", "message": {"content": [{"type": "text", "text": said}]}},
        {"type": "item.completed", "item": {"type": "agent_message", "text": said}},
        {"type": "message", "role": "assistant", "content": said},
        {"type": "text", "part": {"text": said}},
        {"event": "text", "text": said},
    )
    for event in events:
        whole = json.dumps(event).encode()
        assert not fed(name, [whole]).final
        for cut in range(1, len(whole)):
            # As after a hole in the file, or behind a prompt.
            assert not fed(name, [whole[cut:]]).final
            assert not fed(name, [b"$ " + whole[cut:] + b"\x1b[0m"]).final


def test_with_the_agents_own_id_in_it_an_event_is_its_own_whatever_stands_before() -> None:
    final = SUCCESS["claude"].rstrip()[:-1] + b', "session_id": "abc-1"}'
    begin = BEGINNING["claude"].replace(b"NAME", b"abc-1")
    assert fed("claude", [begin, b"npm notice something is new " + final]).ok
    assert not fed("claude", [begin.replace(b"abc-1", b"abc-2"), b"npm notice something is new " + final]).final
    assert not fed("claude", [b"npm notice something is new " + final]).final


@pytest.mark.parametrize(
    "line", [b"\x1b[0m{", b"\r{", b'\r{"a', b'{"a":{}}', b"{", b'{"', b"\x1b]", b"\x1b[", b"\x1bP", b"x{"]
)
def test_a_line_of_any_size_and_kind_costs_bounded_time_and_memory(line: bytes) -> None:
    reader = opened("claude")
    big = line * (3_900_000 // len(line)) + b"\n"
    began = time.process_time()
    tracemalloc.start()
    try:
        reader.feed(big)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 << 20
    assert time.process_time() - began < 30, "a quadratic way through it takes hours"


@pytest.mark.parametrize("name", NAMES)
def test_a_line_of_fifty_megabytes_is_passed_over_fast_and_in_bounded_memory(name: str) -> None:
    reader = opened(name)
    tracemalloc.start()
    began = time.process_time()
    for _ in range(50):
        reader.feed(b"\x1b[0m" + b"x" * (1 << 20))
    took = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (peak < 24 << 20, took < 10) == (True, True)
    reader.feed(b"\n\x1b[0m" + SUCCESS[name])
    assert reader.verdict().ok


HUGE = b"x" * (5 << 20)


@pytest.mark.parametrize(
    ("name", "line", "ok"),
    [
        ("claude", b'{"type":"result","subtype":"success","is_error":false,"num_turns":3,"result":"HUGE"}', True),
        ("claude", b'\x1b[0m{"type":"result","subtype":"success","is_error":false,"result":"HUGE"}', True),
        ("claude", b'{"type":"result","subtype":"success","is_error":true,"result":"HUGE"}', False),
        ("events", b'{"event": "end", "ok": true, "result": "HUGE"}', True),
        ("events", b'{"event": "end", "result": "HUGE", "ok": true}', False),
        ("events", b'{"event": "end", "ok": false, "error": "HUGE"}', False),
        ("gemini", b'{"type":"result","status":"success","stats":{"a":"HUGE"}}', True),
        ("codex", b'{"type":"turn.completed","usage":{"a":"HUGE"}}', True),
        ("events", b'{"event": "text", "text": "HUGE"}', False),
        ("events", b'I say {"event": "end", "ok": true, "result": "HUGE"}', False),
    ],
)
def test_the_beginning_of_a_final_event_that_is_too_long_tells_a_success(name: str, line: bytes, ok: bool) -> None:
    line = line.replace(b"HUGE", HUGE)
    for data in ([line + b"\n"], [line], [line[at : at + 65536] for at in range(0, len(line), 65536)]):
        verdict = fed(name, data)
        assert (verdict.final, verdict.ok, verdict.result or None) == (ok, ok, None)


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers() | st.lists(st.booleans())), st.integers(0)
)
def test_the_beginning_of_an_event_holds_nothing_that_the_whole_does_not(event: dict[str, object], cut: int) -> None:
    whole = json.dumps(event).encode()
    found = event_line.beginning(whole[: cut % (len(whole) + 1)])
    assert all(event[key] == value for key, value in found.items())


@given(st.binary(max_size=300) | st.from_regex(rb"(\x1b[\[\]P_][^\n]{0,5}|\{\"a\": [0-9]\}|\r|\$ ){0,20}"))
def test_any_line_is_read_without_an_error(line: bytes) -> None:
    assert all(isinstance(event, dict) for event in event_line.events(line, "a"))
    assert isinstance(event_line.beginning(line), dict)


@pytest.mark.parametrize("name", NAMES)
def test_an_agent_that_wrote_its_events_to_standard_error_is_understood(name: str) -> None:
    def ended(stdout: bytes, stderr: bytes) -> tuple[RunStatus, FailureClass | None]:
        reader = opened(name)
        reader.feed(stdout)
        found = outcome(Ending(exit_code=0), reader, stderr)
        return found.status, found.failure_class

    said = b"a warning\n\x1b[0m" + SUCCESS[name]
    assert ended(b"", said) == (RunStatus.SUCCESS, None)
    assert ended(b"plain words\n", said) == (RunStatus.SUCCESS, None)
    began = BEGINNING[name].replace(b"NAME", b"abc-1")
    assert ended(began, said) == (RunStatus.ERROR, FailureClass.NO_VERDICT), "a tool's standard error"
    assert ended(b"", began) == (RunStatus.ERROR, FailureClass.NO_VERDICT)


def test_the_last_words_are_those_of_the_event_behind_an_escape() -> None:
    assert last_words('\x1b]0;title\x07\x1b[?25h{"event": "text", "text": "hello"}\x1b[0m') == "hello"
    assert last_words("\x1b[31mno event") == "no event"


WORDS = (
    "Loaded cached credentials.",
    "working...",
    "npm notice ",
    "data: ",
    "agent | ",
    "2026-11-29T10:00:00Z ",
    "\x9b0m",
)


@pytest.mark.parametrize("name", NAMES)
def test_before_its_work_is_done_again_a_final_event_counts_among_words(name: str) -> None:
    *first, final, _ = SUCCESS[name].split(b"\r\n")
    for line in (*(words.encode() + final for words in WORDS), final + b"Terminated", final + b"\tlogout"):
        reader = opened(name)
        reader.feed(b"".join(each + b"\n" for each in first) + line + b"\n")
        assert outcome(Ending(exit_code=0), reader, b"").status is RunStatus.SUCCESS, line


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "talk", [b'"FINAL"', b"`FINAL`", b"[FINAL]", b'cut","parameters": FINAL}', b'{"text": "cut FINAL']
)
def test_but_not_one_that_is_quoted_or_within_another(name: str, talk: bytes) -> None:
    final = SUCCESS[name].rstrip().split(b"\r\n")[-1]
    reader = opened(name)
    reader.feed(BEGINNING[name].replace(b"NAME", b"abc-1") + talk.replace(b"FINAL", final) + b"\n")
    assert outcome(Ending(exit_code=0), reader, b"").failure_class is FailureClass.NO_VERDICT
