"""Three hosts are killed and stopped at random while they work: each task is done once, and never in two places."""

from __future__ import annotations

import json
import random
import signal
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import postgres
import pytest
from lost_hosts import LostHosts, Machine, until

from agentq_cli.base.clock import monotonic_ms

LEASE_MS = 2_000
SESSIONS, TASKS = 8, 12
POOLS, KEYS = ("p0", "p1"), (None, "a", "a", None, "b")
"""Sessions that keep two conversations, wherever those are, and what their tasks name in turn."""
FAULTS = 10

AGENT = """
import os, sys, time
out = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for tick in range(20):
    os.write(out, f"{os.environ['AGENTQ_SESSION']} {os.environ['AGENTQ_RUN']} {os.getpid()}\\n".encode())
    time.sleep(0.02)
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[LostHosts]:
    why = postgres.why_not()
    if why is not None:
        pytest.skip(why)
    with postgres.schema() as schema:
        made = LostHosts(postgres.shared(), schema, tmp_path, LEASE_MS)
        yield made
        made.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_hosts_that_die_at_random_do_each_task_once(fleet: LostHosts, seed: int) -> None:
    chance = random.Random(seed)
    hosts = [fleet.machine(name) for name in ("a", "b", "c")]
    for host in hosts:
        keep_pools(fleet, host)
        host.start()
    submit(fleet, hosts[0])
    for _ in range(FAULTS):
        after = monotonic_ms() + chance.randrange(LEASE_MS)
        until(lambda after=after: monotonic_ms() > after, "some work")
        strike(chance, chance.choice(hosts))
    left = "SELECT 1 FROM agentq.tasks WHERE status NOT IN ('completed', 'failed')"
    until(lambda: not fleet.ask(left), f"the end of all tasks; {fleet.told()}", 240)

    twice = "SELECT session, seq, count(*) FROM agentq.task_runs WHERE status = 'success' GROUP BY 1, 2"
    assert {count for _, _, count in fleet.ask(twice)} == {1}
    assert fleet.ask("SELECT count(*) FROM agentq.tasks WHERE status = 'completed'") == [
        ((SESSIONS + len(POOLS)) * TASKS,)
    ]
    assert fleet.ask("SELECT 1 FROM agentq.workers") == []
    found = fleet.ask("SELECT session, seq, conversation_key FROM agentq.tasks")
    of_task = {f"{session}/{seq}": f"{session} {key}" for session, seq, key in found if session in POOLS}
    assert not any(line.endswith(" None") for line in of_task.values())
    lines = [line.split() for line in fleet.log.read_text().splitlines()]
    for line in lines:
        line[0] = of_task.get(line[1].rpartition(".")[0], line[0])
    for session, own in groupby(sorted(lines, key=lambda line: line[0]), key=lambda line: line[0]):
        lives = [life for life, _ in groupby(tuple(line[1:]) for line in own)]
        assert len(set(lives)) == len(lives), (session, lives)


def keep_pools(fleet: LostHosts, machine: Machine) -> None:
    """A host with an agent that talks, and the sessions in which it does."""
    argv = [sys.executable, "-I", "-S", str(fleet.directory / "agent.py"), str(fleet.log)]
    for path in (fleet.directory / f"home-{machine.name}").glob("*.toml"):
        path.write_text(
            f"{path.read_text()}[agents.talker]\nargv = {json.dumps(argv)}\n"
            'fresh = ["{conversation}"]\nresume = ["{conversation}"]\n'
            + "".join(f'[sessions.{name}]\nparallel = 2\naffinity = "none"\n' for name in POOLS)
        )


def submit(fleet: LostHosts, machine: Machine) -> None:
    program, batch = fleet.directory / "agent.py", fleet.directory / "batch"
    program.write_text(AGENT)
    task = {"exec": [sys.executable, "-I", "-S", str(program), str(fleet.log)], "retries": 99}
    lines = [task | {"session": f"s{number}"} for number in range(SESSIONS)] * TASKS
    for number in range(TASKS):
        talk = {"agent": "talker", "prompt": "talk", "cwd": "/", "retries": 99}
        key = KEYS[number % len(KEYS)]
        lines += [talk | {"session": name} | ({} if key is None else {"conversation": key}) for name in POOLS]
    batch.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    done = machine.agentq("submit", "--batch", str(batch))
    assert done.returncode == 0, done.stderr


def strike(chance: random.Random, host: Machine) -> None:
    """Do something to a host, and leave it with a supervisor."""
    fault = chance.choice(["supervisor", "everything", "long", "shims", "stopped", "half"])
    if fault == "supervisor":
        host.send(signal.SIGKILL, "supervisor")
    elif fault == "everything":
        host.send(signal.SIGKILL)
    elif fault == "long":
        host.send(signal.SIGKILL, "supervisor", "launcher", "shim")
        rest(chance.uniform(0.5, 2))
    elif fault == "shims":
        host.send(signal.SIGKILL, "shim")
    else:
        kinds = ("supervisor", "launcher", "shim", "other") if fault == "stopped" else ("supervisor", "shim")
        host.send(signal.SIGSTOP, *kinds)
        rest(chance.uniform(0.2, 2))
        host.send(signal.SIGCONT, *reversed(kinds))
    if not host.lives("supervisor"):
        host.start()


def rest(leases: float) -> None:
    """Let so many leases pass."""
    end = monotonic_ms() + leases * LEASE_MS
    until(lambda: monotonic_ms() > end, "time")
