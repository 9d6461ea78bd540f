"""What a look at a running run finds: its silence, the memory of its tree, a shim that somebody stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from supervised_runs import until

from agentq_cli.base.clock import awake_ms
from agentq_cli.host import process, resources, tree
from agentq_cli.host.oom import oom_kills
from agentq_cli.host.process import identity_of
from agentq_cli.host.records import Exit
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.host.stop import request_stop
from agentq_cli.policy.stall import Signs, Silence
from agentq_cli.supervise import limits
from agentq_cli.supervise.limits import RunLimits

MIB = 1 << 20
WAITS = "echo ready; exec sleep 600"


class Hours:
    """A clock of waking time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Hours:
    hours = Hours()
    monkeypatch.setattr(limits, "awake_ms", hours)
    return hours


def reason(found: limits.Reached | None) -> str | None:
    return None if found is None else found.reason


def test_a_run_without_limits_is_never_looked_at() -> None:
    assert RunLimits().check_at is None
    assert not RunLimits().due()


def test_two_lookers_that_never_meet_find_a_silence(runs, clock) -> None:
    run = runs.shell(WAITS)
    run.says("ready")
    assert RunLimits(stall_timeout_ms=30_000).check(run.directory) is None
    clock.now += 29_999
    assert RunLimits(stall_timeout_ms=30_000).check(run.directory) is None
    clock.now += 1
    found = RunLimits(stall_timeout_ms=30_000).check(run.directory)
    assert found == limits.Reached("stalled", "no output and no heartbeat for 30s")
    assert RunLimits(stall_timeout_ms=60_000).check(run.directory) is None


@pytest.mark.parametrize("name", ["stdout", "stderr", "heartbeat"])
def test_a_sign_begins_the_silence_anew_for_all(runs, clock, name) -> None:
    run = runs.shell(WAITS)
    run.says("ready")
    assert RunLimits(stall_timeout_ms=30_000).check(run.directory) is None
    with run.path(name).open("a") as file:
        file.write("x")
    clock.now += 60_000
    assert RunLimits(stall_timeout_ms=30_000).check(run.directory) is None
    clock.now += 30_000
    assert reason(RunLimits(stall_timeout_ms=30_000).check(run.directory)) == "stalled"


def test_who_adopts_a_run_goes_on_with_the_silence_and_never_shortens_it(runs, clock) -> None:
    run = runs.shell(WAITS)
    run.says("ready")
    first = RunLimits(stall_timeout_ms=60_000)
    for _ in range(4):
        assert first.check(run.directory) is None
        clock.now += 5_000
    second = RunLimits(stall_timeout_ms=60_000)
    looks = 0
    while second.check(run.directory) is None:
        clock.now += 5_000
        looks += 1
    assert clock.now == 1_060_000
    assert looks == 8


def test_a_look_without_memory_of_it_leaves_no_trace(runs, clock) -> None:
    run = runs.shell(WAITS)
    run.says("ready")
    assert RunLimits(stall_timeout_ms=1).check(run.directory, remember=False) is None
    assert not run.path("looks").exists()
    RunLimits(stall_timeout_ms=1).check(run.directory)
    before = run.path("looks").read_bytes()
    clock.now += 1
    assert reason(RunLimits(stall_timeout_ms=1).check(run.directory, remember=False)) == "stalled"
    run.path("stdout").write_text("more")
    clock.now += 1
    assert RunLimits(stall_timeout_ms=1).check(run.directory, remember=False) is None
    assert run.path("looks").read_bytes() == before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stdout": 5}', '{"stdout": null, "stderr": null}'])
def test_a_torn_look_is_none(runs, clock, content) -> None:
    run = runs.shell(WAITS)
    run.says("ready")
    run.path("looks").write_text(content)
    assert run.directory.recorded_silence() is None
    assert RunLimits(stall_timeout_ms=1).check(run.directory) is None
    assert run.directory.recorded_silence().since == clock.now


def test_looks_come_back_as_they_were_written(tmp_path) -> None:
    directory = RunDirectory(tmp_path)
    assert directory.recorded_silence() is None
    silence = Silence(Signs((1, 2), None, (3, 1 << 62)), 5, "boot")
    directory.record_silence(silence._replace(looked=7))
    assert directory.recorded_silence() == silence
    assert os.listdir(tmp_path) == ["looks"]


def test_silence_counts_from_the_agent_s_start_and_not_during_its_script(runs, clock, tmp_path) -> None:
    os.mkfifo(tmp_path / "go")
    script = tmp_path / "script.sh"
    script.write_text(f"read line < {tmp_path}/go; echo '{{\"wakeAgent\": true}}'\n")
    run = runs.launch("/bin/sh", "-c", WAITS, script=str(script))
    until(run.directory.agent, "the script")
    own = RunLimits(stall_timeout_ms=1_000)
    for _ in range(3):
        assert own.check(run.directory) is None
        clock.now += 2_000
    assert not run.path("looks").exists()
    (tmp_path / "go").write_text("\n")
    run.says("ready")
    until(lambda: process.alive(run.directory.agent()), "its record, after that of the script")
    assert own.check(run.directory) is None
    clock.now += 1_000
    assert reason(own.check(run.directory)) == "stalled"


def test_a_heartbeat_that_is_a_link_is_not_followed(runs, clock, tmp_path) -> None:
    """It could lead onto a file system that hangs, and its supervisor with it."""
    run = runs.shell(WAITS)
    run.says("ready")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    run.path("heartbeat").symlink_to(elsewhere)
    own = RunLimits(stall_timeout_ms=1_000)
    assert own.check(run.directory) is None
    elsewhere.write_text("on")
    clock.now += 1_000
    assert reason(own.check(run.directory)) == "stalled"


def test_a_run_that_is_being_ended_is_left_to_its_shim(runs, clock) -> None:
    deaf = "trap '' TERM; echo ready; while :; do sleep 600; done"
    run = runs.shell(deaf, grace_ms=60_000)
    run.says("ready")
    own = RunLimits(stall_timeout_ms=1_000)
    assert own.check(run.directory) is None
    assert request_stop(run.directory, reason="cancelled", at=1)
    clock.now += 5_000
    assert own.check(run.directory) is None


def test_what_an_agent_left_running_is_left_to_its_shim(runs, clock) -> None:
    deaf = "(trap '' TERM; echo ready; while :; do sleep 600; done) & until [ -s \"$OUT\" ]; do :; done"
    run = runs.shell(deaf, grace_ms=60_000, env={"OUT": str(runs.state_dir / "s/runs/1.1/stdout")})
    run.says("ready")
    agent = until(run.directory.agent, "the agent record")
    until(lambda: not process.alive(agent), "the agent's own end")
    own = RunLimits(stall_timeout_ms=1_000, memory_bytes=1)
    assert own.check(run.directory) is None
    clock.now += 5_000
    assert own.check(run.directory) is None


def test_a_run_that_has_not_begun_is_looked_at_again_later(tmp_path) -> None:
    own = RunLimits(stall_timeout_ms=1_000, memory_bytes=1, timeout_ms=1)
    assert own.check(RunDirectory(tmp_path)) is None
    assert own.check_at is not None


def test_a_time_out_is_the_shim_s_own_unless_it_is_stopped(runs) -> None:
    run = runs.shell(WAITS)
    run.says("ready")
    own = RunLimits(timeout_ms=1)
    earlier = run.start().monotonic_ms - 60_000
    run.path("start").write_text(run.path("start").read_text().replace(str(run.start().monotonic_ms), str(earlier)))
    assert own.check(run.directory) is None
    os.kill(run.shim_pid, signal.SIGSTOP)
    until(lambda: process.stat_of(run.shim_pid).state == "T", "the stop")
    assert reason(own.check(run.directory)) == "timeout"
    assert RunLimits(timeout_ms=3_600_000).check(run.directory) is None
    # Who asks for an end has the shim go on.
    assert request_stop(run.directory, reason="timeout", at=1)
    assert run.ended().stopped == "timeout"


HOLDS = """
import mmap, os, sys
sizes = [int(word) << 20 for word in sys.argv[1:]]
for size in sizes[1:]:
    if os.fork() == 0:
        sizes = [size]
        os.setsid()
        break
held = mmap.mmap(-1, sizes[0], mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for page in range(0, sizes[0], mmap.PAGESIZE):
    held[page] = 1
os.write(1, b"full\\n")
import signal
signal.pause()
"""


def test_the_memory_of_a_tree_is_all_of_it_without_its_shim(runs) -> None:
    run = runs.launch(sys.executable, "-I", "-S", "-c", HOLDS, "30", "40", "50")
    until(lambda: run.text().count("full") == 3, "120 MiB")
    shim = identity_of(run.shim_pid)
    below = tree.below([shim])
    used = resources.tree_memory(below)
    assert used is not None
    assert 120 * MIB <= used <= 180 * MIB
    assert used <= resources.resident(below)
    assert all(resources.tree_memory([each]) < 70 * MIB for each in below)
    assert RunLimits(memory_bytes=180 * MIB).check(run.directory) is None
    found = RunLimits(memory_bytes=110 * MIB).check(run.directory)
    assert reason(found) == "oom"
    assert found.detail.endswith(" of 110MiB")


SHARES = """
import mmap, os, signal
held = mmap.mmap(-1, 64 << 20)
for page in range(0, 64 << 20, mmap.PAGESIZE):
    held[page] = 1
for _ in range(3):
    if os.fork() == 0:
        break
sum(held[page] for page in range(0, 64 << 20, mmap.PAGESIZE))
os.write(1, b"full\\n")
signal.pause()
"""


def test_pages_that_processes_share_count_once(runs) -> None:
    run = runs.launch(sys.executable, "-I", "-S", "-c", SHARES)
    until(lambda: run.text().count("full") == 4, "four times the same 64 MiB")
    below = tree.descendants(run.shim_pid)
    assert resources.resident(below) >= 4 * 64 * MIB
    assert 64 * MIB <= resources.tree_memory(below) <= 128 * MIB
    assert RunLimits(memory_bytes=128 * MIB).check(run.directory) is None


def test_where_pss_cannot_be_read_resident_memory_counts(runs, monkeypatch) -> None:
    run = runs.launch(sys.executable, "-I", "-S", "-c", SHARES)
    until(lambda: run.text().count("full") == 4, "four times the same 64 MiB")
    read = process.read_file
    monkeypatch.setattr(process, "read_file", lambda path: None if path.endswith("rollup") else read(path))
    assert resources.tree_memory(tree.descendants(run.shim_pid)) >= 4 * 64 * MIB
    assert reason(RunLimits(memory_bytes=128 * MIB).check(run.directory)) == "oom"


def test_the_memory_of_nobody_is_unknown() -> None:
    with subprocess.Popen(["true"]) as ended:
        identity = identity_of(ended.pid)
    assert resources.tree_memory([]) is None
    assert resources.tree_memory([identity]) is None
    assert resources.resident([identity]) == 0


def test_memory_is_measured_once_a_second_however_short_a_stall_is(runs, monkeypatch) -> None:
    run = runs.shell(WAITS)
    run.says("ready")
    measured = []
    monkeypatch.setattr(resources, "resident", lambda below: measured.append(1) or 0)
    monkeypatch.setattr(limits, "monotonic_ms", lambda: 1_000_000)
    own = RunLimits(stall_timeout_ms=400, memory_bytes=MIB)
    for now in (1_000_000, 1_000_100, 1_000_999, 1_001_000, 1_001_001):
        monkeypatch.setattr(limits, "monotonic_ms", lambda now=now: now)
        assert own.check(run.directory) is None
        assert now < own.check_at <= now + 100
    assert len(measured) == 2


def test_the_clock_of_silences_is_the_one_that_a_closed_lid_stops() -> None:
    assert abs(awake_ms() - time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000) < 1_000


# The kernel's own kills


def cgroup(base: Path, line: str, files: dict[str, str]) -> dict[str, str]:
    (base / "proc" / "self").mkdir(parents=True)
    (base / "proc" / "self" / "cgroup").write_text(line)
    for name, content in files.items():
        path = base / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return {"proc": str(base / "proc"), "mount": str(base / "cgroup")}


EVENTS = "low 0\nhigh 0\nmax 9\noom 5\noom_kill 3\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"


@pytest.mark.parametrize(
    ("line", "files", "count"),
    [
        ("0::/user.slice/a.scope\n", {"user.slice/a.scope/memory.events": EVENTS}, 3),
        ("0::/\n", {"memory.events": EVENTS}, 3),
        ("0::/\n", {"cgroup.procs": ""}, None),
        # In a container: the host's path, or one beside the root of its own name space.
        ("0::/docker/1234\n", {"memory.events": EVENTS}, 3),
        ("0::/../other\n", {"memory.events": EVENTS}, 3),
        ("7:cpu:/x\n4:memory:/x\n0::/\n", {"memory/x/memory.oom_control": CONTROL}, 4),
        ("4:hugetlb,memory:/x\n", {"memory/memory.oom_control": CONTROL}, 4),
        ("4:memory:/x\n", {"memory/x/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n"}, None),
        ("9:cpu:/x\n0::/x\n", {"unified/x/memory.events": EVENTS}, 3),
        ("", {}, None),
        ("nonsense\n:::\n", {}, None),
    ],
)
def test_the_count_of_kills_is_found_in_either_version_of_cgroups(tmp_path, line, files, count) -> None:
    assert oom_kills(**cgroup(tmp_path, line, files)) == count


def test_an_exit_record_of_an_older_shim_and_of_a_newer_one_are_read(tmp_path) -> None:
    (tmp_path / "s").mkdir()
    directory = RunDirectory(tmp_path / "s" / "runs" / "1.1")
    directory.create()
    record = Exit(0, None, None, None, False, 1, 2, None, 3, 4, oom_kills=2)
    directory.reserve_exit().write(record)
    assert directory.exit() == record
    text = Path(directory.file("exit")).read_text()
    Path(directory.file("exit")).write_text(text.replace('"oom_kills": 2', '"something_new": 5'))
    assert directory.exit() == record._replace(oom_kills=None)
