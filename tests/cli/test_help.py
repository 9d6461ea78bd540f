"""What `--help` shows: every option in its place, examples that work, no line wider than the screen."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import pytest
from agentq_process import Agentq
from terminal import on_terminal
from typer import _click as click

from agentq_cli.cli import app, help
from agentq_cli.cli.help import ARGUMENTS, OPTIONS, Page
from agentq_cli.cli.words import written_out
from agentq_cli.config.zones import known
from agentq_cli.options import values
from agentq_cli.options.table import COMMANDS, EVERYWHERE, GROUPS, PANELS, row
from agentq_cli.policy import retry
from agentq_cli.policy import schedule as policy
from agentq_cli.supervise.plan import DEFAULT_GRACE_MS

MANY = 8
"""So many options of its own, and a command's help wants headings."""


def context(name: str) -> click.Context:
    group = app.application()
    parent = group.make_context("agentq", [name])
    command = group.get_command(parent, name)
    assert command is not None
    return command.context_class(command, info_name=name, parent=parent)


def page(name: str) -> Page:
    ctx = context(name)
    return help.page(ctx.command, ctx)


def whole() -> Page:
    ctx = app.application().make_context("agentq", [])
    return help.page(ctx.command, ctx)


def command_lines(line: str) -> Iterator[list[str]]:
    """The words of each call of agentq in a shell's command line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>()")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word and not word.strip("|;&<>()"):
            if words[:1] == ["agentq"]:
                yield words[1:]
            words = []
        else:
            words.append(word)


def parsed(words: list[str]) -> click.Context:
    group = app.application()
    ctx = group.make_context("agentq", written_out(words))
    name, command, rest = group.resolve_command(ctx, [*ctx._protected_args, *ctx.args])
    assert command is not None
    return command.make_context(name, rest, parent=ctx)


def check_value(metavar: str, text: str) -> None:
    """That a value is one of those that its metavar promises. Raises Usage."""
    match metavar:
        case "DURATION":
            values.parse_duration(text)
        case "DURATION|TIME" | "TIME|DURATION":
            values.parse_time_or_duration(text, zone=lambda: "UTC", now_ms=0, what="time")
        case "TIME":
            values.parse_time(text, zone=lambda: "UTC", now_ms=0, what="time")
        case "ID" | "ID..." | "ID[.K]":
            values.parse_run(text)
        case "NAME":
            values.parse_session(text)
        case "ZONE":
            assert known(text)
        case _ if "|" in metavar and metavar == metavar.lower():
            assert text in metavar.split("|")


def test_every_command_is_listed_once_under_its_purpose() -> None:
    listed = [entry.names[0] for panel in whole().panels if panel.title in GROUPS for entry in panel.entries]
    assert sorted(listed) == sorted(COMMANDS)
    assert len(set(COMMANDS)) == len(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_examples_that_its_parser_takes(name: str) -> None:
    found = page(name)
    assert 2 <= len(found.examples) <= 4
    for example in found.examples:
        calls = list(command_lines(example.line))
        assert calls and all(call[0] == name for call in calls), example.line
        assert example.text.endswith((".", "?")), example.text
        for call in calls:
            ctx = parsed(call)
            for parameter in ctx.command.params:
                value = ctx.params.get(parameter.name or "")
                given = value if isinstance(value, list) else [value]
                for text in given:
                    if isinstance(text, str):
                        check_value(getattr(parameter, "metavar", None) or "", text)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_each_parameter_once_under_a_heading(name: str) -> None:
    ctx = context(name)
    found = help.page(ctx.command, ctx)
    shown = [entry for panel in found.panels for entry in panel.entries]
    names = [spelling for entry in shown for spelling in entry.names]
    declared = [
        spelling
        for parameter in ctx.command.get_params(ctx)
        if parameter.param_type_name == "option"
        for spelling in parameter.opts
    ]
    assert sorted(names) == sorted(declared)
    assert all(entry.text for entry in shown), "an option that does not say what it does"
    assert all(entry.metavar for entry in shown if not entry.names)
    titles = [panel.title for panel in found.panels]
    assert titles[-1] == EVERYWHERE
    assert set(titles) <= {ARGUMENTS, OPTIONS, EVERYWHERE, *PANELS}
    own = [panel for panel in found.panels if panel.title not in (ARGUMENTS, EVERYWHERE)]
    if sum(len(panel.entries) for panel in own) > MANY:
        assert OPTIONS not in titles, "options of a command that has many belong under headings"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_of_the_help_is_wider_than_the_screen(width: int) -> None:
    for found in (whole(), *(page(name) for name in COMMANDS)):
        lines = [line for line, _ in found.lines(width)]
        assert max(map(len, lines)) <= min(width, help.WIDEST), found.name
        assert not [line for line in lines if line != line.rstrip()]
        # An example that is broken over lines is still the same words to a shell.
        told = "\n".join(lines).replace("\\\n", " ")
        for example in found.examples:
            words = " ".join(help.words_of(example.line))
            assert words in " ".join(told.split()), (found.name, example.line)


def test_a_default_in_the_help_is_the_one_of_the_code() -> None:
    told = {
        entry.names[-1]: entry.default
        for name in ("submit", "schedule")
        for panel in page(name).panels
        for entry in panel.entries
        if entry.names
    }
    duration = values.format_duration
    assert told["--grace"] == duration(DEFAULT_GRACE_MS)
    assert told["--backoff"] == duration(retry.BACKOFF_MS)
    assert told["--max-backoff"] == duration(retry.MAX_BACKOFF_MS)
    assert told["--retries"].startswith(f"{retry.RETRIES} ")
    assert told["--on-crash"] == row("submit", "on_crash").choices[0]
    assert told["--on-dep-failure"] == row("submit", "on_dep_failure").choices[0]
    assert row("schedule", "missed").choices == tuple(policy.Missed)
    assert row("schedule", "overlap").choices == tuple(policy.Overlap)
    assert told["--pause-after"] == str(policy.PAUSE_AFTER)
    made = policy.Schedule(policy.Kind.AT, start=0)
    assert (told["--missed"], told["--overlap"]) == (made.missed.value, made.overlap.value)
    assert all(not entry.default for panel in page("edit").panels[:-1] for entry in panel.entries)


def test_help_is_plain_in_a_pipe_and_has_coloured_headings_on_a_terminal(agentq: Agentq) -> None:
    piped = agentq("list", "--help")
    assert (piped.returncode, piped.stderr) == (0, "")
    assert "\x1b" not in piped.stdout
    assert not agentq.state_dir.exists()
    seen = on_terminal(agentq, "list", "-h", columns=80)
    assert "\x1b[1mExamples:\x1b[0m" in seen
    assert seen.replace("\x1b[1m", "").replace("\x1b[0m", "") == piped.stdout
    assert "\x1b" not in on_terminal(agentq, "list", "--help", columns=80, env={"NO_COLOR": "1"})
    assert "\x1b" not in on_terminal(agentq, "--help", columns=80, env={"TERM": "dumb"})
    assert "\x1b[1mExamples:" in agentq("list", "--help", "--color", "always").stdout
    assert "\x1b[1mExamples:" in agentq("--color=always", "list", "--help").stdout


def test_help_is_wanted_only_where_agentq_itself_is_asked(agentq: Agentq) -> None:
    assert agentq("show", "--help").stdout.startswith("Usage: agentq show [OPTIONS] [ID[.K]]\n")
    assert agentq("submit", "-fh").stdout.startswith("Usage: agentq submit ")
    given = agentq("submit", "--dry-run", "--exec", "--", "ls", "--help")
    assert "ls --help" in given.stdout
    assert "Usage" not in given.stdout
    wrong = agentq("list", "--help", "--color", "pink")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    document = json.loads(agentq("list", "--help", "--json").stdout)
    assert document["schema"] == "agentq.help/1"
    assert document["name"] == "agentq list"
    assert [panel["title"] for panel in document["panels"]] == ["Arguments", "Which", "Everywhere"]
