"""The lean way of one submit agrees with the whole program to the byte, or leaves the task to it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from agentq_process import Agentq, server
from forked import Forked
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sampling import WIDE

from agentq_cli.base import environment
from agentq_cli.config.schema import TOP
from agentq_cli.host import process

NOW = "2026-03-01T12:00:00.250Z"
NOW_MS = 1_772_366_400_250


TERMINAL = """
import os
os.isatty = lambda descriptor: descriptor == 2  # so that the hint is compared too
from agentq_cli.cli import quick
from agentq_cli.engines.local import express
"""
LEANLY = f"""{TERMINAL}
does = express.store
def spied(*task, **most):
    done = does(*task, **most)
    if done is not None:
        open({{taken!r}}, "w").close()
    return done
express.store = spied
"""
WHOLLY = f"""{TERMINAL}
quick.read = lambda words: None
express.store = lambda *task, **most: None
"""


class Outcome(NamedTuple):
    """What can be seen of a command afterwards."""

    code: int
    out: bytes
    err: bytes
    rows: Mapping[str, Sequence[tuple[object, ...]]]
    files: Sequence[str]


class Both:
    """Runs one command line twice, lean and whole, each on a fresh copy of a state dir and under the same path."""

    def __init__(self, place: Path, template: Path, home: Path) -> None:
        self.place = place
        self.template = template
        self.home = home
        self.taken = False
        self.arrange: Callable[[Path], object] = lambda state: None
        """What is done to each copy before."""

    def run(self, *words: str, env: Mapping[str, str] | None = None) -> Outcome:
        """What it comes to; fails where the two differ. `taken` says whether the lean way did it."""
        lean = self._once(words, env or {}, lean=True)
        self.taken = (self.place / "taken").exists()
        entire = self._once(words, env or {}, lean=False)
        assert lean == entire, (words, env)
        return lean

    def _once(self, words: Sequence[str], env: Mapping[str, str], *, lean: bool) -> Outcome:
        state = self.place / "state"
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        shutil.copytree(self.template, state, symlinks=True)
        self.arrange(state)
        environ = {
            "PATH": f"{self.home}/programs:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "AGENTQ_NOW": NOW,
        }
        environ |= {"AGENTQ_STATE_DIR": str(state)} | env
        with open(self.place / "out", "wb") as out_file, open(self.place / "err", "wb") as err_file:
            ended = Forked(
                server(),
                words,
                words,
                env=environ,
                cwd=self.home,
                umask=0o027,
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                prepare=LEANLY.format(taken=str(self.place / "taken")) if lean else WHOLLY,
            )
            code = ended.wait(60)
        out, err = (self.place / "out").read_bytes(), (self.place / "err").read_bytes()
        # Whether the parsed config is kept depends on how long ago its file was written.
        files = sorted(str(path.relative_to(state)) for path in state.rglob("*") if path.name != "config.parsed")
        return Outcome(code, out, err, rows(state), files)


def rows(state: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every database, by file and table."""
    found = {}
    for path in sorted(state.rglob("*.db")):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            try:
                names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
                for name in names:
                    found[f"{path.relative_to(state)} {name}"] = database.execute(f"SELECT * FROM {name}").fetchall()
            except sqlite3.DatabaseError as error:
                found[str(path.relative_to(state))] = [(str(error),)]
    return found


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dir with the sessions `default` and `docs`, and a task of each kind in them."""
    home = tmp_path_factory.mktemp("home")
    state = tmp_path_factory.mktemp("template") / "state"
    agentq = Agentq(home, state)
    agentq.environ["AGENTQ_NOW"] = NOW
    for words in (
        ("--exec", "--", "true"),
        ("-s", "docs", "-a", "demo", "--key", "k", "first"),
        ("--in", "1h", "--label", "x", "--exec", "--", "true"),
        ("--after", "1", "--exec", "--", "true"),
    ):
        assert agentq("submit", *words).returncode == 0
    return state


@pytest.fixture
def both(tmp_path: Path, template: Path) -> Both:
    """The two ways, on copies of the template."""
    home = tmp_path / "home"
    (home / "programs").mkdir(parents=True)
    for name in ("claude", "codex", "make"):  # to be found; none of them is run
        (home / "programs" / name).touch(0o700)
    own = tmp_path / "template"
    shutil.copytree(template, own, symlinks=True)
    return Both(tmp_path / "place", own, home)


LEAN = [
    ("--exec", "--", "true"),
    ("--exec", "true"),
    ("--exec", "--", "sh", "-c", "echo 'a\tü\x1b\udcff' \"b\\\""),
    ("-C", "/", "--exec", "--", "true"),
    ("--cwd", "../home/.", "--exec", "--", "true"),
    ("--exec", "--priority", "7", "--", "true", "--priority", "8"),
    ("-s", "docs", "--exec", "--", "make", ""),
    ("--session=docs", "-a", "demo", "and now ü\n\x07 more"),
    ("--agent", "claude", "--priority=-100", "Fix it"),
    ("--no-wake", "-a", "codex", "--", "--not-an-option"),
    ("--label", "a", "--label", "b", "--exec", "--", "true"),
    ("--timeout", "5m", "--retries", "2", "-e", "A=b", "--exec", "--", "true"),
    ("--in", "1h", "--expires", "2d", "-s", "docs", "-a", "demo", "--context", "isolated", "later"),
]


@pytest.mark.parametrize("words", LEAN, ids=" ".join)
def test_the_common_ones_go_the_lean_way(both: Both, words: tuple[str, ...]) -> None:
    found = both.run("submit", *words)
    assert both.taken and found.code == 0 and found.err.startswith(b"agentq: hint: no supervisor is running"), found
    session = "docs" if "docs" in " ".join(words) else "default"
    assert found.out == f"{session}/{2 if session == 'docs' else 4}\n".encode()


@pytest.mark.parametrize("words", [("--json",), ("--json", "--label", "x"), ("--color", "never")], ids=" ".join)
def test_so_does_one_whose_task_is_shown(both: Both, words: tuple[str, ...]) -> None:
    found = both.run("submit", *words, "--exec", "--", "true")
    assert both.taken and found.code == 0


def test_so_do_those_with_a_configuration(both: Both) -> None:
    config = both.home / "c.toml"
    config.write_text("jobs = 3\nmax_queued = 5\n[defaults]\npriority = 3\n")
    environ = {"AGENTQ_CONFIG": str(config)}
    assert both.run("submit", "--exec", "--", "true", env=environ).code == 0 and both.taken
    config.write_text("max_queued = 4\n")
    assert both.run("submit", "--exec", "--", "true", env=environ).code == 4 and not both.taken


@pytest.mark.parametrize("words", [("--key", "k"), ("--after", "1"), ("--after-any", "docs/1")], ids=" ".join)
def test_what_has_a_key_or_waits_for_others_is_left_to_the_queue(both: Both, words: tuple[str, ...]) -> None:
    assert both.run("submit", *words, "--exec", "--", "true").code == 0 and not both.taken


def test_so_they_do_where_the_state_dir_is_an_option(both: Both) -> None:
    both.run("submit", "--state-dir", str(both.place / "state"), "--exec", "--", "true", env={"AGENTQ_STATE_DIR": ""})
    assert both.taken
    both.run("submit", "--exec", "--", "true", env={"AGENTQ_STATE_DIR": "", "XDG_STATE_HOME": "relative"})
    assert not both.taken


PIECES: list[tuple[str, ...]] = [
    *(("--exec",), ("--exec", "--", "true"), ("-s", "docs"), ("--session=docs",), ("-s", "default"), ("-s", "new")),
    *(("-s", "bad name"), ("-s", ".docs"), ("-s", ""), ("-s", "x" * 65), ("-a", "demo"), ("--agent", "claude")),
    *(("-a", "nobody"), ("--priority", "5"), ("--priority", "-101"), ("--priority", "x"), ("--no-wake",), ("--json",)),
    *(
        ("--key", "k"),
        ("--key", "new"),
        ("--label", "x"),
        ("--in", "1h"),
        ("--dry-run",),
        ("-e", "A=b"),
        ("-C", "/"),
        ("-C", "~"),
        ("-C", "nowhere"),
        ("-C", ""),
    ),
    *(("Fix it",), ("-",), ("",), (" \n",), ("ü\x00"[:1],), ("\udcff",), ("--bogus",), ("--sess", "docs"), ("-h",)),
    *(("--context", "session"), ("--timeout", "1m"), ("--color", "never"), ("--replace",), ("--tz", "Asia/Tokyo")),
    *(("--", "words", "--exec"), ("--after", "1"), ("--retries", "2"), ("--state-dir", "")),
]
ENVIRONMENTS: list[dict[str, str]] = [
    *({}, {"LC_ALL": "C", "LC_": "odd"}, {"VIRTUAL_ENV": '/x/ü\udcff"\\'}, {"LANG": "", "TERM": "dumb"}),
    *({"AGENTQ_JOBS": "3"}, {"AGENTQ_MAX_QUEUED": "1"}, {"AGENTQ_CAPTURE_ENV": "HOME"}, {"AGENTQ_DEPTH": "3"}),
    *(
        {"AGENTQ_NOW": "soon"},
        {"AGENTQ_CONFIG": "/nowhere"},
        {"AGENTQ_DEFAULT_AGENT": "demo"},
        {"AGENTQ_TASK": "docs/1"},
        {"NO_COLOR": "1"},
    ),
]


@settings(max_examples=25 * WIDE)
@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=5),
    env=st.sampled_from(ENVIRONMENTS),
    command=st.booleans(),
    configured=st.booleans(),
)
@example(pieces=[("-a", "demo"), ("x",)], env=ENVIRONMENTS[2], command=False, configured=False)
@example(pieces=[("-a", "demo"), ("x",)], env={}, command=False, configured=True)
@example(pieces=[("-s", "bad name"), ("--", "true")], env={"AGENTQ_NOW": "soon"}, command=True, configured=False)
@example(pieces=[("-s", "docs"), ("--", "true")], env={"AGENTQ_NOW": "2026-03-01"}, command=True, configured=False)
def test_any_command_line_comes_to_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    template: Path,
    pieces: list[tuple[str, ...]],
    env: dict[str, str],
    command: bool,
    configured: bool,
) -> None:
    home = tmp_path_factory.getbasetemp() / "express-home"
    config = home / ".config" / "agentq" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    if configured:
        config.write_text("[defaults]\npriority = 3\n")
    try:
        words = ("submit", *(("--exec",) if command else ()), *(word for piece in pieces for word in piece))
        Both(tmp_path_factory.getbasetemp() / "express", template, home).run(*words, env=env)
    finally:
        config.unlink(missing_ok=True)


def index(both: Both, *statements: str) -> None:
    """Change the index of the template."""
    with closing(sqlite3.connect(both.template / "agentq.db", isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def supervised(both: Both, *, sessions: str, boot: str | None = None, renewed: int | None = None) -> None:
    """Put this process down as a supervisor that watches a run of `docs`."""
    me = process.current()
    at = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000 if renewed is None else renewed
    who = f"{me.pid}, {me.start_time}, '{boot or me.boot_id}'"
    index(
        both,
        "INSERT INTO supervisors (pid, start_time, boot_id, jobs, sessions, started_at, renewed_at)"
        f" VALUES ({who}, 2, '{sessions}', 1, {at})",
        "INSERT INTO workers (session, seq, attempt, agent, shares, claimed_at, pid, start_time, boot_id)"
        f" VALUES ('docs', 1, 1, 'demo', 1, 1, {who})",
    )


@pytest.mark.parametrize(
    ("arrange", "attended"),
    [
        (lambda both: supervised(both, sessions="[]"), True),
        (lambda both: supervised(both, sessions='["docs"]'), False),
        (lambda both: supervised(both, sessions='["docs", "default"]'), True),
        (lambda both: supervised(both, sessions="[]", boot="another"), False),
        (lambda both: supervised(both, sessions="[]", renewed=1), False),
        (lambda both: index(both, f"INSERT INTO meta VALUES ('last_sweep_at', {NOW_MS - 300_000})"), True),
        (lambda both: index(both, f"INSERT INTO meta VALUES ('last_sweep_at', {NOW_MS - 300_001})"), False),
    ],
    ids=["supervisor", "of another session", "of both", "dead", "stopped", "swept", "swept long ago"],
)
def test_whether_somebody_is_there_is_found_out_alike(
    both: Both, arrange: Callable[[Both], None], attended: bool
) -> None:
    arrange(both)
    found = both.run("submit", "--exec", "--", "true")
    assert both.taken and (found.err == b"") is attended, found.err


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no state dir": shutil.rmtree,
    "no index": lambda state: (state / "agentq.db").unlink(),
    "no session": lambda state: shutil.rmtree(state / "sessions" / "default"),
    "no inbound": lambda state: (state / "sessions/default/inbound.db").unlink(),
    "empty inbound": lambda state: (state / "sessions/default/inbound.db").write_bytes(b""),
    "foreign inbound": lambda state: (state / "sessions/default/inbound.db").write_bytes(b"no database" * 999),
    "no outbound": lambda state: (state / "sessions/default/outbound.db").unlink(),
    "no bells": lambda state: (state / "bells").rmdir(),
    "a session that leads elsewhere": lambda state: (
        (state / "sessions/default").rename(state / "sessions/docs2"),
        (state / "sessions/default").symlink_to("docs2"),
    ),
    "a newer index": lambda state: _version(state / "agentq.db", 99),
    "a newer inbound": lambda state: _version(state / "sessions/default/inbound.db", 99),
    "a bell that nobody hears": lambda state: os.mkfifo(state / "bells" / "1-1"),
}


def _version(path: Path, number: int) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {number}")


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_amiss_comes_to_the_same(both: Both, damage: str) -> None:
    both.arrange = DAMAGES[damage]
    both.run("submit", "--exec", "--", "true")
    assert both.taken is (damage == "a bell that nobody hears")


@pytest.mark.slow
def test_where_the_queue_is_full_the_limit_is_told(both: Both) -> None:
    index(
        both,
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 100005)"
        " INSERT INTO tasks (session, seq, status, agent, priority, due_at, retry, shares)"
        " SELECT 'docs', i, 'queued', '', 0, 1, 0, 0 FROM n",
    )
    assert both.run("submit", "--exec", "--", "true").code == 4
    index(both, "DELETE FROM tasks WHERE seq = 100005")
    assert both.run("submit", "--exec", "--", "true").code == 0 and both.taken


def test_every_setting_of_the_environment_is_left_to_the_whole_program() -> None:
    assert {f"AGENTQ_{key.upper()}" for key in TOP} == set(environment.SETTINGS)


def test_it_loads_next_to_nothing(agentq: Agentq) -> None:
    assert agentq("submit", "--exec", "--", "true").returncode == 0
    told = agentq("submit", "--exec", "--", "true", env={"PYTHONVERBOSE": "1"})
    assert told.stdout == "default/2\n"
    loaded = {line.split("'")[1] for line in told.stderr.splitlines() if line.startswith("import '")}
    assert {"agentq_cli.engines.local.express", "_sqlite3"} <= loaded
    assert not loaded & {
        f"agentq_cli.{name}" for name in ("cli.app", "model", "base.errors", "show.results", "cli.context")
    }
    assert not loaded & {"typer", "json", "dataclasses", "datetime", "pathlib"}
