"""The runs of a host end with its lease: by their keeper, by the kernel, by the launcher, and by who finds them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest
from supervised_runs import RunHandle, Runs, until

from agentq_cli.agents import verdict
from agentq_cli.base import procfs
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.identity import Identity
from agentq_cli.host import lease_file, process, tree
from agentq_cli.host.lease_file import Lease
from agentq_cli.host.place import Place
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.addresses import RunId
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import FailureClass, RunStatus
from agentq_cli.policy import checked, leases
from agentq_cli.supervise import strays

AHEAD_MS = 600
"""How far ahead the deadline is with each renewal."""

KEEPERS = 12_000
"""A lease so long that the keeper has a second before the kernel."""

KERNELS = 1_200
"""One with which it has a tenth of that."""

TICKING = "import sys, time\nwhile True: print(time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000, flush=True); "
TICKING += "time.sleep(0.005)"
"""Prints the milliseconds of the clock that leases count in."""

TOOLS = f"""
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
tool = [sys.executable, "-I", "-S", "-c", {TICKING!r}]
subprocess.Popen(tool, start_new_session=True)
subprocess.Popen(tool, start_new_session=True, env={{}})
"""
TREE = TOOLS + TICKING
"""An agent that is deaf, with a tool in a session of its own and one that has cleared its environment too."""

ANOTHER_USER = "os.getuid() or os.setuid(65534)\n"
"""With it the kernel forgets with whom a process was to die."""


class Host:
    """A host whose lease is renewed all the time, until it is lost."""

    def __init__(self, runs: Runs, lease_ms: int) -> None:
        self.place = Place(str(runs.state_dir), leased=True)
        self.lease_ms = lease_ms
        self.deadline = 0
        self._lost = threading.Event()
        self._renewals = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Host:
        self.renew()
        self._renewals.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.lose()

    def renew(self, *, host: int = 7, ahead_ms: int = AHEAD_MS) -> None:
        self.deadline = monotonic_ms() + ahead_ms
        lease_file.write(self.place.lease, Lease(host, procfs.boot_id(), self.deadline, self.lease_ms))

    def lose(self) -> None:
        self._lost.set()
        self._renewals.join()

    def _renew(self) -> None:
        while not self._lost.wait(0.03):
            self.renew()


def launched(runs: Runs, host: Host, program: str = TREE, **changes: object) -> RunHandle:
    """A run of the host, in the place of its first run."""
    directory = host.place.run_path(RunId("s", 1, 1))
    os.makedirs(os.path.dirname(os.path.dirname(directory)))
    return runs.python(program, lease=host.place.lease, run_dir=directory, **changes)


def whole_tree(run: RunHandle) -> set[Identity]:
    """The agent of `TREE` and its tools, once they are there."""
    agent = until(run.directory.agent, "the agent")
    return until(lambda: len(found := tree.descendants(agent.pid)) == 2 and found, "both tools") | {agent}


def all_dead(processes: Iterable[Identity]) -> None:
    until(lambda: not any(map(process.alive, processes)), "the end of all of it")


def last_line(run: RunHandle) -> int:
    return int((run.text().split("\n")[:-1] or ["0"])[-1])


def launcher_of(run: RunHandle) -> Identity:
    stat = process.stat_of(run.shim_pid)
    found = stat and process.identity_of(stat.parent)
    assert found
    return found


def stop(run: RunHandle) -> None:
    """Stop the keeper, which then cannot keep the deadline."""
    process.send(run.start().identity, signal.SIGSTOP)
    until(lambda: process.stat_of(run.shim_pid).state == "T", "the keeper is stopped")


def test_the_keeper_kills_everything_at_the_deadline_and_nothing_while_that_moves(runs: Runs) -> None:
    with Host(runs, KEEPERS) as host:
        run = launched(runs, host)
        first = host.deadline
        until(lambda: last_line(run) > first + AHEAD_MS, "a life longer than two deadlines")
        everything = whole_tree(run)
    record = run.ended()
    assert (record.stopped, record.exit_code, record.signal, record.error) == ("lease", None, None, None)
    # Recorded before the killing, it tells the reason also if the kernel's timer is faster than the keeper.
    told = RunDirectory(str(run.path("stdout").parent)).stop()
    assert told is not None and told.reason == "lease"
    all_dead(everything)
    assert host.deadline - AHEAD_MS < last_line(run) < leases.kernel_at(host.deadline, KEEPERS)
    assert record.stdout_bytes == run.path("stdout").stat().st_size


def test_a_keeper_that_is_stopped_dies_with_its_agent_whoever_else_is_dead(runs: Runs) -> None:
    with Host(runs, KERNELS) as host:
        run = launched(runs, host, TICKING)
        agent = process.identity_of(run.agent_pid())
        process.send(launcher_of(run), signal.SIGKILL)
        stop(run)
        until(lambda: last_line(run) > host.deadline - AHEAD_MS, "it goes on")
    run.shim_ended()
    assert run.directory.exit() is None
    all_dead([agent])
    assert host.deadline - AHEAD_MS < last_line(run)


def test_the_launcher_outlives_its_supervisor_and_kills_what_a_dead_keeper_leaves(runs: Runs) -> None:
    with Host(runs, KERNELS) as host:
        run = launched(runs, host, TOOLS + ANOTHER_USER + TICKING)
        launcher = launcher_of(run)
        everything = whole_tree(run)
        runs.launcher.close()
        stop(run)
        assert all(map(process.alive, [launcher, *everything]))
    all_dead([*everything, launcher])
    assert run.directory.exit() is None


def test_who_finds_a_run_that_is_none_of_this_host_kills_it_and_no_other(runs: Runs) -> None:
    with Host(runs, KEEPERS) as host:
        run = launched(runs, host)
        everything = whole_tree(run) | {run.start().identity}
        own = SimpleNamespace(id=RunId("s", 1, 1), elsewhere=False)
        queue = SimpleNamespace(here=host.place, workers=lambda: [own])
        assert list(strays.end_unknown(queue)) == []
        assert all(map(process.alive, everything))
        own.elsewhere = True
        assert list(strays.end_unknown(queue)) == [own.id]
        assert not any(map(process.alive, everything))


@pytest.mark.parametrize("stage", ["script", "check"])
def test_the_deadline_ends_every_stage_and_a_new_host_of_the_machine_does_not_move_it(
    runs: Runs, tmp_path: Path, stage: str
) -> None:
    script = tmp_path / "script"
    script.write_text("echo ready; exec sleep 60")
    asked = {"script": str(script)} if stage == "script" else {"check": "echo ready; exec sleep 60"}
    with Host(runs, KEEPERS) as host:
        run = launched(runs, host, "", **asked)
        until(lambda: "ready" in run.text({"script": "script.stdout"}.get(stage, stage)), f"the {stage}")
    host.renew(host=8, ahead_ms=60_000)
    record = run.ended()
    assert (record.stopped, record.check, record.exit_code) == ("lease", None, None if stage == "script" else 0)
    assert verdict.outcome(record, None).failure_class is FailureClass.CRASHED
    said = Outcome(RunStatus.SUCCESS, finished_at=0, duration_ms=0)  # by the agent, before the check
    assert checked.judged(said, None, "check", stopped=record.stopped).status is RunStatus.CRASHED


@pytest.mark.parametrize(
    "text", ["", "{}", '{"host": 7, "boot": "another", "deadline": 1099511627776, "lease_ms": 60000}', None]
)
def test_without_a_lease_that_holds_a_keeper_starts_nothing(runs: Runs, text: str | None) -> None:
    place = Place(str(runs.state_dir), leased=True)
    if text is None:
        lease_file.write(place.lease, Lease(7, procfs.boot_id(), monotonic_ms(), KEEPERS))
    else:
        Path(place.lease).write_text(text)
    run = runs.shell("exit 0", lease=place.lease)
    run.shim_ended()
    assert not run.path("").exists()


def test_a_late_writer_does_not_take_a_lease_back(runs: Runs) -> None:
    place = Place(str(runs.state_dir), leased=True)
    first, second = (Lease(7, procfs.boot_id(), at, KEEPERS) for at in (1000, 2000))
    for each in (second, first):
        lease_file.write(place.lease, each)
    assert lease_file.read(place.lease) == second
    lease_file.write(place.lease, first._replace(host=8))
    assert lease_file.read(place.lease) == first._replace(host=8)
