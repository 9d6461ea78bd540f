"""SIGKILL, SIGSTOP and a reboot with agents running, and the way back (cases 24, 26, 28, 29, 31)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crash_world import GATED, QUICK, Started, World, until
from invariants import Expected, reading, rows, violations
from scenarios import recover

from agentq_cli.host import record_files

# Ends with a code of its own, prints more than a page, and waits in between.
CODED = """cd "$AGENTQ_STATE_DIR/.." && echo "begin $AGENTQ_RUN" >>effects && seq 3000
[ -e opened ] || read line <gate
seq 3001 4000; echo "end $AGENTQ_RUN" >>effects; exit {code}"""
WHOLE = "".join(f"{number}\n" for number in range(1, 4001))
CODES = (0, 3, 70, 0)
FOUR = tuple(f"s{number}/1.1" for number in range(4))


def items(world: World, *argv: str) -> list[dict[str, Any]]:
    """The items that a reading command shows."""
    return list(json.loads(world.ok(*argv, "--json"))["items"])


def status(world: World, address: str) -> str:
    """A task's status."""
    return str(json.loads(world.ok("show", address, "--json"))["status"])


def runs(world: World) -> dict[str, dict[str, Any]]:
    """The audit log by run."""
    return {run["id"]: run for run in items(world, "runs")}


def kill(world: World, run: str, *records: str) -> None:
    """SIGKILL what the records of a run name, and wait until it is gone."""
    pids = [world.pid(run, name) for name in records]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        until(lambda pid=pid: gone(pid), f"the end of {pid}")


def gone(pid: int) -> bool:
    """Whether no process of that pid runs."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def stopped(pid: int) -> bool:
    """Whether a process stands still."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def four_running(world: World) -> Started:
    """A supervisor with four agents that wait at the gate."""
    for number, code in enumerate(CODES):
        world.submit("-s", f"s{number}", script=CODED.format(code=code))
    supervisor = world.start("run", "-j", "4")
    until(lambda: all(world.began(run) for run in FOUR), "four agents")
    return supervisor


def true_ends(world: World) -> None:
    """All four have their own exit code, their whole output, one run, and were adopted or settled."""
    found = runs(world)
    assert set(found) == set(FOUR)
    for run, code in zip(FOUR, CODES, strict=True):
        assert found[run]["exit_code"] == code
        assert found[run]["status"] == ("success" if code == 0 else "error")
        assert status(world, run.partition(".")[0]) == ("failed" if code else "completed")
        assert world.ok("logs", run) == WHOLE
        assert found[run]["stdout_bytes"] == len(WHOLE)


def in_order(world: World, *statuses: str, strict: bool = False) -> None:
    """All invariants hold once everything has been looked after."""
    world.open_gate()
    world.ok("sweep", "--no-wake")
    world.settled()
    assert violations(world, Expected(frozenset(statuses), strict=strict)) == []


# The supervisor alone


def test_a_new_run_adopts_four_agents_of_a_killed_supervisor(world: World) -> None:
    four_running(world).kill()
    agents = [world.pid(run, "agent") for run in FOUR]
    second = world.start("run", "--drain")
    until(lambda: second.out.read_text().count("adopt") == 4, "four adoptions")
    assert not any(gone(pid) for pid in agents), "an agent did not live on"
    assert {worker["state"] for worker in items(world, "workers")} == {"adopted"}
    world.open_gate()
    assert second.wait().code == 1, "two of the tasks failed"
    true_ends(world)
    assert all(run["adopted"] for run in runs(world).values())
    in_order(world, "completed", "failed")


def test_sweeps_alone_settle_four_agents_of_a_killed_supervisor(world: World) -> None:
    four_running(world).kill()
    agents = [world.pid(run, "agent") for run in FOUR]
    for _ in range(3):
        world.ok("sweep", "--no-wake")
    assert not any(gone(pid) for pid in agents), "an agent did not live on"
    assert {worker["state"] for worker in items(world, "workers")} == {"orphaned"}
    world.open_gate()
    until(lambda: all(world.record(run, "exit") for run in FOUR), "four exit records")
    world.ok("sweep", "--no-wake")
    true_ends(world)
    in_order(world, "completed", "failed")


def test_a_supervisor_that_is_told_to_go_leaves_its_agents_to_the_next(world: World) -> None:
    supervisor = four_running(world)
    os.kill(supervisor.pid, signal.SIGTERM)
    assert supervisor.wait().code == 143
    assert not items(world, "workers") or {worker["state"] for worker in items(world, "workers")} == {"orphaned"}
    second = world.start("run", "--drain")
    until(lambda: second.out.read_text().count("adopt") == 4, "four adoptions")
    world.open_gate()
    assert second.wait().code == 1
    true_ends(world)
    in_order(world, "completed", "failed")


# Everything: a reboot


def reboot(world: World) -> None:
    """Everything is gone, and whatever names a process names one of an earlier boot."""
    for pid in world.processes():
        world.kill_one(pid)
    world.settled()
    with reading(world.state / "agentq.db") as index:
        for table in ("workers", "supervisors"):
            index.execute(f"UPDATE {table} SET boot_id = 'an-earlier-boot'")
        index.commit()
    for path in world.state.glob("sessions/*/runs/*/start"):
        path.write_text(json.dumps(record_files.load(str(path)) | {"boot_id": "an-earlier-boot"}))


@pytest.mark.parametrize("recovery", [("run", "--drain"), ("sweep", "--no-wake")])
def test_after_a_reboot_runs_have_crashed_unless_their_end_is_on_record(
    world: World, recovery: tuple[str, ...]
) -> None:
    supervisor = four_running(world)
    until(lambda: world.pid(FOUR[3], "start"), "the start record")
    supervisor.kill()
    # One agent ends while nobody watches: its record is on disk when the power goes.
    agent = world.pid(FOUR[3], "agent")
    os.kill(agent, signal.SIGTERM)
    until(lambda: world.record(FOUR[3], "exit"), "the exit record")
    reboot(world)
    assert world.agentq(*recovery).code in (0, 1)
    found = runs(world)
    for run in FOUR[:3]:
        assert (found[run]["status"], found[run]["failure_class"]) == ("crashed", "crashed")
        assert "restarted" in found[run]["error"]
    assert (found[FOUR[3]]["status"], found[FOUR[3]]["signal"]) == ("error", "SIGTERM")
    in_order(world, "failed")


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("later", ["in this boot", "in the next boot"])
def test_a_pid_that_was_recycled_is_neither_believed_nor_signalled(
    world: World, bystander: subprocess.Popen[bytes], later: str
) -> None:
    world.submit("-s", "s", script=GATED)
    supervisor = world.start("run")
    until(lambda: world.began("s/1.1"), "the agent")
    supervisor.kill()
    kill(world, "s/1.1", "start", "agent")
    world.settled()
    # Both pids belong to the bystander now; in another boot even its start time is the same.
    forged: dict[str, object] = {"pid": bystander.pid}
    if later == "in the next boot":
        stat = Path(f"/proc/{bystander.pid}/stat").read_text()
        forged |= {"start_time": int(stat.rpartition(")")[2].split()[19]), "boot_id": "an-earlier-boot"}
    path = world.state / "sessions/s/runs/1.1/start"
    start = json.loads(path.read_text())
    path.write_text(json.dumps(start | forged | {"agent": start["agent"] | forged}) + "\n")
    world.ok("sweep", "--no-wake")
    assert runs(world)["s/1.1"]["status"] == "crashed"
    assert bystander.poll() is None, "somebody else's process was signalled"


def test_an_empty_or_torn_exit_record_counts_as_none(world: World) -> None:
    torn = {"a": "", "b": "{", "c": '{"exit_code": 0}', "d": "null", "e": "\0\0\0\0"}
    for session in torn:
        world.submit("-s", session, script=GATED)
    supervisor = world.start("run", "-j", str(len(torn)))
    until(lambda: all(world.began(f"{session}/1.1") for session in torn), "the agents")
    supervisor.kill()
    for session in torn:
        kill(world, f"{session}/1.1", "start", "agent")
    world.settled()
    for session, content in torn.items():
        (world.state / "sessions" / session / "runs/1.1/exit").write_text(content)
    world.ok("sweep", "--no-wake")
    ended = {run: (found["status"], found["exit_code"]) for run, found in runs(world).items()}
    assert ended == {f"{session}/1.1": ("crashed", None) for session in torn}
    in_order(world, "failed")


# The shim alone

STUBBORN = """cd "$AGENTQ_STATE_DIR/.." || exit; exec 9>lane; flock -n 9 || echo overlap >>bad
echo "begin $AGENTQ_RUN" >>effects
trap 'echo term >>told' TERM
setsid sh -c 'trap "" TERM; echo $$ >child; read line <gate' &
echo ready >>ready
while :; do read line <gate; done"""


@pytest.mark.parametrize("watched", [True, False])
def test_what_a_killed_shim_leaves_is_ended_before_slot_and_session_are_free(world: World, watched: bool) -> None:
    world.submit("-s", "s", "--grace", "500ms", script=STUBBORN)
    world.submit("-s", "s", script='cd "$AGENTQ_STATE_DIR/.."; exec 9>lane; flock -n 9 || echo overlap >>bad; ' + QUICK)
    supervisor = world.start("run", "-j", "1")
    until(lambda: (world.root / "ready").exists() and (world.root / "child").exists(), "the agent and its child")
    child = int(until((world.root / "child").read_text, "the child's pid"))
    agent = world.pid("s/1.1", "agent")
    if not watched:
        supervisor.kill()
    kill(world, "s/1.1", "start")
    if not watched:
        world.ok("sweep", "--no-wake")
        assert gone(agent) and gone(child), "the sweep freed the session with the tree alive"
        assert status(world, "s/1") == "failed"
        supervisor = world.start("run", "-j", "1")
    until(lambda: ("end", "s/2.1") in world.effects(), "the next task of the session")
    assert gone(agent) and gone(child)
    assert (world.root / "told").exists(), "it was not asked before it was killed"
    assert not (world.root / "bad").exists(), "the session was freed with the tree alive"
    assert runs(world)["s/1.1"]["status"] == "crashed"
    until(lambda: status(world, "s/2") == "completed", "the end of the next task")
    os.kill(supervisor.pid, signal.SIGTERM)
    supervisor.wait()
    in_order(world, "failed", "completed")


# A launcher that is late or lost


@pytest.mark.parametrize(("role", "point"), [("launcher", "fork"), ("shim", "born"), ("shim", "link")])
def test_void_beats_a_late_shim(world: World, role: str, point: str) -> None:
    rule = {"role": role, "match": point, "action": "stop"}
    world.submit("-s", "s")
    supervisor = world.start("run", crash={"rules": [rule]})
    frozen = int(until(world.fired, f"the {role} at {point}").split()[0])
    until(lambda: stopped(frozen), "it stands still")
    supervisor.kill()
    swept = world.ok("sweep", "--no-wake")
    assert "undo" in swept
    task = json.loads(world.ok("show", "s/1", "--json"))
    assert (task["status"], task["attempts"], task["last_run"]) == ("queued", 0, None)
    os.kill(frozen, signal.SIGCONT)
    until(lambda: gone(frozen), "the late one's end")
    world.settled()
    assert world.effects() == [], "it started something"
    world.ok("run", "--drain")
    assert world.effects() == [("begin", "s/1.2"), ("end", "s/1.2")]
    in_order(world, "completed", strict=True)


def test_a_shim_of_a_lost_launcher_is_watched_without_polling(world: World) -> None:
    """The launcher is killed once it has forked: the run is asked for again, and the first shim has it."""
    rules = [{"role": "launcher", "match": "forked", "action": "kill"}]
    world.submit("-s", "s", script=GATED)
    supervisor = world.start("run", "--drain", crash={"rules": rules, "count": True})
    until(lambda: world.began("s/1.1"), "the agent")
    points = world.log / f"supervisor.{supervisor.pid}"

    def rounds() -> int:
        return points.read_text().count("sql SELECT session, seq, attempt, agent")

    until(lambda: "start s/1.1" in supervisor.out.read_text(), "the start")
    before = rounds()
    for _ in range(3):  # Each rings once, and otherwise there is nothing to do.
        world.ok("sweep", "--no-wake")
    assert rounds() - before < 40, "it polls"
    world.open_gate()
    assert supervisor.wait().code == 0
    assert world.effects() == [("begin", "s/1.1"), ("end", "s/1.1")]
    in_order(world, "completed", strict=True)


# Supervisors that stand still

SHORT_LEASE = {"set": {"agentq_cli.host.attendance:LEASE_MS": 300, "agentq_cli.host.attendance:RENEW_MS": 100}}


def with_short_lease(world: World, rules: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """What the hook is told so that a supervisor counts as gone after 300 ms."""
    return SHORT_LEASE | {"rules": rules or []}


def lapsed(world: World, supervisor: Started) -> Callable[[], bool]:
    """Whether a supervisor's row is older than the short lease."""

    def look() -> bool:
        (row,) = rows(world.state / "agentq.db", f"SELECT renewed_at FROM supervisors WHERE pid = {supervisor.pid}")
        import time

        return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000 - row["renewed_at"] > 400

    return look


def test_a_supervisor_that_stands_still_loses_its_runs_and_does_no_harm_later(world: World) -> None:
    world.submit("-s", "s", script=GATED)
    # Before a BEGIN: with a lock in its hand it would keep everybody from the file, which is not the matter here.
    rule = {"role": "supervisor", "match": "BEGIN", "action": "stop"}
    crash = with_short_lease(world, [rule]) | {"when": str(world.root / "standstill")}
    first = world.start("run", crash=crash)
    until(lambda: world.began("s/1.1"), "the agent")
    (world.root / "standstill").touch()
    until(world.fired, "the standstill")
    until(lapsed(world, first), "the end of its lease")
    second = world.start("run", "--drain", crash=with_short_lease(world))
    until(lambda: "adopt s/1.1" in second.out.read_text(), "the adoption")
    world.open_gate()
    assert second.wait().code == 0
    # Its task runs once more, and the first supervisor wakes with the old run in its hands.
    (world.root / "opened").unlink()
    world.ok("retry", "s/1")
    third = world.start("run", "--drain", crash=with_short_lease(world))
    until(lambda: ("begin", "s/1.2") in world.effects(), "the second run")
    os.kill(first.pid, signal.SIGCONT)
    until(lambda: "start" in first.out.read_text(), "its first look")
    assert status(world, "s/1") in ("running", "completed")
    (world.root / "opened").touch()
    assert third.wait().code == 0
    os.kill(first.pid, signal.SIGTERM)
    first.wait()
    found = runs(world)
    assert {run: one["status"] for run, one in found.items()} == {"s/1.1": "success", "s/1.2": "success"}
    assert found["s/1.1"]["adopted"]
    in_order(world, "completed")


def test_a_supervisor_that_stands_still_between_claim_and_start_starts_nothing_later(world: World) -> None:
    rule = {"role": "supervisor", "after": "INSERT INTO workers", "match": "sendmsg", "action": "stop"}
    world.submit("-s", "s")
    first = world.start("run", crash=with_short_lease(world, [rule]))
    until(world.fired, "the claim")
    until(lambda: stopped(first.pid), "it stands still")
    until(lapsed(world, first), "the end of its lease")
    second = world.start("run", "--drain", crash=with_short_lease(world))
    assert second.wait().code == 0
    os.kill(first.pid, signal.SIGCONT)
    until(lambda: "start s/1.1" in first.out.read_text(), "what it believes to be its start")
    os.kill(first.pid, signal.SIGTERM)
    assert first.wait().code == 143
    assert world.effects() == [("begin", "s/1.2"), ("end", "s/1.2")]
    in_order(world, "completed", strict=True)


def test_a_sweep_that_stands_still_before_its_finish_loses_against_a_faster_one(world: World) -> None:
    world.submit("-s", "s", script=GATED)
    supervisor = world.start("run")
    until(lambda: world.began("s/1.1"), "the agent")
    supervisor.kill()
    kill(world, "s/1.1", "start")
    rule = {"role": "sweep", "after": "INSERT INTO messages_out", "match": "connect inbound.db", "action": "stop"}
    slow = world.start("sweep", "--no-wake", crash={"rules": [rule]})
    until(world.fired, "the slow sweep at its finish")
    assert "recover s/1.1" in world.ok("sweep", "--no-wake")
    world.ok("retry", "s/1")
    world.open_gate()
    world.ok("run", "--drain")
    os.kill(slow.pid, signal.SIGCONT)
    assert slow.wait().code == 0
    assert {run: one["status"] for run, one in runs(world).items()} == {"s/1.1": "crashed", "s/1.2": "success"}
    assert status(world, "s/1") == "completed"
    in_order(world, "completed")


# Files in the way


@pytest.mark.parametrize("how", ["locked", "corrupt"])
def test_a_session_in_trouble_with_a_journal_delays_no_other(world: World, how: str) -> None:
    for session in ("bad", "good"):
        world.submit("-s", session)
    inbound = world.state / "sessions/bad/inbound.db"
    with reading(inbound) as writer:
        if how == "locked":
            writer.execute("BEGIN EXCLUSIVE")
            writer.execute("UPDATE messages_in SET priority = 1")
        else:
            inbound.write_bytes(b"no database at all" * 100)
        inbound.with_name("inbound.db-journal").touch()
        supervisor = world.start("run", "--max-tasks", "1")
        until(lambda: ("end", "good/1.1") in world.effects(), "the other session's task", 8)
        assert supervisor.wait().code in (0, 1)


def test_recovery_by_any_order_of_commands_comes_to_the_same(world: World) -> None:
    four_running(world).kill()
    kill(world, FOUR[0], "start")
    kill(world, FOUR[1], "agent")
    assert recover(world, 1, strict=False) == []
    found = runs(world)
    assert [found[run]["status"] for run in FOUR] == ["crashed", "error", "error", "success"]
    in_order(world, "completed", "failed")
