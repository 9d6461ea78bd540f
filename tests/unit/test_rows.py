"""What the store writes of a task is what it reads."""

from __future__ import annotations

import ast
import json
from contextlib import closing
from dataclasses import fields, replace
from types import NoneType

from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.engines.local.migrations import new_in_memory
from agentq_cli.engines.steps import entering, rows
from agentq_cli.engines.steps.entering import Entering
from agentq_cli.engines.steps.series import begin
from agentq_cli.model.actions import Trigger
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Successor, Task
from agentq_cli.model.work import Condition, Dependency, Launch, Work
from agentq_cli.policy.schedule import Kind, Schedule


def test_every_field_of_a_launch_comes_back() -> None:
    launch = Launch(
        env={"A": "1"},
        captured={"PATH": "/bin"},
        agent_args=("--model", "m"),
        on=("a", "gpu"),
        stdin="/in",
        umask=0o077,
        timeout_ms=1,
        grace_ms=2,
        stall_timeout_ms=3,
        memory_bytes=4,
        depth=5,
        tz="Europe/Berlin",
        script="/script",
        retries=0,
        backoff_ms=6,
        max_backoff_ms=7,
        on_crash="fail",
        max_cost_usd=0.5,
        earlier_runs=3,
        other_words=9,
        continues="a/1.1",
        check="make test",
        check_timeout_ms=8,
        repository="/r/.git",
        checkout="/r",
        subdirectory="src",
        branch="topic",
        base="main",
        setup="make deps",
        teardown="make clean",
        land="main",
        land_as="squash",
        push="origin",
        conversation_key="fix",
    )
    assert rows.launch(rows.launch_text(launch)) == launch
    assert rows.launch(rows.launch_text(Launch())) == Launch()
    untouched = [each.name for each in fields(Launch) if getattr(launch, each.name) == getattr(Launch(), each.name)]
    assert untouched == [], "each field is at another value than its default"


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NUMBER = st.integers(0, 1 << 40)
ADDRESS = st.builds(Address, st.sampled_from(["default", "a"]), st.integers(1, 9))
WORK = st.builds(
    Work,
    kind=st.sampled_from(["prompt", "exec"]),
    cwd=TEXT,
    prompt=st.none() | TEXT,
    argv=st.none() | st.lists(TEXT).map(tuple),
    agent=st.none() | TEXT,
    priority=st.integers(-100, 100),
    labels=st.lists(TEXT).map(tuple),
    key=st.none() | TEXT,
    context=st.sampled_from(["session", "isolated"]),
    launch=st.builds(Launch, env=st.dictionaries(TEXT, TEXT), tz=st.none() | TEXT, retries=st.none() | NUMBER),
    after=st.lists(st.builds(Dependency, ADDRESS, st.sampled_from(list(Condition)))).map(tuple),
    on_dep_failure=st.sampled_from(["cancel", "hold"]),
    shared=st.booleans(),
    expires_at=st.none() | NUMBER,
)
SCHEDULE = Schedule(Kind.EVERY, every_ms=60_000, start=0, tz="UTC")
SUCCESSOR = st.builds(Successor, WORK, st.sampled_from([None, SCHEDULE]), NUMBER, st.booleans(), st.booleans(), TEXT)
TASK = st.builds(
    Task,
    session=st.just("s"),
    seq=NUMBER,
    work=WORK,
    status=st.sampled_from(list(Status)),
    created_at=NUMBER,
    due_at=NUMBER,
    reason=st.none() | TEXT,
    ended_at=st.none() | NUMBER,
    attempts=NUMBER,
    runs=NUMBER,
    last_run=st.none() | NUMBER,
    exit_code=st.none() | NUMBER,
    cancel_requested=st.booleans(),
    series=st.none() | NUMBER,
    trigger=st.sampled_from(list(Trigger)),
    recurrence=st.sampled_from([None, begin(SCHEDULE, 0)]),
    successor=st.none() | st.just(Successor(paused=True, reason="r")) | SUCCESSOR,
    extra=st.booleans(),
    arriving=st.booleans(),
    goes_on=st.booleans(),
    dep_failed=st.none() | ADDRESS,
    tries=NUMBER,
    fresh=st.booleans(),
    resumes=st.booleans(),
).filter(lambda task: task.cancel_requested or not task.goes_on)


@given(TASK)
def test_every_task_comes_back_from_its_row(task: Task) -> None:
    columns = rows.work_columns(task.work) | rows.state_columns(task)
    assert columns.keys() <= set(rows.COLUMNS)
    assert all(type(value) in (str, int) for value in columns.values()), "for other types sqlite3 asks for an adapter"
    assert rows.task("s", dict.fromkeys(rows.COLUMNS) | columns) == task


@given(st.lists(TASK, min_size=1, max_size=4))
def test_every_new_task_comes_back_from_its_column(tasks: list[Task]) -> None:
    """What it waits for, and all state that a new task does not have, is at the defaults of the table."""
    new = [
        Entering(environment=7, **{name: getattr(task, name) for name in Entering._fields if name != "environment"})
        for task in tasks
    ]
    columns = entering.columns(new)
    assert all(type(value) in (str, int, bool, NoneType) for values in columns.values() for value in values)
    with closing(new_in_memory("inbound")) as inbound:
        declared = inbound.execute("SELECT name, dflt_value FROM pragma_table_info('messages_in')").fetchall()
    defaults = {name: None if text is None else ast.literal_eval(text) for name, text in declared}
    for task, values in zip(tasks, zip(*columns.values(), strict=True), strict=True):
        found = rows.task("s", defaults | dict(zip(columns, values, strict=True)))
        kept = {name: getattr(task, name) for name in Entering._fields if name != "environment"}
        assert found == Task(**kept | {"work": replace(task.work, after=(), environment=7)})


@given(SUCCESSOR)
def test_every_successor_comes_back(successor: Successor) -> None:
    assert rows.successor(rows.successor_text(successor, "s")) == successor


def test_a_successor_of_an_earlier_version_is_read() -> None:
    text = rows.successor_text(Successor(Work("exec", "/", argv=("true",), labels=("x",))), "s")
    values = json.loads(text)
    assert values["work"].keys() == {*Work.__slots__, "session", "schedule"}, "which an earlier version reads too"
    del values["work"]["after"]
    assert rows.successor(json.dumps(values)) == rows.successor(text)
