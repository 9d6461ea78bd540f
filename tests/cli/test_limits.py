"""Limits on runs that go on: silence and memory, whoever looks after them (cases 30 and 28)."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from driven import Driven, alive, held, until

from agentq_cli.host.run_directory import RunDirectory

SILENT = """
echo $$ >> "$HOME/silent.pids"
setsid sh -c 'echo $$ >> "$HOME/silent.pids"; exec sleep 600' &
(setsid sh -c 'trap "" TERM; echo $$ >> "$HOME/silent.pids"; while :; do sleep 600; done' &)
wait
"""
"""Says nothing, with one child in a session of its own and one that has left the tree and hears nothing."""

HOG = """
import mmap, os, sys, time
name, children, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) << 20
for path in sys.argv[4:]:
    open(path + ".ready", "w").close()
    while not os.path.exists(path):
        time.sleep(0.02)
pids = []
for _ in range(children):
    pids.append(os.fork())
    if pids[-1] == 0:
        os.setsid()
        memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for page in range(0, size, 4096):
            memory[page] = 1
        with open(os.path.expanduser(f"~/{name}.pids"), "a") as file:
            print(os.getpid(), file=file)
        time.sleep(600)
while not os.path.exists(os.path.expanduser("~/enough")):
    time.sleep(0.02)
for pid in pids:
    os.kill(pid, 9)
"""
"""Children that take so many MiB each, tell their pids, and hold them until it is enough."""


@pytest.fixture
def once(aq: Driven) -> Driven:
    """What fails is not tried again."""
    configure(aq, "[defaults]\nretries = 0\n")
    return aq


def configure(aq: Driven, text: str) -> None:
    path = aq.home / "config.toml"
    path.write_text(text)
    aq.agentq.environ["AGENTQ_CONFIG"] = str(path)


def pids(path: Path, count: int) -> list[int]:
    def found() -> list[str]:
        text = path.read_text() if path.exists() else ""
        return text.split() if text.count("\n") >= count else []

    return [int(word) for word in until(found, what=f"{count} pids in {path.name}")]


def ended(aq: Driven, run: str) -> tuple[Any, ...]:
    """How a run ended: status, class, exit code."""
    found = aq.runs()[run]
    return found["status"], found["failure_class"], found["exit_code"]


def swept(aq: Driven, **options: Any) -> list[str]:
    """What a sweep did; the first one after a kill forgets the supervisor."""
    return [item["action"] for item in aq.items("sweep", "--no-wake", **options)]


def keeper(aq: Driven, pid: int) -> int:
    """The shim of a task's own process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def hog(name: str, children: int, megabytes: int, *gate: Path) -> list[str]:
    return [sys.executable, "-c", HOG, name, str(children), str(megabytes), *map(str, gate)]


def test_a_silent_run_is_ended_with_its_whole_tree_and_one_without_a_limit_goes_on(once: Driven) -> None:
    once.batch(
        {"exec": held("patient")},
        {"exec": ["sh", "-c", SILENT], "stall_timeout": "500ms", "grace": "200ms"},
    )
    supervisor = once.supervise("--drain", "-j", "2")
    patient = once.started("patient")
    silent = pids(once.home / "silent.pids", 3)
    once("wait", "2", code=143)
    assert [pid for pid in silent if alive(pid)] == []
    assert ended(once, "default/2.1") == ("stalled", "stalled", 143)
    run = once.runs()["default/2.1"]
    # Found by a timer of its own: a supervisor wakes every 10 s anyway, to renew its row.
    assert 500 <= run["duration_ms"] < 9_000
    assert "heartbeat" in run["error"]
    assert once.task("2")["status"] == "failed"
    (stop,) = [event for event in once.items("events", "2") if event["event"] == "stop"]
    assert (stop["actor"], stop["reason"], stop["run"]) == ("supervisor", "stalled", "default/2.1")
    assert alive(patient)
    once.let_go("patient")
    once.ended(supervisor, 1)
    assert ended(once, "default/1.1") == ("success", None, 0)


SIGNS = {
    "stdout": "echo on",
    "stderr": "echo on >&2",
    "heartbeat": 'touch "$AGENTQ_HEARTBEAT"',
}


def test_output_and_heartbeats_are_signs_of_life_and_nothing_else_is(once: Driven) -> None:
    loop = "i=0; while [ $i -lt 50 ]; do sleep 0.1; %s; i=$((i+1)); done"
    signs = SIGNS | {"file": 'touch "$HOME/file"', "elsewhere": 'touch "$AGENTQ_HEARTBEAT.old" "$AGENTQ_RESULT"'}
    # A heartbeat dated by hand, and one that was there from the beginning, are one sign and no more.
    signs["dated"] = 'touch -d 2099-01-01 "$AGENTQ_HEARTBEAT"'
    once.batch(
        *({"session": name, "exec": ["sh", "-c", loop % does], "stall-timeout": "2s"} for name, does in signs.items())
    )
    once.drain("-j", str(len(signs)), code=1)
    found = {run["session"]: run["status"] for run in once.runs().values()}
    assert found == {name: "success" if name in SIGNS else "stalled" for name in signs}


def test_the_heartbeat_of_an_earlier_run_never_counts(once: Driven) -> None:
    script = (
        'echo "$AGENTQ_HEARTBEAT" >> "$HOME/beats"; [ "$AGENTQ_ATTEMPT" = 1 ] && touch "$AGENTQ_HEARTBEAT" && exit 1;'
        'echo second; while :; do touch "$(head -1 "$HOME/beats")"; sleep 0.05; done'
    )
    once.exec("sh", "-c", script, given=("--stall-timeout", "500ms", "--grace", "100ms"))
    once.drain(code=1)
    once("retry", "1")
    once.drain(code=1)
    first, second = (once.home / "beats").read_text().split()
    assert first != second
    assert ended(once, "default/1.1")[0] == "error"
    assert ended(once, "default/1.2")[0] == "stalled"
    assert once.stdout(once.runs()["default/1.2"]) == "second\n"


def test_the_limit_begins_with_the_agent_and_not_with_its_script(once: Driven) -> None:
    (once.home / "slow.sh").write_text("sleep 2; echo '{\"wakeAgent\": true}'\n")
    given = ("--stall-timeout", "1s", "--script", "slow.sh")
    once.exec("echo", "done", given=given)
    once.drain()
    assert ended(once, "default/1.1") == ("success", None, 0)


def test_an_adopted_run_is_still_ended(once: Driven) -> None:
    once.exec("sh", "-c", SILENT, given=("--stall-timeout", "2s", "--grace", "100ms"))
    first = once.supervise()
    silent = pids(once.home / "silent.pids", 3)
    once.kill_hard(first)
    assert all(map(alive, silent))
    once.drain(code=1)
    assert not any(map(alive, silent))
    assert ended(once, "default/1.1")[:2] == ("stalled", "stalled")
    assert once.runs()["default/1.1"]["adopted"] is True


def test_sweeps_alone_end_a_silent_run(once: Driven) -> None:
    """What time of day they take it to be does not matter."""
    once.exec("sh", "-c", SILENT, given=("--stall-timeout", "3s", "--grace", "100ms"))
    supervisor = once.supervise()
    silent = pids(once.home / "silent.pids", 3)
    once.kill_hard(supervisor)
    now = {"AGENTQ_NOW": "2026-03-01T12:00:00Z"}
    assert swept(once, env=now) == ["forget"]
    directory = Path(once.runs()["default/1.1"]["stdout_path"]).parent
    before = (directory / "looks").read_bytes()

    def plans() -> list[dict[str, Any]]:
        return [item for item in once.items("sweep", "--no-wake", "--dry-run", env=now) if item["action"] == "stop"]

    (item,) = until(plans, what="a stall")
    assert (item["session"], item["task"], item["run"]) == ("default", "default/1", "default/1.1")
    assert item["detail"].startswith("stalled: ")
    assert (directory / "looks").read_bytes() == before
    assert not (directory / "stop").exists()
    assert all(map(alive, silent))
    (line,) = once("sweep", "--no-wake", env=now).stdout.splitlines()
    assert line.startswith("stop default/1.1: stalled: no output and no heartbeat for ")
    until(lambda: not any(map(alive, silent)), what="the end of the tree")
    until(RunDirectory(directory).exit, what="the exit record")
    (line,) = once("sweep", "--no-wake").stdout.splitlines()
    assert line.startswith("settle default/1.1: failed")
    assert ended(once, "default/1.1")[:2] == ("stalled", "stalled")
    (stop,) = [event for event in once.items("events", "1") if event["event"] == "stop"]
    assert (stop["actor"], stop["reason"]) == ("sweep", "stalled")


def test_a_sweep_leaves_a_run_alone_that_a_supervisor_watches(once: Driven) -> None:
    once.exec(*held("one"), given=("--stall-timeout", "1h", "--memory", "1GiB", "--timeout", "1h"))
    supervisor = once.supervise("--drain")
    once.started("one")
    assert once("sweep").stdout == ""
    once.kill_hard(supervisor)
    assert swept(once) == ["forget"]
    once.let_go("one")
    once.drain()
    assert ended(once, "default/1.1") == ("success", None, 0)


def test_a_tree_whose_children_together_take_too_much_is_ended_and_a_modest_one_goes_on(once: Driven) -> None:
    once.batch(
        {"exec": hog("modest", 2, 40), "memory": "400MiB"},
        {"exec": hog("greedy", 3, 50), "memory": "120MiB", "grace": "100ms"},
    )
    supervisor = once.supervise("--drain", "-j", "2")
    modest = pids(once.home / "modest.pids", 2)
    until(lambda: once.task("2")["status"] == "failed", what="the end of the greedy one")
    assert all(map(alive, modest))
    (once.home / "enough").touch()
    once.ended(supervisor, 1)
    greedy = pids(once.home / "greedy.pids", 1)
    assert [pid for pid in greedy if alive(pid)] == []
    assert ended(once, "default/1.1") == ("success", None, 0)
    status, failure, code = ended(once, "default/2.1")
    assert (status, failure) == ("oom", "oom")
    assert code in (137, 143)
    assert "memory" in once.task("2")["reason"]
    (stop,) = [event for event in once.items("events", "2") if event["event"] == "stop"]
    assert (stop["actor"], stop["reason"]) == ("supervisor", "oom")


def test_a_script_s_memory_counts_too(once: Driven) -> None:
    script = once.home / "greedy.py"
    script.write_text(f"#!{sys.executable}\nimport time\nheld = bytearray(b'x') * (200 << 20)\ntime.sleep(600)\n")
    once.exec("true", given=("--script", str(script), "--memory", "100MiB"))
    once.drain(code=1)
    assert ended(once, "default/1.1")[:2] == ("oom", "oom")
    assert once("logs", "1").stdout == ""


def test_sweeps_alone_keep_a_memory_limit(once: Driven) -> None:
    gate = once.home / "gate"
    once.exec(*hog("greedy", 2, 60, gate), given=("--memory", "100MiB", "--grace", "100ms"))
    supervisor = once.supervise()
    until(lambda: (once.home / "gate.ready").exists(), what="start")
    once.kill_hard(supervisor)
    assert swept(once) == ["forget"]
    gate.touch()
    took = pids(once.home / "greedy.pids", 2)
    (line,) = once("sweep", "--no-wake").stdout.splitlines()
    assert line.startswith("stop default/1.1: oom: its processes use 1")
    assert line.endswith(" of 100MiB")
    until(lambda: not any(map(alive, took)), what="the end of the tree")
    until(lambda: "settle" in once("sweep", "--no-wake").stdout, what="its end on record")
    assert ended(once, "default/1.1")[:2] == ("oom", "oom")


def test_a_silent_agent_that_holds_its_own_session_s_file_is_ended(once: Driven) -> None:
    script = (
        "import os, pathlib, sqlite3, time\n"
        "database = sqlite3.connect(os.environ['AGENTQ_INBOUND'], isolation_level=None)\n"
        "database.execute('BEGIN'); database.execute('SELECT * FROM messages_in').fetchall()\n"
        "time.sleep(600)\n"
    )
    once.exec(sys.executable, "-c", script, given=("-s", "slow", "--stall-timeout", "1s"))
    once.drain(code=1)
    assert ended(once, "slow/1.1")[:2] == ("stalled", "stalled")


@pytest.mark.parametrize("limit", ["--timeout", "--stall-timeout"])
def test_a_stopped_keeper_is_continued_to_end_its_run(once: Driven, limit: str) -> None:
    """SIGSTOP of the shim: it would keep no limit, and hear of none."""
    once.exec(*held("one"), given=(limit, "2s", "--grace", "100ms"))
    supervisor = once.supervise("--drain")
    pid = once.started("one")
    os.kill(keeper(once, pid), signal.SIGSTOP)
    once.ended(supervisor, 1)
    assert not alive(pid)
    status = {"--timeout": "timeout", "--stall-timeout": "stalled"}[limit]
    assert ended(once, "default/1.1")[:2] == (status, status)


def test_a_cancel_reaches_a_stopped_keeper(once: Driven) -> None:
    once.exec(*held("one"))
    supervisor = once.supervise("--drain")
    pid = once.started("one")
    os.kill(keeper(once, pid), signal.SIGSTOP)
    once("cancel", "1", "--wait")
    once.ended(supervisor, 1)
    assert not alive(pid)
    assert ended(once, "default/1.1")[0] == "cancelled"


def test_a_stopped_agent_is_a_silent_one(once: Driven) -> None:
    once.exec("sh", "-c", "kill -STOP $$; sleep 600", given=("--stall-timeout", "500ms"))
    once.drain(code=1)
    assert ended(once, "default/1.1")[:2] == ("stalled", "stalled")


BAD = (
    ("--stall-timeout", "0"),
    ("--stall-timeout", "0s"),
    ("--stall-timeout", "-1s"),
    ("--stall-timeout", "5"),
    ("--stall-timeout", "1e3"),
    ("--stall-timeout", ""),
    ("--memory", "x"),
    ("--memory", "0B"),
    ("--memory", "-1G"),
    ("--memory", "100"),
)


@pytest.mark.parametrize(("option", "value"), BAD)
def test_bad_values_are_refused_and_nothing_is_stored(aq: Driven, option: str, value: str) -> None:
    line = aq.refused("submit", option, value, "--exec", "--", "true", code=2)
    assert f"{option} '{value}'" in line
    assert not aq.state_dir.exists()


def test_they_are_refused_wherever_they_stand(aq: Driven) -> None:
    for option, value in (("--stall-timeout", "5"), ("--memory", "x")):
        work, key = ("--every", "1h", "--exec", "--", "true"), option.removeprefix("--")
        assert f"{option} '{value}'" in aq.refused("schedule", option, value, *work, code=2)
        line = aq.refused("submit", "--batch", "-", code=2, input=f'{{"exec": ["true"], "{key}": "{value}"}}\n')
        assert f"line 1: {key.replace('-', '_')} '{value}'" in line
        configure(aq, f'[defaults]\n{key.replace("-", "_")} = "{value}"\n')
        assert f"config.toml:2: {key.replace('-', '_')} '{value}'" in aq.refused("list", code=2)
        del aq.agentq.environ["AGENTQ_CONFIG"]
    assert not aq.state_dir.exists()


def test_a_number_in_a_batch_is_refused(aq: Driven) -> None:
    for key in ("stall_timeout", "memory"):
        line = aq.refused("submit", "--batch", "-", code=2, input=f'{{"exec": ["true"], "{key}": 5}}\n')
        assert f"{key} 5: must be text" in line


def limits_of(aq: Driven, address: str) -> dict[str, str]:
    lines = (line.partition(":")[::2] for line in aq("show", address).stdout.splitlines())
    found = {name.strip(): value.strip() for name, value in lines}
    return {name: found[name] for name in ("Stall timeout", "Memory") if name in found}


def test_limits_come_from_the_line_the_session_and_the_defaults(aq: Driven) -> None:
    configure(
        aq,
        '[defaults]\nstall_timeout = "20m"\nmemory = "2GiB"\n[sessions.long]\nstall_timeout = "3h"\n',
    )
    own = {"exec": ["true"], "stall_timeout": "90s", "memory": "1.5GiB"}
    aq.batch({"exec": ["true"]}, {"exec": ["true"], "session": "long"}, own, {**own, "session": "long"})
    assert limits_of(aq, "1") == {"Stall timeout": "20m", "Memory": "2GiB"}
    assert limits_of(aq, "long/1") == {"Stall timeout": "3h", "Memory": "2GiB"}
    assert limits_of(aq, "2") == limits_of(aq, "long/2") == {"Stall timeout": "1m30s", "Memory": "1.5GiB"}


def test_no_limit_is_shown_where_there_is_none(aq: Driven) -> None:
    aq.exec("true")
    assert limits_of(aq, "1") == {}


def test_edit_changes_them_and_they_hold(once: Driven) -> None:
    once.exec("sleep", "600", given=("--in", "1h", "--stall-timeout", "2h"))
    once("edit", "1", "--memory", "64MiB")
    assert limits_of(once, "1") == {"Stall timeout": "2h", "Memory": "64MiB"}
    assert "'5'" in once.refused("edit", "1", "--stall-timeout", "5", code=2)
    assert "'x'" in once.refused("edit", "1", "--memory", "x", code=2)
    once("edit", "1", "--stall-timeout", "300ms", "--at", "2026-01-01")
    assert limits_of(once, "1") == {"Stall timeout": "300ms", "Memory": "64MiB"}
    once.drain(code=1)
    assert ended(once, "default/1.1")[:2] == ("stalled", "stalled")


def test_occurrences_inherit_them_and_an_edit_during_a_run_holds_for_the_next(once: Driven) -> None:
    now = {"AGENTQ_NOW": "2026-03-01T12:00:00Z"}
    given = ("--every", "1h", "--start", "2026-03-01T12:00:00Z", "--stall-timeout", "1h", "--memory", "1GiB")
    once("schedule", *given, "--exec", "--", *held("one"), env={"AGENTQ_NOW": "2026-03-01T11:59:59Z"})
    supervisor = once.supervise("--max-tasks", "1", env=now)
    once.started("one")
    once("edit", "1", "--stall-timeout", "2h", env=now)
    assert limits_of(once, "1")["Stall timeout"] == "1h"
    once.let_go("one")
    once.ended(supervisor, 0)
    (following,) = [item["id"] for item in once.items("list", env=now)]
    assert following != "default/1"
    assert limits_of(once, following) == {"Stall timeout": "2h", "Memory": "1GiB"}


PROFILE = """
[defaults]
retries = 0
[agents.mute]
argv = ["/bin/sh", "-c", 'read delay; exec sleep "$delay"', "mute"]
stall_timeout = "1s"
"""


def test_a_profile_s_stall_time_out_is_the_default_of_its_prompts(aq: Driven) -> None:
    configure(aq, PROFILE)
    aq.batch(
        {"prompt": "600", "agent": "mute"},
        {"prompt": "3", "agent": "mute", "stall_timeout": "1h"},
        {"exec": ["sleep", "3"]},
    )
    aq.drain("-j", "3", code=1)
    runs = aq.runs()
    assert [runs[f"default/{number}.1"]["status"] for number in (1, 2, 3)] == ["stalled", "success", "success"]
