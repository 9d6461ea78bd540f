"""What a person sees on a terminal: colours, relative times, lines that fit; and when each of them is left out."""

from __future__ import annotations

import pytest
from agentq_process import Agentq
from terminal import on_terminal

PROMPT = "a rather long prompt that will not fit into forty columns of a terminal, whatever is left out beside it"


@pytest.fixture
def waiting(agentq: Agentq) -> Agentq:
    assert agentq("submit", "--agent", "demo", PROMPT, env={"AGENTQ_NOW": "2026-03-29T01:00:00Z"}).returncode == 0
    return agentq


LATER = {"AGENTQ_NOW": "2026-03-29T01:05:00Z"}


@pytest.mark.parametrize("columns", [40, 80])
def test_a_table_fits_the_terminal_and_shows_relative_times(waiting: Agentq, columns: int) -> None:
    text = on_terminal(waiting, "list", columns=columns, env={**LATER, "NO_COLOR": "1"})
    header, line = text.splitlines()
    assert len(line) == columns
    assert line.startswith("default/1  queued  5 min ago  ")
    assert line.endswith("…")
    assert ("AGENT" in header) is (columns == 80)


def test_a_pipe_gets_the_whole_line_and_the_whole_time_however_narrow_it_is_said_to_be(waiting: Agentq) -> None:
    _, line = waiting("list", env={**LATER, "COLUMNS": "40"}).stdout.splitlines()
    assert line == f"default/1  queued  2026-03-29T01:00:00.000Z    0  demo   -      -       -        {PROMPT}"


@pytest.mark.parametrize(
    ("arguments", "env", "coloured"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"TERM": "dumb"}, False),
        (("--color", "never"), {}, False),
        (("--color", "always"), {"NO_COLOR": "1", "TERM": "dumb"}, True),
    ],
)
def test_colours_on_a_terminal(
    waiting: Agentq, arguments: tuple[str, ...], env: dict[str, str], coloured: bool
) -> None:
    assert ("\x1b[" in on_terminal(waiting, "list", *arguments, columns=80, env=env)) is coloured


@pytest.mark.parametrize(
    ("arguments", "env", "coloured"),
    [((), {}, False), ((), {"FORCE_COLOR": "1"}, True), (("--color", "always"), {}, True)],
)
def test_colours_on_a_pipe(waiting: Agentq, arguments: tuple[str, ...], env: dict[str, str], coloured: bool) -> None:
    assert ("\x1b[" in waiting("list", *arguments, env=env).stdout) is coloured


@pytest.mark.parametrize(
    ("env", "plain"),
    [
        ({"LANG": "C"}, True),
        ({"LC_ALL": "POSIX"}, True),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, True),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ({"LANG": "C.UTF-8"}, False),
    ],
)
def test_a_plain_locale_gets_ascii(waiting: Agentq, env: dict[str, str], plain: bool) -> None:
    text = on_terminal(waiting, "list", columns=40, env={**LATER, **env})
    text += on_terminal(waiting, "events", columns=80, env={**LATER, **env})
    assert text.isascii() is plain
    assert ("- -> queued" in text, "- → queued" in text) == (plain, not plain)


def test_what_is_told_of_one_task_is_broken_between_words(waiting: Agentq) -> None:
    env = {**LATER, "NO_COLOR": "1", "TZ": "Africa/Lagos"}
    text = on_terminal(waiting, "show", "1", columns=40, env=env)
    lines = text.splitlines()
    assert max(len(line) for line in lines if not line.startswith("Directory:")) <= 40
    assert f"Prompt: {PROMPT}" in " ".join(text.split())
    assert "Created:     02:00 (5 min ago)" in lines
    assert "Created:     2026-03-29T01:00:00.000Z\n" in waiting("show", "1", env=LATER).stdout
    utc = on_terminal(waiting, "show", "1", "--utc", columns=40, env=env)
    assert "Created:     01:00 (5 min ago)" in utc.splitlines()


@pytest.mark.parametrize("command", ["service print cron", "completion bash", "stats --prometheus"])
def test_what_is_there_to_be_copied_is_not_broken(waiting: Agentq, command: str) -> None:
    env = {**LATER, "NO_COLOR": "1"}
    piped = waiting(*command.split(), env=env).stdout
    assert max(map(len, piped.splitlines())) > 40
    assert on_terminal(waiting, *command.split(), columns=40, env=env) == piped


def test_tables_below_the_figures_fit(waiting: Agentq) -> None:
    wide, narrow = (
        on_terminal(waiting, "stats", columns=columns, env={**LATER, "NO_COLOR": "1"}).splitlines()
        for columns in (120, 40)
    )
    (header,) = [line for line in narrow if line.startswith("SESSION")]
    assert header.split() == ["SESSION", "LIVE", "RUNS", "FAILED", "RUN", "P50"]
    assert max(map(len, narrow)) <= 40
    assert "RETRIES" in next(line for line in wide if line.startswith("SESSION"))


def test_json_is_the_same_on_a_terminal(waiting: Agentq) -> None:
    env = {**LATER, "FORCE_COLOR": "1"}
    assert on_terminal(waiting, "list", "--json", columns=40, env=env) == waiting("list", "--json", env=env).stdout
