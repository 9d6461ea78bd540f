"""`logs`: what a run wrote, whole or its end, while it runs and afterwards, harmless whatever it holds."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
from agentq_process import Agentq

from agentq_cli.commands import logs, messages
from agentq_cli.host.output import OutputReader
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.sessions import Message
from agentq_cli.model.statuses import RunStatus, Status


def run_command(agentq: Agentq, command: str, *options: str) -> None:
    assert agentq("submit", *options, "--exec", "--", "sh", "-c", command).returncode == 0
    assert agentq("run", "--drain").returncode in (0, 1)


def test_stdout_and_stderr_are_apart(agentq: Agentq) -> None:
    run_command(agentq, "echo out; echo err >&2")
    both = agentq("logs", "1")
    assert (both.stdout, both.stderr) == ("out\n", "err\n")
    for option, text in (("--stdout", "out\n"), ("--stderr", "err\n")):
        one = agentq("logs", "default/1.1", option)
        assert (one.stdout, one.stderr) == (text, "")
    assert agentq("logs", "1", "--stdout", "--stderr").returncode == 2
    document = json.loads(agentq("logs", "1", "--json").stdout)
    assert document == {
        "schema": "agentq.logs/1",
        "run": "default/1.1",
        "stdout": "out\n",
        "stderr": "err\n",
        "truncated": False,
    }


def test_each_attempt_keeps_its_own_output_and_the_last_is_shown(agentq: Agentq) -> None:
    run_command(agentq, "echo attempt $AGENTQ_ATTEMPT; exit 1")
    assert agentq("retry", "1").returncode == 0
    assert agentq("run", "--drain").returncode == 1
    assert agentq("logs", "1").stdout == "attempt 2\n"
    assert agentq("logs", "1.1").stdout == "attempt 1\n"
    assert agentq("logs", "1.2").stdout == "attempt 2\n"
    done = agentq("logs", "1.3", "--json")
    assert (done.returncode, json.loads(done.stdout)["kind"]) == (3, "not_found")


def test_tail_shows_the_last_lines(agentq: Agentq) -> None:
    run_command(agentq, "seq 1 20000; printf end")
    assert agentq("logs", "1", "--tail", "2").stdout == "20000\nend"
    assert agentq("logs", "1", "--tail", "0").stdout == ""
    assert agentq("logs", "1", "--tail", "99999").stdout == agentq("logs", "1").stdout
    assert json.loads(agentq("logs", "1", "--tail", "1", "--json").stdout)["stdout"] == "end"
    assert agentq("logs", "1", "--tail", "-1").returncode == 2


def test_hostile_bytes_are_harmless_as_text_and_kept_in_json(agentq: Agentq) -> None:
    run_command(agentq, r"printf '\033[31mred\033[0m \033[2J\000 \342\202\254 \377 \r\nnext\n'")
    text = agentq("logs", "1").stdout
    assert text == "red ␛[2J␀ € � \nnext\n"
    assert json.loads(agentq("logs", "1", "--json").stdout)["stdout"] == (
        "\x1b[31mred\x1b[0m \x1b[2J\x00 € � \r\nnext\n"
    )


def test_a_task_that_has_not_run_has_no_logs(agentq: Agentq) -> None:
    assert agentq("submit", "--exec", "--", "true").returncode == 0
    done = agentq("logs", "1")
    assert done.returncode == 3
    assert done.stderr == "agentq: error: task 'default/1': has not run yet; `agentq show default/1` says why\n"


def test_without_an_id_it_is_the_newest_run(agentq: Agentq) -> None:
    done = agentq("logs")
    assert (done.returncode, done.stdout) == (3, "")
    run_command(agentq, "echo one", "-s", "docs")
    run_command(agentq, "echo two")
    assert agentq("logs").stdout == "two\n"
    assert json.loads(agentq("logs", "--json").stdout)["run"] == "default/1.1"


def test_what_a_script_wrote_is_kept_apart(agentq: Agentq, tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text("#!/bin/sh\necho looked >&2\necho '{\"wakeAgent\": true}'\n")
    script.chmod(0o755)
    run_command(agentq, "echo out", "--script", str(script))
    assert agentq("logs").stdout == "out\n"
    done = agentq("logs", "--script")
    assert (done.stdout, done.stderr) == ('{"wakeAgent": true}\nlooked\n', "")


@pytest.fixture
def running(agentq: Agentq, tmp_path: Path) -> tuple[Agentq, Path]:
    """A command that has printed `first` and `oops`, and prints `last` once the fifo is written to."""
    release = tmp_path / "release"
    os.mkfifo(release)
    command = f"echo first; echo oops >&2; read line < {release}; echo last"
    assert agentq("submit", "--exec", "--", "sh", "-c", command).returncode == 0
    return agentq, release


def test_output_is_followed_from_another_process_until_the_run_ends(running: tuple[Agentq, Path]) -> None:
    agentq, release = running
    follower = agentq.start("logs", "1", "--follow")
    supervisor = agentq.start("run", "--drain", stdout=subprocess.DEVNULL)
    assert follower.stdout is not None
    assert follower.stdout.readline() == "first\n"
    assert agentq("logs", "1").stdout == "first\n"
    release.write_text("go\n")
    out, err = follower.communicate(timeout=30)
    assert out == "last\n"
    oops, ending = err.splitlines()
    assert oops == "oops"
    assert re.fullmatch(r"default/1\.1: success, \S+", ending)
    assert follower.returncode == 0
    assert supervisor.wait(30) == 0


def test_following_as_json_gives_a_document_a_line_of_both_streams(running: tuple[Agentq, Path]) -> None:
    agentq, release = running
    agentq.start("run", "--drain", stdout=subprocess.DEVNULL)
    follower = agentq.start("logs", "1", "--follow", "--json")
    assert follower.stdout is not None
    lines = [json.loads(follower.stdout.readline()) for _ in range(2)]
    assert sorted((line["stdout"], line["stderr"]) for line in lines) == [("", "oops\n"), ("first\n", "")]
    assert {line["schema"] for line in lines} == {"agentq.logs/1"}
    assert {line["run"] for line in lines} == {"default/1.1"}
    release.write_text("go\n")
    rest, _ = follower.communicate(timeout=30)
    assert [json.loads(line)["stdout"] for line in rest.splitlines()] == ["last\n"]


def test_a_run_that_came_between_two_looks_is_followed(tmp_path: Path) -> None:
    """It began and ended after the look for a run and before the look whether any is still to come."""

    class Racing:
        def __init__(self) -> None:
            self.looks = 0

        def task(self, address: Address) -> SimpleNamespace:
            self.looks += 1
            over = self.looks > 1
            return SimpleNamespace(last_run=1 if over else None, status=Status.COMPLETED if over else Status.QUEUED)

        def output(self, run: RunId, stream: str) -> OutputReader:
            return OutputReader(RunDirectory(tmp_path), stream)

        def run(self, run: RunId) -> SimpleNamespace:
            silent = dict.fromkeys(("agent", "error", "cost_usd", "left", "landing"))
            return SimpleNamespace(status=RunStatus.SUCCESS, duration_ms=7, exit_code=0, **silent)

    (tmp_path / "stdout").write_bytes(b"whole")
    here = SimpleNamespace(config=None)
    wanted = logs.Wanted({"stdout": "stdout"}, None, False)
    pieces = logs._followed(here, Racing(), Address("default", 1), None, wanted, None)  # type: ignore[arg-type]
    assert [piece for _, piece in pieces if piece] == [b"whole", b"default/1.1: success, 7ms"]


def test_following_what_never_starts_ends_with_the_task(agentq: Agentq) -> None:
    assert agentq("submit", "--exec", "--", "true").returncode == 0
    follower = agentq.start("logs", "1", "--follow")
    assert agentq("cancel", "1").returncode == 0
    assert follower.communicate(timeout=30) == ("", "")
    assert follower.returncode == 0


def test_ctrl_c_ends_following_with_130_and_the_run_goes_on(running: tuple[Agentq, Path]) -> None:
    agentq, release = running
    supervisor = agentq.start("run", "--drain", stdout=subprocess.DEVNULL)
    follower = agentq.start("logs", "1", "--follow")
    assert follower.stdout is not None
    assert follower.stdout.readline() == "first\n"
    follower.send_signal(signal.SIGINT)
    assert follower.communicate(timeout=30)[0] == ""
    assert follower.returncode == 130
    release.write_text("go\n")
    assert supervisor.wait(30) == 0
    assert agentq("logs", "1").stdout == "first\nlast\n"


def test_events_are_followed_oldest_first_as_json_lines(agentq: Agentq) -> None:
    for _ in range(2):
        assert agentq("submit", "--exec", "--", "true").returncode == 0
    follower = agentq.start("events", "--follow", "--json")
    assert follower.stdout is not None
    before = [json.loads(follower.stdout.readline()) for _ in range(2)]
    assert [(event["schema"], event["task"], event["to"]) for event in before] == [
        ("agentq.event/1", "default/1", "queued"),
        ("agentq.event/1", "default/2", "queued"),
    ]
    assert agentq("run", "--drain", "-j", "1").returncode == 0
    of_tasks = (each for line in follower.stdout if (each := json.loads(line))["task"] is not None)
    assert [(change["from"], change["to"]) for change in islice(of_tasks, 4)] == [
        ("queued", "running"),
        ("running", "completed"),
    ] * 2
    follower.send_signal(signal.SIGTERM)
    rest, complaint = follower.communicate(timeout=30)
    assert not any(json.loads(line)["task"] for line in rest.splitlines()), "at most what became of the supervisor"
    assert complaint == ""
    assert follower.returncode == 143


def settled(pid: int) -> None:
    """Return once a process sleeps whenever it is looked at: it has started, and waits."""
    asleep = 0
    while asleep < 5:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        asleep = asleep + 1 if state == "S" else 0
        time.sleep(0.03)


def test_following_begins_before_there_is_a_state_dir(agentq: Agentq) -> None:
    events = agentq.start("events", "--follow")
    spoken = agentq.start("messages", "-s", "docs", "--follow", "--json")
    for follower in (events, spoken):
        settled(follower.pid)  # one that starts later finds the state dir, and no session 'docs' in it yet
    assert not agentq.state_dir.exists()
    assert agentq("submit", "-s", "docs", "--agent", "demo", "hello").returncode == 0
    assert events.stdout is not None
    assert "docs/1" in events.stdout.readline()
    assert agentq("run", "--drain").returncode == 0
    assert spoken.stdout is not None
    message = json.loads(spoken.stdout.readline())
    assert (message["schema"], message["content"]["run"]) == ("agentq.message/1", "docs/1.1")


def test_a_message_that_comes_between_two_looks_is_shown_once(tmp_path: Path) -> None:
    def message(number: int) -> Message:
        return Message(id=str(number), session="docs", kind="note", content=number, created_at=number)

    class Racing:
        """Message 2 comes after the position was asked for and before the listing."""

        def last_message(self, session: str) -> int:
            return 1

        def messages(self, session: str, **filters: int | None) -> Iterator[Message]:
            return iter([message(2), message(1)])

        def messages_after(self, session: str, after: int) -> tuple[list[Message], int]:
            return [message(number) for number in range(after + 1, 4)], 3

    class Here:
        state_dir = tmp_path

        def open_queue(self) -> Racing:
            return Racing()

    outbound = tmp_path / "sessions" / "docs" / "outbound.db"
    outbound.parent.mkdir(parents=True)
    outbound.touch()
    followed = messages._followed(Here(), "docs", None, None, None)
    assert [item["id"] for item in islice(followed, 3)] == ["1", "2", "3"]


def test_followed_messages_come_once_each(agentq: Agentq) -> None:
    for number in range(3):
        assert agentq("submit", "-s", "docs", "--agent", "demo", f"say {number}").returncode == 0
    assert agentq("run", "--drain").returncode == 0
    follower = agentq.start("messages", "-s", "docs", "--follow", "--json", "--limit", "2")
    assert follower.stdout is not None
    shown = [json.loads(follower.stdout.readline())["id"] for _ in range(2)]
    assert agentq("submit", "-s", "docs", "--agent", "demo", "say 3").returncode == 0
    assert agentq("run", "--drain").returncode == 0
    shown.append(json.loads(follower.stdout.readline())["id"])
    assert shown == ["docs/2.1", "docs/3.1", "docs/4.1"]
