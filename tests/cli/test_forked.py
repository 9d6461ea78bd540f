"""A forked agentq is as good as one that was started by exec: of every command both are driven, on equal state dirs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from agentq_process import Agentq
from driven import Driven, until
from forked import Forked
from sampling import in_gate

from agentq_cli.options.table import COMMANDS

NOW = {"AGENTQ_NOW": "2026-03-01T12:00:00Z", "TZ": "America/New_York", "COLUMNS": "100"}
WORDS = {
    "submit": ("-s", "docs", "--in", "1h", "-a", "demo", "-"),
    "schedule": ("--cron", "0 9 * * *", "--next", "3"),
    "edit": ("docs/1", "--priority", "7"),
    "messages": ("-s", "docs"),
    "prune": ("--older-than", "1d", "--dry-run"),
    "report": ("--html", "report.html"),
    "service": ("print", "cron"),
    "completion": ("bash",),
    "mcp": ("--print", "codex"),
    "config": ("show",),
    "run": ("--drain", "-s", "none"),
    "top": ("--no-such-option",),  # only on a terminal
    **dict.fromkeys(("show", "logs", "cancel", "wait", "pause", "resume", "retry", "trigger"), ("docs/1",)),
}
STILL_WAITS = {"wait": ("--timeout", "0s")}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dir with a task that has run, one that waits and a series."""
    home = tmp_path_factory.mktemp("filled")
    aq = Driven(Agentq(home, home / "state", by_exec=True))
    aq("submit", "-s", "docs", "-a", "demo", "hello", env=NOW)
    aq("run", "--drain", env=NOW)
    aq("schedule", "--every", "1h", "--exec", "--", "true", env=NOW)
    return home / "state"


def outcome(agentq: Agentq, filled: Path, name: str, by_exec: bool) -> tuple[int, str, str, Mapping[str, bytes]]:
    """What is to be seen of a command: code, stdout, stderr, and the files that it wrote beside the state dir."""
    shutil.rmtree(agentq.state_dir, ignore_errors=True)
    shutil.copytree(filled, agentq.state_dir)
    agentq.by_exec = by_exec
    done = agentq(name, *WORDS.get(name, ()), *STILL_WAITS.get(name, ()), input="a prompt ü\n", env=NOW, umask=0o027)
    written = {path.name: path.read_bytes() for path in agentq.home.iterdir() if path.is_file()}
    # What the machine has to spare changes from one moment to the next.
    stdout = re.sub("[0-9]", "9", done.stdout) if name in ("workers", "doctor") else done.stdout
    return done.returncode, stdout, done.stderr, written


@pytest.mark.parametrize(
    "name", in_gate(COMMANDS, "submit", "schedule", "edit", "list", "show", "run", "sweep", "retry", "logs")
)
def test_both_do_and_say_the_same(agentq: Agentq, filled: Path, name: str) -> None:
    forked, started = (outcome(agentq, filled, name, by_exec) for by_exec in (False, True))
    assert forked == started


def test_what_a_process_is_given_is_what_it_has(agentq: Agentq) -> None:
    place = agentq.home / "made"
    argv = ("submit", "--exec", "--", "sh", "-c", "umask", "\udcff")
    for umask in (0o002, 0o077):
        done = agentq(*argv, umask=umask, env={"AGENTQ_STATE_DIR": "made", "VIRTUAL_ENV": "\udcfe"})
        assert done.returncode == 0, done.stderr
    first, second = (json.loads(agentq("show", "--json", "--state-dir", "made", each).stdout) for each in "12")
    assert (first["cwd"], first["argv"][-1]) == (str(agentq.home), "\udcff")
    assert (place.stat().st_mode & 0o777, second["status"]) == (0o700, "queued")
    assert agentq("list").returncode == 0 and not agentq.state_dir.exists()


def test_it_is_a_process_of_its_own_that_can_be_signalled(aq: Driven) -> None:
    aq.exec("true", given=("--in", "1h"))
    process = aq.start("run")
    assert isinstance(process, Forked)
    (pid,) = until(lambda: [each["pid"] for each in aq.json("workers")["supervisors"]])
    assert pid == process.pid and os.getpgid(pid) == os.getpgid(0) and process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(signal.SIGTERM)
    assert aq.ended(process) == 143
    process.kill()  # which is nobody's any more


def test_what_only_an_interpreter_reads_starts_one(agentq: Agentq) -> None:
    assert isinstance(agentq.start("list"), Forked)
    for env in ({"PYTHONUTF8": "0"}, {"LC_ALL": "C"}, {"LANG": ""}):
        assert isinstance(agentq.start("list", env=env), subprocess.Popen)
    assert isinstance(agentq.start("list", start_new_session=True), subprocess.Popen)


@pytest.mark.exec
def test_what_is_marked_so_starts_one(agentq: Agentq) -> None:
    assert isinstance(agentq.start("list"), subprocess.Popen)
