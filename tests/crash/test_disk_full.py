"""A disk that fills up, at submit and while agents run (case 7). Needs the right to mount a small tmpfs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crash_world import GATED, Started, World, until
from invariants import Expected, violations

SIZE = 3 << 20
FLOOD = 'cd "$AGENTQ_STATE_DIR/.."; read line <valve; head -c 8388608 /dev/zero; echo $? >>flooded'


@pytest.fixture
def small_disk(world: World) -> Iterator[World]:
    """A world whose state dir is a file system of 3 MiB."""
    world.state.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "none", str(world.state)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted: {mounted.stderr.strip()}")
    yield world
    world.open_gate()
    world.close()
    until(lambda: not list(world.processes()), "the end of every process")
    subprocess.run(["umount", "--lazy", str(world.state)], check=True)


def fill(world: World) -> Path:
    """Take all the room that is left; remove the file to give it back."""
    filler = world.state / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return filler


def statuses(world: World) -> dict[str, str]:
    """Status by address."""
    return {task["id"]: task["status"] for task in json.loads(world.ok("list", "--all", "--json"))["items"]}


@pytest.mark.parametrize("session", ["old", "new"])
def test_a_submit_on_a_full_disk_stores_nothing_and_says_so(small_disk: World, session: str) -> None:
    world = small_disk
    world.submit("-s", "old")
    filler = fill(world)
    refused = world.agentq("submit", "-C", "/", "-s", session, "--exec", "--", "true")
    assert refused.code not in (0, 70) and refused.out == ""
    assert refused.err.count("\n") == 1 and "space" in refused.err
    assert statuses(world) == {"old/1": "queued"}
    filler.unlink()
    assert world.submit("-s", session) == ("old/2" if session == "old" else "new/1")
    world.ok("run", "--drain")
    world.ok("sweep", "--no-wake")
    assert violations(world, Expected(counts=frozenset({2}))) == []


def test_a_batch_on_a_full_disk_stores_nothing(small_disk: World) -> None:
    world = small_disk
    world.submit("-s", "a")
    world.submit("-s", "b")
    batch = world.root / "batch.jsonl"
    batch.write_text('{"session": "a", "exec": ["true"]}\n{"session": "b", "exec": ["true"]}\n' * 5)
    filler = fill(world)
    refused = world.agentq("submit", "--batch", str(batch))
    assert refused.code not in (0, 70) and refused.out == ""
    filler.unlink()
    world.ok("sweep", "--no-wake")
    world.ok("run", "--drain")
    assert violations(world, Expected(counts=frozenset({2}))) == []


@pytest.mark.parametrize("supervised", [True, False])
def test_a_disk_that_an_agent_fills_fails_its_run_and_not_the_queue(small_disk: World, supervised: bool) -> None:
    world = small_disk
    os.mkfifo(world.root / "valve")
    world.submit("-s", "flood", script=FLOOD)
    world.submit("-s", "flood")
    world.submit("-s", "other", script=GATED)
    supervisor = world.start("run", "-j", "2")
    until(lambda: world.began("other/1.1"), "the other agent")
    (world.root / "valve").write_text("\n")
    until(lambda: (world.root / "flooded").exists(), "the full disk")
    until(lambda: world.record("flood/1.1", "exit"), "its exit record, for which there is room in spite of it")
    if not supervised:
        supervisor.kill()
    assert statuses(world)["other/1"] == "running"
    (world.state / "sessions/flood/runs/1.1/stdout").unlink()
    # A supervisor that reads it at this moment holds its blocks until it closes it.
    until(lambda: os.statvfs(world.root).f_bavail, "room on the disk")
    world.open_gate()
    if not supervised:
        supervisor = world.start("run", "-j", "2")
    until(lambda: set(statuses(world).values()) <= {"completed", "failed"}, "all ends")
    assert statuses(world) == {"flood/1": "failed", "flood/2": "completed", "other/1": "completed"}
    in_order_after(world, supervisor)
    ((error, status),) = [(run["error"], run["status"]) for run in runs(world) if run["task"] == "flood/1"]
    assert "no space left" in error and status == "error"


def test_a_run_that_ends_on_a_full_disk_is_failed_and_settled_once_there_is_room(small_disk: World) -> None:
    world = small_disk
    world.submit("-s", "s", script=GATED)
    world.submit("-s", "s")
    supervisor = world.start("run", "-j", "1")
    until(lambda: world.began("s/1.1"), "the agent")
    filler = fill(world)
    world.open_gate()
    until(lambda: world.record("s/1.1", "exit"), "its exit record")
    assert world.effects() == [("begin", "s/1.1"), ("end", "s/1.1")], "something was started without room to record it"
    filler.unlink()
    until(lambda: set(statuses(world).values()) <= {"completed", "failed"}, "all ends")
    assert statuses(world) == {"s/1": "failed", "s/2": "completed"}
    in_order_after(world, supervisor)


def runs(world: World) -> list[dict[str, Any]]:
    """The audit log."""
    return list(json.loads(world.ok("runs", "--json"))["items"])


def in_order_after(world: World, supervisor: Started) -> None:
    """The supervisor goes when it is told to, and all invariants hold."""
    os.kill(supervisor.pid, signal.SIGTERM)
    assert supervisor.wait().code == 143, supervisor.err.read_text()
    world.ok("sweep", "--no-wake")
    assert violations(world, Expected(frozenset({"completed", "failed"}), strict=False)) == []
