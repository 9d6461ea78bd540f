"""The stop ladder over the whole process tree, driven by agents that misbehave."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from supervised_runs import GRACE_MS, until

from agentq_cli.host import process, shim, tree
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.host.stop import request_stop

ROOT = str(Path(__file__).parents[2])
WHOLE_SECONDS = 5.0
DEAF = "trap '' INT TERM HUP; echo ready; while :; do sleep 60; done"


def cancel(run) -> None:
    assert request_stop(run.directory, reason="cancelled", at=1)


def nothing_left(run) -> bool:
    return not tree.marked(run.request.run, str(run.request.env["AGENTQ_STATE_DIR"])) and not tree.descendants(
        run.shim_pid
    )


def numbers(run, name: str = "stdout") -> list[int]:
    return [int(word) for word in run.text(name).split() if word.isdigit()]


def assert_gone(pids: list[int]) -> None:
    assert pids
    for pid in pids:
        stat = process.stat_of(pid)
        assert stat is None or stat.state == "Z", f"{pid} survived"


def test_a_polite_agent_ends_at_once_on_term(runs) -> None:
    run = runs.shell("echo ready; exec sleep 60", grace_ms=60_000)
    run.says("ready")
    cancel(run)
    record = run.ended()
    assert (record.stopped, record.signal, record.exit_code) == ("cancelled", signal.SIGTERM, None)


def test_an_agent_that_exits_0_on_our_signal_has_not_succeeded(runs) -> None:
    run = runs.shell("trap 'exit 0' TERM; echo ready; sleep 60 & wait")
    run.says("ready")
    cancel(run)
    record = run.ended()
    assert (record.stopped, record.exit_code) == ("cancelled", 0)


def test_an_agent_that_ignores_int_and_term_is_killed_after_the_grace_time(runs) -> None:
    run = runs.shell(DEAF, interrupt_first=True)
    run.says("ready")
    began = time.monotonic()
    cancel(run)
    record = run.ended()
    took = time.monotonic() - began
    assert (record.stopped, record.signal) == ("cancelled", signal.SIGKILL)
    assert GRACE_MS / 1000 <= took < WHOLE_SECONDS
    assert nothing_left(run)


@pytest.mark.parametrize(("first", "heard"), [(True, "int\nterm\n"), (False, "term\n")])
def test_a_profile_may_put_one_interrupt_first_in_half_of_the_grace_time(runs, first, heard) -> None:
    script = "trap 'echo int' INT; trap 'echo term' TERM; echo ready; while :; do sleep 60 & wait $!; done"
    run = runs.shell(script, interrupt_first=first)
    run.says("ready")
    cancel(run)
    assert run.ended().signal == signal.SIGKILL
    assert run.text() == "ready\n" + heard


def test_a_deaf_grandchild_in_a_session_of_its_own_is_ended_too(runs) -> None:
    run = runs.shell(f'setsid sh -c "echo $$; {DEAF.replace("ready", "deaf")}" & echo ready; exec sleep 60')
    run.says("ready")
    run.says("deaf")
    below = [identity.pid for identity in tree.descendants(run.shim_pid)]
    assert len(below) >= 3
    cancel(run)
    assert run.ended().stopped == "cancelled"
    assert_gone(below)
    assert nothing_left(run)


def test_a_process_that_left_the_tree_is_known_by_its_marker(runs) -> None:
    run = runs.shell("echo ready; exec sleep 60")
    run.says("ready")
    # As a daemon that an agent asked to start something would: its child, with the agent's environment.
    with subprocess.Popen(["/bin/sh", "-c", DEAF], env=run.request.env, stdout=subprocess.PIPE) as elsewhere:
        assert elsewhere.stdout is not None
        elsewhere.stdout.readline()
        cancel(run)
        assert run.ended().stopped == "cancelled"
        assert elsewhere.wait(5) == -signal.SIGKILL


def test_what_an_agent_leaves_running_is_ended_and_the_status_stays_its_own(runs) -> None:
    run = runs.shell(f"setsid sh -c '{DEAF.replace(chr(39), '')}' & sleep 60 & echo left $!; exit 3")
    record = run.ended()
    assert (record.exit_code, record.stopped, record.error) == (3, None, None)
    assert_gone(numbers(run))
    assert nothing_left(run)


LEAVES_A_TIDY_CHILD = """
import os, signal, sys
ready, told = os.pipe()
if os.fork() == 0:
    def tidy(number, frame):
        os.write(1, b"tidied\\n")
        os._exit(0)
    signal.signal(signal.SIGTERM, tidy)
    os.setsid()
    os.write(told, b"x")
    while True:
        signal.pause()
os.read(ready, 1)
os._exit(6)
"""


def test_what_an_agent_leaves_running_gets_its_grace_time(runs) -> None:
    run = runs.python(LEAVES_A_TIDY_CHILD, grace_ms=60_000)
    record = run.ended()
    assert (record.exit_code, record.stopped) == (6, None)
    assert run.text() == "tidied\n"


def test_stdout_held_open_after_the_end_holds_up_nothing(runs) -> None:
    began = time.monotonic()
    run = runs.shell(
        "(trap '' TERM; echo held; while :; do sleep 60; done) & until [ -s \"$OUT\" ]; do :; done",
        env={"OUT": str(runs.state_dir / "s/runs/1.1/stdout")},
    )
    record = run.ended()
    assert (record.exit_code, record.stopped) == (0, None)
    assert time.monotonic() - began < WHOLE_SECONDS
    assert nothing_left(run)


@pytest.mark.parametrize("script", ["echo ready; kill -STOP $$", f"{DEAF.replace('while', 'kill -STOP $$; while')}"])
def test_a_stopped_agent_is_ended(runs, script) -> None:
    run = runs.shell(script)
    run.says("ready")
    pid = run.agent_pid()
    until(lambda: process.stat_of(pid).state == "T", "the agent is stopped")
    cancel(run)
    assert run.ended().stopped == "cancelled"
    assert_gone([pid])


def test_a_stopped_agent_hears_term_and_can_tidy_up(runs) -> None:
    run = runs.shell("trap 'echo tidied; exit 9' TERM; echo ready; kill -STOP $$; while :; do :; done", grace_ms=60_000)
    run.says("ready")
    pid = run.agent_pid()
    until(lambda: process.stat_of(pid).state == "T", "the agent is stopped")
    cancel(run)
    assert (run.ended().exit_code, run.text()) == (9, "ready\ntidied\n")


FORKS_ON_AND_ON = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
children = 0
while True:
    if children < 300 and os.fork() == 0:
        os.setsid()
        while True:
            signal.pause()
    children += 1
    if children == 20:
        os.write(1, b"ready")
"""


def test_an_agent_that_forks_faster_than_one_look_is_ended_with_all_its_children(runs) -> None:
    run = runs.python(FORKS_ON_AND_ON, grace_ms=0)
    run.says("ready")
    cancel(run)
    record = run.ended()
    assert (record.stopped, record.signal) == ("cancelled", signal.SIGKILL)
    assert nothing_left(run)


def test_the_time_limit_ends_the_run_with_its_reason(runs) -> None:
    began = time.monotonic()
    run = runs.shell(DEAF, timeout_ms=300)
    record = run.ended()
    took = time.monotonic() - began
    assert (record.stopped, record.signal) == ("timeout", signal.SIGKILL)
    assert 0.3 + GRACE_MS / 1000 <= took < WHOLE_SECONDS
    assert run.directory.stop().reason == "timeout"
    assert nothing_left(run)


def test_a_run_within_its_time_limit_is_left_alone(runs) -> None:
    record = runs.shell("exit 0", timeout_ms=60_000).ended()
    assert (record.exit_code, record.stopped) == (0, None)


def test_cancel_from_another_process(runs) -> None:
    run = runs.shell("echo ready; exec sleep 60")
    run.says("ready")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from agentq_cli.host.run_directory import RunDirectory\n"
        "from agentq_cli.host.stop import request_stop\n"
        "sys.exit(0 if request_stop(RunDirectory(sys.argv[2]), reason='cancelled', at=3) else 1)"
    )
    subprocess.run([sys.executable, "-c", program, ROOT, run.request.run_dir], check=True, timeout=30)
    assert run.ended().stopped == "cancelled"


def test_the_first_reason_is_the_runs(runs) -> None:
    run = runs.shell(DEAF, grace_ms=500)
    run.says("ready")
    assert request_stop(run.directory, reason="stalled", at=1)
    assert request_stop(run.directory, reason="cancelled", at=2)
    assert run.ended().stopped == "stalled"


def test_a_stop_after_the_agents_own_end_changes_nothing(runs) -> None:
    run = runs.shell("(trap '' TERM; while :; do sleep 60; done) & exit 4", grace_ms=500)
    pid = run.agent_pid()
    until(lambda: process.stat_of(pid) is None, "the agent has ended and was reaped")
    cancel(run)
    record = run.ended()
    assert (record.exit_code, record.stopped) == (4, None)


def test_a_stop_of_a_run_that_has_ended_reaches_nobody(runs) -> None:
    run = runs.shell("exit 0")
    run.ended()
    assert not request_stop(run.directory, reason="cancelled", at=1)


def test_a_stop_of_a_forged_shim_signals_nobody(runs, tmp_path) -> None:
    run = runs.shell("echo ready; exec sleep 60")
    start = run.start()
    forged = RunDirectory(tmp_path / "runs" / "1.1")
    forged.create()
    assert forged.write_start(
        start._replace(identity=start.identity._replace(start_time=start.identity.start_time + 1))
    )
    assert not request_stop(forged, reason="cancelled", at=1)
    # Told, it would have found this.
    os.link(forged.file("stop"), run.directory.file("stop"))
    assert run.directory.stop() is not None
    assert process.alive(start.identity)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]
)
def test_a_signal_without_a_recorded_stop_ends_no_run(runs, number) -> None:
    run = runs.shell('read line; echo "$line"; exit 5', stdin_path=str(fifo(runs)))
    shim = run.start().identity
    run.agent_pid()
    assert process.send(shim, number)
    # Answered by the shim's own next look: with the signal still pending it could not have survived to here.
    with open(fifo(runs), "w") as talk:
        talk.write("still here\n")
    assert (run.ended().exit_code, run.text()) == (5, "still here\n")


def test_a_disk_that_fails_under_the_shim_ends_no_agent(runs) -> None:
    request = runs.request("/bin/sh", "-c", "sleep 0.4; exit 3")
    pid = os.fork()
    if pid == 0:
        looks = iter([None])

        def stop(directory: RunDirectory) -> None:
            if next(looks, "again") is not None:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        RunDirectory.stop = stop  # type: ignore[method-assign,assignment]
        shim.keep(request.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    record = RunDirectory(request.run_dir).exit()
    assert (record.exit_code, record.error) == (3, None)


def fifo(runs) -> Path:
    path = runs.state_dir / "fifo"
    if not path.exists():
        os.mkfifo(path)
        # Held open for both ends, so that neither opening waits nor reading sees an end.
        runs.talk = os.open(path, os.O_RDWR)
    return path


def test_an_idle_run_costs_no_cpu(runs) -> None:
    run = runs.shell("echo ready; exec sleep 60")
    run.says("ready")

    def switches() -> int:
        status = Path(f"/proc/{run.shim_pid}/status").read_text()
        return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)

    before, began = switches(), time.monotonic()
    until(lambda: time.monotonic() - began > 1.5, "one and a half seconds")
    assert switches() - before < 15
