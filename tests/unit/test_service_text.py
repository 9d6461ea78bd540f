"""Units and crontab lines: what systemd, cron and the shell read back is what was put in, whatever it is made of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentq_cli.base.errors import Usage
from agentq_cli.diagnose.service import (
    Service,
    cron_word,
    crontab_line,
    environment,
    systemd_command,
    systemd_word,
    units,
)

HOSTILE = "/st \"a'te%h %%d $HOME ${X} $(id) `id` \\n \\\\ \\% %\\ #;&|<>*?[]{}~!ü\t-e"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
NASTY = st.text(st.sampled_from("%\\'\"$ `a\t;#=ü"), max_size=12)
WORD = TEXT | NASTY
LINE = WORD.filter(lambda word: not set(word) & set("\n\r"))


def after_cron(command: str, *, halves: bool) -> str:
    """What cron gives to the shell: an unescaped `%` ends it, `\\%` is one; `halves` where two backslashes are one."""
    given, escaped = [], False
    for char in command:
        if escaped:
            if char == "%" or (char == "\\" and halves):
                given.pop()
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == "%":
            break
        given.append(char)
    return "".join(given)


def words_of_shell(command: str) -> list[str]:
    """The words that sh makes of a command line."""
    done = subprocess.run(
        ["sh", "-c", f"for word in {command}; do printf '%s\\0' \"$word\"; done"], capture_output=True, check=True
    )
    return done.stdout.decode().split("\0")[:-1]


@settings(max_examples=60)
@given(st.lists(LINE.filter(bool), min_size=1, max_size=8))
def test_words_come_through_cron_and_the_shell(words: list[str]) -> None:
    line = " ".join(cron_word(word, "word") for word in words)
    for halves in (False, True):
        assert words_of_shell(after_cron(line, halves=halves)) == words


def test_the_whole_line_gives_the_environment_and_the_command(tmp_path: Path) -> None:
    service = Service(["/usr/bin/env"], {"PATH": "/usr/bin:/bin", "AGENTQ_STATE_DIR": HOSTILE})
    line = crontab_line(service)
    assert line.startswith("* * * * * ")
    command = after_cron(line.removeprefix("* * * * * "), halves=False).replace(" sweep >/dev/null", "")
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, env={}, cwd=tmp_path)
    assert f"AGENTQ_STATE_DIR={HOSTILE}" in done.stdout.decode().split("\n")


@pytest.mark.parametrize("word", ["a\nb", "a\rb", "a\udc80"])
def test_what_a_crontab_cannot_hold_is_refused(word: str) -> None:
    with pytest.raises(Usage):
        cron_word(word, "PATH")


def test_a_line_that_cron_would_not_take_is_refused_with_its_length() -> None:
    with pytest.raises(Usage, match="cron allows 990"):
        crontab_line(Service(["/agentq"], {"PATH": "/long" * 300}))


ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"'}


def after_systemd(text: str) -> list[str]:
    """The words of a unit's line, as systemd.syntax(7), systemd.unit(5) on specifiers and systemd.service(5) say."""
    words: list[str] = []
    rest = text
    while rest := rest.lstrip(" "):
        word = ""
        if not rest.startswith('"'):
            word, _, rest = rest.partition(" ")
        else:
            rest = rest[1:]
            while rest[0] != '"':
                if rest.startswith("\\x"):
                    word, rest = word + chr(int(rest[2:4], 16)), rest[4:]
                elif rest[0] == "\\":
                    word, rest = word + ESCAPES[rest[1]], rest[2:]
                elif rest[0] == "%":
                    assert rest[1] == "%", "a specifier"
                    word, rest = word + "%", rest[2:]
                else:
                    word, rest = word + rest[0], rest[1:]
            rest = rest[1:]
        words.append(word)
    return words


@given(st.lists(WORD, min_size=1, max_size=8))
def test_words_come_through_systemd(words: list[str]) -> None:
    line = " ".join(systemd_word(word) for word in words)
    assert "\n" not in line
    assert after_systemd(line) == words


@given(WORD, st.lists(WORD, max_size=4))
def test_a_command_line_is_a_program_that_systemd_takes_with_its_arguments(name: str, rest: list[str]) -> None:
    words = [f"/{name}", *rest]
    text = systemd_command(words)
    assert text.startswith(":") == ("$" in text)
    found = after_systemd(text.removeprefix(":"))
    if found[0] == "/bin/sh":
        assert found[1:3] == ["-c", 'exec "$0" "$@"']
        del found[:3]
    else:
        assert not set(found[0]) & set("\"'\\$\n")
    assert found == words


def test_of_the_environment_only_what_decides_what_is_found_is_passed_on() -> None:
    shell = {
        "PATH": ".:/a:relative:/b::/a",
        "HOME": "/h",
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "XDG_CONFIG_HOME": "/x",
        "AGENTQ_JOBS": "3",
        "AGENTQ_NOW": "2026-03-01T12:00:00Z",
        "ANTHROPIC_API_KEY": "hush",
        "EDITOR": "vi",
    }
    assert environment(shell, state_dir="/s", config="/c.toml") == {
        "PATH": "/a:/b",
        "AGENTQ_STATE_DIR": "/s",
        "AGENTQ_CONFIG": "/c.toml",
        "AGENTQ_JOBS": "3",
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "XDG_CONFIG_HOME": "/x",
    }


def test_systemd_itself_reads_back_what_was_put_in(tmp_path: Path) -> None:
    """`systemd-analyze verify` accepts all units without a word, and its dump shows the very values."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze (Debian: package systemd)")
    program = tmp_path / "a b%c"
    program.mkdir()
    shutil.copy("/bin/true", program / "agentq")
    values = {"PATH": "/usr/bin:/bin", "AGENTQ_STATE_DIR": HOSTILE}
    plain = Service([str(program / "agentq")], values, ("--allow-network-fs",), ["ANTHROPIC_API_KEY"])
    for service in (plain, Service([f"/no \"'$\\such{HOSTILE}"], values)):
        names = []
        for file in units(service):
            (tmp_path / file.name).write_text(file.content)
            names.append(str(tmp_path / file.name))
        said = subprocess.run(["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True)
        if "initialize manager" in said.stderr:
            pytest.skip(f"systemd-analyze cannot work here: {said.stderr}")
        assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
        dump = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", names[0]],
            capture_output=True,
            text=True,
            env={"SYSTEMD_LOG_LEVEL": "debug", "PATH": "/usr/bin:/bin"},
        ).stdout
        assert f"Environment: AGENTQ_STATE_DIR={HOSTILE}\n" in dump
        assert "KillMode: process" in dump and "OOMPolicy: continue" in dump
    assert f"Environment: PATH={values['PATH']}\n" in dump
