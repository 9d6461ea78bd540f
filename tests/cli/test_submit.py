"""`agentq submit`: the forms of work, the address, times, the hint, and what is refused."""

from __future__ import annotations

import json
import os

import pytest
from driven import Driven
from terminal import all_on_terminal

NOW = "2026-03-01T12:00:00Z"


def submitted(aq: Driven, *arguments: str, **options: object) -> dict[str, object]:
    (task,) = aq.items("submit", *arguments, **options)
    return task


def test_a_prompt_is_an_argument_a_file_or_stdin(shared: Driven) -> None:
    file = shared.home / "prompt.md"
    file.write_text("from a file\nsecond line — ü\n")
    agent = ("--agent", "demo")
    task = submitted(shared, *agent, "--", "--json")
    assert (task["kind"], task["prompt"], task["argv"], task["agent"]) == ("prompt", "--json", None, "demo")
    assert submitted(shared, *agent, "--file", str(file))["prompt"] == "from a file\nsecond line — ü"
    assert submitted(shared, *agent, "-", input="from stdin\n")["prompt"] == "from stdin"


def test_a_command_keeps_every_word(shared: Driven) -> None:
    words = ["printf", "%s", "", "-p", "--wait", "a b", "$HOME *", "'\"\\", "zwei\nzeilen", "naïve ☃", "--priority=3"]
    task = submitted(shared, "--exec", "-p", "7", "--", *words)
    assert (task["kind"], task["argv"], task["prompt"], task["agent"]) == ("exec", words, None, None)
    assert (task["priority"], task["cwd"]) == (7, str(shared.home))


def test_the_address_is_all_that_is_printed(aq: Driven) -> None:
    assert aq("submit", "--exec", "--", "true").stdout == "default/1\n"
    assert aq("submit", "-s", "build-1.x", "--exec", "--", "true").stdout == "build-1.x/1\n"
    assert aq("submit", "--exec", "--", "true").stdout == "default/2\n"


def test_a_hint_where_nobody_is_there_to_run_it(aq: Driven) -> None:
    def hinted(*arguments: str, now: str = NOW, first: str = "submit") -> bool:
        words = (first, *arguments, *(("--exec", "--", "true") if first == "submit" else ()))
        (aq.state_dir / "hinted").unlink(missing_ok=True)
        address, *told = all_on_terminal(aq.agentq, *words, env={"AGENTQ_NOW": now}).splitlines()
        assert "/" in address and len(told) <= 1, told
        return bool(told) and told[0].startswith("agentq: hint: ") and "agentq run" in told[0]

    aq("sweep", "--no-wake", env={"AGENTQ_NOW": NOW})
    assert not hinted(now="2026-03-01T12:05:00Z")
    assert hinted(now="2026-03-01T12:05:00.001Z")
    assert hinted("--key", "a", now="2026-03-01T12:06:00Z")
    aq("cancel", "1")
    assert hinted("default/1", first="retry", now="2026-03-02T12:00:00Z")
    aq("run", "--detach", "--session", "served")
    assert not hinted("-s", "served", now="2026-03-02T12:00:00Z")
    assert hinted("-s", "another", now="2026-03-02T12:00:00Z")


def test_the_hint_comes_once_an_hour_after_the_address_and_into_no_pipe(aq: Driven) -> None:
    assert aq("submit", "--exec", "--", "true").stderr == ""
    words = ["submit", "--exec", "--", "true"]
    told = []
    for now in ("2026-03-01T12:00:00Z", "2026-03-01T12:59:59.999Z", "2026-03-01T13:00:00Z"):
        for more in ([], ["--label", "a"]):
            told += all_on_terminal(aq.agentq, *words[:1], *more, *words[1:], env={"AGENTQ_NOW": now}).splitlines()
        assert aq(*words, env={"AGENTQ_NOW": now}).stderr == ""
    hints = [number for number, line in enumerate(told) if line.startswith("agentq: hint: no supervisor is running")]
    assert (hints, len(told)) == ([1, 6], 8)
    (aq.state_dir / "hinted").unlink()
    (aq.state_dir / "hinted").symlink_to(aq.home / "elsewhere")
    assert "hint" in all_on_terminal(aq.agentq, *words)
    assert not (aq.home / "elsewhere").exists()
    (aq.state_dir / "hinted").unlink()
    os.mkfifo(aq.state_dir / "hinted")
    os.utime(aq.state_dir / "hinted", (0, 0))
    assert "hint" in all_on_terminal(aq.agentq, *words)


def test_times(shared: Driven) -> None:
    new_york, berlin = {"tz": "America/New_York"}, {"tz": "Europe/Berlin"}
    cases: list[tuple[dict[str, str], str, str | None]] = [
        ({}, "2026-03-01T12:00:00.000Z", None),
        ({"in": "1h30m"}, "2026-03-01T13:30:00.000Z", None),
        ({"at": "2026-03-02T09:00:00+01:00"}, "2026-03-02T08:00:00.000Z", None),
        ({"at": "2026-02-01T00:00:00Z"}, "2026-02-01T00:00:00.000Z", None),
        ({"at": "2026-03-02"}, "2026-03-01T11:00:00.000Z", None),
        ({"at": "2026-03-02T09:00", **new_york}, "2026-03-02T14:00:00.000Z", None),
        # A gap moves the time on by its length; of two equal times the first is meant.
        ({"at": "2026-03-29T02:30", **berlin}, "2026-03-29T01:30:00.000Z", None),
        ({"at": "2026-10-25T02:30", **berlin}, "2026-10-25T00:30:00.000Z", None),
        ({"expires": "500ms"}, "2026-03-01T12:00:00.000Z", "2026-03-01T12:00:00.500Z"),
        ({"in": "1d", "expires": "2026-03-04"}, "2026-03-02T12:00:00.000Z", "2026-03-03T11:00:00.000Z"),
    ]
    environ = {"AGENTQ_NOW": NOW, "TZ": "Pacific/Auckland"}
    text = "".join(json.dumps({"exec": ["true"], **options}) + "\n" for options, _, _ in cases)
    found = shared.items("submit", "-s", "times", "--batch", "-", input=text, env=environ)
    assert [(task["due_at"], task["expires_at"]) for task in found] == [(due, end) for _, due, end in cases]
    assert {task["created_at"] for task in found} == {"2026-03-01T12:00:00.000Z"}
    late = [task["due_at"] > "2026-03-01T12:00:00.000Z" for task in found]
    assert [task["status"] for task in found] == ["scheduled" if each else "queued" for each in late]


REFUSED = {
    "nothing": ((), "PROMPT"),
    "blank prompt": (("-a", "demo", " \n\t "), "PROMPT"),
    "no command": (("--exec",), "--exec"),
    "unknown agent": (("-a", "dema", "hi"), "'demo'"),
    "no agent on PATH": (("hi",), "--agent demo"),
    "session with a slash": (("-s", "../x", "--exec", "--", "true"), "'../x'"),
    "empty session": (("-s", "", "--exec", "--", "true"), "--session"),
    "missing directory": (("-C", "/nowhere/at/all", "--exec", "--", "true"), "'/nowhere/at/all'"),
    "priority out of range": (("-p", "101", "--exec", "--", "true"), "'101'"),
    "at and in": (("--at", "2030-01-01", "--in", "1h", "--exec", "--", "true"), "--in"),
    "bare duration": (("--in", "90", "--exec", "--", "true"), "'90'"),
    "unknown zone": (("--at", "2026-02-01", "--tz", "Europe/Berlim", "--exec", "--", "true"), "'Europe/Berlim'"),
    "replace without a key": (("--replace", "--exec", "--", "true"), "--replace"),
    "stdin of a prompt": (("--stdin", "/etc/passwd", "-a", "demo", "hi"), "--stdin"),
    "a variable of agentq's own": (("-e", "AGENTQ_RUN=x", "--exec", "--", "true"), "AGENTQ_RUN"),
    "missing prompt file": (("--file", "/nowhere", "-a", "demo"), "'/nowhere'"),
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
    shown = [aq("submit", "--json", *given), aq("submit", "--dry-run", *given), aq("show", "1"), aq("events", "--json")]
    shown.append(aq("submit", "-e", "A B=hunter-44", "--exec", "--", "true", code=2))
    for done in shown:
        assert "hunter" not in done.stdout + done.stderr, done.args
    assert json.loads(shown[0].stdout)["items"][0]["env_keys"] == ["FILE_TOKEN", "PLAIN", "TOKEN"]


def test_dry_run_tells_what_would_start_and_stores_nothing(aq: Driven) -> None:
    (aq.home / "dir").mkdir()
    given = ("--dry-run", "-C", "dir", "-e", "TOKEN=x", "--in", "1h", "--expires", "2h")
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
    two = '{"exec": ["true"], "session": "a"}\n{"exec": ["true"]}\n'
    assert "2" in aq.refused("submit", "--batch", "-", code=4, env=environ, input=two)
    aq.exec("true", env=environ)
    assert "2" in aq.refused("submit", "--exec", "--", "true", code=4, env=environ)
    assert set(aq.statuses()) == {"default/1", "default/2"}


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_directories_and_files_are_private_whatever_the_umask(aq: Driven, umask: int) -> None:
    (aq.home / "gate.sh").write_text("""echo '{"wakeAgent": true, "data": 1}'""")
    aq.exec("sh", "-c", "echo out", umask=umask)
    for prompt in ("hello", "recall\nresult [1]"):
        aq.submit("-s", "talk", "--agent", "demo", "--script", str(aq.home / "gate.sh"), prompt, umask=umask)
    aq("schedule", "--agent", "demo", "--every", "1h", "hello", umask=umask)
    aq("trigger", "default/2", umask=umask)
    aq.drain(umask=umask)
    aq("sweep", "--reindex", umask=umask)
    for command in ("doctor", "health", "stats"):
        aq.agentq(command, umask=umask)
    assert aq.runs()["talk/2.1"]["result"] == [1]
    found = [aq.state_dir, *aq.state_dir.rglob("*")]
    assert {oct(path.stat().st_mode & 0o777) for path in found if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in found if path.is_file()} == {"0o600"}
    assert {"stdout", "result", "demo"} <= {path.name for path in found}


@pytest.mark.parametrize("command", ["submit", "schedule"])
def test_a_prompt_and_a_command_at_once_are_refused(shared: Driven, command: str) -> None:
    when = () if command == "submit" else ("--every", "1h")
    (shared.home / "prompt").write_text("Fix it")
    before = shared.tasks()
    for words in (
        ("Fix it", "--exec", "--", "make", "test"),
        ("Fix it", "--exec", "make", "test"),
        ("Fix it", "--exec"),
        ("", "--exec", "--", "make"),
        ("-", "--exec", "--", "make"),
        ("--exec", "Fix it", "--", "make"),
        ("-C", "/", "Fix it", "-p", "3", "--exec", "--label=x", "--", "make"),
        ("--file", "prompt", "Fix it"),
        ("--file", "prompt", "--exec", "--", "make"),
        ("Fix", "it"),
    ):
        line = shared.refused(command, *when, *words, code=2)
        assert "PROMPT '" in line or "--file 'prompt'" in line, line
    assert "--stdin" in shared.refused(command, *when, "-a", "demo", "--stdin", "prompt", "Fix it", code=2)
    if command == "submit":
        (shared.home / "lines").write_text('{"exec": ["true"]}\n')
        for words in (("Fix it",), ("--exec", "--", "true"), ("--file", "prompt"), ("Fix it", "--exec", "--", "true")):
            shared.refused("submit", "--batch", "lines", *words, code=2)
    assert shared.tasks() == before


def test_a_command_may_look_like_anything(shared: Driven) -> None:
    for words, argv in (
        (("--exec", "--", "Fix it", "--exec", "--", "x"), ["Fix it", "--exec", "--", "x"]),
        (("--exec", "make", "-p", "3", "test"), ["make", "test"]),
        (("--key", "--", "--exec", "--", "make"), ["make"]),
        (("--key", "--exec", "--exec", "make"), ["make"]),
    ):
        (plan,) = shared.items("submit", "--dry-run", *words)
        assert plan["argv"] == argv, words
