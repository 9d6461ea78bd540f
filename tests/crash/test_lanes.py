"""Never two agents in one lane, never more than the cap, never two that edit in one directory or in one inside the
other, whoever is killed meanwhile (cases 24, 33).

The agents check themselves: each takes its lane's lock and one lock a slot, which its children hold as well, so that
the kernel frees them only when the whole tree is gone. One that edits locks its directory as well, and shares the locks
of those around it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections import Counter

import pytest
from crash_world import GATED, Started, World, until
from invariants import Expected, rows, violations
from sampling import WIDE, chance

JOBS = 3
LANES = 4
TASKS = 2 * WIDE  # a lane

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

BEFORE_THE_CLAIM = {"role": "supervisor", "after": "SELECT t.session", "match": "BEGIN EXCLUSIVE", "action": "stop"}
"""A supervisor has looked, and has chosen a task."""

PLACES = ("repo", "repo/a", "repo/a/deep", "repo/b")
"""The directories in which agents edit, below the world's."""

EDITOR = (
    """place=$(pwd -P); how=x; fd=7
while [ "$place" != "$(cd "$AGENTQ_STATE_DIR/.." && pwd -P)" ]; do
  eval "exec $fd>\\"\\$AGENTQ_STATE_DIR/../locks/in-$(echo "$place" | tr / _)\\""
  flock -n -$how -E 99 $fd || { [ $? = 99 ] && echo "directory $AGENTQ_RUN" >>"$AGENTQ_STATE_DIR/../bad"; exit 93; }
  place=$(dirname "$place"); how=s; fd=$((fd - 1))
done
"""
    + CHECKED
)

TALKER = """place=$(pwd -P); [ "$place" = / ] || {
  exec 7>"$AGENTQ_STATE_DIR/../locks/in-$(echo "$place" | tr / _)"
  flock -n -E 99 7 || { [ $? = 99 ] && echo "tree $AGENTQ_RUN" >>"$AGENTQ_STATE_DIR/../bad"; exit 93; }
  echo "$AGENTQ_RUN" >>work
}
""" + CHECKED.replace("lane-$AGENTQ_SESSION", "conversation-$1").replace('echo "lane ', 'echo "conversation ')
"""The agent of a pool: its lane is the conversation that it is told to begin or to continue, and its tree."""

POOLS = 2
KEYS = ("a", "a", None, "b")
"""What the tasks of a pool name as their line, in turn; both pools keep two."""


def make_places(world: World, script: str = EDITOR) -> None:
    """What the agents lock, where they edit, the agents that edit and that talk, and the pools."""
    (world.root / "locks").mkdir()
    for place in PLACES:
        (world.root / place).mkdir(parents=True)
    config = world.root / "home" / ".config" / "agentq" / "config.toml"
    config.parent.mkdir(parents=True)
    talking = {"argv": ["sh", "-c", TALKER, "talker"], "fresh": ["{conversation}"], "resume": ["{conversation}"]}
    config.write_text(
        f"[agents.editor]\nargv = {json.dumps(['sh', '-c', script])}\nedits = true\n[agents.talker]\n"
        + "".join(f"{key} = {json.dumps(words)}\n" for key, words in talking.items())
        + "".join(f"[sessions.pool{number}]\nparallel = 2\n" for number in range(POOLS))
    )


def editing(world: World, place: str) -> dict[str, object]:
    """The line of a batch for an agent that edits."""
    return {"agent": "editor", "prompt": "edit", "context": "isolated", "cwd": str(world.root / place)}


def talking(pool: int, number: int) -> dict[str, object]:
    """The line of a batch for an agent that talks in a pool."""
    key = KEYS[(number + pool) % len(KEYS)]
    line = {"session": f"pool{pool}", "agent": "talker", "prompt": "talk", "cwd": "/"}
    return line if key is None else line | {"conversation": key}


def submit_all(world: World) -> list[str]:
    """Tasks for all lanes; their addresses."""
    make_places(world)
    lines: list[dict[str, object]] = []
    for number in range(TASKS):
        lines += [{"session": f"lane{lane}", "cwd": "/", "exec": ["sh", "-c", CHECKED]} for lane in range(LANES)]
        lines += [{"session": f"edit{lane}", **editing(world, PLACES[(number + lane) % 4])} for lane in range(3)]
    lines += [talking(pool, number) for number in range(2 * TASKS) for pool in range(POOLS)]
    return submit_batch(world, lines)


def submit_batch(world: World, lines: list[dict[str, object]]) -> list[str]:
    """The addresses of a batch."""
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


def test_a_line_of_a_pool_has_one_run_whoever_starts_it(world: World) -> None:
    make_places(world)
    addresses = submit_batch(world, [talking(0, number) for number in range(2 * len(KEYS) * WIDE)])
    supervisors = [world.start("run", "--drain", "-j", str(JOBS)) for _ in range(3)]
    for process in supervisors:
        assert process.wait(60).code == 0, process.err.read_text()
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


@pytest.mark.parametrize(
    ("other", "jobs", "place"),
    [("same", "2", None), ("another", "1", None), ("another", "2", "repo/a"), ("another", "2", "link")],
    ids=["lane", "cap", "directory", "link"],
)
def test_what_was_free_at_the_look_is_looked_at_again_under_the_lock(
    world: World, other: str, jobs: str, place: str | None
) -> None:
    """A supervisor stands still between look and claim; meanwhile another one takes the lane, or the last slot, or the
    directory."""
    make_places(world, GATED)
    (world.root / "link").symlink_to("repo/b")

    def submit(session: str, where: str | None, *options: str) -> str:
        if where is None:
            return world.submit("-s", session, *options, script=GATED)
        return world.ok(
            "submit", "-s", session, "-C", str(world.root / where), "-a", "editor", *options, "edit"
        ).strip()

    first = submit(other, place, "--priority", "9")
    world.ok("pause", first)
    submit("same", place and "repo")
    rule = BEFORE_THE_CLAIM
    slow = world.start("run", "--drain", "-j", jobs, crash={"rules": [rule], "count": True})
    until(world.fired, "the slow one's claim")
    points = world.log / f"supervisor.{slow.pid}"
    seen = len(points.read_text())
    world.ok("resume", first)
    fast = world.start("run", "--drain", "-j", jobs)
    until(lambda: world.began(f"{first}.1"), "the faster one's agent")
    os.kill(slow.pid, signal.SIGCONT)
    until(lambda: "(SELECT min(due_at)" in points.read_text()[seen:], "the slow one has nothing to do")
    assert len(json.loads(world.ok("workers", "--json"))["items"]) == 1, "it started a second agent"
    world.open_gate()
    assert (slow.wait().code, fast.wait().code) == (0, 0)
    world.ok("sweep", "--no-wake")
    world.settled()
    assert violations(world, Expected()) == []


def test_a_start_since_the_look_closes_the_stagger_gate_under_the_lock(world: World) -> None:
    """A supervisor stands still between look and claim; meanwhile another one starts a task of another session."""
    config = world.root / "home" / ".config" / "agentq" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[limits]\nstagger = "1h"\n')
    slow_task, fast_task = world.submit("-s", "slow"), world.submit("-s", "fast")
    rule = BEFORE_THE_CLAIM
    slow = world.start("run", "-s", "slow", crash={"rules": [rule]})
    until(world.fired, "the slow one's claim")
    world.ok("run", "--drain", "-s", "fast")
    os.kill(slow.pid, signal.SIGCONT)
    waiting = until(lambda: json.loads(world.ok("show", "--json", slow_task))["waiting_for"], "what it waits for")
    while waiting["kind"] != "gate":
        waiting = json.loads(world.ok("show", "--json", slow_task))["waiting_for"]
        assert waiting is not None, "it was started"
    assert waiting["detail"].startswith("stagger: ")
    os.kill(slow.pid, signal.SIGTERM)
    assert slow.wait().code == 143
    assert [run for word, run in world.effects() if word == "begin"] == [f"{fast_task}.1"]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_lanes_and_cap_hold_while_anybody_is_killed(world: World) -> None:
    addresses = submit_all(world)
    draw = chance("lanes")
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
            world.kill_one(draw.choice(pids))
    for process in (*sweeps, *supervisors):
        process.wait(60)
    nothing_bad(world, addresses)
