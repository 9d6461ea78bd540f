"""Keepers serve run after run: who keeps what, what is left between two runs, and who may be killed for a run."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from supervised_runs import RunHandle, Runs, until

from agentq_cli.base import procfs
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.host import handing, keeper, kernel, lease_file, process, serving, shim, spawn, tree
from agentq_cli.host.lease_file import Lease
from agentq_cli.host.place import Place
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.host.stop import request_stop
from agentq_cli.model.addresses import RunId
from agentq_cli.supervise import overdue, recovery, strays
from agentq_cli.supervise.watch import Watched

READS = "echo ready; read line < {}; exit {}"


@pytest.fixture
def gate(tmp_path: Path) -> Iterable[Path]:
    """A FIFO that `READS` waits at until something is written."""
    os.mkfifo(tmp_path / "gate")
    held = os.open(tmp_path / "gate", os.O_RDWR)
    yield tmp_path / "gate"
    os.close(held)


def held(runs: Runs, gate: Path, code: int = 0, **changes: object) -> RunHandle:
    run = runs.shell(READS.format(gate, code), **changes)
    run.says("ready")
    return run


def moved_on(runs: Runs, gate: Path, **changes: object) -> tuple[RunHandle, RunHandle]:
    """A run that has ended, and one that its keeper keeps now."""
    first = runs.shell("exit 0", **changes)
    first.ended()
    return first, held(runs, gate)


def kept(run: RunHandle) -> bool:
    return keeper.keeps(run.directory, run.start())


def test_a_keeper_serves_run_after_run_and_its_name_tells_which(runs: Runs, gate: Path) -> None:
    first = held(runs, gate, 3)
    pid = first.shim_pid
    assert (first.start().serves, procfs.name_of(pid)) == (1, "agentq-shim")
    beside = held(runs, gate, 3)
    assert beside.shim_pid != pid, "it kept two at once"
    for run in (first, beside):
        assert kept(run)
        gate.write_text("\n")
    assert [run.ended().exit_code for run in (first, beside)] == [3, 3]
    assert not kept(first)
    assert procfs.name_of(pid) == "agentq-idle"
    second, third = held(runs, gate), held(runs, gate)
    assert {second.shim_pid, third.shim_pid} == {pid, beside.shim_pid}
    assert (second.start().serves, procfs.name_of(second.shim_pid)) == (2, "agentq-shim2")
    assert kept(second)
    assert not kept(first)
    assert keeper.wait(first.directory, first.start(), 0)


def surroundings(pid: int) -> dict[str, object]:
    """What a run could leave behind in its keeper, apart from memory."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    names = ("Umask:", "SigBlk:", "SigIgn:", "Threads:", "CapEff:", "NoNewPrivs:")
    return {
        "status": [line for line in status if line.startswith(names)],
        "descriptors": {name: os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")},
        "directory": os.readlink(f"/proc/{pid}/cwd"),
        "timers": Path(f"/proc/{pid}/timers").read_text(),
        "children": Path(f"/proc/{pid}/task/{pid}/children").read_text(),
        "limits": Path(f"/proc/{pid}/limits").read_text(),
        "oom": Path(f"/proc/{pid}/oom_score_adj").read_text(),
    }


def test_nothing_of_a_run_is_left_in_its_keeper(runs: Runs, tmp_path: Path) -> None:
    first = runs.shell("exit 0")
    first.ended()
    before, pid = surroundings(first.shim_pid), first.shim_pid
    script = tmp_path / "script"
    script.write_text("exec 1>&-; exit 0")
    place = Place(str(runs.state_dir), leased=True)
    lease_file.write(place.lease, Lease(7, procfs.boot_id(), monotonic_ms() + 60_000, 60_000))
    kinds: list[dict[str, object]] = [
        {"umask": 0o777, "cwd": str(tmp_path)},
        {"private_tmp": True, "stdin_text": "a prompt"},
        {"script": str(script)},
        {"check": "exit 1"},
        {"lease": place.lease},
        {"lease": place.lease, "script": str(script), "check": "exit 0"},
        {"cwd": str(tmp_path / "none")},
        {"checkpoint": True, "cwd": str(tmp_path)},
        {"timeout_ms": 1, "output_bytes": 1},
    ]
    for changes in kinds:
        run = runs.launch("/bin/sh", "-c", "setsid sh -c 'trap \"\" TERM; echo x; exit' & exit 0", **changes)
        run.ended()
        assert (run.shim_pid, surroundings(pid)) == (pid, before), changes
    # A void run, and one that another keeper has, are none; but they are counted, and so their names are not reused.
    run.directory.write_void(1)
    runs.send(run.request).shim_ended()
    assert surroundings(pid) == before
    assert runs.shell("exit 0").start().serves == len(kinds) + 3


def test_an_agent_in_the_making_ends_with_its_run_though_no_record_names_it(runs: Runs, tmp_path: Path) -> None:
    """Its keeper is killed between fork and exec: it carries no marker yet, and has the line of the run open."""
    request = runs.request("/bin/touch", str(tmp_path / "ran"), lease=Place(str(runs.state_dir)).lease)
    lease_file.write(request.lease, Lease(7, procfs.boot_id(), monotonic_ms() + 60_000, 60_000))
    line, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        kernel.name_process(keeper.name(1))
        kernel.die_with_parent = lambda _: os.kill(os.getpid(), signal.SIGSTOP)  # type: ignore[assignment]
        shim.keep(request.encode())
        os._exit(1)
    os.close(writer)
    child = until(lambda: [each for each in tree.descendants(pid) if state(each.pid) == "T"], "the agent in the making")
    run = RunHandle(request, line)
    watched = Watched(None, None, run.directory, line=line)  # type: ignore[arg-type]
    watched.check_keeper()
    assert not watched.ended
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not select.select([line], [], [], 0)[0]
    watched.check_keeper()
    assert watched.ended
    known = recovery.left_behind(run.directory)
    assert tree.kill_orphans(request.run, str(runs.state_dir), grace_ms=0, known=known)
    assert not process.alive(child[0])
    run.shim_ended()
    os.close(line)
    assert not (tmp_path / "ran").exists()


def test_a_keeper_that_hangs_before_its_agent_is_reported_as_overdue(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is held where nothing but the hanging file system could let it go on."""
    monkeypatch.setattr(overdue, "grace_ms", lambda *_: 0)
    request = runs.request("/bin/true")
    pid = os.fork()
    if pid == 0:
        kernel.name_process(keeper.name(1))
        spawn.kernel.spawn = lambda *_: os.kill(os.getpid(), signal.SIGSTOP)  # type: ignore[assignment]
        shim.keep(request.encode())
        os._exit(1)
    until(lambda: state(pid) == "T", "it hangs")
    directory = RunDirectory(request.run_dir)
    launch = SimpleNamespace(repository=None, timeout_ms=None)
    task = SimpleNamespace(work=SimpleNamespace(launch=launch))
    find = partial(overdue.find, None, task, directory, None, str(runs.state_dir))
    assert directory.post_stop("cancelled", 1)
    assert find() is None
    os.utime(directory.file("stop"), (1, 1))
    found = find()
    assert found is not None
    assert [each.pid for each in found.left] == [pid]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def state(pid: int) -> str | None:
    stat = process.stat_of(pid)
    return None if stat is None else stat.state


def test_an_idle_keeper_that_was_killed_is_replaced(runs: Runs) -> None:
    first = runs.shell("exit 4")
    assert first.ended().exit_code == 4
    assert process.send(first.start().identity, signal.SIGKILL)
    until(lambda: not process.alive(first.start().identity), "its end")  # What it was given meanwhile never started.
    second = runs.shell("exit 5")
    assert second.ended().exit_code == 5
    assert second.shim_pid != first.shim_pid


def test_an_idle_keeper_that_stands_still_is_replaced_and_holds_no_line(runs: Runs) -> None:
    """It has a part of the request, which is more than its socket holds, and the line with that."""
    first = runs.shell("exit 0")
    first.ended()
    assert process.send(first.start().identity, signal.SIGSTOP)
    until(lambda: state(first.shim_pid) == "T", "it stands still")
    second = runs.launch("/bin/cat", stdin_text="x" * (1 << 20))
    assert second.ended().stdout_bytes == 1 << 20
    assert second.shim_pid != first.shim_pid


def test_nobody_kills_or_stops_a_keeper_for_a_run_that_it_keeps_no_more(runs: Runs, gate: Path) -> None:
    place = Place(str(runs.state_dir))
    directory = place.run_path(RunId("s", 1, 1))
    os.makedirs(os.path.dirname(os.path.dirname(directory)))
    first, second = moved_on(runs, gate, run_dir=directory)
    assert first.shim_pid == second.shim_pid
    assert not keeper.hold(first.directory, first.start())
    assert strays.end(place, RunId("s", 1, 1))
    assert not request_stop(first.directory, reason="cancelled", at=1)
    until(lambda: state(second.shim_pid) == "S", "a keeper that sleeps and is not stopped")
    # With the signal of a stop that comes late: it only looks whether its own run is to end.
    assert process.send(second.start().identity, signal.SIGUSR1)
    gate.write_text("\n")
    assert second.ended().stopped is None
    # One that keeps its run is held, and goes on if it is not killed.
    third = held(runs, gate)
    assert keeper.hold(third.directory, third.start())
    assert state(third.shim_pid) == "T"
    process.send(third.start().identity, signal.SIGCONT)
    gate.write_text("\n")
    assert third.ended().exit_code == 0


def test_a_keeper_that_lets_go_while_it_is_to_be_held_goes_on(
    runs: Runs, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = moved_on(runs, gate)
    answers = iter([True])
    keeps = keeper.keeps
    monkeypatch.setattr(keeper, "keeps", lambda *of: next(answers, None) or keeps(*of))
    assert not keeper.hold(first.directory, first.start())
    gate.write_text("\n")
    assert second.ended().exit_code == 0


def test_an_adopted_run_has_ended_once_its_keeper_has_another(runs: Runs, gate: Path) -> None:
    first = held(runs, gate)
    adopted = Watched(None, None, first.directory)  # type: ignore[arg-type]
    assert adopted._watch_keeper(first.start())
    adopted.check_keeper()
    assert adopted.unannounced
    gate.write_text("\n")
    first.ended()
    second = held(runs, gate)
    assert second.shim_pid == first.shim_pid
    adopted.check_keeper()
    assert adopted.ended
    adopted.close()


def test_the_line_of_a_run_is_held_by_its_keeper_alone(runs: Runs, gate: Path) -> None:
    run = runs.shell(f"sleep 60 & {READS.format(gate, 0)}")
    run.says("ready")
    assert process.send(run.start().identity, signal.SIGKILL)
    run.shim_ended()
    assert run.directory.exit() is None


def test_a_request_that_meets_the_end_of_an_idle_keeper_is_served_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "IDLE_MS", 0)
    reader, writer = os.pipe()
    asked = handing.Asked(b"a request", False, writer)
    ours, theirs = socket.socketpair()

    class Late(socket.socket):
        def shutdown(self, how: int) -> None:
            handing.send(ours, asked)  # after the keeper's last look
            super().shutdown(how)

    late = Late(fileno=theirs.detach())
    found = serving._next(late)
    assert found is not None
    assert found[:2] == asked[:2]
    os.close(found.line)
    monkeypatch.setattr(Late, "shutdown", socket.socket.shutdown)
    assert serving._next(late) is None
    with pytest.raises(BrokenPipeError):
        handing.send(ours, asked)
    # And one that is cut off in the middle is none.
    ours.close(), late.close()
    ours, theirs = socket.socketpair()
    ours.sendall(handing.HEADER.pack(100, False) + b"half")
    ours.close()
    assert handing.receive(theirs) is None
    for each in (reader, writer):
        os.close(each)
    theirs.close()


@pytest.mark.parametrize("most", [1, 2])
def test_a_keeper_is_ready_after_each_run_but_its_last(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Else the launcher could give a request to one that is about to end, and the request would be lost with it."""
    monkeypatch.setattr(serving, "MOST_RUNS", most)
    asked_of: list[int] = []
    monkeypatch.setattr(shim, "keep", lambda _, number: asked_of.append(number) or True)
    # What it does to its own process, which is the test's here.
    monkeypatch.setattr(kernel, "name_process", lambda _: None)
    monkeypatch.setattr(serving, "_reset", lambda *_: None)
    monkeypatch.setattr(serving, "_has_children", lambda: False)
    reader, writer = os.pipe()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for _ in range(most):
            handing.send(ours, handing.Asked(b"a request", False, writer))
        serving._serve(theirs)
        theirs.shutdown(socket.SHUT_WR)
        assert (asked_of, ours.recv(9)) == ([1, 2][:most], serving.READY * (most - 1))
    for each in (reader, writer):
        os.close(each)


def test_an_idle_keeper_ends_with_its_launcher_and_a_busy_one_with_its_run(runs: Runs, gate: Path) -> None:
    busy, idle = held(runs, gate, 6), runs.shell("exit 0")
    idle.ended()
    keepers = [run.start().identity for run in (idle, busy)]
    runs.launcher.close()
    until(lambda: not process.alive(keepers[0]), "the end of the idle one")
    assert kept(busy)
    gate.write_text("\n")
    assert busy.ended().exit_code == 6
    until(lambda: not process.alive(keepers[1]), "the end of the other")
