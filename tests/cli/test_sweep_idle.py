"""`agentq sweep` where there is nothing to do: it opens no session's files, and says what the whole pass would say."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from agentq_process import ROOT
from driven import Driven, held, until

from agentq_cli.base import clock

SPY = """
import atexit, os, sys
EXIT = os._exit
def exit(code):
    tell()
    EXIT(code)
seen = []
def spy(event, arguments):
    if event in ("open", "sqlite3.connect", "os.listdir", "os.scandir") and arguments:
        path = arguments[0] if isinstance(arguments[0], (str, bytes)) else ""
        seen.append(os.fsdecode(path).removeprefix("file:"))
sys.addaudithook(spy)
def tell():
    with open(os.environ["SPIED"], "w") as file:
        file.write("\\n".join([*seen, "", *sys.modules]))
atexit.register(tell)
os._exit = exit
"""

WHOLE = {"AGENTQ_TZ": "UTC"}
"""Something that is set has to be checked, so that the whole pass is made."""


class Spied:
    """A sweep with what it opened below the directory of the sessions, and the modules that it loaded."""

    def __init__(self, aq: Driven, *arguments: str, code: int = 0, env: dict[str, str] | None = None) -> None:
        settled(aq)
        spy, told = aq.home / "spy", aq.home / "spied"
        spy.mkdir(exist_ok=True)
        (spy / "sitecustomize.py").write_text(SPY)
        given = {"PYTHONPATH": f"{spy}:{ROOT}", "SPIED": str(told), **(env or {})}
        self.done = aq("sweep", *arguments, code=code, env=given)
        paths, _, modules = told.read_text().partition("\n\n")
        assert str(aq.state_dir / "agentq.db") in paths, "it sees what is opened"
        below = f"{aq.state_dir}/sessions/"
        self.opened = {path.removeprefix(below).split("/")[0] for path in paths.split("\n") if path.startswith(below)}
        self.modules = set(modules.split("\n"))

    @property
    def quick(self) -> bool:
        """Whether it needed no more than the one look."""
        return "agentq_cli.cli.perform" not in self.modules


def settled(aq: Driven) -> None:
    """Wait until a later change of any session would be seen by its time: until then none is remembered as it is."""
    found = [aq.state_dir / "sessions", *(aq.state_dir / "sessions").rglob("*")]
    until(lambda: all(clock.settled(os.lstat(path).st_ctime_ns) for path in found if os.path.lexists(path)))


def later(aq: Driven, *sessions: str) -> None:
    aq.batch(*({"exec": ["true"], "session": name, "in": "1d"} for name in sessions))
    settled(aq)


def corrupt(aq: Driven, session: str) -> None:
    (aq.state_dir / "sessions" / session / "inbound.db").write_bytes(b"this is not a database" * 100)


def test_with_nothing_due_no_session_is_opened_and_nothing_imported_that_takes_time(aq: Driven) -> None:
    later(aq, "a", "b", "c")
    assert Spied(aq).opened == {"a", "b", "c"}, "what is new is looked at once"
    again = Spied(aq)
    assert (again.opened, again.quick, again.done.stdout) == (set(), True, "")
    assert not again.modules & {"typer", "dataclasses", "pathlib", "json", "tomllib"}
    whole = Spied(aq, env=WHOLE)
    assert (whole.opened, whole.quick, whole.done.stdout) == (set(), False, "")
    aq.exec("true", given=("-s", "b", "--in", "1d"))
    assert Spied(aq).opened == {"b"}, "only what has changed"
    assert Spied(aq).opened == set()


def test_a_session_that_breaks_later_is_named_from_then_on_and_alone_is_opened(aq: Driven) -> None:
    later(aq, "a", "b", "c")
    aq("sweep")
    corrupt(aq, "b")
    for _ in range(2):
        swept = Spied(aq, code=1)
        assert (swept.opened, [line.split(":")[0] for line in swept.done.stdout.splitlines()]) == ({"b"}, ["trouble b"])


def test_a_directory_that_the_index_does_not_know_is_looked_into_once_and_once_it_knows_it(aq: Driven) -> None:
    later(aq, "a")
    aq("sweep")
    strange = aq.state_dir / "sessions" / "strange"
    shutil.copytree(aq.state_dir / "sessions" / "a", strange)
    for told in (True, False):
        swept = Spied(aq)
        assert (swept.opened, "reindex strange" in swept.done.stdout) == ({"strange"}, told)
    assert Spied(aq).opened == set()
    bad = strange.with_name("bad")
    bad.symlink_to(strange)
    for _ in range(2):
        swept = Spied(aq, code=1)
        assert swept.done.stdout.startswith("trouble bad: ")
    bad.unlink()
    Spied(aq)
    assert Spied(aq).opened == set()


def test_what_runs_under_a_supervisor_is_no_work_for_a_sweep(aq: Driven) -> None:
    aq.exec(*held("one"))
    aq.supervise("-j", "1")
    aq.started("one")
    aq.exec("true")
    swept = until(lambda: (found := Spied(aq)).quick and found, what="a sweep with nothing to look into")
    assert (swept.opened, swept.done.stdout) == (set(), "")
    assert "agentq_cli.host.ring" in swept.modules, "it rings all the same"
    aq.let_go("one")


STATES = {
    "nothing": lambda aq: aq("sweep"),
    "future": lambda aq: later(aq, "a", "b"),
    "ended": lambda aq: (aq.exec("true"), aq.drain()),
    "failed": lambda aq: (aq.exec("sh", "-c", "exit 3"), aq.drain(code=1)),
    "due": lambda aq: aq.exec("true"),
    "expired": lambda aq: (aq.exec("true", given=("--in", "10ms", "--expires", "20ms")), until(lambda: expired(aq))),
    "retrying": lambda aq: retrying(aq),
    "arriving": lambda aq: aq("schedule", "--every", "1h", "--start", "2026-01-01T00:00:00Z", "--exec", "--", "true"),
    "paused": lambda aq: (aq.exec("true"), aq("pause", "--all")),
    "broken": lambda aq: (later(aq, "a", "b"), aq("sweep"), corrupt(aq, "b")),
    "asked": lambda aq: asked(aq),
    "orphaned": lambda aq: orphaned(aq),
}


def expired(aq: Driven) -> bool:
    return "expire" in aq("sweep", "--dry-run").stdout


def retrying(aq: Driven) -> None:
    aq.exec("false", given=("--retries", "3", "--backoff", "1h", "--max-backoff", "1h"))
    supervisor = aq.supervise("--drain")
    until(lambda: aq.statuses()["default/1"] == "retrying")
    aq.kill_hard(supervisor)


def orphaned(aq: Driven) -> None:
    aq.exec(*held("one"))
    supervisor = aq.supervise()
    aq.started("one")
    aq.kill_hard(supervisor)


def asked(aq: Driven) -> None:
    later(aq, "a")
    aq("sweep")
    with closing(sqlite3.connect(aq.state_dir / "sessions" / "a" / "outbound.db", isolation_level=None)) as database:
        database.execute(
            "INSERT INTO messages_out VALUES ('m1', 'system', ?, 0)", (json.dumps({"action": "nonsense"}),)
        )


@pytest.mark.parametrize("state", STATES)
def test_the_quick_answer_is_that_of_the_whole_pass_to_the_byte(aq: Driven, state: str, tmp_path: Path) -> None:
    STATES[state](aq)
    told = []
    for number, env in enumerate(({}, WHOLE)):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(aq.state_dir, copy, ignore=shutil.ignore_patterns("bells"))
        (copy / "bells").mkdir()
        lines = []
        # With what a copy has new looked at, the second round is as any later sweep.
        for arguments in ((), (), ("--json",), ("--no-wake", "--json", "--state-dir", str(copy))):
            if state in ("due", "retrying", "orphaned") and "--no-wake" not in arguments:
                continue  # it would start a supervisor
            done = aq.agentq("sweep", *arguments, env={"AGENTQ_STATE_DIR": str(copy), **env})
            lines.append((arguments[:2], done.returncode, done.stdout.replace(str(copy), "COPY"), done.stderr))
        with closing(sqlite3.connect(copy / "agentq.db")) as index:
            lines.append(index.execute("SELECT name FROM meta WHERE name LIKE '%sweep%' ORDER BY name").fetchall())
        told.append(lines)
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--jsno",),
        ("--state-dir",),
        ("--state-dir", ""),
        ("-s", "nobody"),
        ("--color", "never"),
        ("extra",),
        ("--help",),
    ],
)
def test_other_words_are_left_to_the_command(aq: Driven, arguments: tuple[str, ...]) -> None:
    aq("sweep")
    done = aq.agentq("sweep", *arguments)
    whole = aq.agentq("sweep", *arguments, env=WHOLE)
    assert (done.returncode, done.stdout, done.stderr) == (whole.returncode, whole.stdout, whole.stderr)
    assert done.returncode == (0 if arguments[0] in ("--color", "--help") else done.returncode)


def configure(aq: Driven, text: str) -> Path:
    config = aq.home / ".config" / "agentq" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text)
    return config


def quick(aq: Driven, *arguments: str) -> Spied:
    """The first sweep that needs no more than the one look."""
    return until(lambda: (found := Spied(aq, *arguments)).quick and found, what="a sweep with nothing to do")


def test_a_configuration_is_read(aq: Driven) -> None:
    aq("sweep")
    configure(aq, "nonsense = 1\n")
    assert "nonsense" in aq.refused("sweep", code=2)
    configure(aq, 'retention = "1ms"\n')
    aq.exec("true")
    aq.drain()
    assert "prune default/1" in aq("sweep").stdout


def test_a_configuration_that_a_sweep_has_read_is_read_again_once_it_has_changed(aq: Driven) -> None:
    later(aq, "a", "b")
    config = configure(aq, "jobs = 3\n[sessions.a]\npriority = 5\n")
    assert not Spied(aq).quick
    assert "tomllib" not in quick(aq).modules
    assert quick(aq, "--json").done.stdout == Spied(aq, "--json", env=WHOLE).done.stdout
    assert quick(aq, "-s", "b").opened == set()
    other = aq.home / "other.toml"
    other.write_text("jobs = 4\n")
    assert not Spied(aq, env={"AGENTQ_CONFIG": str(other)}).quick, "another file"
    quick(aq)
    config.write_text("nonsense = 1\n")
    for _ in range(2):
        assert "nonsense" in aq.refused("sweep", code=2)
    config.unlink()
    quick(aq)


def test_what_outlives_the_retention_is_pruned_though_the_configuration_is_known(aq: Driven) -> None:
    configure(aq, 'retention = "1d"\n')
    aq.exec("true")
    aq.drain()
    quick(aq)
    told = [
        aq.agentq("sweep", *words, env={"AGENTQ_NOW": "2100-01-01T00:00:00Z"}).stdout
        for words in (("-s", "default"), ())
    ]
    assert "prune default/1" in told[0]
    assert "3 changes of the states of supervisors" in told[1], "which belong to no session"
    assert [event for event in aq.items("events") if event["event"] == "supervisor"] == []


def test_a_hook_that_nobody_has_run_is_run_though_the_configuration_is_known(aq: Driven) -> None:
    aq("sweep")
    called, none = aq.home / "called", aq.home / "none.toml"
    configure(aq, f'[hooks]\n"task.failed" = ["touch", "{called}"]\n')
    none.touch()
    quick(aq)
    aq.exec("false")
    aq.agentq("run", "--drain", env={"AGENTQ_CONFIG": str(none)})
    assert not called.exists()
    aq("sweep")
    assert called.exists()
    quick(aq)


def test_memory_that_the_configuration_asks_for_is_compared_with_the_machine_each_time(aq: Driven) -> None:
    aq("sweep")
    configure(aq, '[limits]\nmemory_reserve = "1MiB"\n')
    assert not any(Spied(aq).quick for _ in range(3))


def test_what_cannot_be_printed_is_an_error_as_ever(aq: Driven) -> None:
    aq("sweep")
    with open("/dev/full", "wb") as full:
        command = [*aq.agentq.command("sweep", "--json")]
        done = subprocess.run(
            command, env=aq.agentq.environ, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "agentq: error: standard output: No space left on device\n")
    with closing(sqlite3.connect(aq.state_dir / "agentq.db")) as index:
        assert index.execute("SELECT value FROM meta WHERE name = 'last_sweep_at'").fetchone()
    assert os.listdir(aq.state_dir / "sessions") == []
