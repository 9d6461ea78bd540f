"""Any command line: what the quick reader reads the parser understands alike; what is an error it does not read."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from anything import HOSTILE
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer._click.exceptions import ClickException

from agentq_cli.base.errors import Usage
from agentq_cli.cli import app, perform, quick
from agentq_cli.options.table import ARGUMENTS, COMMANDS, Row, rows
from agentq_cli.show import results

Understood = tuple[str, dict[str, Any], dict[str, Any]]


class Probe:
    """Stands where a command's surroundings do, and keeps what the parser hands on."""

    def __init__(self) -> None:
        self.shared: dict[str, Any] = {}

    def context(self, options: Mapping[str, Any]) -> None:
        self.shared = dict(options)


@pytest.fixture(scope="module", autouse=True)
def called() -> Iterator[None]:
    """Every command's function gives back what it is called with; each command is made once."""
    real = perform.function

    def recorded(name: str) -> Any:
        @functools.wraps(real(name))
        def function(given: Mapping[str, Any], at: None) -> Any:
            return name, dict(given)

        return function

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perform, "function", recorded)
        commands = {name: app.load(name) for name in COMMANDS}
        patch.setattr(app, "load", commands.__getitem__)
        yield


def parsed(words: list[str]) -> Understood | None:
    """What the parser understands; None for an error and for help. The command is empty if none is named."""
    probe = Probe()
    group = app.application()
    try:
        with group.make_context("agentq", list(words), obj=probe) as ctx:
            shared = ctx.meta.get(app.SHARED, {})
            if not ctx._protected_args and not shared.get("version"):
                return "", {}, shared
            found = group.invoke(ctx)
    except (ClickException, Usage, app.HelpWanted):
        return None
    if isinstance(found, results.Document):
        assert found.kind == "version"
        return "", {}, ctx.meta[app.SHARED]
    return *found, probe.shared


def read(words: list[str]) -> Understood | None:
    """What the quick reader understands, as the command's function is given it."""
    found = quick.read(words)
    if found is None or not found[0]:
        return found
    name, given, shared = found
    try:
        perform.refuse_empty(name, given, shared)  # as whoever performs it does, however it was read
    except Usage:
        return None
    return *perform.call(name, given, None), shared  # type: ignore[misc]


NUMBERS = ["0", "1", "7", "-3", "100", "10001", "2.5", "-0", "+5", "1_0", " 5", "5.", ".5", ".", "-", "inf", "007", "٣"]
VALUES = st.sampled_from(
    [*HOSTILE, *NUMBERS, "--", "-s", "--json", "--help", "-h", "--exec", "--limit=3", "list", "x=y"]
)


def options(name: str) -> dict[str, Row]:
    """The options of a command by every spelling."""
    return {spelling: row for row in rows(name) if row.reader not in ARGUMENTS for spelling in row.spellings.split()}


@st.composite
def word(draw: st.DrawFn, name: str) -> list[str]:
    """An option as somebody types it, rightly or not, or a word."""
    spellings = sorted({**options(name), **options("")})
    spelling = draw(st.sampled_from([*spellings, "--help", "-h", "--sesion", "-Z", "--wait", "--limit", "-s"]))
    value = draw(VALUES)
    way = draw(st.integers(0, 11))
    if way <= 3:
        known = options(name).get(spelling)
        return [spelling] if known and known.kind == "flag" else [spelling, value]
    return {
        4: [f"{spelling}={value}"],
        5: [spelling],
        6: [spelling, value],
        7: [f"{spelling}{value}"],
        8: [spelling[: draw(st.integers(1, len(spelling)))]],
        9: [value],
        10: ["--"],
        11: ["a word"],
    }[way]


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A command with some words before and after its name."""
    name = draw(st.sampled_from(COMMANDS))
    before = draw(st.lists(word(""), max_size=2)) if draw(st.integers(0, 3)) == 0 else []
    typed = draw(st.sampled_from([name] * 20 + [name[:-1], "", "--", "-"]))
    after = draw(st.lists(word(name), max_size=5))
    return [text for part in (*before, [typed], *after) for text in part]


@settings(max_examples=400)
@given(lines())
@example(["--version"])
@example(["-V", "--json"])
@example(["--version", "list", "--json"])
@example(["--json", "--version", "--"])
@example(["list", "--version"])
@example([])
@example(["--json"])
@example(["submit", "--exec", "--", "ls", "--help"])
@example(["submit", "-s", "--", "--exec", "true"])
@example(["submit", "--exec", "--", "a", "--", "b"])
@example(["submit", "--label", "--help", "x"])
@example(["list", "-s=x"])
@example(["list", "--limit", "0"])
@example(["list", "--limit", "²"])
@example(["--version", "--", "x"])
@example(["run", "--jobs", "10001"])
@example(["--state-dir", "a", "list", "--state-dir", "b", "--state-dir", ""])
def test_the_quick_reader_understands_a_line_as_the_parser_does_or_not_at_all(words: list[str]) -> None:
    found = read(words)
    if found is not None:
        assert repr(_sorted(found)) == repr(_sorted(parsed(words)))


def _sorted(found: Understood | None) -> object:
    return found and (found[0], sorted(found[1].items()), sorted(found[2].items()))


RIGHT = {
    "text": VALUES,
    "texts": VALUES,
    "whole": st.integers(1, 100).map(str),
    "number": st.sampled_from(["2", "0.5"]),
}


@st.composite
def plain_lines(draw: st.DrawFn) -> list[str]:
    """A line in exact spellings of which nothing is wrong. The words of a changed command are written out first."""
    name = draw(st.sampled_from(COMMANDS))
    known = options(name)
    places = [row.reader for row in rows(name) if row.reader in ARGUMENTS]
    words = [name]
    for spelling in draw(st.lists(st.sampled_from(sorted(known)), max_size=4)):
        kind = known[spelling].kind
        if kind == "flag":
            words.append(spelling)
        elif spelling == "--exec" or (spelling.startswith("--") and draw(st.booleans())):
            words.append(f"{spelling}={draw(RIGHT[kind])}")
        else:
            words += [spelling, draw(RIGHT[kind])]
    plain = st.sampled_from(["a word", "-", "docs/7", ""])
    typed = [draw(plain) for reader in places if reader != "optional" or draw(st.booleans())]
    # Words behind the dashes are for the agent if a file has the prompt.
    for_agent = any(
        known[word.partition("=")[0]].name == "file" for word in words[1:] if word.partition("=")[0] in known
    )
    if for_agent or (draw(st.booleans()) and not (places and places[-1] == "many")):
        return [*words, *typed]
    return [*words, "--", *typed]


@settings(max_examples=200)
@given(plain_lines())
@example(["submit", "--priority", "-5", "--max-cost=.5", "--", "x"])
@example(["--version"])
def test_exact_spellings_need_no_parser(words: list[str]) -> None:
    assert quick.read(words) is not None
    found = read(words)
    assert repr(_sorted(found)) == repr(_sorted(parsed(words)))
