"""What reaches stdout and stderr, as text and as JSON, on a pipe and on a terminal."""

from __future__ import annotations

import dataclasses
import fcntl
import io
import json
import math
import os
import pty
import select
import struct
import termios
import tty
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from agentq_cli.base.errors import NotFound, Refused, Unreadable
from agentq_cli.model.actions import TargetResult
from agentq_cli.show import board, drawing, notices
from agentq_cli.show.board import Live
from agentq_cli.show.harmless import decoded, harmless, one_line
from agentq_cli.show.pen import Pen, wants_colour
from agentq_cli.show.printer import PAGE, Printer, ReaderGone, fail
from agentq_cli.show.results import Document, Items, Output, Results, Section, Stream, StreamedText
from agentq_cli.show.tables import Column, cells

NOW = 1_774_746_000_000
COLUMNS = (Column("ID", "id", keep=True), Column("STATUS", "status", kind="status"), Column("TEXT", "text"))


class Terminal(io.StringIO):
    """A stdout that says it is one."""

    def isatty(self) -> bool:
        return True


Write = Callable[..., tuple[str, int]]


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a result; returns what came out and the exit code."""
    monkeypatch.setattr(Printer, "begun", False)

    def run(
        result: Any, *, as_json: bool = False, terminal: bool = False, width: int = 80, color: str = "never"
    ) -> tuple[str, int]:
        stdout = Terminal() if terminal else io.StringIO()
        monkeypatch.setattr("sys.stdout", stdout)
        monkeypatch.setenv("COLUMNS", str(width))
        printer = Printer(
            as_json=as_json, color=color, environ={"TERM": "xterm", "LANG": "C.UTF-8"}, now_ms=lambda: NOW
        )
        code = printer.write(result)
        return stdout.getvalue(), code

    return run


def row(number: int, text: str = "x", status: str = "queued") -> dict[str, Any]:
    return {"id": f"default/{number}", "status": status, "text": text}


def test_a_list_is_one_json_document(write: Write) -> None:
    text, code = write(Items("tasks", (row(n) for n in range(1200)), extra={"more": 1}), as_json=True)
    document = json.loads(text)
    assert document["schema"] == "agentq.tasks/1"
    assert [item["id"] for item in document["items"]] == [f"default/{n}" for n in range(1200)]
    assert document["more"] == 1
    assert code == 0


def test_an_empty_list_is_one_json_document(write: Write) -> None:
    assert json.loads(write(Items("runs", []), as_json=True)[0]) == {"schema": "agentq.runs/1", "items": []}


def test_sections_are_keys_in_json_and_tables_as_text(write: Write) -> None:
    result = Items("workers", [row(1)], COLUMNS, sections=[Section("gates", [{"name": "cap"}], [Column("G", "name")])])
    assert json.loads(write(result, as_json=True)[0])["gates"] == [{"name": "cap"}]
    text, _ = write(result)
    assert text.endswith("x\n\nGates\nG\ncap\n")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_list_is_written_while_it_is_read(monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stdout", written)
    longest_wait = 0

    def items() -> Iterator[dict[str, Any]]:
        nonlocal longest_wait
        shown = 0
        for number in range(5000):
            yield row(number)
            shown = written.getvalue().count("default/")
            longest_wait = max(longest_wait, number - shown)

    printer = Printer(as_json=as_json, color="never", environ={}, now_ms=lambda: NOW)
    printer.write(Items("tasks", items(), COLUMNS))
    assert longest_wait <= PAGE


def test_an_error_in_mid_list_is_part_of_the_document(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def items() -> Iterator[dict[str, Any]]:
        yield row(1)
        raise Unreadable("'x': corrupt")

    stdout = io.StringIO()
    monkeypatch.setattr("sys.stdout", stdout)
    with pytest.raises(Unreadable):
        Printer(as_json=True, color="never", environ={}, now_ms=lambda: NOW).write(Items("tasks", items()))
    document = json.loads(stdout.getvalue())
    assert [item["id"] for item in document["items"]] == ["default/1"]
    assert document["error"] == {"code": 6, "kind": "unreadable", "message": "'x': corrupt"}


def test_an_error_before_the_first_item_leaves_the_document_to_the_error(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def items() -> Iterator[dict[str, Any]]:
        raise NotFound("session 'x': there is none")
        yield row(1)

    with pytest.raises(NotFound) as failure:
        write(Items("tasks", items()), as_json=True)
    stdout = io.StringIO()
    monkeypatch.setattr("sys.stdout", stdout)
    fail(failure.value, as_json=True)
    assert json.loads(stdout.getvalue()) == {
        "schema": "agentq.error/1",
        "code": 3,
        "kind": "not_found",
        "message": "session 'x': there is none",
    }
    assert capsys.readouterr().err == "agentq: error: session 'x': there is none\n"


def test_json_is_ascii_and_has_no_nan(write: Write) -> None:
    value = {"text": "ä\x1b[2J\u2028\udc80", "cost": math.nan, "list": [math.inf, 1.5]}
    text, _ = write(Document("task", value), as_json=True)
    assert text.isascii()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "schema": "agentq.task/1",
        "text": "ä\x1b[2J\u2028\udc80",
        "cost": None,
        "list": [None, 1.5],
    }


def test_a_long_string_of_a_document_is_written_in_pieces(write: Write) -> None:
    data = {"run": "default/1.1", "stdout": StreamedText(iter(['a"\n', "ä"])), "truncated": False}
    assert json.loads(write(Document("logs", data), as_json=True)[0]) == {
        "schema": "agentq.logs/1",
        "run": "default/1.1",
        "stdout": 'a"\nä',
        "truncated": False,
    }


def test_a_piped_table_is_never_cut(write: Write) -> None:
    long = "word " * 200 + "end"
    text, _ = write(Items("tasks", [row(1, long), row(22, "short")], COLUMNS), width=40)
    header, first, second = text.splitlines()
    assert header.split() == ["ID", "STATUS", "TEXT"]
    assert first == f"default/1   queued  {long}"
    assert second == "default/22  queued  short"


def test_cells_without_a_value_are_a_dash_so_that_columns_can_be_counted(write: Write) -> None:
    text, _ = write(Items("x", [{"a": None, "b": [], "c": "", "d": 0}], [Column(name, name) for name in "abcd"]))
    assert text.splitlines()[1].split() == ["-", "-", "-", "0"]


@given(st.lists(st.tuples(st.integers(1, 10**9), st.text(max_size=60)), min_size=1, max_size=5), st.integers(20, 120))
def test_a_table_on_a_terminal_fits_its_width(rows: list[tuple[int, str]], width: int) -> None:
    columns = (*COLUMNS, Column("SPARE", "spare", spare=True))
    table = drawing.Pages(columns, drawing.Canvas(Pen(False, False)), width=width, now=NOW)
    _, *lines = table.lines([{**row(number, text), "spare": "spare"} for number, text in rows])
    assert len(lines) == len(rows)
    for line, (number, _) in zip(lines, rows, strict=True):
        assert line.startswith(f"default/{number}")
        assert cell_len(line) <= width
    assert list(table.lines([{**row(*rows[0]), "spare": "spare"}])) == lines[:1]


def test_a_narrow_terminal_spares_columns_and_cuts_text_but_not_the_address(write: Write) -> None:
    columns = (*COLUMNS[:2], Column("SPARE", "spare", spare=True), COLUMNS[2])
    items = [{**row(1, "a long text that is cut somewhere"), "spare": "something"}]
    narrow, _ = write(Items("tasks", items, columns), terminal=True, width=40)
    assert narrow.splitlines()[1] == "default/1  queued  a long text that is …"
    wide, _ = write(Items("tasks", items, columns), terminal=True, width=100)
    assert "something" in wide
    assert "somewhere" in wide


def test_times_are_relative_on_a_terminal_only(write: Write) -> None:
    items = [{"at": "2026-03-29T00:55:00.000Z"}]
    columns = [Column("AT", "at", kind="time")]
    assert write(Items("events", items, columns))[0].splitlines()[1] == "2026-03-29T00:55:00.000Z"
    assert write(Items("events", items, columns), terminal=True)[0].splitlines()[1] == "5 min ago"


def test_the_empty_sentence_is_for_people_and_not_data(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert write(Items("tasks", [], COLUMNS, empty="no tasks"))[0] == ""
    assert capsys.readouterr().err == ""
    assert write(Items("tasks", [], COLUMNS, empty="no tasks"), terminal=True)[0] == ""
    assert capsys.readouterr().err == "no tasks\n"


def test_a_status_is_coloured_where_colours_are_wanted(write: Write) -> None:
    result = Items("tasks", [row(1, status="failed")], COLUMNS)
    assert "\x1b[31mfailed\x1b[0m" in write(result, color="always")[0]
    assert "\x1b" not in write(result)[0]
    assert "\x1b" not in write(result, color="auto")[0]
    assert "\x1b[31m" in write(result, color="auto", terminal=True)[0]


@pytest.mark.parametrize(
    ("color", "environ", "terminal", "wanted"),
    [
        ("auto", {"TERM": "xterm"}, True, True),
        ("auto", {"TERM": "xterm"}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {}, True, False),
        ("auto", {"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ("auto", {"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1", "TERM": "xterm"}, True, False),
    ],
)
def test_when_colours_are_wanted(color: str, environ: dict[str, str], terminal: bool, wanted: bool) -> None:
    assert wants_colour(color, environ, terminal) is wanted


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left_of_any_text(text: str) -> None:
    for shown in (harmless(text), one_line(text)):
        assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Zl", "Zp") and c not in "\n\t"]
        assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert "\n" not in one_line(text)
    assert "\t" not in one_line(text)


def test_controls_are_shown_and_colours_dropped() -> None:
    assert harmless("a\x1b[1;31mred\x1b[0m\x1b[2J\x07\x00\x7f\x9b\u202eb\r\nc\rd") == "ared␛[2J␇␀␡\\u009b\\u202eb\nc␍d"


@given(st.text(alphabet="aä\u20ac\U0001f600\x1b[1;m\r\n\x00"), st.lists(st.integers(1, 5), max_size=40))
def test_pieces_of_output_read_the_same_wherever_they_were_cut(text: str, sizes: list[int]) -> None:
    data = text.encode()
    pieces, begin = [], 0
    for size in sizes:
        pieces.append(data[begin : begin + size])
        begin += size
    pieces.append(data[begin:])
    assert "".join(harmless(piece) for piece in decoded(pieces)) == harmless(text)


def test_bytes_that_are_no_utf8_are_replaced_and_half_a_character_at_the_end_is_not_lost(write: Write) -> None:
    text, _ = write(Output(lambda width: [("stdout", b"a\xff"), ("stdout", b"b\xe2\x82")]))
    assert text == "a\ufffdb\ufffd"


@given(st.text(), st.integers(1, 30))
def test_a_line_keeps_within_its_cells(text: str, width: int) -> None:
    (line,) = drawing.Canvas(Pen(False, False)).lines([drawing.line(text)], width)
    assert cell_len(line) <= width


@pytest.mark.parametrize("data", ["[red]x[/red]", "[link=file:///x]x[/link]", ":smile: \\[b]", "https://x.y 'z' 12"])
def test_markup_is_data(data: str, write: Write) -> None:
    for result in (Items("tasks", [row(1, data)], COLUMNS), Stream("event", [{"a": 1}], line=lambda _: data)):
        assert data in write(result, terminal=True, color="always")[0]
    assert drawing.Canvas(Pen(True, False)).lines([drawing.line((data, "red"))], 40) == [f"\x1b[31m{data}\x1b[0m"]


def test_wide_characters_take_two_cells() -> None:
    assert cells("日本") == 4
    assert cells("e\u0301") == 1
    (line,) = drawing.Canvas(Pen(False, False)).lines([drawing.line("日本語")], 4)
    assert line == "日 …"


def result(number: int, code: int = 0) -> TargetResult:
    return TargetResult(f"default/{number}", code == 0, code, f"task 'default/{number}'", None)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0], 0), ([], 0), ([3], 3), ([4], 4), ([0, 0], 0), ([0, 3], 1), ([3, 3], 3), ([4, 4, 4], 4), ([3, 4], 1)],
)
def test_the_exit_code_of_several_targets(codes: list[int], expected: int) -> None:
    assert Results([result(number, code) for number, code in enumerate(codes)]).code == expected


def test_every_target_is_reported(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    text, code = write(Results([result(1), result(2, 3)]))
    assert (text, code) == ("task 'default/1'\n", 1)
    assert capsys.readouterr().err == "agentq: error: task 'default/2'\n"
    text, code = write(Results([result(1), result(2, 3)]), as_json=True)
    document = json.loads(text)
    assert document["schema"] == "agentq.results/1"
    assert [(item["id"], item["ok"], item["code"]) for item in document["items"]] == [
        ("default/1", True, 0),
        ("default/2", False, 3),
    ]
    assert set(document["items"][0]) == {"id", "ok", "code", "message", "status"}


def test_the_only_target_failing_is_an_error_document(write: Write) -> None:
    text, code = write(Results([result(2, 4)]), as_json=True)
    document = json.loads(text)
    assert code == 4
    assert (document["schema"], document["code"], document["kind"]) == ("agentq.error/1", 4, "wrong_state")
    assert document["items"][0]["id"] == "default/2"


def test_a_stream_is_json_lines_each_a_document(write: Write) -> None:
    text, _ = write(Stream("event", [{"a": 1}, None, {"a": 2}], line=str), as_json=True)
    assert [json.loads(line) for line in text.splitlines()] == [
        {"schema": "agentq.event/1", "a": 1},
        {"schema": "agentq.event/1", "a": 2},
    ]


def test_a_stream_is_flushed_with_every_item(monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []

    class Pipe(io.StringIO):
        def flush(self) -> None:
            flushed.append(self.getvalue())

    monkeypatch.setattr("sys.stdout", Pipe())

    def items() -> Iterator[dict[str, Any]]:
        yield {"a": 1}
        assert flushed == ["1\n"]
        yield {"a": 2}

    printer = Printer(as_json=False, color="never", environ={}, now_ms=lambda: NOW)
    printer.write(Stream("event", items(), line=lambda item: str(item["a"])))
    assert flushed[-1] == "1\n2\n"


class Screen:
    """A terminal of its own for a Printer, and what was written to it."""

    def __init__(self, columns: int, rows: int = 24) -> None:
        self.master, slave = pty.openpty()
        self.resize(columns, rows)
        tty.setraw(slave)
        self.stdout = open(slave, "w")  # noqa: SIM115 - closed with the test

    def resize(self, columns: int, rows: int = 24) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self) -> str:
        self.stdout.flush()
        parts = []
        while select.select([self.master], [], [], 0)[0]:
            parts.append(os.read(self.master, 1 << 16))
        return b"".join(parts).decode()

    def close(self) -> None:
        self.stdout.close()
        os.close(self.master)


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen(60)
    yield made
    made.close()


def live(items: Iterator[Any] | list[Any], begun: list[str]) -> Stream:
    return Stream(
        "event",
        items,
        line=lambda _: "piped",
        live=Live(
            begin=lambda: begun.append("begun"),
            line=lambda item, pen: item["line"] and drawing.line(item["line"]),
            screen=lambda pen, width, height: [drawing.line(f"{width}x{height}"), drawing.line("below")],
            end=lambda pen: [drawing.line("over")],
        ),
    )


def show(stream: Stream, screen: Screen) -> int:
    # A fixture cannot do it: between it and the test pytest puts its own stdout there.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", screen.stdout)
        return Printer(as_json=False, color="never", environ={"TERM": "xterm"}, now_ms=lambda: NOW).write(stream)


def test_a_live_stream_is_drawn_anew_below_the_lines_that_stay_on_a_terminal_only(screen: Screen, write: Write) -> None:
    begun: list[str] = []
    items = [{"line": "one"}, {"line": None}, None, {"line": "two"}, None]
    assert show(live(items, begun), screen) == 0
    drawn = "59x22\x1b[K\nbelow\x1b[K\n\x1b[J"
    assert screen.read() == (f"\rone\x1b[K\n{drawn}\r\x1b[2Atwo\x1b[K\n{drawn}\r\x1b[2Aover\x1b[K\n\x1b[J")
    assert begun == ["begun"]
    assert write(live(items, begun))[0] == "piped\n" * 3
    assert begun == ["begun"]


def test_a_live_stream_where_nothing_comes_is_drawn_once_a_second(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0
    monkeypatch.setattr(board, "monotonic_ms", lambda: now)

    def items() -> Iterator[None]:
        nonlocal now
        for _ in range(30):
            now += 100
            yield None

    show(live(items(), []), screen)
    assert screen.read().count("below") == 3


def test_a_live_stream_is_drawn_for_the_new_size_over_all_that_a_narrow_terminal_made_of_it(screen: Screen) -> None:
    def items() -> Iterator[None]:
        yield None
        screen.resize(4 + 20, 9)
        yield None

    stream = live(items(), [])
    wide = Live(line=lambda *_: None, screen=lambda pen, width, height: [drawing.line("x" * width)])
    show(dataclasses.replace(stream, live=wide), screen)
    # 59 cells take three lines of a terminal of 24.
    assert screen.read() == f"\r{'x' * 59}\x1b[K\n\x1b[J\r\x1b[3A{'x' * 23}\x1b[K\n\x1b[J\r\x1b[1A\x1b[J"


def test_a_terminal_that_takes_nothing_keeps_nobody_waiting(screen: Screen) -> None:
    termios.tcflow(screen.stdout.fileno(), termios.TCOOFF)
    looked = []

    def items() -> Iterator[Any]:
        yield {"line": "kept"}
        for number in range(3):
            looked.append(number)
            yield None
        termios.tcflow(screen.stdout.fileno(), termios.TCOON)
        yield None

    show(live(items(), []), screen)
    assert looked == [0, 1, 2]
    assert screen.read().count("kept") == 1


def test_the_code_of_a_result_may_be_known_only_at_its_end(write: Write) -> None:
    seen = []

    def items() -> Iterator[dict[str, Any]]:
        seen.append(1)
        yield {"id": "default/1"}
        seen.append(2)

    assert write(Items("tasks", items(), line=lambda item: item["id"], code=lambda: len(seen))) == ("default/1\n", 2)


class Broken(io.StringIO):
    """A stdout whose reader has gone, or whose disk is full, after the first line."""

    def __init__(self, failure: OSError) -> None:
        super().__init__()
        self._failure = failure

    def write(self, text: str) -> int:
        if self.getvalue():
            raise self._failure
        return super().write(text)


def test_a_reader_that_goes_ends_a_stream_or_leaves_it_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(survives: bool) -> tuple[Stream, list[int]]:
        seen: list[int] = []

        def items() -> Iterator[dict[str, Any]]:
            for number in range(3):
                seen.append(number)
                yield {"a": number}

        return Stream("event", items(), line=str, survives_reader=survives), seen

    for survives in (False, True):
        monkeypatch.setattr("sys.stdout", Broken(BrokenPipeError()))
        printer = Printer(as_json=False, color="never", environ={}, now_ms=lambda: NOW)
        result, seen = stream(survives)
        if survives:
            printer.write(result)
            assert seen == [0, 1, 2]
        else:
            with pytest.raises(ReaderGone):
                printer.write(result)
            assert seen == [0, 1]


def test_a_full_disk_behind_stdout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Broken(OSError(28, "No space left on device")))
    printer = Printer(as_json=False, color="never", environ={}, now_ms=lambda: NOW)
    with pytest.raises(Refused, match="standard output: No space left"):
        printer.write(Items("tasks", [row(1), row(2)], line=lambda item: item["id"]))


def test_fields_are_aligned_and_their_lines_indented(write: Write) -> None:
    text, _ = write(Document("task", {}, [("Task", "default/1"), ("Prompt", "one\x1b\ntwo"), ("Error", "")]))
    assert text == "Task:   default/1\nPrompt: one␛\n        two\nError:\n"


def test_hints_and_warnings_are_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    notices.hint("try\nthis\x1b")
    notices.warn("odd")
    assert capsys.readouterr() == ("", "agentq: hint: try this␛\nagentq: warning: odd\n")
