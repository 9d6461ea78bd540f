"""What supervisors say they do, in `workers`, `status` and the events: from on duty to their end."""

from __future__ import annotations

import signal
from itertools import pairwise

import pytest
from driven import Driven, Object, held, until

CHAIN = ["idle", "running", "paused", "running", "idle", "running", "draining", "ended"]


def states(aq: Driven) -> list[Object]:
    """The changes of the states of supervisors, oldest first."""
    return [event for event in aq.items("events") if event["event"] == "supervisor"][::-1]


def chain(aq: Driven) -> list[str]:
    """The states of the only supervisor, each change of which began where the last one ended."""
    told = states(aq)
    assert [event["from"] for event in told] == [None, *(event["to"] for event in told[:-1])]
    return [event["to"] for event in told]


def living(aq: Driven) -> Object:
    """The only supervisor that is alive."""
    (found,) = until(lambda: aq.json("workers")["supervisors"], what="duty")
    return found


def last(aq: Driven) -> Object:
    """The supervisor that has ended last."""
    return aq.json("workers")["ended"][0]


def test_from_on_duty_to_its_end(each: Driven) -> None:
    aq = each
    aq.batch({"exec": held("one")}, {"exec": held("two", 3)}, {"exec": held("three")})
    supervisor = aq.supervise("-j", "1")
    aq.started("one")
    seen = until(lambda: (found := living(aq))["state"] == "running" and found)
    assert (seen["last_result"], seen["ended_at"], seen["reason"], seen["alive"]) == (None, None, None, True)
    aq("pause", "--all")
    paused = until(lambda: (found := living(aq))["state"] == "paused" and found)
    assert paused["last_result"] is None
    aq.let_go("one")
    aq("wait", "1")
    until(lambda: living(aq)["last_result"] == "completed", what="the period is over, though it stays paused")
    assert living(aq)["since"] == paused["since"] > seen["since"]
    aq("resume", "--all")
    aq.started("two")
    until(lambda: living(aq)["state"] == "running")
    assert living(aq)["last_result"] == "completed", "of the last period, not of this one"
    aq("pause", "3")
    aq.let_go("two")
    until(lambda: living(aq)["state"] == "idle")
    assert living(aq)["last_result"] == "failed"
    aq("resume", "3")
    aq.started("three")
    until(lambda: living(aq)["state"] == "running")
    stopping = aq.start("stop")
    draining = until(lambda: (found := living(aq))["state"] == "draining" and found)
    lines = aq("status").stdout.splitlines()
    assert lines[0].split() == [
        *("Supervisors:", str(supervisor.pid), "draining", "since", draining["since"]),
        *("1", "at", "once", "last", "result:", "failed"),
    ]
    # Whoever was told to stop stays so.
    aq("pause", "--all"), aq("resume", "--all")
    assert living(aq)["state"] == "draining"
    aq.let_go("three")
    aq.ended(stopping, 0), aq.ended(supervisor, 0)
    ended = last(aq)
    assert (ended["pid"], ended["state"], ended["alive"]) == (supervisor.pid, "ended", False)
    assert (ended["reason"], ended["last_result"]) == ("stopped by agentq stop", "completed")
    assert ended["ended_at"] == ended["since"]
    assert aq.json("workers")["supervisors"] == []
    assert chain(aq) == CHAIN
    named = f"supervisor {supervisor.pid} on {ended['host']}"
    assert {event["reason"].partition(":")[0] for event in states(aq)} == {named}


def test_the_ends_that_are_told_apart(aq: Driven) -> None:
    def supervised(*words: str, code: int = 0) -> tuple[str, str | None]:
        aq("run", *words, code=code)
        return last(aq)["reason"], last(aq)["last_result"]

    aq.batch({"exec": ["true"]}, {"exec": ["false"]}, {"exec": ["true"]})
    assert supervised("--max-tasks", "1", "-j", "1") == ("max tasks", "completed")
    assert supervised("--drain", code=1) == ("drained", "failed")
    assert supervised("--drain") == ("drained", None), "it ran nothing"
    assert supervised("--idle-exit", "1ms") == ("idle", None)
    aq.exec(*held("one"))
    left = aq.supervise()
    aq.started("one")
    until(lambda: living(aq)["state"] == "running")
    aq.signal(left, signal.SIGTERM)
    aq.ended(left, 143)
    assert (last(aq)["reason"], last(aq)["last_result"]) == ("stopped by SIGTERM", None), "no task has ended"
    killed = aq.supervise()
    until(lambda: living(aq)["state"] == "running", what="it has adopted the run")
    aq.kill_hard(killed)
    found = last(aq)
    assert (found["pid"], found["reason"], found["last_result"], found["ended_at"]) == (
        killed.pid,
        "killed",
        None,
        None,
    )
    aq("sweep", "--no-wake")
    event = states(aq)[-1]
    assert (event["to"], event["actor"]) == ("ended", "sweep")
    assert last(aq) == {**found, **dict.fromkeys(("since", "last_seen_at", "ended_at"), event["at"])}
    killed = aq.supervise()
    until(lambda: living(aq)["state"] == "running", what="it has adopted the run as well")
    aq.kill_hard(killed)
    aq.let_go("one")
    aq.drain()
    ended = [event for event in states(aq) if f"supervisor {killed.pid} " in event["reason"]][-1]
    assert (ended["to"], ended["actor"]) == ("ended", "supervisor"), "the next one tells of it"
    assert last(aq)["last_result"] == "completed"
    of = {event["reason"].split()[1]: [] for event in states(aq)}
    for event in states(aq):
        of[event["reason"].split()[1]].append(event["to"])
    busy = ["idle", "running", "ended"]
    assert list(of.values()) == [busy, busy, ["idle", "ended"], ["idle", "ended"], busy, busy, busy, busy]


def test_a_busy_queue_and_an_idle_one_write_no_state(aq: Driven) -> None:
    aq.batch(*[{"exec": ["true"], "session": name} for name in "ab" * 20])
    aq.drain("-j", "2")
    assert chain(aq) == ["idle", "running", "ended"]
    supervisor = aq.supervise("--idle-exit", "300ms")
    aq.ended(supervisor, 0)
    assert [event["to"] for event in states(aq)[3:]] == ["idle", "ended"]


def test_one_that_serves_some_sessions_is_paused_with_the_last_of_them(aq: Driven) -> None:
    for name in ("a", "b"):
        aq("pause", "-s", name)
    aq("resume", "-s", "a")
    supervisor = aq.supervise("-s", "a", "-s", "b")
    until(lambda: aq.json("workers")["supervisors"])
    assert living(aq)["state"] == "idle"
    aq("pause", "-s", "a")
    until(lambda: living(aq)["state"] == "paused")
    aq("resume", "-s", "b")
    until(lambda: living(aq)["state"] == "idle")
    aq("stop")
    aq.ended(supervisor, 0)
    assert chain(aq) == ["idle", "paused", "idle", "ended"]


def test_status_is_the_overview_with_the_supervisors_above(aq: Driven) -> None:
    assert aq("status").stdout.splitlines()[:2] == ["Supervisors: none", "Nothing is stored yet."]
    assert aq.json("status")["supervisors"] == []
    assert not aq.state_dir.exists(), "it creates nothing"
    aq.exec("false")
    aq.drain(code=1)
    document = aq.json("status")
    assert document["schema"] == "agentq.status/1"
    (ended,) = document["supervisors"]
    assert (ended["state"], ended["last_result"]) == ("ended", "failed")
    shown = aq("status").stdout.splitlines()
    assert shown[0].split()[2:] == ["ended", "since", ended["ended_at"], "drained", "last", "result:", "failed"]
    alone = aq().stdout.splitlines()
    assert [line.split()[0] for line in shown[1:]] == [line.split()[0] for line in alone]
    supervisor = aq.supervise()
    until(lambda: aq.json("workers")["supervisors"])
    assert [each["state"] for each in aq.json("status")["supervisors"]] == ["idle", "ended"]
    assert len([line for line in aq("status").stdout.splitlines() if "at once" in line or "drained" in line]) == 1
    assert "Ended" not in aq("workers").stdout
    aq("stop")
    aq.ended(supervisor, 0)
    assert "stopped by agentq stop" in aq("workers").stdout


@pytest.mark.slow
def test_many_supervisors_change_their_states_only_as_is_legal(aq: Driven) -> None:
    from agentq_cli.model.workers import SupervisorState
    from agentq_cli.policy.states import allowed_supervisor

    aq.batch(*[{"exec": ["sh", "-c", f"exit {number % 2}"], "session": f"s{number % 5}"} for number in range(60)])
    for round in range(4):
        supervisors = [aq.supervise("-j", "4", *(["--drain"] if round else [])) for _ in range(3)]
        aq("pause", "--all"), aq("resume", "--all")
        if not round:
            aq.kill_hard(supervisors[0])
            aq("stop", "--leave")
        for supervisor in supervisors:
            supervisor.wait()
        aq("sweep", "--no-wake")
    of: dict[str, list[str | None]] = {}
    for event in aq.items("events", "--limit", "10000")[::-1]:
        if event["event"] == "supervisor":
            known = of.setdefault(event["reason"].split()[1], [None])
            assert known[-1] == event["from"]
            known.append(event["to"])
    assert len(of) == 12
    for known in of.values():
        assert known[-1] == "ended"
        for before, after in pairwise(known):
            assert allowed_supervisor(before and SupervisorState(before), SupervisorState(after))
