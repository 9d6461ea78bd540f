"""An option with an empty value, as from a variable that a script never set, is refused: it is not "not given"."""

from __future__ import annotations

import json

import pytest
from driven import Driven

from agentq_cli.manual.surface import commands
from agentq_cli.options import batch
from agentq_cli.options.table import COMMANDS, rows

ALLOWED = {"--agent-arg"}
"""A word of an agent's command line may be empty, as any word of a command line may."""

WORDS = {
    "schedule": ("--every", "1h"),
    **dict.fromkeys(("show", "logs", "edit", "trigger", "retry", "cancel", "wait", "pause", "resume"), ("1",)),
    "reply": ("1", "x"),
    "service": ("print", "cron"),
    "fleet": ("init",),
    "migrate": ("from", "to"),
    "completion": ("bash",),
    "mcp": ("--print", "claude"),
    "messages": ("-s", "default"),
    "prune": ("--older-than", "1d", "--yes"),
}
"""What else a command needs, before the option in question: of one that is given twice the later one holds."""

WORK = dict.fromkeys(("submit", "schedule"), ("--exec", "--", "true"))


def cases() -> list[tuple[str, str]]:
    """Every option of every command that takes a value, in its long spelling."""
    return [
        (command, option.spellings.split()[0])
        for command in COMMANDS
        for option in rows(command)
        if option.kind != "flag" and option.spellings.startswith("--")
    ]


def test_the_options_are_those_of_the_help() -> None:
    shown = {
        (command.name, name)
        for command in commands()
        for panel in command.page.panels
        for entry in panel.entries
        for name in entry.names
        if name.startswith("--") and entry.metavar
    }
    assert set(cases()) == shown


@pytest.fixture(scope="module")
def world(shared: Driven) -> Driven:
    shared.exec("true")
    shared.exec("true", given=("-s", "other"))
    return shared


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_value_is_refused_and_changes_nothing(world: Driven, command: str) -> None:
    before = (world.tasks(), world.items("events", "--limit", "1000"))
    options = [option for name, option in cases() if name == command]
    for option in options:
        words = WORDS.get(command, ())
        for given in ((option, ""), (f"{option}=",)):
            if option in ALLOWED:
                continue
            line = world.refused(command, *words, *given, *WORK.get(command, ()), code=2)
            assert f"{option}" in line and "''" in line, (command, given, line)
    assert (world.tasks(), world.items("events", "--limit", "1000")) == before


def test_one_of_several_values_may_not_be_empty_either(world: Driven) -> None:
    for given in (("--label", "one", "--label", ""), ("-e", "A=1", "-e", ""), ("--after", "1", "--after", "")):
        assert "''" in world.refused("submit", *given, "--exec", "--", "true", code=2)
    assert "--label ''" in world.refused("list", "--label", "", code=2)
    assert "--state-dir ''" in world.refused("--state-dir", "", "list", code=2)
    assert "--color ''" in world.refused("--color", "", "list", code=2)


def test_an_empty_word_for_the_agent_is_a_word(world: Driven) -> None:
    (plan,) = world.items("submit", "--dry-run", "-a", "claude", "--agent-arg", "", "hello")
    assert "" in plan["argv"]


@pytest.mark.parametrize("name", sorted(batch.PLAIN | batch.LISTS))
def test_an_empty_value_of_a_batch_is_refused_by_its_line(world: Driven, name: str) -> None:
    if f"--{name.replace('_', '-')}" in ALLOWED:
        return
    work = {} if name in ("file", "prompt") else {"exec": ["true"]}
    lines = [{"exec": ["true"]}, {**work, name.replace("_", "-"): ""}]
    text = "\n".join(map(json.dumps, lines))
    line = world.refused("submit", "--batch", "-", input=text, code=2)
    assert line.startswith("agentq: error: --batch line 2: ") and name in line, line


def test_null_in_a_batch_is_a_key_that_is_left_out(aq: Driven) -> None:
    names = [row.name for row in rows("batch") if row.name not in ("exec", "ref")]
    (address,) = aq.batch({"exec": ["true"], **dict.fromkeys(names)})
    assert aq.task(address)["argv"] == ["true"]


@pytest.mark.parametrize("key", ["script", "agent", "cwd", "context", "tz", "missed", "overlap", "on_crash", "label"])
def test_an_empty_value_of_the_config_is_refused_by_its_line(world: Driven, key: str) -> None:
    (world.home / "config.toml").write_text(f'[defaults]\n{key} = ""\n')
    line = world.refused("list", env={"AGENTQ_CONFIG": str(world.home / "config.toml")}, code=2)
    assert f"config.toml:2: {key} ''" in line
