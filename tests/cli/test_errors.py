"""Errors are one line on stderr, a document with `--json`, and the exit code of the contract; never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from agentq_process import Agentq

from agentq_cli.base.translation import translated
from agentq_cli.options.table import COMMANDS

ERRORS = [
    (("sumbit", "x"), 2, "'sumbit': no such command; did you mean 'submit'?"),
    (("lst",), 2, "'lst': no such command; did you mean 'list'?"),
    (("help", "submit"), 2, "'help': no such command; did you mean 'submit --help'?"),
    (("xyzzy",), 2, "'xyzzy': no such command; see 'agentq --help'"),
    (("list", "--sesion", "x"), 2, "'--sesion': no such option of 'agentq list'; did you mean '--session'?"),
    (("list", "-Z"), 2, "'-Z': no such option of 'agentq list'; see 'agentq list --help'"),
    (("--colour", "list"), 2, "'--colour': no such option of 'agentq'; did you mean '--color'?"),
    (("list", "--session"), 2, "--session: needs a value"),
    (("submit", "--exec", "ls", "-l"), 2, "'-l': no such option of 'agentq submit'; a command follows '--'"),
    (("show",), 3, "nothing has run yet; `agentq list` says what waits"),
    (
        ("show", "1", "2"),
        2,
        "'2': unexpected argument of 'agentq show'; quote text that contains spaces, or see 'agentq show --help'",
    ),
    (("list", "--limit", "many"), 2, "--limit 'many': not a whole number"),
    (("list", "--limit", "0"), 2, "--limit '0': must be a whole number from 1"),
    (("run", "--jobs", "0"), 2, "--jobs '0': must be a whole number from 1 to 10000"),
    (("list", "--color", "alway"), 2, "--color 'alway': must be auto, always or never; did you mean 'always'?"),
    (("list", "--state-dir", ""), 2, "--state-dir '': needs a value"),
    (("list", "--status", "runing"), 2, "--status 'runing': no such status; did you mean 'running'?"),
    (("runs", "--status", "succes"), 2, "--status 'succes': no such status; did you mean 'success'?"),
    (("list", "-s", "dcos"), 3, "session 'dcos': no such session; did you mean 'docs'?"),
    (("list", "-s", "../x"), 2, "--session '../x': not a session name"),
    (("messages", "-s", "dcos"), 3, "session 'dcos': no such session; did you mean 'docs'?"),
    (("runs", "--since", "someday"), 2, "--since 'someday': not a duration"),
    (("events", "--since", "5"), 2, "--since '5': a duration needs a unit"),
    (("show", "docs"), 2, "ID 'docs': not an address, but a session; `agentq list -s docs` lists its tasks"),
    (("show", "docs/1.1"), 3, "run 'docs/1.1': no such run; see `agentq runs docs/1`"),
    (("show", "docs/99"), 3, "task 'docs/99': no such task; see `agentq list --all -s docs`"),
    (("trigger", "docs/99"), 3, "task 'docs/99': no such task; see `agentq list --all -s docs`"),
    (("show", "zzz/1"), 3, "session 'zzz': no such session; see `agentq sessions`"),
    (("show", "dcos/1"), 3, "session 'dcos': no such session; did you mean 'docs'?"),
    (("logs", "docs/1.7"), 3, "run 'docs/1.7': no such run; see `agentq runs docs/1`"),
    (("config", "chekc"), 2, "config 'chekc': must be show, check or path; did you mean 'check'?"),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dir with one task in the session `docs`; only read by the tests."""
    home = tmp_path_factory.mktemp("filled")
    agentq = Agentq(home, home / "state")
    assert agentq("submit", "-s", "docs", "--exec", "--", "true").returncode == 0
    return home / "state"


@pytest.mark.parametrize(("arguments", "code", "message"), ERRORS, ids=str)
def test_an_error_is_one_line_with_its_code_and_a_document_with_json(
    agentq: Agentq, filled: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    env = {"AGENTQ_STATE_DIR": str(filled)}
    done = agentq(*arguments, env=env)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith(f"agentq: error: {message}")
    assert done.stderr.count("\n") == 1
    done = agentq("--json", *arguments, env=env)
    document = json.loads(done.stdout)
    assert done.returncode == code
    assert document == {
        "schema": "agentq.error/1",
        "code": code,
        "kind": {2: "usage", 3: "not_found"}[code],
        "message": done.stderr.removeprefix("agentq: error: ").rstrip("\n"),
    }


def test_hostile_words_in_an_error_are_harmless(agentq: Agentq) -> None:
    done = agentq("list", "-s", "x\x1b[2J\ny\u202e")
    assert done.returncode == 2
    assert done.stderr.startswith("agentq: error: --session 'x␛[2J y\\u202e': ")
    assert done.stderr.count("\n") == 1


def test_a_word_after_two_dashes_is_no_option(agentq: Agentq) -> None:
    done = agentq("show", "--", "--json")
    assert done.returncode == 2
    assert done.stdout == ""


def test_the_shared_options_stand_before_or_after_the_command(agentq: Agentq, filled: Path) -> None:
    for arguments in (
        ("--state-dir", str(filled), "--json", "list"),
        ("list", "--json", "--state-dir", str(filled)),
        ("--state-dir", "/nonexistent", "list", "--json", f"--state-dir={filled}"),
    ):
        assert [item["id"] for item in json.loads(agentq(*arguments).stdout)["items"]] == ["docs/1"]


def test_the_help_names_every_command(agentq: Agentq) -> None:
    done = agentq("--help")
    assert done.returncode == 0
    assert "Usage: agentq" in done.stdout
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout
    assert done.stdout == agentq("-h").stdout
    assert agentq().returncode == 0
    assert json.loads(agentq("--json").stdout)["schema"] == "agentq.overview/1"


def test_every_command_has_help_that_names_the_shared_options(agentq: Agentq) -> None:
    for name in COMMANDS:
        done = agentq(name, "-h")
        assert done.returncode == 0
        assert done.stderr == ""
        for option in ("--json", "--state-dir", "--color", "--help"):
            assert option in done.stdout, name


def test_the_version_is_told(agentq: Agentq) -> None:
    from agentq_cli import __version__

    assert agentq("--version").stdout == f"agentq {__version__}\n"
    assert json.loads(agentq("--version", "--json").stdout) == {"schema": "agentq.version/1", "version": __version__}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AGENTQ_NOW", "soon", "AGENTQ_NOW 'soon'"),
        ("AGENTQ_JOBS", "many", "AGENTQ_JOBS 'many'"),
        ("AGENTQ_CONFIG", "/nonexistent.toml", "AGENTQ_CONFIG '/nonexistent.toml'"),
    ],
)
def test_a_wrong_environment_is_named(agentq: Agentq, name: str, value: str, message: str) -> None:
    done = agentq("list", env={name: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"agentq: error: {message}")


def test_a_corrupt_index_is_refused_and_left_as_it_is(agentq: Agentq) -> None:
    content = b"no database at all " * 100
    agentq.state_dir.mkdir()
    index = agentq.state_dir / "agentq.db"
    index.write_bytes(content)
    done = agentq("list", "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["kind"] == "unreadable"
    assert str(index) in done.stderr
    assert index.read_bytes() == content


def test_an_index_of_a_newer_agentq_is_refused(agentq: Agentq, filled: Path) -> None:
    shutil.copytree(filled, agentq.state_dir)
    with sqlite3.connect(agentq.state_dir / "agentq.db") as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    before = (agentq.state_dir / "agentq.db").read_bytes()
    done = agentq("list", "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["kind"] == "unreadable"
    assert (agentq.state_dir / "agentq.db").read_bytes() == before


@pytest.mark.exec
def test_a_full_disk_behind_stdout_is_an_error(agentq: Agentq, filled: Path) -> None:
    with open("/dev/full", "w") as full:
        process = agentq.start("list", stdout=full, env={"AGENTQ_STATE_DIR": str(filled)})
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert stderr == "agentq: error: standard output: No space left on device\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(agentq: Agentq, closed: str) -> None:
    for arguments in (("submit", "--exec", "--", "echo", "hello"), ("run", "--drain"), ("show", "1")):
        command = ["bash", "-c", f'"$@" {closed}', "bash", *agentq.command(*arguments)]
        done = subprocess.run(command, env=agentq.environ, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, arguments
        assert b"Traceback" not in done.stderr
    assert agentq("logs", "1").stdout == "hello\n"


def test_a_bug_is_one_line_and_its_traceback_can_be_asked_for(agentq: Agentq, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import agentq_cli.engines.local.queue as it\nit.LocalQueue.sessions = lambda self: 1 / 0\n"
    )
    env = {"PYTHONPATH": f"{broken}{os.pathsep}{agentq.environ['PYTHONPATH']}"}
    done = agentq("sessions", "--json", env=env)
    assert done.returncode == 70
    assert json.loads(done.stdout)["kind"] == "bug"
    assert done.stderr.startswith("agentq: error: internal: ZeroDivisionError: division by zero (a bug in agentq; ")
    assert done.stderr.count("\n") == 1
    done = agentq("sessions", env=env | {"AGENTQ_TRACEBACK": "1"})
    assert done.returncode == 70
    assert done.stderr.startswith("Traceback")


@pytest.mark.exec
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_quietly_with_its_code(agentq: Agentq, filled: Path, number: signal.Signals, code: int) -> None:
    process = agentq.start("events", "--follow", env={"AGENTQ_STATE_DIR": str(filled)})
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == code


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("something")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (sqlite_error(sqlite3.SQLITE_BUSY), 5, "busy"),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), 5, "busy"),
        (sqlite_error(sqlite3.SQLITE_LOCKED), 5, "busy"),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), 6, "unreadable"),
        (sqlite_error(sqlite3.SQLITE_NOTADB), 6, "unreadable"),
        (sqlite_error(sqlite3.SQLITE_FULL), 1, "refused"),
        (sqlite_error(sqlite3.SQLITE_READONLY), 1, "refused"),
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), 1, "refused"),
        (sqlite_error(sqlite3.SQLITE_ERROR), 70, "bug"),
        (OSError(28, "No space left on device", "/x"), 1, "refused"),
        (PermissionError(13, "Permission denied", "/x"), 1, "refused"),
        (OSError(30, "Read-only file system"), 1, "refused"),
        (FileNotFoundError(2, "No such file or directory", "/x"), 70, "bug"),
        (ZeroDivisionError("x"), 70, "bug"),
    ],
    ids=str,
)
def test_what_the_system_and_the_database_refuse_has_a_code(error: Exception, code: int, kind: str) -> None:
    failure = translated(error)
    assert (failure.code, failure.kind) == (code, kind)


def test_no_file_takes_the_place_of_a_closed_stream(agentq: Agentq) -> None:
    program = "import os, sys; from agentq_cli.__main__ import _prepare; _prepare(); sys.exit(os.open('/', 0))"
    done = subprocess.run(
        ["bash", "-c", '"$@" <&- >&- 2>&-', "bash", sys.executable, "-c", program],
        env=agentq.environ,
        timeout=60,
        check=False,
    )
    assert done.returncode > 2
