"""Agents outlive whoever started them; what outlives its shim is ended by recovery."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from supervised_runs import GRACE_MS, RunHandle, Runs, until

from agentq_cli.host import process, tree
from agentq_cli.host.launch import Launcher
from agentq_cli.host.records import Start
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.supervise import recovery

DEAF = "trap '' INT TERM HUP; echo ready; while :; do sleep 60; done"


def launcher_of(runs: Runs, shim_pid: int):
    stat = process.stat_of(shim_pid)
    assert stat is not None
    identity = process.identity_of(stat.parent)
    assert identity is not None
    return identity


def kill_shim(run) -> None:
    assert process.send(run.start().identity, signal.SIGKILL)
    run.shim_ended()


def test_sigkill_of_the_launcher_leaves_the_run_and_its_true_end(runs, tmp_path) -> None:
    os.mkfifo(tmp_path / "go")
    run = runs.shell(f"echo ready; read line < {tmp_path}/go; echo $line; exit 7")
    run.says("ready")
    launcher = launcher_of(runs, run.shim_pid)
    assert process.send(launcher, signal.SIGKILL)
    until(lambda: not process.alive(launcher), "the launcher's end")
    assert process.alive(run.start().identity)
    (tmp_path / "go").write_text("the whole output\n")
    assert run.ended().exit_code == 7
    assert run.text() == "ready\nthe whole output\n"


def test_a_killed_launcher_is_replaced_at_the_next_launch(runs) -> None:
    run = runs.shell("echo ready; exec sleep 60")
    run.says("ready")
    process.send(launcher_of(runs, run.shim_pid), signal.SIGKILL)
    assert runs.shell("exit 3").ended().exit_code == 3
    assert process.alive(run.start().identity)


@pytest.mark.parametrize("killed", [False, True])
def test_each_of_several_runs_that_are_asked_for_has_its_own_line(runs, tmp_path, monkeypatch, killed: bool) -> None:
    def hear(*given: object) -> None:
        try:
            heard(*given)
        except OSError as error:
            told.append(str(error))
            raise

    heard, told = Launcher._hear_answer, []
    monkeypatch.setattr(Launcher, "_hear_answer", hear)
    os.mkfifo(tmp_path / "go")
    launcher = launcher_of(runs, runs.shell("exec sleep 60").shim_pid)
    if killed:
        process.send(launcher, signal.SIGSTOP)
    scripts = (f"read line < {tmp_path}/go; exit 3", "exit 4", "exit 5")
    requests = [runs.request("/bin/sh", "-c", script, run=f"s/{n}.1") for n, script in enumerate(scripts, start=7)]
    asked = []
    for request in requests:
        asked.append(runs.launcher.ask(request))
        if killed and len(asked) == 2:
            process.send(launcher, signal.SIGKILL)
            until(lambda: not process.alive(launcher), "the launcher's end")
    handles = [RunHandle(request, runs.launcher.line(sent)) for request, sent in zip(requests, asked, strict=True)]
    assert not [each for each in told if "did not answer" in each], "it waits for an answer that nobody gives"
    runs.handles += handles
    assert [handle.ended().exit_code for handle in handles[1:]] == [4, 5]
    assert not select.select([handles[0].line], [], [], 0)[0]
    (tmp_path / "go").write_text("\n")
    assert handles[0].ended().exit_code == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_for_the_supervisors_group_does_not_end_the_launcher(runs, number) -> None:
    # From its first instant: a Ctrl-C may come while it starts.
    launcher, others = Launcher(), children()
    launcher.start()
    (pid,) = children() - others
    os.kill(pid, number)
    runs.launcher = launcher
    run = runs.shell("echo ready; exec sleep 60")
    run.says("ready")
    assert launcher_of(runs, run.shim_pid).pid == pid
    launcher.close()


def children() -> set[int]:
    return {stat.pid for stat in process.processes() if stat.parent == os.getpid()}


def test_closing_the_launcher_ends_it_and_not_its_runs(runs, tmp_path) -> None:
    launcher = Launcher()
    launcher.start()
    runs.launcher = launcher
    os.mkfifo(tmp_path / "go")
    run = runs.shell(f"echo ready; read line < {tmp_path}/go; exit 8")
    run.says("ready")
    identity = launcher_of(runs, run.shim_pid)
    launcher.close()
    assert not process.alive(identity)
    assert process.stat_of(identity.pid) is None, "it was not reaped"
    (tmp_path / "go").write_text("\n")
    assert run.ended().exit_code == 8


def test_the_launcher_reaps_its_keepers(runs) -> None:
    run = runs.shell("exit 0")
    run.ended()
    assert process.send(run.start().identity, signal.SIGKILL)
    until(lambda: process.stat_of(run.shim_pid) is None, "it is reaped")


def test_the_launchers_end_shows_on_its_socket(launcher, runs) -> None:
    run = runs.shell("exec sleep 60")
    poll = select.poll()
    poll.register(launcher.fileno(), select.POLLIN)
    assert not poll.poll(0)
    process.send(launcher_of(runs, run.shim_pid), signal.SIGKILL)
    assert poll.poll(5000), "a shim holds the launcher's socket"


def test_sigkill_of_the_shim_leaves_no_record_and_recovery_ends_the_tree(runs) -> None:
    run = runs.shell(f"setsid env -i sh -c '{DEAF.replace(chr(39), chr(34))}' & {DEAF}")
    until(lambda: run.text().count("ready") == 2, "both are deaf")
    agent = run.directory.agent()
    below = tree.below([agent]) | {agent}
    assert len(below) >= 3
    kill_shim(run)
    assert run.directory.exit() is None
    assert process.alive(agent)
    began = time.monotonic()
    assert tree.kill_orphans(run.request.run, str(runs.state_dir), grace_ms=GRACE_MS, known=[agent])
    assert time.monotonic() - began < 5
    assert [identity for identity in below if process.alive(identity)] == []


@pytest.mark.parametrize("grace_ms", [0, 60_000])
def test_recovery_leaves_alone_what_another_recoverer_has_started(runs, monkeypatch, grace_ms: int) -> None:
    """The run is taken over while the slower one looks for what is left: after its first look, or before."""
    told: list[object] = []
    monkeypatch.setattr(tree, "terminate", told.append)
    run = runs.shell(DEAF)
    run.says("ready")
    agent = run.directory.agent()
    kill_shim(run)
    assert not tree.kill_orphans(
        run.request.run, str(runs.state_dir), grace_ms=grace_ms, known=[agent], mine=lambda: False
    )
    assert process.alive(agent)
    assert process.stat_of(agent.pid).state != "T"
    assert told == []
    mine = recovery.untaken(run.directory, run.directory.takes() + 1)
    assert mine()
    assert run.directory.write_start(Start(process.current(), 1, 1), take=2)
    assert not mine()


def test_recovery_is_polite_first(runs) -> None:
    run = runs.shell("trap 'echo tidied; exit' TERM; echo ready; kill -STOP $$; while :; do :; done")
    run.says("ready")
    pid = run.agent_pid()
    until(lambda: process.stat_of(pid).state == "T", "the agent is stopped")
    kill_shim(run)
    assert tree.kill_orphans(run.request.run, str(runs.state_dir), grace_ms=60_000)
    assert run.text() == "ready\ntidied\n"


def test_recovery_finds_an_agent_that_cleared_its_environment_by_its_record(runs) -> None:
    run = runs.shell(f"exec env -i /bin/sh -c '{DEAF.replace(chr(39), chr(34))}'")
    run.says("ready")
    agent = run.directory.agent()
    kill_shim(run)
    assert tree.marked(run.request.run, str(runs.state_dir)) == set()
    assert tree.kill_orphans(run.request.run, str(runs.state_dir), grace_ms=0, known=[agent])
    assert not process.alive(agent)


def test_recovery_finds_an_agent_that_its_keeper_had_no_time_to_record(runs) -> None:
    run = runs.shell(f"exec env -i /bin/sh -c '{DEAF.replace(chr(39), chr(34))}'")
    run.says("ready")
    agent = run.directory.agent()
    kill_shim(run)
    start = json.loads(run.path("start").read_text())
    run.path("start").write_text(json.dumps(start | {"agent": None}) + "\n")
    with run.path("stdout").open() as shown, subprocess.Popen(["sleep", "60"], stdin=shown) as reader:
        found = recovery.left_behind(run.directory)
        assert (run.directory.agent(), agent in found) == (None, True)
        assert reader.pid not in {each.pid for each in found}
        reader.kill()
    assert tree.kill_orphans(run.request.run, str(runs.state_dir), grace_ms=0, known=found)


def test_recovery_finds_an_agent_that_has_not_become_its_program(runs) -> None:
    directory = RunDirectory(runs.state_dir / "s/runs/1.1")
    reader, writer = os.pipe()
    if os.fork() == 0:
        directory.create()
        directory.write_start(Start(process.current(), 1, 1))
        if (pid := os.fork()) == 0:
            signal.pause()
        os.write(writer, b"%d" % pid)
        os._exit(0)
    agent = process.identity_of(int(os.read(reader, 20)))
    os.wait()
    try:
        assert recovery.left_behind(directory) == (agent,)
    finally:
        process.send(agent, signal.SIGKILL)


def test_recovery_does_not_touch_a_recycled_pid_or_another_run(runs) -> None:
    mine = runs.shell("echo ready; exec sleep 60")
    other = runs.shell("echo ready; exec sleep 60")
    mine.says("ready")
    other.says("ready")
    agent = other.directory.agent()
    forged = agent._replace(start_time=agent.start_time + 1)
    kill_shim(mine)
    assert tree.kill_orphans(mine.request.run, str(runs.state_dir), grace_ms=GRACE_MS, known=[forged])
    assert process.alive(agent)
    assert process.alive(other.start().identity)


@pytest.mark.parametrize("under", ["", "exec "])
def test_recovery_spares_the_process_that_does_it(under) -> None:
    # Carrying the marker itself, or started by what carries it: an agent whose shim is gone may call a sweep.
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from agentq_cli.host import tree\n"
        "print(tree.kill_orphans('s/9.1', '/state', grace_ms=0))"
    )
    with subprocess.Popen(
        ["/bin/sh", "-c", f'{under}"$@"; exit 0', "sh", sys.executable, "-c", program, str(Path(__file__).parents[2])],
        env={"PATH": os.environ["PATH"], "AGENTQ_RUN": "s/9.1", "AGENTQ_STATE_DIR": "/state"},
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            said, _ = started.communicate(timeout=10)
            assert said == "True\n"
            assert started.returncode == (0 if under else -signal.SIGKILL)
        finally:
            for identity in tree.marked("s/9.1", "/state"):
                process.send(identity, signal.SIGKILL)


def test_recovery_by_steps_never_blocks(runs) -> None:
    run = runs.shell(DEAF)
    run.says("ready")
    kill_shim(run)
    orphans = tree.Orphans(run.request.run, str(runs.state_dir), GRACE_MS)
    assert not orphans.step()
    assert orphans.left
    until(orphans.step, "nothing is left")
    assert orphans.left == set()
