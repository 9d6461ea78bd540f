"""Two real hosts: a session lives on one, moves when that has left, and its agent is told; a strict one waits."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import postgres
import pytest
from lost_hosts import LostHosts, Machine, until

pytestmark = pytest.mark.slow

LEASE_MS = 1_000

AGENT = """
exec >> "$LOG"
host=${AGENTQ_STATE_DIR%/fleet/*}
echo "run $AGENTQ_RUN on ${host##*/} $1 word=$WORD before=$AGENTQ_PREVIOUS_RUN"
cat
echo
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


def machine(fleet: LostHosts, name: str) -> Machine:
    """A host with an agent that writes what it is given to one log."""
    made = fleet.machine(name)
    script = fleet.directory / "talker.sh"
    script.write_text(AGENT)
    made.agentq.environ["LOG"] = str(fleet.directory / "talk")
    for path in (fleet.directory / f"home-{name}").glob("*.toml"):
        path.write_text(
            f'{path.read_text()}[agents.talker]\nargv = ["sh", "{script}"]\nfresh = ["new:{{conversation}}"]\n'
            'resume = ["old:{conversation}"]\n[sessions.t]\naffinity = "strict"\n'
        )
    return made


def told(machine: Machine, *arguments: str) -> Any:
    """What a command says as JSON."""
    done = machine.agentq(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def ask(fleet: LostHosts, machine: Machine, session: str, prompt: str, **environ: str) -> str:
    """Submit a prompt; its address."""
    done = machine.agentq(
        "submit", "-s", session, "--agent", "talker", "-C", "/", prompt, env=machine.agentq.environ | environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ended(fleet: LostHosts, address: str) -> None:
    session, _, seq = address.partition("/")
    where = f"session = '{session}' AND seq = {seq} AND ended_at IS NOT NULL"
    until(lambda: fleet.ask(f"SELECT 1 FROM agentq.tasks WHERE {where}"), f"the end of {address}; {fleet.told()}")


def test_a_session_moves_when_its_host_has_left_and_a_strict_one_waits(fleet: LostHosts) -> None:
    a, b = machine(fleet, "a"), machine(fleet, "b")
    a.supervise()
    ended(fleet, ask(fleet, a, "s", "first", WORD="of-a"))
    ended(fleet, ask(fleet, a, "t", "strict"))
    b.supervise()
    ended(fleet, ask(fleet, b, "s", "second"))
    talk = (fleet.directory / "talk").read_text()
    first, second = (next(line for line in talk.splitlines() if f"run s/{n}.1" in line) for n in (1, 2))
    assert "on a new:" in first
    assert first.endswith("word=of-a before=")
    assert f"on a old:{first.split('new:')[1].split()[0]} word= " in second

    os.kill(a.supervisor.pid, signal.SIGTERM)
    a.supervisor.wait()
    stays, moves = ask(fleet, b, "t", "stays"), ask(fleet, a, "s", "third", WORD="of-a")
    until(lambda: fleet.ask("SELECT 1 FROM agentq.unfit WHERE session = 't'"), f"b passes it over; {fleet.told()}")
    (waits,) = told(b, "show", stays)
    assert waits["waiting_for"]["kind"] == "host"
    assert waits["waiting_for"]["detail"] == "no host fits: b: session 't' is on host 'a'"
    ended(fleet, moves)
    words = (fleet.directory / "talk").read_text().partition("run s/3.1 ")[2]
    assert words.startswith("on b new:")
    assert "word= before=\n" in words, "what the shell on another machine had is not known here"
    assert "This session ran on another host ('a') until now." in words
    assert "third" in words
    assert fleet.ask("SELECT reason FROM agentq.events WHERE event = 'moved'") == [("from host 'a' to 'b'",)]
    assert told(b, "show", stays)[0]["status"] == "queued"
    # And so it does, to what waited for it.
    a.supervise()
    ended(fleet, stays)
    assert "run t/2.1 on a old:" in (fleet.directory / "talk").read_text()
