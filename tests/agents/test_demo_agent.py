"""The demo agent as a real process, through its profile and its reader."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from agentq_cli.agents import profile as profiles
from agentq_cli.agents.reader import Reader, Verdict, open_reader
from agentq_cli.config.configuration import Config, load


@dataclass(frozen=True)
class Done:
    """A run of the demo agent."""

    code: int
    verdict: Verdict
    lines: list[str]
    stderr: str

    @property
    def result(self) -> str:
        return str(self.verdict.result)


def demo(config: Config) -> profiles.Profile:
    return profiles.profile(config, "demo")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load({"XDG_CONFIG_HOME": str(tmp_path / "none")})


def start(
    config: Config, tmp_path: Path, prompt: str, resume: str | None = None
) -> tuple[subprocess.Popen[bytes], str]:
    """The agent's process, started as a run does it; and the prompt that is to be given."""
    argv, stdin = profiles.command(
        demo(config), prompt=prompt, conversation=resume, resume=resume is not None, agent_args=[]
    )
    assert stdin is not None
    environ = {"PATH": "/usr/bin:/bin", "AGENTQ_STATE_DIR": str(tmp_path), "AGENTQ_RESULT": str(tmp_path / "result")}
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, cwd=tmp_path), stdin


def run(config: Config, tmp_path: Path, prompt: str, resume: str | None = None) -> Done:
    process, stdin = start(config, tmp_path, prompt, resume)
    stdout, stderr = process.communicate(stdin.encode(), timeout=60)
    reader = opened()
    reader.feed(stdout)
    reader.close()
    return Done(process.returncode, reader.verdict(), stdout.decode().splitlines(), stderr.decode())


def opened() -> Reader:
    reader = open_reader("events")
    assert reader is not None
    return reader


def test_without_a_directive_it_echoes_and_says_what_it_is(config: Config, tmp_path: Path) -> None:
    done = run(config, tmp_path, "fix the bug\nin main.c")
    assert (done.code, done.verdict.ok, done.stderr) == (0, True, "")
    assert "demo agent (no model was asked)" in done.result
    assert "demo answer to: fix the bug; in main.c; turn 1 of this conversation" in done.result
    assert done.verdict.tokens_in == 5 and done.verdict.tokens_out and done.verdict.cost_usd
    assert json.loads(done.lines[0])["event"] == "start"


def test_a_later_run_continues_the_conversation(config: Config, tmp_path: Path) -> None:
    first = run(config, tmp_path, "remember the milk")
    second = run(config, tmp_path, "recall", first.verdict.conversation)
    assert second.verdict.conversation == first.verdict.conversation
    assert "turn 2 of this conversation\nbefore: remember the milk" in second.result
    assert run(config, tmp_path, "recall").result.endswith("before: nothing"), "another conversation"
    kept = tmp_path / "demo" / f"{first.verdict.conversation}.json"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("identifier", ["unknown", "a.b", "x-y"])
def test_an_unknown_conversation_is_lost(config: Config, tmp_path: Path, identifier: str) -> None:
    done = run(config, tmp_path, "more", identifier)
    assert done.code == 1
    assert (done.verdict.final, done.verdict.ok, done.verdict.conversation_lost) == (True, False, True)
    assert done.verdict.conversation is None
    assert f"no conversation '{identifier}'" in done.stderr


@pytest.mark.parametrize(
    ("prompt", "code"), [("fail", 1), ("fail 3", 3), ("say 1 line, then fail 7", 7), ("fail 0", 0)]
)
def test_it_fails_when_told_to(config: Config, tmp_path: Path, prompt: str, code: int) -> None:
    done = run(config, tmp_path, prompt)
    assert (done.code, done.verdict.final, done.verdict.ok, done.verdict.failure_class) == (code, True, False, "error")


@pytest.mark.parametrize("kind", ["network", "overloaded", "auth", "billing", "config", "denied", "context", "budget"])
def test_it_fails_with_the_class_that_is_named(config: Config, tmp_path: Path, kind: str) -> None:
    assert run(config, tmp_path, f"error {kind}").verdict.failure_class == kind


def test_it_is_limited_until_a_time_or_for_an_unknown_one(config: Config, tmp_path: Path) -> None:
    before = time.time_ns() // 1_000_000
    verdict = run(config, tmp_path, "limit 30s").verdict
    after = time.time_ns() // 1_000_000
    assert verdict.failure_class == "rate_limited"
    assert verdict.reset_at is not None and before + 30_000 <= verdict.reset_at <= after + 30_000
    assert run(config, tmp_path, "limit").verdict.reset_at is None


def test_it_takes_time_after_its_first_event(config: Config, tmp_path: Path) -> None:
    began = time.monotonic()
    process, stdin = start(config, tmp_path, "sleep 300ms and sleep 200ms")
    assert process.stdin and process.stdout
    process.stdin.write(stdin.encode())
    process.stdin.close()
    assert json.loads(process.stdout.readline())["event"] == "start"
    assert process.poll() is None
    process.stdout.read()
    assert process.wait(60) == 0
    assert time.monotonic() - began >= 0.5
    process.stdout.close()
    assert process.stderr
    process.stderr.close()


def test_it_can_be_silent_from_the_first_moment(config: Config, tmp_path: Path) -> None:
    process, stdin = start(config, tmp_path, "silent 1h")
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(stdin.encode(), timeout=0.5)
    process.kill()
    assert process.communicate()[0] == b""


def test_it_prints_as_many_lines_as_asked(config: Config, tmp_path: Path) -> None:
    done = run(config, tmp_path, "say 1000 lines")
    assert len(done.lines) == 1003
    assert json.loads(done.lines[1000])["text"].endswith("line 1000")


@pytest.mark.parametrize(("prompt", "code"), [("no verdict", 0), ("no verdict 4", 4), ("die", -9), ("die 15", -15)])
def test_it_ends_without_a_verdict(config: Config, tmp_path: Path, prompt: str, code: int) -> None:
    done = run(config, tmp_path, prompt)
    assert (done.code, done.verdict.final) == (code, False)
    assert done.verdict.conversation is not None


def test_it_writes_a_result(config: Config, tmp_path: Path) -> None:
    done = run(config, tmp_path, 'say 1 line\nresult {"a": [1, "b, c"]}')
    assert done.verdict.ok
    assert json.loads((tmp_path / "result").read_text()) == {"a": [1, "b, c"]}
    assert run(config, tmp_path, "result {").verdict.failure_class == "config"


def test_its_child_outlives_it_in_a_session_of_its_own(config: Config, tmp_path: Path) -> None:
    process, stdin = start(config, tmp_path, "spawn 60s")
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(stdin.encode())
    process.stdin.close()
    assert process.wait(60) == 0
    child = next(pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _state_dir(pid) == str(tmp_path))
    try:
        assert os.getsid(child) == child
    finally:
        os.kill(child, signal.SIGKILL)
    process.stdout.close()
    process.stderr.close()


def _state_dir(pid: int) -> str | None:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    found = [entry for entry in entries if entry.startswith(b"AGENTQ_STATE_DIR=")]
    return found[0].partition(b"=")[2].decode() if found else None


@pytest.mark.parametrize(
    "prompt",
    [
        "sleep well",
        "fail the build twice",
        "say hi",
        "limit the damage",
        "silent night",
        "error",
        "die hard",
        "sleep 2",
    ],
)
def test_ordinary_words_are_no_directives(config: Config, tmp_path: Path, prompt: str) -> None:
    done = run(config, tmp_path, prompt)
    assert f"demo answer to: {prompt}; turn 1" in done.result


def test_help_lists_every_word(config: Config, tmp_path: Path) -> None:
    text = run(config, tmp_path, "help").result
    for word in ("sleep", "silent", "say", "recall", "result", "spawn", "fail", "limit", "error", "no verdict", "die"):
        assert f"\n  {word} " in text
    argv, _ = profiles.command(demo(config), prompt="", conversation=None, resume=False, agent_args=["--help"])
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout in text


def test_an_unknown_option_is_a_config_failure(config: Config, tmp_path: Path) -> None:
    argv, _ = profiles.command(demo(config), prompt="", conversation=None, resume=False, agent_args=["--nope"])
    done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    reader = opened()
    reader.feed(done.stdout)
    assert (done.returncode, reader.verdict().failure_class) == (2, "config")


def test_its_version_is_told(config: Config) -> None:
    argv = profiles.version_command(demo(config))
    assert argv is not None
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "agentq demo agent 1\n"


def test_it_imports_next_to_nothing(config: Config) -> None:
    program = (
        "import sys; sys.path.append(sys.argv[1]); import json, os, time; old = set(sys.modules); import demo_agent; "
    )
    argv = [*demo(config).argv[1:4], program + "print(sorted(set(sys.modules) - old))", str(profiles.DIRECTORY)]
    done = subprocess.run([sys.executable, *argv], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['__future__', 'demo_agent']"
