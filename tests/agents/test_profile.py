"""Profiles as data: the shipped ones and the user's."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

import pytest

from agentq_cli.agents import profile as profiles
from agentq_cli.agents.profile import Profile, command, default_agent, find_program, from_table
from agentq_cli.base.defaults import BUILT_IN
from agentq_cli.base.errors import NotFound, Usage
from agentq_cli.config.configuration import Config, load
from agentq_cli.config.key_readers import read_table
from agentq_cli.config.schema import PROFILE

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def configured(tmp_path: Path, text: str = "") -> Config:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return load({"AGENTQ_CONFIG": str(file)})


def parsed(name: str, text: str) -> Profile:
    return from_table(name, read_table(PROFILE, tomllib.loads(text), name, lambda *keys: "here:"))


def executable(directory: Path, *names: str) -> str:
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)
    return str(directory)


OTHER = """
argv = ["other", "{resume}", "run", "{agent_args}", "-"]
resume = ["again", "{conversation}"]
resume_same_directory = true
reader = "events"
streams = false
stall_timeout = "10m"
grace = "20s"
interrupt_first = true
reports_cost = true
version = ["other", "--version"]
env = { OTHER_TRUST = "true" }
env_remove = ["OTHER_PID"]
"""


def test_every_key_of_the_format_is_kept() -> None:
    profile = parsed("other", OTHER)
    assert (profile.prompt, profile.reader, profile.streams, profile.reports_cost) == ("stdin", "events", False, True)
    assert profile.resume_same_directory
    assert (profile.stall_timeout_ms, profile.grace_ms, profile.interrupt_first) == (600_000, 20_000, True)
    assert (profile.env, profile.env_remove) == ({"OTHER_TRUST": "true"}, ("OTHER_PID",))
    assert profiles.version_command(profile) == ("other", "--version")
    finishes = parsed("other", OTHER.replace("streams = false", ""))
    assert finishes.streams, "an agent with a reader ends with a final event unless it is said not to"


def test_words_stand_where_the_profile_puts_them() -> None:
    profile = parsed("other", OTHER)
    argv, stdin = command(profile, prompt="do it", conversation=None, resume=False, agent_args=["-m", "big"])
    assert (argv, stdin) == (("other", "run", "-m", "big", "-"), "do it")
    argv, stdin = command(profile, prompt="more", conversation=ID, resume=True, agent_args=["-m", "big"])
    assert (argv, stdin) == (("other", "again", ID, "run", "-m", "big", "-"), "more")


def test_claude_begins_under_a_chosen_id_and_goes_on_under_it(tmp_path: Path) -> None:
    claude = profiles.profile(configured(tmp_path), "claude")
    base = ["claude", "-p", "--output-format", "stream-json", "--verbose"]
    argv, stdin = command(claude, prompt="--help me", conversation=ID, resume=False, agent_args=["--model", "opus"])
    assert list(argv) == [*base, "--session-id", ID, "--model", "opus"]
    assert stdin == "--help me", "a prompt that looks like a flag must not become one"
    argv, _ = command(claude, prompt="more", conversation=ID, resume=True, agent_args=[])
    assert list(argv) == [*base, "--resume", ID]
    assert (
        claude.streams
        and claude.reports_cost
        and claude.interrupt_first
        and claude.continues
        and claude.resume_same_directory
    )
    assert "CLAUDECODE" in claude.env_remove


def test_codex_reads_its_conversation_and_goes_on_under_it(tmp_path: Path) -> None:
    codex = profiles.profile(configured(tmp_path), "codex")
    args = ["-s", "workspace-write"]
    argv, stdin = command(codex, prompt="--help me", conversation=None, resume=False, agent_args=args)
    assert (list(argv), stdin) == (["codex", "exec", "--json", *args, "-"], "--help me")
    argv, _ = command(codex, prompt="more", conversation=ID, resume=True, agent_args=args)
    assert list(argv) == ["codex", "exec", "--json", *args, "resume", ID, "-"]
    assert codex.streams and codex.continues and codex.interrupt_first
    assert not codex.reports_cost and not codex.chooses_conversation
    assert "CODEX_THREAD_ID" in codex.env_remove


def test_gemini_begins_under_a_chosen_id_and_goes_on_under_it(tmp_path: Path) -> None:
    gemini = profiles.profile(configured(tmp_path), "gemini")
    argv, stdin = command(gemini, prompt="--help me", conversation=ID, resume=False, agent_args=["-m", "big"])
    assert (list(argv), stdin) == (["gemini", "-o", "stream-json", "--session-id", ID, "-m", "big"], "--help me")
    argv, _ = command(gemini, prompt="more", conversation=ID, resume=True, agent_args=[])
    assert list(argv) == ["gemini", "-o", "stream-json", "--resume", ID]
    assert gemini.streams and gemini.chooses_conversation and gemini.continues
    assert not gemini.reports_cost and not gemini.interrupt_first
    assert "GEMINI_CLI" in gemini.env_remove


def test_what_a_profile_asks_of_a_new_directory_is_answered_in_a_tree_alone(tmp_path: Path) -> None:
    gemini = profiles.profile(configured(tmp_path), "gemini")
    known = {"prompt": "x", "conversation": None, "resume": False}
    assert "--skip-trust" not in command(gemini, **known, agent_args=[])[0]
    argv, _ = command(gemini, **known, agent_args=["-m", "big"], new_directory=True)
    assert argv[-3:] == ("--skip-trust", "-m", "big")
    argv, _ = command(gemini, **known, agent_args=["--skip-trust"], new_directory=True)
    assert argv.count("--skip-trust") == 1
    asks = "asks whether to trust the folder of a directory that it has not seen; --skip-trust answers that"
    assert (gemini.question, gemini.unanswered) == (asks, None)
    for name in ("claude", "codex", "opencode", "demo"):
        assert profiles.profile(configured(tmp_path), name).question is None


def test_opencode_reads_its_conversation_and_goes_on_under_it(tmp_path: Path) -> None:
    opencode = profiles.profile(configured(tmp_path), "opencode")
    argv, stdin = command(opencode, prompt="--help me", conversation=None, resume=False, agent_args=["-m", "big"])
    assert (list(argv), stdin) == (["opencode", "run", "--format", "json", "-m", "big"], "--help me")
    argv, _ = command(opencode, prompt="more", conversation="ses_1", resume=True, agent_args=[])
    assert list(argv) == ["opencode", "run", "--format", "json", "--session", "ses_1"]
    assert opencode.streams and opencode.continues and opencode.reports_cost
    assert not opencode.chooses_conversation and not opencode.interrupt_first
    assert opencode.env == {"OPENCODE_DISABLE_AUTOUPDATE": "1"} and "OPENCODE_PID" in opencode.env_remove


def test_every_shipped_file_is_named_and_every_name_has_a_file(tmp_path: Path) -> None:
    files = {file.stem for file in (Path(profiles.DIRECTORY) / "profiles").glob("*.toml")}
    assert files == set(BUILT_IN)
    assert set(profiles.profiles(configured(tmp_path))) == files


def test_a_prompt_as_an_argument_comes_last_or_where_it_is_put() -> None:
    last = parsed("a", 'argv = ["a", "-q"]\nprompt = "argv"')
    assert command(last, prompt="hi", conversation=None, resume=False, agent_args=["-v"]) == (
        ("a", "-q", "-v", "hi"),
        None,
    )
    put = parsed("a", 'argv = ["a", "{agent_args}", "-p", "{prompt}", "--end"]\nprompt = "argv"')
    argv, _ = command(put, prompt="{agent_args}", conversation=None, resume=False, agent_args=["{prompt}"])
    assert argv == ("a", "{prompt}", "-p", "{agent_args}", "--end"), "values are never taken for placeholders"


@pytest.mark.parametrize("prompt", ["x" * (128 << 10), "a\0b"])
def test_a_prompt_that_no_command_line_can_hold_is_refused(prompt: str) -> None:
    profile = parsed("a", 'argv = ["a"]\nprompt = "argv"')
    with pytest.raises(Usage, match="takes its prompt as an argument"):
        command(profile, prompt=prompt, conversation=None, resume=False, agent_args=[])


@pytest.mark.parametrize("conversation", ["--dangerously-skip-permissions", "a b", "", "x" * 200, "a\n"])
def test_a_conversation_id_that_could_be_a_flag_is_refused(tmp_path: Path, conversation: str) -> None:
    claude = profiles.profile(configured(tmp_path), "claude")
    with pytest.raises(Usage, match="conversation"):
        command(claude, prompt="x", conversation=conversation, resume=True, agent_args=[])


def test_an_agent_that_cannot_continue_is_not_asked_to() -> None:
    with pytest.raises(Usage, match="cannot continue"):
        command(parsed("a", 'argv = ["a"]'), prompt="x", conversation=ID, resume=True, agent_args=[])


def test_the_users_keys_go_over_the_shipped_ones(tmp_path: Path) -> None:
    changed = "[agents.claude]\ninterrupt_first = false\ngrace = '30s'\nenv = { X = '1' }\n"
    config = configured(tmp_path, changed + "[agents.own]\nargv = ['own']")
    claude = profiles.profile(config, "claude")
    assert (claude.interrupt_first, claude.grace_ms, claude.reader) == (False, 30_000, "claude")
    assert claude.env == {"DISABLE_AUTOUPDATER": "1", "X": "1"}
    own = profiles.profile(config, "own")
    assert own == Profile(name="own", argv=("own",)), "a profile without a reader is judged by its exit code"
    assert profiles.names(config) == ("claude", "codex", "gemini", "opencode", "demo", "own")


def test_an_unknown_agent_offers_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="agent 'cluade': no such agent; did you mean 'claude'"):
        profiles.profile(configured(tmp_path), "cluade")


def test_a_program_is_found_on_the_path_that_is_given_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claude = profiles.profile(configured(tmp_path), "claude")
    path = executable(tmp_path / "bin", "claude")
    assert find_program(claude, f"/nonexistent:{path}") == f"{path}/claude"
    assert find_program(claude, "/nonexistent") is None
    monkeypatch.chdir(path)
    assert find_program(claude, "/nonexistent::") is None, "an empty entry must not mean the current directory"
    (tmp_path / "bin/claude").chmod(0o644)
    assert find_program(claude, path) is None
    assert find_program(profiles.profile(configured(tmp_path), "demo"), "") == sys.executable


def test_a_program_may_be_a_path_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = executable(tmp_path / "bin", "own")
    profile = parsed("own", 'argv = ["~/bin/own", "~/kept"]')
    assert find_program(profile, None) == f"{path}/own"
    argv, _ = command(profile, prompt="x", conversation=None, resume=False, agent_args=["~/as-typed"])
    assert argv == (f"{path}/own", str(tmp_path / "kept"), "~/as-typed")


def test_the_agent_is_the_sessions_then_the_configs_then_the_one_on_path(tmp_path: Path) -> None:
    path = executable(tmp_path / "bin", "claude")
    config = configured(tmp_path, "default_agent = 'own'\n[sessions.x]\nagent = 'demo'\n[agents.own]\nargv = ['own']")
    assert default_agent(config, "x", path) == "demo"
    assert default_agent(config, "y", path) == "own"
    assert default_agent(configured(tmp_path), "y", path) == "claude"
    assert default_agent(configured(tmp_path, "[defaults]\nagent = 'demo'"), "y", path) == "demo"


def test_no_agent_and_several_agents_are_errors_that_say_what_to_do(tmp_path: Path) -> None:
    config = configured(tmp_path)
    nothing = r"none of claude, codex, gemini, opencode is on PATH; .*--agent demo"
    with pytest.raises(Usage, match=nothing):
        default_agent(config, "x", executable(tmp_path / "none"))
    with pytest.raises(Usage, match=nothing):
        default_agent(config, "x", executable(tmp_path / "demo", "demo"))
    with pytest.raises(Usage, match=r"claude, codex are on PATH; .*--agent demo"):
        default_agent(config, "x", executable(tmp_path / "two", "claude", "codex"))
    assert default_agent(config, "x", executable(tmp_path / "alone", "codex")) == "codex"
    elsewhere = configured(tmp_path, "[agents.claude]\nargv = ['my-claude']")
    assert default_agent(elsewhere, "x", executable(tmp_path / "mine", "my-claude")) == "claude"


def test_a_directory_of_path_that_may_not_be_searched_is_passed_over(tmp_path: Path) -> None:
    """Asked by an ordinary user, whom permissions bind, in a child."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o600)
    pid = os.fork()
    if pid == 0:
        found: list[str | None] = []
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            found += [find_program(Profile("any", (name,)), f"{closed}:/bin") for name in ("sh", "no-such-program")]
        finally:
            os._exit(0 if found == ["/bin/sh", None] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
