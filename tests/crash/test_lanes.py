"""Never two agents in one lane, never more than the cap, whoever is killed meanwhile (cases 24, 33).

The agents check themselves: each takes its lane's lock and one lock a slot, which its children hold as well, so that
the kernel frees them only when the whole tree is gone.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter

import pytest
from crash_world import Started, World, until
from invariants import Expected, rows, violations

JOBS = 3
LANES = 4
TASKS = 5  # a lane
SEED = 24

# 99 is "somebody else holds it"; a flock that was itself killed says nothing about that.
CHECKED = """cd "$AGENTQ_STATE_DIR/.." || exit 90
exec 9>"locks/lane-$AGENTQ_SESSION"
[ "$AGENTQ_SESSION" = default ] || flock -n -E 99 9 || {
  [ $? = 99 ] && echo "lane $AGENTQ_RUN" >>bad; exit 91; }
held=99
for slot in 1 2 3; do
  exec 8>"locks/slot-$slot"; flock -n -E 99 8; held=$?
  [ $held = 99 ] || break
done
[ $held = 0 ] || { [ $held = 99 ] && echo "cap $AGENTQ_RUN" >>bad; exit 92; }
echo "begin $AGENTQ_RUN" >>effects
sleep 0.05 &
setsid sleep 0.1 &
wait
echo "end $AGENTQ_RUN" >>effects"""


def submit_all(world: World) -> list[str]:
    """Tasks for all lanes; their addresses."""
    (world.root / "locks").mkdir()
    lines = [{"session": f"lane{lane}", "cwd": "/", "exec": ["sh", "-c", CHECKED]} for lane in range(LANES)] * TASKS
    batch = world.root / "batch.jsonl"
    batch.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return world.ok("submit", "--batch", str(batch)).split()


def all_ended(world: World) -> bool:
    """Whether no task is live any more."""
    (row,) = rows(world.state / "agentq.db", "SELECT count(*) AS live FROM tasks WHERE ended_at IS NULL")
    return not row["live"]


def nothing_bad(world: World, addresses: list[str]) -> None:
    """No lane and no cap was broken, every task has ended, every run is accounted for."""
    world.ok("sweep", "--no-wake")
    world.settled()
    bad = world.root / "bad"
    assert not bad.exists(), bad.read_text()
    expected = Expected(frozenset({"completed", "failed"}), strict=False, counts=frozenset({len(addresses)}))
    assert violations(world, expected) == []
    assert max(Counter(run for word, run in world.effects() if word == "begin").values()) == 1


def test_ten_sweeps_and_three_runs_at_once_start_each_task_once(world: World) -> None:
    addresses = submit_all(world)
    supervisors = [world.start("run", "--drain", "-j", str(JOBS)) for _ in range(3)]
    sweeps = [world.start("sweep", "--no-wake") for _ in range(10)]
    for process in (*sweeps, *supervisors):
        assert process.wait(60).code == 0, process.err.read_text()
    assert {run for word, run in world.effects() if word == "end"} == {f"{address}.1" for address in addresses}
    nothing_bad(world, addresses)


def test_ten_sweeps_wake_one_supervisor(world: World) -> None:
    world.submit(script=CHECKED.replace("sleep 0.05", "read line <gate"))
    (world.root / "locks").mkdir()
    sweeps = [world.start("sweep") for _ in range(10)]
    for process in sweeps:
        assert process.wait(60).code == 0
    assert sum("started supervisor" in process.out.read_text() for process in sweeps) == 1
    world.open_gate()
    until(lambda: all_ended(world), "the task's end")


@pytest.mark.timeout(240)
def test_lanes_and_cap_hold_while_anybody_is_killed(world: World) -> None:
    addresses = submit_all(world)
    chance = random.Random(SEED)
    supervisors: list[Started] = []
    sweeps: list[Started] = []
    seen = 0
    while not all_ended(world):
        supervisors = [process for process in supervisors if not process.gone()]
        sweeps = [process for process in sweeps if not process.gone()]
        supervisors += [world.start("run", "--drain", "-j", str(JOBS)) for _ in range(3 - len(supervisors))]
        sweeps += [world.start("sweep", "--no-wake") for _ in range(10 - len(sweeps))] if len(sweeps) < 5 else []
        # A kill each time that something has happened, so that it goes on as fast as the machine does.
        with contextlib.suppress(TimeoutError):
            until(lambda before=seen: len(world.effects()) > before, "an effect", 2)
        seen = len(world.effects())
        if pids := sorted(world.processes()):
            world.kill_one(chance.choice(pids))
    for process in (*sweeps, *supervisors):
        process.wait(60)
    nothing_bad(world, addresses)
