"""What a run prints on one machine is read on another: while it goes on, when it has ended, and nothing once it was
lost."""

from __future__ import annotations

import pytest
from fleet_machines import LEASE, Fleet, Machine
from queue_driver import command, finish, start, submit

from agentq_cli.base.clock import rfc3339
from agentq_cli.config.configuration import Config
from agentq_cli.engines.fleet import logs, storing
from agentq_cli.host.output import OutputReader
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.addresses import RunId
from agentq_cli.model.checkpoints import Checkpoint
from agentq_cli.top.tails import Tails


@pytest.fixture
def machines(fleet: Fleet) -> tuple[Machine, Machine]:
    a, b = fleet.machine("a"), fleet.machine("b")
    a.join()
    return a, b


def started(a: Machine) -> tuple[RunId, RunDirectory]:
    (address,) = submit(a.queue, command("s"))
    run = start(a.queue, address, supervisor=a.identity)
    directory = a.queue.here.run(run)
    (a.state_dir / directory.path).parent.mkdir(parents=True, exist_ok=True)
    directory.create()
    return run, directory


def print_to(directory: RunDirectory, stream: str, text: bytes) -> None:
    with open(directory.file(stream), "ab") as file:
        file.write(text)


def read(of: Machine, run: RunId, stream: str = "stdout") -> bytes:
    return b"".join(of.queue.output(run, stream).whole())


def test_another_machine_reads_what_is_stored_and_the_host_its_files(
    machines: tuple[Machine, Machine], fleet: Fleet
) -> None:
    a, b = machines
    run, directory = started(a)
    follower = b.queue.output(run, "stdout")
    assert (follower.read(), follower.size(), follower.ended) == (b"", 0, False)
    assert a.queue.put_output(run, directory) == storing.FOLLOWED_MS
    lines = b"".join(b"%09d\n" % number for number in range(20_000))
    print_to(directory, "stdout", lines)
    print_to(directory, "stderr", b"and an error\n")
    print_to(directory, "check", b"checked\n")
    print_to(directory, "prompt", "Grüße".encode())
    directory.write_checkpoint(Checkpoint("/src", head_before="1" * 40))
    for stream in ("stage", "stages"):
        assert read(b, run, stream) == b""
    assert isinstance(a.queue.output(run, "stdout"), OutputReader)
    assert a.queue.put_output(run, directory) == storing.FOLLOWED_MS
    assert b"".join(follower.whole()) == lines
    assert (read(b, run, "stderr"), read(b, run, "check")) == (b"and an error\n", b"checked\n")
    here, there = a.queue.files(run), b.queue.files(run)
    assert (here.path, there.path) == (directory.path, None)
    for files in (here, there):
        assert files.prompt() == "Grüße"
        assert files.checkpoint() == directory.checkpoint() is not None
        assert files.made() is None
    assert b.queue.output(run, "stdout").tail(2).offset == len(lines) - 20
    assert b.queue.output(run, "stdout").last(10) == "000019999\n"

    print_to(directory, "stdout", b"the last word\n")
    assert a.queue.put_output(run, directory, over=True) is None
    assert finish(a.queue, run) is not None
    assert follower.ended
    assert follower.read() == b"the last word\n"
    assert a.queue.files(run).path == directory.path
    assert read(a, run) == read(b, run) == lines + b"the last word\n"
    b.queue.prune(run.address)
    assert fleet.ask("SELECT count(*) FROM agentq.log_chunks") == [(0,)]


def test_once_a_host_is_lost_nothing_of_its_runs_is_stored(machines: tuple[Machine, Machine]) -> None:
    a, b = machines
    run, directory = started(a)
    print_to(directory, "stdout", b"before\n")
    a.queue.put_output(run, directory)
    b.join(), b.renew()
    b.now = LEASE
    assert [each.run for each in b.rescue()] == [None, run]
    print_to(directory, "stdout", b"after\n")
    assert a.queue.put_output(run, directory, over=True) is None
    assert read(b, run) == b"before\n"
    assert b.queue.output(run, "stdout").ended


def test_a_new_supervisor_goes_on_storing(machines: tuple[Machine, Machine]) -> None:
    a, b = machines
    run, directory = started(a)
    print_to(directory, "stages", b"")
    a.queue.put_output(run, directory)
    assert b.queue.files(run).stage() == a.queue.files(run).stage() == "tree"
    a.queue._storing.clear()
    print_to(directory, "stdout", b"one\n")
    a.queue.put_output(run, directory)
    assert b.queue.files(run).stage() is None
    a.queue._storing.clear()
    print_to(directory, "stdout", b"two\n")
    a.queue.put_output(run, directory, over=True)
    assert read(b, run) == b"one\ntwo\n"


def test_the_screen_shows_the_last_line_of_a_run_elsewhere(machines: tuple[Machine, Machine]) -> None:
    a, b = machines
    run, directory = started(a)
    tails = Tails(b.queue, Config(path=""))
    item = {"run": str(run), "started_at": rfc3339(b.queue.now)}
    for last in ("one", "two"):
        print_to(directory, "stdout", f"{last}\n".encode())
        a.queue._storing.clear()
        a.queue.put_output(run, directory)
        assert [each["last_line"] for each in tails.update([item])] == [last]
    tails.close()


def test_output_is_stored_at_once_while_somebody_follows(
    machines: tuple[Machine, Machine], fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every two seconds otherwise, and the first line after a silence at once in any case."""
    a, b = machines
    run, directory = started(a)
    clock = [10**6]
    for module in (logs, storing):
        monkeypatch.setattr(module, "monotonic_ms", lambda: clock[0])

    def stored_after() -> int:
        """How long a line takes that is printed now."""
        print_to(directory, "stdout", b"x\n")
        size = OutputReader(directory, "stdout").size()
        began = clock[0]
        while stored() < size:
            after = a.queue.put_output(run, directory)
            assert after is not None
            clock[0] += after if stored() < size else 0
        return clock[0] - began

    def stored() -> int:
        return int(fleet.ask('SELECT coalesce(max("offset" + size), 0) FROM agentq.log_chunks')[0][0])

    assert [stored_after(), stored_after()] == [0, storing.UNFOLLOWED_MS]
    follower = b.queue.output(run, "stdout")
    follower.read()
    assert fleet.ask("SELECT followed_at FROM agentq.workers") == [(None,)], "who looks once does not follow"
    clock[0] += logs.FIRST_MS
    follower.read(), follower.read()
    (marked,) = fleet.ask("SELECT followed_at FROM agentq.workers")
    assert marked[0] is not None
    clock[0] += storing.UNFOLLOWED_MS
    assert [stored_after() for _ in range(3)] == [0, storing.FOLLOWED_MS, storing.FOLLOWED_MS]
