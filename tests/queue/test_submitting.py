"""Submit: addresses, keys, limits, and all or nothing."""

from __future__ import annotations

from collections import Counter

import pytest
from queue_driver import (
    MANY,
    NOON,
    OWNER,
    Clock,
    Engine,
    OpenQueue,
    claim_next,
    command,
    edited,
    ended,
    finish,
    new_task,
    prompt,
    start,
    submit,
    together,
)
from sampling import WIDE

from agentq_cli.base.errors import LimitReached, NotFound, Usage, WrongState
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor, Trigger
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import RunStatus, Status
from agentq_cli.model.tasks import NewTask, Task
from agentq_cli.model.work import Launch


def everything(queue: Queue) -> list[Task]:
    return list(queue.tasks(ended=True))


def test_addresses_count_from_one_within_each_session(queue: Queue) -> None:
    assert [str(a) for a in submit(queue, command("a"), command("a"))] == ["a/1", "a/2"]
    assert [str(a) for a in submit(queue, command("b"))] == ["b/1"]
    assert [str(a) for a in submit(queue, command("a"))] == ["a/3"]


def test_an_address_is_never_used_again(queue: Queue) -> None:
    _, last = submit(queue, command("a"), command("a"))
    queue.cancel(last)
    queue.prune(last)
    assert submit(queue, command("a")) == [Address("a", 3)]


def test_every_field_comes_back_unchanged(queue: Queue) -> None:
    launch = Launch(
        env={"A": "1", "EMPTY": ""},
        captured={"PATH": "/bin", "LC_ALL": "de_DE.UTF-8"},
        agent_args=("--model", "small"),
        stdin="/dev/null",
        umask=0o027,
        timeout_ms=90_000,
        grace_ms=1,
        depth=3,
        tz="Pacific/Auckland",
    )
    new = new_task(
        session="a",
        kind="prompt",
        cwd="/tmp/mit Leerzeichen",
        prompt="mach\n'das' \"hier\" \\ \x01 \N{SNOWMAN} \U0001f916",
        agent="demo",
        priority=-100,
        labels=("eins", "zwei"),
        key="k \N{SNOWMAN}",
        context="isolated",
        due_at=NOON + 1,
        expires_at=NOON + 2,
        launch=launch,
    )
    task = queue.task(*submit(queue, new))
    assert (task.session, task.work) == (new.session, new.work)
    assert (task.due_at, task.created_at) == (NOON + 1, NOON)
    assert (task.status, task.trigger, task.attempts, task.runs) == (Status.QUEUED, Trigger.SUBMIT, 0, 0)
    assert task.exit_code is task.last_run is task.ended_at is task.reason is None
    assert [each.work.prompt for each in queue.tasks()] == [new.work.prompt]


def test_an_argv_comes_back_unchanged(queue: Queue) -> None:
    argv = ("printf", "%s\n", "", " a  b ", "ä", "$(id)", "\udcff".encode("utf-8", "replace").decode())
    assert queue.task(*submit(queue, command("a", *argv))).work.argv == argv


def test_a_task_without_a_time_is_due_at_once_and_one_with_a_time_then(queue: Queue, clock: Clock) -> None:
    now, later = submit(queue, command(), command(due_at=NOON + 1000))
    assert queue.task(now).due_at == NOON
    assert queue.task(later).shown_status(queue.now) is Status.SCHEDULED
    assert queue.ahead().due == NOON + 1000
    clock.forward(1000)
    assert queue.task(later).shown_status(queue.now) is Status.QUEUED
    assert queue.ahead().due is None


def test_a_submit_is_one_event_a_task(queue: Queue) -> None:
    submit(queue, command("a"), command("a", due_at=NOON + 1), command("b"))
    found = [(e.session, e.seq, e.from_status, e.to_status, e.event, e.actor, e.at) for e in queue.events()]
    assert sorted(found) == [
        ("a", 1, None, "queued", "submit", "user", NOON),
        ("a", 2, None, "scheduled", "submit", "user", NOON),
        ("b", 1, None, "queued", "submit", "user", NOON),
    ]


def test_nothing_submitted_is_nothing_stored(queue: Queue) -> None:
    assert queue.submit([], owner=OWNER, max_queued=0) == []
    assert everything(queue) == []
    assert queue.upkeep.leftovers().batches == 0


@pytest.mark.parametrize("name", ["../x", "/tmp", "", ".", "..", "a/b", "a b", "a\n", "-a", "_a", "a" * 65, "ä", "a\0"])
@pytest.mark.dear
def test_a_name_that_no_session_can_have_is_refused_and_creates_nothing(
    queue: Queue, engine: Engine, name: str
) -> None:
    before = engine.content()
    for tasks in ([command(name)], [command("fine"), command(name)], [command(name), command("fine")]):
        with pytest.raises(Usage, match="session"):
            queue.submit(tasks, owner=OWNER, max_queued=MANY)
    for ask in (queue.task, queue.cancel, queue.resume, queue.retry, queue.prune):
        with pytest.raises(Usage, match="session"):
            ask(Address(name, 1))
    assert engine.content() == before
    assert everything(queue) == []


@pytest.mark.parametrize("name", ["a", "0", "A.b_c-d", "a" * 64, "default", "x.."])
@pytest.mark.dear
def test_a_name_of_a_session_is_taken(queue: Queue, name: str) -> None:
    assert submit(queue, command(name)) == [Address(name, 1)]
    assert queue.session_names() == [name]


# All or nothing


@pytest.mark.dear
def test_ten_thousand_tasks_are_stored_together(queue: Queue) -> None:
    addresses = submit(queue, *[command("a", f"n{n}") for n in range(10_000)])
    assert addresses == [Address("a", n) for n in range(1, 10_001)]
    assert Counter(task.status for task in queue.tasks()) == {Status.QUEUED: 10_000}
    assert queue.task(Address("a", 7312)).work.argv == ("n7311",)


@pytest.mark.dear
def test_thousands_of_tasks_over_several_sessions_are_stored_together(queue: Queue) -> None:
    tasks = [command(f"s{n % 7}", f"n{n}") for n in range(2_000)]
    addresses = submit(queue, *tasks)
    assert addresses == [Address(f"s{n % 7}", n // 7 + 1) for n in range(2_000)]
    stored = {task.address: task.work.argv for task in queue.tasks()}
    assert stored == {address: task.work.argv for address, task in zip(addresses, tasks, strict=True)}
    assert queue.upkeep.leftovers().batches == 0
    submits = Counter((event.session, event.seq) for event in queue.events() if event.event == "submit")
    assert set(submits) == set(addresses)
    assert set(submits.values()) == {1}


def test_an_error_in_one_of_many_stores_nothing(queue: Queue) -> None:
    submit(queue, command("a", "first", key="taken"))
    for many in (
        [command("a", f"n{n}") for n in range(300)],
        [command(f"s{n % 3}", f"n{n}") for n in range(300)],
    ):
        with pytest.raises(WrongState, match="taken"):
            submit(queue, *many[:200], command("a", "other", key="taken"), *many[200:])
    assert [task.work.argv for task in everything(queue)] == [("first",)]
    assert queue.upkeep.leftovers().batches == 0
    assert claim_next(queue) is not None
    assert claim_next(queue) is None


def test_tasks_of_several_sessions_have_one_event_each_and_can_be_claimed(queue: Queue) -> None:
    submit(queue, command("a"), command("b"), command("a"))
    assert Counter((e.session, e.seq) for e in queue.events()) == {("a", 1): 1, ("b", 1): 1, ("a", 2): 1}
    claimed = [claim_next(queue), claim_next(queue)]
    assert sorted(str(each.run) for each in claimed if each) == ["a/1.1", "b/1.1"]


@pytest.mark.parametrize("sessions", [("a",), ("a", "b")])
def test_more_than_max_queued_is_refused_whole(queue: Queue, sessions: tuple[str, ...]) -> None:
    submit(queue, command("a"), command("b"))
    tasks = [command(name) for name in sessions for _ in range(3)]
    with pytest.raises(LimitReached, match=str(len(tasks) + 1)):
        submit(queue, *tasks, max_queued=len(tasks) + 1)
    assert len(everything(queue)) == 2
    assert queue.upkeep.leftovers().batches == 0
    submit(queue, *tasks, max_queued=len(tasks) + 2)
    assert len(everything(queue)) == len(tasks) + 2


def test_ended_tasks_do_not_count_against_max_queued(queue: Queue) -> None:
    first, _ = submit(queue, command(), command(), max_queued=2)
    ended(queue, first)
    submit(queue, command(), max_queued=2)
    with pytest.raises(LimitReached):
        submit(queue, command(), max_queued=2)


# Keys


def test_a_second_submit_of_a_key_finds_the_first(queue: Queue) -> None:
    (first,) = submit(queue, command("a", key="k"))
    again = command("a", key="k", due_at=NOON + 5, priority=7, labels=("x",))
    assert queue.submit([again], owner=OWNER, max_queued=MANY) == [(first, False)]
    task = queue.task(first)
    assert (task.due_at, task.work.priority, task.work.labels) == (NOON, 0, ())
    assert len(everything(queue)) == 1
    assert len(list(queue.events())) == 1


def test_a_key_counts_within_its_session(queue: Queue) -> None:
    assert submit(queue, command("a", key="k"), command("b", key="k")) == [Address("a", 1), Address("b", 1)]


@pytest.mark.parametrize("sessions", [("a",), ("a", "b")])
def test_a_key_that_comes_twice_in_one_submit_is_one_task(queue: Queue, sessions: tuple[str, ...]) -> None:
    tasks = [command(name, key="k") for name in sessions for _ in range(3)]
    found = queue.submit(tasks, owner=OWNER, max_queued=MANY)
    assert found == [(Address(name, 1), n == 0) for name in sessions for n in range(3)]
    assert len(everything(queue)) == len(sessions)


@pytest.mark.parametrize("sessions", [("a",), ("a", "b")])
def test_a_key_with_two_contents_in_one_submit_is_refused(queue: Queue, sessions: tuple[str, ...]) -> None:
    tasks = [command(name, key="k") for name in sessions]
    with pytest.raises(WrongState, match="'k'"):
        submit(queue, *tasks, command("a", "other", key="k"))
    assert everything(queue) == []


@pytest.mark.dear
def test_a_key_under_a_hundred_concurrent_submits_is_one_task(open_queue: OpenQueue, clock: Clock, engine: Engine):
    open_queue(clock)
    found = [each for of_one in together(engine, [["keyed", "a", "k", "20"]] * 5) for each in of_one]
    assert len(found) == 100
    assert {address for address, _ in found} == {"a/1"}
    assert sum(new for _, new in found) == 1
    assert len(everything(open_queue(clock))) == 1


@pytest.mark.parametrize("end", ["finish", "cancel", "expire"])
def test_a_key_is_free_again_once_its_task_has_ended(queue: Queue, clock: Clock, end: str) -> None:
    (first,) = submit(queue, command("a", key="k", expires_at=NOON + 1))
    if end == "finish":
        ended(queue, first)
    elif end == "cancel":
        queue.cancel(first)
    else:
        clock.forward(1)
        queue.expire(first, actor=Actor.SWEEP)
    assert queue.submit([command("a", key="k")], owner=OWNER, max_queued=MANY) == [(Address("a", 2), True)]


def test_a_key_is_held_while_its_task_runs_or_is_paused(queue: Queue) -> None:
    (running,) = submit(queue, command("a", key="r"))
    (paused,) = submit(queue, command("a", key="p"))
    start(queue, running)
    queue.pause(paused, reason=None)
    assert submit(queue, command("a", key="r"), command("a", key="p")) == [running, paused]


@pytest.mark.parametrize(
    "other",
    [
        command("a", "other", key="k"),
        prompt("a", "true", key="k"),
        command("a", cwd="/tmp", key="k"),
    ],
)
def test_a_key_with_other_content_is_refused_with_the_holder_named(queue: Queue, other: NewTask) -> None:
    submit(queue, command("a", key="k"))
    with pytest.raises(WrongState, match=r"'k': a/1 .*--replace"):
        submit(queue, other)
    assert len(everything(queue)) == 1


def test_another_agent_is_other_content(queue: Queue) -> None:
    submit(queue, prompt("a", agent="demo", key="k"))
    with pytest.raises(WrongState, match="'k'"):
        submit(queue, prompt("a", agent="claude", key="k"))


def test_replace_changes_a_waiting_task_in_place(queue: Queue) -> None:
    (first,) = submit(queue, command("a", key="k", labels=("old",), expires_at=NOON + 1))
    launch = Launch(env={"X": "1"}, timeout_ms=5)
    new = prompt("a", "new", key="k", replace=True, priority=3, labels=("new",), due_at=NOON + 9, launch=launch)
    assert queue.submit([new], owner=OWNER, max_queued=MANY) == [(first, False)]
    task = queue.task(first)
    assert (task.work.kind, task.work.prompt, task.work.argv, task.work.agent) == ("prompt", "new", None, "demo")
    assert (task.work.priority, task.work.labels, task.due_at, task.work.expires_at) == (3, ("new",), NOON + 9, None)
    assert task.work.launch == launch
    assert [event.event for event in queue.events(address=first)] == ["replace", "submit"]
    assert queue.snapshot().heads[0].agent == "demo"


def test_replace_keeps_a_paused_task_paused(queue: Queue) -> None:
    (first,) = submit(queue, command("a", key="k"))
    queue.pause(first, reason="wait")
    submit(queue, command("a", "other", key="k", replace=True))
    task = queue.task(first)
    assert (task.status, task.reason, task.work.argv) == (Status.PAUSED, "wait", ("other",))


def test_replace_of_a_running_task_is_refused(queue: Queue) -> None:
    (first,) = submit(queue, command("a", key="k"))
    run = start(queue, first)
    for tasks in ([command("a", "other", key="k", replace=True)], [command("a", key="k", replace=True)]):
        with pytest.raises(WrongState, match="running"):
            submit(queue, *tasks)
    assert queue.task(first).work.argv == ("true",)
    finish(queue, run)
    assert submit(queue, command("a", "other", key="k", replace=True)) == [Address("a", 2)]


def test_replace_without_a_live_task_of_the_key_is_a_new_task(queue: Queue) -> None:
    assert queue.submit([command("a", key="k", replace=True)], owner=OWNER, max_queued=MANY) == [
        (Address("a", 1), True)
    ]


def test_a_retry_or_an_edit_cannot_take_a_key_that_is_held(queue: Queue) -> None:
    (first,) = submit(queue, command("a", key="k"))
    ended(queue, first, RunStatus.ERROR)
    second, third = submit(queue, command("a", key="k"), command("a", key="free"))
    with pytest.raises(WrongState, match=r"'k': a/2"):
        queue.retry(first)
    with pytest.raises(WrongState, match=r"'k': a/2"):
        queue.edit(third, edited(key="k"))
    assert queue.task(third).work.key == "free"
    queue.cancel(second)
    assert queue.retry(first).status is Status.QUEUED


def test_what_does_not_exist_is_not_found_and_the_nearest_session_is_offered(queue: Queue) -> None:
    submit(queue, command("documents"))
    with pytest.raises(NotFound, match="did you mean 'documents'"):
        queue.task(Address("documnets", 1))
    with pytest.raises(NotFound, match="'documents/2'"):
        queue.task(Address("documents", 2))


# Several processes


@pytest.mark.dear
def test_submits_of_six_processes_to_one_session_are_all_stored(
    open_queue: OpenQueue, clock: Clock, engine: Engine
) -> None:
    queue = open_queue(clock)
    seqs = together(engine, [["submits", "a", str(50 * WIDE)]] * 6)
    everyone = range(1, 6 * 50 * WIDE + 1)
    assert sorted(seq for of_one in seqs for seq in of_one) == list(everyone)
    assert all(of_one == sorted(of_one) for of_one in seqs)
    assert sorted(task.seq for task in queue.tasks()) == list(everyone)
    assert Counter(event.seq for event in queue.events()) == dict.fromkeys(everyone, 1)


def test_a_first_submit_by_six_processes_at_once_makes_one_session(engine: Engine, open_queue: OpenQueue) -> None:
    seqs = together(engine, [["submits", "a", "1"]] * 6)
    assert sorted(seq for (seq,) in seqs) == [1, 2, 3, 4, 5, 6]
    assert open_queue(Clock()).session_names() == ["a"]
