"""`agentq submit`: the forms of work, the address, times, the hint, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from driven import Driven

NOW = "2026-03-01T12:00:00Z"


def submitted(aq: Driven, *arguments: str, **options: object) -> dict[str, object]:
    (task,) = aq.items("submit", *arguments, **options)
    return task


def test_a_prompt_is_an_argument_a_file_or_stdin(shared: Driven) -> None:
    file = shared.home / "prompt.md"
    file.write_text("from a file\nsecond line — ü\n")
    agent = ("--agent", "demo")
    assert submitted(shared, *agent, "an argument")["prompt"] == "an argument"
    assert submitted(shared, *agent, "--file", str(file))["prompt"] == "from a file\nsecond line — ü"
    assert submitted(shared, *agent, "-", input="from stdin\n")["prompt"] == "from stdin"
    assert submitted(shared, *agent, "--file", "-", input="also stdin\n")["prompt"] == "also stdin"
    task = submitted(shared, *agent, "--", "--json")
    assert (task["kind"], task["prompt"], task["argv"], task["agent"]) == ("prompt", "--json", None, "demo")


def test_a_command_keeps_every_word(shared: Driven) -> None:
    words = ["printf", "%s", "", "-p", "--wait", "a b", "$HOME *", "'\"\\", "zwei\nzeilen", "naïve ☃"]
    task = submitted(shared, "--exec", "--", *words)
    assert (task["kind"], task["argv"], task["prompt"], task["agent"]) == ("exec", words, None, None)


def test_options_may_stand_after_exec_and_words_after_the_dashes_are_the_commands(shared: Driven) -> None:
    task = submitted(shared, "--exec", "-p", "7", "--", "ls", "--priority=3")
    assert (task["priority"], task["argv"]) == (7, ["ls", "--priority=3"])


def test_the_address_is_all_that_is_printed(aq: Driven) -> None:
    assert aq("submit", "--exec", "--", "true").stdout == "default/1\n"
    assert aq("submit", "-s", "build-1.x", "--exec", "--", "true").stdout == "build-1.x/1\n"
    assert aq("submit", "--exec", "--", "true").stdout == "default/2\n"
    assert aq.task("2")["id"] == "default/2"


def test_a_hint_where_nobody_is_there_to_run_it(aq: Driven) -> None:
    def hinted(*arguments: str, now: str = NOW) -> bool:
        told = aq("submit", *arguments, "--exec", "--", "true", env={"AGENTQ_NOW": now}).stderr.splitlines()
        assert len(told) <= 1, told
        return bool(told) and told[0].startswith("agentq: hint: ") and "agentq run" in told[0]

    assert hinted()
    aq("sweep", "--no-wake", env={"AGENTQ_NOW": NOW})
    assert not hinted(now="2026-03-01T12:05:00Z")
    assert hinted(now="2026-03-01T12:05:00.001Z")
    aq("pause", "--all")
    aq("run", "--detach", "--session", "served")
    assert not hinted("-s", "served", now="2026-03-02T12:00:00Z")
    assert hinted("-s", "another", now="2026-03-02T12:00:00Z")


@pytest.mark.parametrize(
    ("options", "due", "expires", "status"),
    [
        ((), "2026-03-01T12:00:00.000Z", None, "queued"),
        (("--in", "1h30m"), "2026-03-01T13:30:00.000Z", None, "scheduled"),
        (("--at", "2026-03-02T09:00:00+01:00"), "2026-03-02T08:00:00.000Z", None, "scheduled"),
        (("--at", "2026-02-01T00:00:00Z"), "2026-02-01T00:00:00.000Z", None, "queued"),
        (("--at", "2026-03-02"), "2026-03-01T11:00:00.000Z", None, "queued"),
        (("--at", "2026-03-02T09:00", "--tz", "America/New_York"), "2026-03-02T14:00:00.000Z", None, "scheduled"),
        # A gap moves the time on by its length; of two equal times the first is meant.
        (("--at", "2026-03-29T02:30", "--tz", "Europe/Berlin"), "2026-03-29T01:30:00.000Z", None, "scheduled"),
        (("--at", "2026-10-25T02:30", "--tz", "Europe/Berlin"), "2026-10-25T00:30:00.000Z", None, "scheduled"),
        (("--expires", "500ms"), "2026-03-01T12:00:00.000Z", "2026-03-01T12:00:00.500Z", "queued"),
        (
            ("--in", "1d", "--expires", "2026-03-04T00:00:00Z"),
            "2026-03-02T12:00:00.000Z",
            "2026-03-04T00:00:00.000Z",
            "scheduled",
        ),
    ],
)
def test_times(shared: Driven, options: tuple[str, ...], due: str, expires: str | None, status: str) -> None:
    environ = {"AGENTQ_NOW": NOW, "TZ": "Pacific/Auckland"}
    task = submitted(shared, *options, "--exec", "--", "true", env=environ)
    found = (task["created_at"], task["due_at"], task["expires_at"], task["status"])
    assert found == ("2026-03-01T12:00:00.000Z", due, expires, status)


REFUSED = {
    "nothing": ((), "PROMPT"),
    "blank prompt": (("-a", "demo", " \n\t "), "PROMPT"),
    "two prompts": (("-a", "demo", "one", "two"), "two"),
    "no command": (("--exec",), "--exec"),
    "unknown agent": (("-a", "dema", "hi"), "'demo'"),
    "no agent on PATH": (("hi",), "--agent demo"),
    "session with a slash": (("-s", "../x", "--exec", "--", "true"), "'../x'"),
    "empty session": (("-s", "", "--exec", "--", "true"), "--session"),
    "dot": (("-s", ".", "--exec", "--", "true"), "'.'"),
    "long session": (("-s", "a" * 65, "--exec", "--", "true"), "aaaa"),
    "session with a newline": (("-s", "a\n", "--exec", "--", "true"), "--session"),
    "missing directory": (("-C", "/nowhere/at/all", "--exec", "--", "true"), "'/nowhere/at/all'"),
    "priority out of range": (("-p", "101", "--exec", "--", "true"), "'101'"),
    "priority no number": (("-p", "high", "--exec", "--", "true"), "'high'"),
    "at and in": (("--at", "2030-01-01", "--in", "1h", "--exec", "--", "true"), "--in"),
    "bare duration": (("--in", "90", "--exec", "--", "true"), "'90'"),
    "negative duration": (("--in=-5m", "--exec", "--", "true"), "'-5m'"),
    "zero": (("--timeout", "0s", "--exec", "--", "true"), "--timeout"),
    "duration with a blank": (("--grace", "5 m", "--exec", "--", "true"), "--grace"),
    "exponent": (("--expires", "1e3", "--exec", "--", "true"), "'1e3'"),
    "no such day": (("--at", "2026-02-30", "--exec", "--", "true"), "'2026-02-30'"),
    "unknown zone": (("--at", "2026-02-01", "--tz", "Europe/Berlim", "--exec", "--", "true"), "'Europe/Berlim'"),
    "blank label": (("--label", " ", "--exec", "--", "true"), "--label"),
    "blank key": (("--key", "", "--exec", "--", "true"), "--key"),
    "replace without a key": (("--replace", "--exec", "--", "true"), "--replace"),
    "context": (("--context", "fresh", "-a", "demo", "hi"), "'fresh'"),
    "stdin of a prompt": (("--stdin", "/etc/passwd", "-a", "demo", "hi"), "--stdin"),
    "missing stdin": (("--stdin", "/nowhere", "--exec", "--", "cat"), "'/nowhere'"),
    "agent arguments of a command": (("--agent-arg", "x", "--exec", "--", "true"), "--agent-arg"),
    "no variable": (("-e", "NAME", "--exec", "--", "true"), "'NAME'"),
    "nameless variable": (("-e", "=x", "--exec", "--", "true"), "--env"),
    "a variable of agentq's own": (("-e", "AGENTQ_RUN=x", "--exec", "--", "true"), "AGENTQ_RUN"),
    "missing environment file": (("--env-file", "/nowhere", "--exec", "--", "true"), "'/nowhere'"),
    "missing prompt file": (("--file", "/nowhere", "-a", "demo"), "'/nowhere'"),
    "a directory as prompt": (("--file", "/", "-a", "demo"), "'/'"),
    "file and prompt": (("--file", "/etc/hostname", "-a", "demo", "hi"), "--file"),
    "batch and prompt": (("--batch", "-", "hi"), "--batch"),
    "unknown option": (("--prioritty", "3", "--exec", "--", "true"), "--priority"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_value_named_and_nothing_stored(aq: Driven, case: str) -> None:
    arguments, named = REFUSED[case]
    # No agent CLI of the machine may be found.
    line = aq.refused("submit", *arguments, code=2, env={"PATH": "/usr/bin:/bin"}, input="")
    assert named in line
    assert not aq.state_dir.exists()


def test_a_prompt_that_is_no_text_is_refused(aq: Driven) -> None:
    file = aq.home / "prompt"
    file.write_bytes(b"caf\xe9")
    assert "UTF-8" in aq.refused("submit", "-a", "demo", "--file", str(file), code=2)
    assert not aq.state_dir.exists()


def test_values_of_the_environment_are_never_shown(aq: Driven) -> None:
    file = aq.home / "env"
    file.write_text("# a comment\nexport FILE_TOKEN='hunter-22'\n\nPLAIN=hunter-33\n")
    given = ("-e", "TOKEN=hunter-11", "--env-file", str(file), "--exec", "--", "true")
    shown = [aq("submit", *given), aq("submit", "--json", *given), aq("submit", "--dry-run", *given)]
    shown += [aq("show", "1"), aq("events"), aq("list", "--json")]
    for done in shown:
        assert "hunter" not in done.stdout + done.stderr, done.args
    assert aq.task("1")["env_keys"] == ["FILE_TOKEN", "PLAIN", "TOKEN"]
    assert "hunter" not in aq.refused("submit", "-e", "hunter 44=hunter-44", "--exec", "--", "true", code=2).replace(
        "hunter 44", ""
    )


def test_dry_run_tells_what_would_start_and_stores_nothing(aq: Driven) -> None:
    (aq.home / "dir").mkdir()
    given = ("--dry-run", "-C", str(aq.home / "dir"), "-e", "TOKEN=x", "--in", "1h", "--expires", "2h")
    environ = {"AGENTQ_NOW": NOW}
    (plan,) = aq.items("submit", *given, "--exec", "--", "make", "a b", env=environ)
    assert (plan["argv"], plan["cwd"]) == (["make", "a b"], str(aq.home / "dir"))
    assert (plan["due_at"], plan["expires_at"]) == ("2026-03-01T13:00:00.000Z", "2026-03-01T14:00:00.000Z")
    assert {"TOKEN", "PATH", "HOME"} <= set(plan["env"])
    text = aq("submit", *given, "--exec", "--", "make", "a b", env=environ).stdout
    for part in ("make 'a b'", "TOKEN", str(aq.home / "dir"), "2026-03-01T13:00:00.000Z"):
        assert part in text
    (plan,) = aq.items("submit", "--dry-run", "-a", "demo", "hello")
    assert plan["argv"][0].startswith("/")
    assert not aq.state_dir.exists()


def test_max_queued_is_a_limit(aq: Driven) -> None:
    environ = {"AGENTQ_MAX_QUEUED": "2"}
    aq.exec("true", env=environ)
    aq.exec("true", env=environ)
    assert "2" in aq.refused("submit", "--exec", "--", "true", code=4, env=environ)
    assert "2" in aq.refused(
        "submit", "--batch", "-", code=4, env=environ, input='{"exec": ["true"], "session": "a"}\n{"exec": ["true"]}\n'
    )
    assert set(aq.statuses()) == {"default/1", "default/2"}


def test_directories_and_files_are_private_whatever_the_umask(aq: Driven) -> None:
    aq.exec("sh", "-c", "echo out", umask=0)
    aq.drain(umask=0)
    found = [aq.state_dir, *aq.state_dir.rglob("*")]
    assert {oct(path.stat().st_mode & 0o777) for path in found if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in found if path.is_file()} == {"0o600"}
    assert any(path.name == "stdout" for path in found)


def test_a_relative_directory_is_that_of_the_submitting_shell(aq: Driven) -> None:
    (aq.home / "sub").mkdir()
    assert submitted(aq, "-C", "sub", "--exec", "--", "true")["cwd"] == str(aq.home / "sub")
    assert submitted(aq, "--exec", "--", "true")["cwd"] == str(Path(aq.home))
