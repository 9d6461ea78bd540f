"""Short ways to type a command: `x`, a line of shell, aliases, words for the agent behind `--`, a program not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from agentq_process import PYTHON
from driven import Driven
from hypothesis import given
from hypothesis import strategies as st
from terminal import all_on_terminal

from agentq_cli.cli import quick, words
from agentq_cli.options.table import ALIASES, COMMANDS, SHORT_EXEC

ECHO = """
default_agent = "mine"
[agents.mine]
argv = ["/bin/echo", "{agent_args}", "end"]
args = ["--model", "small"]
[agents.claude]
args = ["--permission-mode", "plan"]
"""


@pytest.fixture
def config(aq: Driven) -> dict[str, str]:
    path = aq.home / "config.toml"
    path.write_text(ECHO)
    return {"AGENTQ_CONFIG": str(path)}


def argv(aq: Driven, address: str = "default/1") -> list[str]:
    found: list[str] = aq.task(address)["argv"]
    return found


def test_x_runs_the_words_behind_its_options(aq: Driven) -> None:
    assert aq("x", "--label", "a", "-s", "docs", "echo", "-n", "--json", "--", "hi").stdout == "docs/1\n"
    assert argv(aq, "docs/1") == ["echo", "-n", "--json", "--", "hi"]
    assert aq.task("docs/1")["labels"] == ["a"]
    assert aq("x", "--", "true").stdout == "default/1\n"
    assert argv(aq) == ["true"]
    assert json.loads(aq("--json", "x", "true", "--json").stdout)["items"][0]["argv"] == ["true", "--json"]
    assert aq("x", "-fs", "docs2", "sh", "-c", "echo seen; exit 3", code=3).stdout == "docs2/1\nseen\n"
    assert "needs a command" in aq.refused("x", code=2)


def test_x_is_read_without_the_parser() -> None:
    written = words.written_out(["x", "-s", "docs", "make", "test"])
    assert written == ["submit", "-s", "docs", "--exec", "--", "make", "test"]
    assert quick.read(written) is not None


PLAIN = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5).filter(lambda found: found[0][0] != "-")


@given(PLAIN, st.sampled_from([[], ["--wait"], ["-p", "3"], ["-p3"], ["--key=a"], ["--key", "-"], ["--"]]))
def test_no_word_of_a_command_becomes_an_option(command: list[str], options: list[str]) -> None:
    given = [each for each in options if each != "--"]
    assert words.written_out(["x", *options, *command]) == ["submit", *given, "--exec", "--", *command]


@given(st.lists(st.text(max_size=8), max_size=4), st.lists(st.text(max_size=8), max_size=4))
def test_words_behind_the_prompt_are_the_agents(after: list[str], typed: list[str]) -> None:
    options = [f"--agent-arg={word}" for word in typed]
    asked = quick.read(words.written_out(["submit", *options, "Fix it", "--", *after]))
    assert asked is not None
    agent_args = asked[1].get("agent_arg", [])
    assert isinstance(agent_args, list)
    assert sorted(agent_args) == sorted([*after, *typed])
    assert asked[1]["words"] == ["Fix it"]


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_is_its_command(shared: Driven, alias: str, name: str) -> None:
    assert shared(alias, "--help").stdout == shared(name, "--help").stdout


def test_a_short_name_is_no_command() -> None:
    assert not {SHORT_EXEC, *ALIASES} & set(COMMANDS)
    assert set(ALIASES.values()) <= set(COMMANDS)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *(("watch", "top"), ("usage", "stats"), ("cost", "stats"), ("queue", "list"), ("info", "show")),
        *(("clear", "prune"), ("daemon", "run"), ("help", "--help"), ("shutdown", "stop")),
        *(("parallel", "jobs"), ("group", "sessions"), ("atq", "list"), ("atrm", "cancel")),
    ],
)
def test_what_other_programs_call_a_command_is_answered_by_its_name(shared: Driven, typed: str, meant: str) -> None:
    assert shared.refused(typed, code=2).endswith(f"'{typed}': no such command; did you mean '{meant}'?")


def test_help_of_a_command_is_asked_of_that_command(shared: Driven) -> None:
    assert shared.refused("help", "submit", code=2).endswith("did you mean 'submit --help'?")
    assert shared.refused("help", "nosuch", code=2).endswith("did you mean '--help'?")


def test_a_command_without_x_is_told_of_it(shared: Driven) -> None:
    assert shared.refused("add", "make", "test", code=2).endswith("or write `agentq x make test` for a command")


def test_aliases_do_what_they_say(aq: Driven) -> None:
    assert aq("add", "-a", "demo", "hello").stdout == "default/1\n"
    assert "default/1" in aq("ls").stdout
    aq("rm", "1")
    assert aq.statuses() == {"default/1": "cancelled"}
    aq("x", "--wait", "echo", "seen")
    assert aq("log", "2").stdout == aq("logs", "2").stdout


def test_a_line_of_shell_is_run_by_sh(aq: Driven) -> None:
    assert aq("submit", "--wait", "-c", "echo one two | tr ' ' '\\n' | tail -n 1; exit 4", code=4)
    assert argv(aq)[:2] == ["sh", "-c"]
    assert aq("logs", "1").stdout == "two\n"
    assert aq.batch({"shell": "true | true"}) == ["default/2"]
    assert argv(aq, "default/2") == ["sh", "-c", "true | true"]
    address = aq("schedule", "--every", "1h", "--shell", "a | b").stdout.strip()
    assert argv(aq, address) == ["sh", "-c", "a | b"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-c", "  "), "a command must not be blank"),
        (("-c", "true", "again"), "-c 'true': not together with a prompt"),
        (("-c", "true", "--exec", "--", "true"), "-c 'true': not together with --exec"),
        (("-c", "true", "--file", "/dev/null"), "not together with -c"),
        (("-c", "true", "--batch", "/dev/null"), "-c and --file must not be given"),
        (("--exec", "--", "make test"), "no such program; for a line of shell write -c 'make test'"),
    ],
)
def test_what_is_no_command_is_refused(shared: Driven, arguments: tuple[str, ...], said: str) -> None:
    assert said in shared.refused("submit", *arguments, code=2)


def test_a_batch_names_the_keys_of_which_it_needs_one(shared: Driven) -> None:
    lines = '{"shell": "true", "exec": ["true"]}\n'
    message = shared.refused("submit", "--batch", "-", code=2, input=lines)
    assert message.endswith("needs exactly one of prompt, exec, shell, file")


def test_a_program_with_a_blank_in_its_name_is_run(aq: Driven, tmp_path: Path) -> None:
    program = tmp_path / "my program"
    program.write_text(f"#!{PYTHON[0]} -S\n")
    program.chmod(0o700)
    assert "warning" not in aq("submit", "--exec", "--", str(program)).stderr
    assert "warning" not in aq("submit", "-C", str(tmp_path), "--exec", "--", "./my program").stderr
    told = aq("submit", "-C", str(tmp_path), "--exec", "--", "my program").stderr
    assert "warning: --exec 'my program': no such program on the PATH of the task" in told


def test_a_program_that_is_not_there_is_told_once(aq: Driven, tmp_path: Path) -> None:
    warning = "warning: --exec 'nosuch': no such program on the PATH of the task"
    assert warning in aq("submit", "--exec", "--", "nosuch", "1").stderr
    assert "exec 'nosuch'" in aq("submit", "--batch", "-", input='{"exec": ["nosuch", "a"]}\n' * 3).stderr
    there = tmp_path / "nosuch"
    there.write_text("#!/bin/sh\n")
    there.chmod(0o700)
    assert warning not in aq("submit", "-e", f"PATH={tmp_path}", "--exec", "--", "nosuch", "1").stderr
    for agent, told in (("claude", True), ("demo", False)):
        done = aq("submit", "-a", agent, "hello", env={"PATH": "/usr/bin:/bin"})
        assert (f"--agent '{agent}': no such program" in done.stderr) == told


def test_words_behind_the_dashes_reach_the_agent(aq: Driven, config: dict[str, str]) -> None:
    aq("submit", "--wait", "Fix it", "--", "--permission-mode", "acceptEdits", "", env=config)
    assert aq("logs", "1").stdout == "--model small --permission-mode acceptEdits  end\n"
    prompt = aq.home / "prompt"
    prompt.write_text("-Fix it")
    for typed in (["--file", str(prompt), "--", "--x"], ["--", "-Fix it", "--", "--x"]):
        (address,) = aq("submit", "--wait", *typed, env=config).stdout.split() or ["default/9"]
        assert aq("logs", address).stdout == "--model small --x end\n"
    assert aq.task("default/3")["prompt"] == "-Fix it"
    aq("submit", "--", "-only a prompt", env=config)
    assert aq.task("default/4")["prompt"] == "-only a prompt"


def test_words_of_the_config_are_added_to_a_built_in_agent(aq: Driven, config: dict[str, str]) -> None:
    (item,) = aq.items("submit", "--dry-run", "-a", "claude", "x", "--", "--model", "opus", env=config)
    assert item["argv"][0] == "claude"
    assert item["argv"][-4:] == ["--permission-mode", "plan", "--model", "opus"]


NOON = "2026-03-27T11:00:00Z"
"""A Friday noon in Berlin."""


def test_a_time_is_typed_as_it_is_said(aq: Driven) -> None:
    environ = {"AGENTQ_NOW": NOON, "AGENTQ_TZ": "Europe/Berlin"}
    done = aq("submit", "--at", "22:00", "--exec", "--", "true", env=environ)
    assert "--at '22:00': 2026-03-27 22:00:00+01:00 Europe/Berlin" in done.stderr.splitlines()
    assert aq.task("default/1")["due_at"] == "2026-03-27T21:00:00.000Z"
    aq("submit", "--tz", "UTC", "--at", "Mon 09:00", "--exec", "--", "true", env=environ)
    assert aq.task("default/2")["due_at"] == "2026-03-30T09:00:00.000Z"
    aq("submit", "--in", "2 hours", "--exec", "--", "true", env=environ)
    assert aq.task("default/3")["due_at"] == "2026-03-27T13:00:00.000Z"
    done = aq("submit", "--at", "2026-03-27", "--exec", "--", "true", env=environ)
    assert "warning: --at '2026-03-27': that is past; it runs at once" in done.stderr
    assert len(aq.items("events", "--since", "today", env=environ)) == 4
    for since, count in (("yesterday", 4), ("Mon 09:00", 4), ("2 hours", 4), ("1 min", 4), ("2026-03-27T12:00:01", 0)):
        assert len(aq.items("events", "--since", since, env=environ)) == count, since
    assert aq.items("events", "--since", "13:00", env=environ | {"AGENTQ_NOW": "2026-03-27T14:00:00Z"}) == []


def test_a_terminal_is_told_the_time_of_the_task_zone_where_its_own_differs(aq: Driven) -> None:
    environ = {"AGENTQ_NOW": NOON, "TZ": "Europe/Berlin"}
    words = ("submit", "--at", "22:00", "--exec", "--", "true")
    assert all_on_terminal(aq.agentq, *words, env=environ).splitlines()[0] == "--at '22:00': 22:00 (in 10h)"
    told = all_on_terminal(aq.agentq, words[0], "--tz", "America/New_York", *words[1:], env=environ).splitlines()[0]
    assert told == "--at '22:00': 2026-03-27 22:00:00-04:00 America/New_York, here Sat 03:00 (in 15h)"


def test_an_expiry_is_said_back_or_said_to_be_past(aq: Driven) -> None:
    environ = {"AGENTQ_NOW": NOON, "AGENTQ_TZ": "Europe/Berlin"}

    def told(*options: str) -> list[str]:
        return aq("submit", *options, "--exec", "--", "true", env=environ).stderr.splitlines()

    assert told("--expires", "22:00") == ["--expires '22:00': 2026-03-27 22:00:00+01:00 Europe/Berlin"]
    assert told("--expires", "2026-03-27T11:00") == [
        "agentq: warning: --expires '2026-03-27T11:00': that is past; it will not run"
    ]
    for quiet in ("2h", "2 hours", "2026-03-28"):
        assert told("--expires", quiet) == []
    assert aq.task("default/1")["expires_at"] == "2026-03-27T21:00:00.000Z"
    ended = aq("edit", "3", "--expires", "yesterday", env=environ).stderr
    assert ended == "agentq: warning: --expires 'yesterday': that is past; it will not run\n"
    later = aq("edit", "3", "--at", "tomorrow 09:00", env=environ).stderr
    assert later == "--at 'tomorrow 09:00': 2026-03-28 09:00:00+01:00 Europe/Berlin\n"


def test_a_session_in_the_place_of_a_task_is_told_apart(aq: Driven) -> None:
    aq.exec("true", given=("-s", "docs"))
    for typed in (("list", "docs"), ("runs", "docs"), ("events", "docs"), ("wait", "docs"), ("cancel", "docs")):
        assert aq.refused(*typed, code=2).endswith("ID 'docs': not an address, but a session; write -s docs"), typed
    for command in ("pause", "resume", "prune", "retry"):
        (item,) = aq.items(command, "docs", *(["--yes"] if command == "prune" else []), code=2)
        assert item["message"] == "ID 'docs': not an address, but a session; write -s docs"
    lists = "not an address, but a session; `agentq list -s docs` lists its tasks"
    for typed in (("show",), ("logs",), ("edit", "--priority", "1"), ("trigger",)):
        assert aq.refused(*typed, "docs", code=2).endswith(f"ID 'docs': {lists}"), typed
    assert aq.refused("reply", "docs", "hello", code=2).endswith(f"ID 'docs': {lists}")
    assert aq.refused("submit", "--after", "docs", "-c", "true", code=2).endswith(f"--after 'docs': {lists}")
    assert "write SESSION/N, or N for default/N" in aq.refused("show", "dosc", code=2)


def test_what_a_command_reads_is_kept_from_stdin(aq: Driven) -> None:
    aq("submit", "--stdin", "-", "-c", "cat; wc -c", input="one\ntwo\n")
    anything = bytes(range(256))
    (aq.home / "anything").write_bytes(anything)
    with (aq.home / "anything").open("rb") as file:
        started = aq.start("schedule", "--every", "1h", "--stdin", "-", "--exec", "--", "cat", stdin=file)
        started.communicate()
    batch = aq.home / "batch"
    batch.write_text('{"exec": ["cat"]}\n{"exec": ["cat"], "label": "x"}\n')
    aq("submit", "--batch", str(batch), "--stdin", "-", input="all")
    aq("trigger", "2")
    aq.drain("-j", "1")
    assert aq("logs", "1").stdout == "one\ntwo\n0\n"
    assert [aq("logs", number).stdout for number in ("3", "4")] == ["all", "all"]
    assert Path(aq.runs()["default/5.1"]["stdout_path"]).read_bytes() == anything
    # It is there for the next attempt too, unless there is something else to read.
    aq("retry", "1")
    aq("retry", "3", "--stdin", "-", input="other")
    aq("retry", "4", "--stdin", "/dev/null", code=2)
    aq.drain("-j", "1")
    assert aq.stdout(aq.runs()["default/1.2"]) == "one\ntwo\n0\n"
    assert aq.stdout(aq.runs()["default/3.2"]) == "other"


def test_what_a_command_may_read_from_stdin_is_bounded(shared: Driven) -> None:
    words = ("submit", "--stdin", "-", "--exec", "--", "cat")
    assert "more than 1MiB; write it to a file" in shared.refused(*words, input="x" * ((1 << 20) + 1), code=2)
    told = shared.refused("submit", "--batch", "-", input='{"exec": ["cat"], "stdin": "-"}\n', code=2)
    assert told.endswith("--batch line 1: stdin '-': the batch itself is read from stdin")
    assert "only a command reads stdin" in shared.refused("submit", "--stdin", "-", "-a", "demo", "x", code=2)
