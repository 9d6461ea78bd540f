"""Why a task is not running, in the order in which the supervisor asks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task, WaitingFor
from agentq_cli.model.work import Condition, Dependency, Work
from agentq_cli.policy.admission import Gate
from agentq_cli.policy.dependencies import Found
from agentq_cli.policy.placement import PassedOver, needs
from agentq_cli.policy.waiting import Hold, Surroundings, waiting_for

NOW = 1_774_785_600_000

TASK = Task(
    session="a",
    seq=2,
    work=Work("prompt", "/", prompt="x", agent="demo"),
    status=Status.QUEUED,
    created_at=NOW,
    due_at=NOW,
)
IDLE = Surroundings(
    session_paused=False,
    session_reason=None,
    holds=(),
    session_runs=(),
    lines=(),
    retrying={},
    parallel=1,
    workers=0,
    jobs=2,
    ahead=0,
)
RUNNING = RunId("a", 1, 1)


def why(task: Task = TASK, now: int = NOW, **around: object) -> WaitingFor | None:
    return waiting_for(task, replace(IDLE, **around), now)  # type: ignore[arg-type]


def detail(task: Task = TASK, **around: object) -> str:
    found = why(task, **around)
    assert found is not None
    return f"{found.kind}: {found.detail}"


@pytest.mark.parametrize("status", [status for status in Status if status.ended or status is Status.RUNNING])
def test_what_runs_or_has_ended_waits_for_nothing(status: Status) -> None:
    assert why(replace(TASK, status=status), session_paused=True, jobs=0) is None


def test_a_paused_task_says_why_and_how_to_resume_it() -> None:
    task = replace(TASK, status=Status.PAUSED, reason="too late today", due_at=NOW + 5)
    assert detail(task) == "paused: the task is paused (too late today); `agentq resume a/2`"
    assert detail(replace(task, reason=None)) == "paused: the task is paused; `agentq resume a/2`"


def test_a_task_before_its_time_waits_for_it() -> None:
    found = why(replace(TASK, due_at=NOW + 1500))
    assert found == WaitingFor("time", "it is due at 2026-03-29T12:00:01.500Z", until=NOW + 1500)
    assert why(replace(TASK, due_at=NOW + 1500), now=NOW + 1500) != found


def test_a_task_between_two_attempts_waits_for_the_next() -> None:
    found = why(replace(TASK, due_at=NOW + 1, attempts=2, tries=2))
    assert found is not None
    assert (found.kind, found.until) == ("retry", NOW + 1)
    assert "its next attempt" in found.detail


def test_a_paused_queue_agent_or_session_is_named_with_the_way_out() -> None:
    queue = Hold("queue", "", "paused", None, "holiday")
    agent = Hold("agent", "demo", "paused", None, None)
    limit = Hold("agent", "demo", "rate_limited", NOW + 9, "usage limit")
    other = Hold("agent", "other", "paused", None, None)
    assert detail(holds=[queue, agent]) == "paused: the queue is paused (holiday); `agentq resume --all`"
    assert detail(holds=[other, agent]) == "paused: agent 'demo' is paused; `agentq resume --agent demo`"
    assert why(holds=[limit]) == WaitingFor(
        "limit",
        "agent 'demo' is held by rate_limited (usage limit); until 2026-03-29T12:00:00.009Z",
        until=NOW + 9,
        brief="demo held",
        note="rate_limited",
    )
    auth = Hold("agent", "demo", "auth", None, "not logged in")
    assert detail(holds=[auth]) == ("limit: agent 'demo' is held by auth (not logged in); `agentq resume --agent demo`")
    assert detail(session_paused=True, session_reason="mine") == (
        "paused: session 'a' is paused (mine); `agentq resume -s a`"
    )
    assert detail(holds=[other]).startswith("slot")


def test_a_hold_on_an_agent_does_not_concern_a_command() -> None:
    task = replace(TASK, work=Work("exec", "/", argv=("true",)))
    assert (
        detail(task, holds=[Hold("agent", "", "paused", None, None), Hold("agent", "demo", "paused", None, None)])[:4]
        == "slot"
    )


def test_a_blocked_task_waits_for_what_is_not_decided_yet() -> None:
    def after(seq: int, on: Condition, status: Status | None) -> Found:
        return Found(Dependency(Address("b", seq), on), status)

    blocked = replace(TASK, status=Status.BLOCKED, due_at=NOW + 9)
    depends = [
        after(1, Condition.SUCCESS, Status.COMPLETED),
        after(2, Condition.ANY, Status.RUNNING),
        after(3, Condition.FAILURE, None),
    ]
    assert why(blocked, depends=depends) == WaitingFor(
        "dependency", "it waits for b/2 to end, b/3 to fail", ids=("b/2", "b/3"), brief="after b/2 and 1 more"
    )
    many = [after(seq, Condition.SUCCESS, Status.QUEUED) for seq in range(1, 9)]
    found = why(blocked, depends=many)
    assert found is not None and found.detail.endswith("b/5 to complete and 3 more") and len(found.ids) == 8


def test_a_conversation_in_use_is_named_with_its_user() -> None:
    use = {"session_runs": [RUNNING], "lines": [(RUNNING, ("demo", "1"))]}
    found = why(**use, parallel=None)
    assert found == WaitingFor("session", "a/1 is using the conversation of 'a'", ids=("a/1",), brief="behind a/1")
    assert detail(**use, parallel=9).startswith("slot"), "another line is free"
    bound = replace(TASK, conversation_key="1")
    assert detail(bound, **use, parallel=9) == "session: a/1 is using conversation '1' of 'a'"
    held = detail(bound, retrying={"a/1": ("demo", "1")}, parallel=9)
    assert held == "session: a/1 will be retried first in conversation '1' of 'a'"
    found = why(TASK, lines=[(RUNNING, ("demo", "1")), (RunId("a", 8, 1), ("demo", "x"))], parallel=2)
    assert found is not None and found.detail == "the 2 conversations of 'a' are in use, by a/1, a/8"
    assert found.ids == ("a/1", "a/8")
    isolated = replace(TASK, work=replace(TASK.work, context="isolated"))
    assert detail(isolated, **use, parallel=9).startswith("slot")
    itself = RunId(*TASK.address, 1)  # it started between two looks
    assert detail(session_runs=[itself], lines=[(itself, ("demo", "1"))], parallel=1).startswith("slot")


def test_a_full_lane_is_named_with_what_runs_or_is_retried_first() -> None:
    task = replace(TASK, work=replace(TASK.work, context="isolated"))
    assert why(task, session_runs=[RUNNING]) == WaitingFor(
        "session", "a/1 is running in session 'a'", ids=("a/1",), brief="behind a/1"
    )
    assert why(task, retrying={"a/1": ("demo", "")}) == WaitingFor(
        "session", "a/1 will be retried first in session 'a'", ids=("a/1",), brief="behind a/1"
    )
    assert detail(task, session_runs=[RUNNING], parallel=2).startswith("slot")
    assert detail(task, session_runs=[RUNNING], retrying={"a/3": ("demo", "")}, parallel=2).startswith("session")
    assert detail(task, session_runs=[RUNNING] * 9, retrying={"a/3": ("demo", "")}, parallel=None).startswith("slot")


def test_a_retry_that_is_due_does_not_wait_for_other_retries() -> None:
    assert detail(replace(TASK, attempts=1, tries=1), retrying={"a/2": ("demo", ""), "a/1": ("demo", "")}).startswith(
        "slot"
    )


def test_a_gate_is_named_with_its_numbers_and_its_end() -> None:
    memory = Gate("memory", True, "380 MiB available; 1,024 MiB wanted")
    found = WaitingFor("gate", "memory: 380 MiB available; 1,024 MiB wanted", brief="memory gate")
    assert why(gate=memory, ahead=3) == found
    assert why(gate=Gate("stagger", True, "1 s apart", NOW + 700)) == WaitingFor(
        "gate", "stagger: 1 s apart", until=NOW + 700, brief="stagger gate"
    )


def test_a_gate_comes_after_holds_and_lanes_and_a_full_cap_is_no_gate() -> None:
    gate = Gate("load", True, "busy")
    assert detail(gate=gate, holds=[Hold("queue", "", "paused", None, None)]).startswith("paused")
    assert detail(gate=gate, session_runs=[RUNNING]).startswith("session")
    assert detail(gate=gate, workers=2) == "slot: 2 of 2 slots are in use"
    assert detail(gate=gate, jobs=0).startswith("slot: no supervisor")


def test_a_slot_is_waited_for_with_its_numbers() -> None:
    assert detail(jobs=0) == "slot: no supervisor is running; start one with `agentq run`"
    assert detail(workers=2) == "slot: 2 of 2 slots are in use"
    assert detail(workers=2, ahead=3) == "slot: 2 of 2 slots are in use; 3 due before it"


def passed(host: str, reason: str, seq: int = 2, task: Task = TASK) -> PassedOver:
    return PassedOver("a", seq, reason, host, task.work.agent or "", needs(task.work).text)


def test_a_task_that_every_host_has_passed_over_says_why_each_did() -> None:
    both = [passed("b", "no agent 'demo'"), passed("a", "no directory '/'")]
    assert detail(hosts=("a", "b"), passed_over=both) == "host: no host fits: a: no directory '/'; b: no agent 'demo'"
    # A host that has not, or that came since, will run it; and one that is gone does not matter.
    rest = "passed over by a: no directory '/'; b: no agent 'demo'"
    assert detail(hosts=("a", "b", "c"), passed_over=both) == f"slot: 0 of 2 slots are in use; {rest}"
    assert detail(hosts=("b",), passed_over=both).startswith("host: ")
    assert detail(hosts=(), jobs=0, passed_over=both).startswith("slot: no supervisor")


def test_what_needs_the_same_as_a_task_that_no_host_fits_waits_for_the_same() -> None:
    behind = replace(TASK, seq=3)
    assert detail(behind, parallel=None, hosts=("a",), passed_over=[passed("a", "no such thing")]).startswith("host: ")
    other = replace(behind, work=replace(TASK.work, cwd="/other"))
    assert detail(other, parallel=None, hosts=("a",), passed_over=[passed("a", "no such thing")]).startswith("slot: ")
    # In a session of one task at a time it waits for its turn.
    found = why(other, hosts=("a",), passed_over=[passed("a", "no such thing")])
    assert found is not None
    assert (found.kind, found.ids) == ("session", ("a/2",))
