"""Figures over tasks and runs are those of counting by hand, whatever has happened to the runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest
from queue_driver import Clock, Engine, claim_next, command, finish, prompt, submit, swept, widths
from sampling import WIDE, chance

from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor, Trigger
from agentq_cli.model.addresses import RunId
from agentq_cli.model.runs import Run
from agentq_cli.model.statuses import FailureClass, RunStatus, Status
from agentq_cli.model.trees import Came, Landing
from agentq_cli.policy.figures import Figures, FiguresKey

GROUPS: Mapping[str, Callable[[Run], FiguresKey]] = {
    "session": lambda run: (run.session, ""),
    "agent": lambda run: ("", run.agent or ""),
    "both": lambda run: (run.session, run.agent or ""),
    "all": lambda run: ("", ""),
}
ENDINGS = (RunStatus.SUCCESS, RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.CRASHED, RunStatus.SKIPPED)


def rank(values: Iterable[int], percent: int) -> int | None:
    """The nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def wait(run: Run) -> int:
    return 0 if run.scheduled_for is None else max(0, run.started_at - run.scheduled_for)


def totals(figures: Figures) -> dict[str, object]:
    """What has no part in the percentiles, and is added up for ever."""
    names = ("retries", "tokens_in", "tokens_out", "duration_ms", "wait_ms", "landed", "nothing_to_land")
    found = {name: getattr(figures, name) for name in names}
    return found | {"statuses": figures.statuses, "failures": figures.failures, "cost": pytest.approx(figures.cost_usd)}


def by_hand(runs: Sequence[Run]) -> dict[str, object]:
    """The same of these runs."""
    ended = [run for run in runs if run.status is not RunStatus.RUNNING]
    came = Counter(run.landing.came for run in runs if run.landing is not None)
    return {
        "retries": sum(run.trigger is Trigger.RETRY for run in runs),
        "tokens_in": sum(run.tokens_in or 0 for run in runs),
        "tokens_out": sum(run.tokens_out or 0 for run in runs),
        "duration_ms": sum(run.duration_ms or 0 for run in ended),
        "wait_ms": sum(map(wait, ended)),
        "landed": came[Came.LANDED],
        "nothing_to_land": came[Came.NOTHING],
        "statuses": Counter(run.status.value for run in runs),
        "failures": Counter(run.failure_class.value for run in runs if run.failure_class),
        "cost": sum(run.cost_usd or 0 for run in runs),
    }


def check(figures: Figures, runs: Sequence[Run]) -> None:
    assert totals(figures) == by_hand(runs)
    ended = [run for run in runs if run.status is not RunStatus.RUNNING]
    for found, values in (
        (figures.wait, list(map(wait, ended))),
        (figures.duration, [run.duration_ms for run in ended if run.duration_ms is not None]),
    ):
        assert [found.p50, found.p90, found.p99] == [rank(values, percent) for percent in (50, 90, 99)]
        assert found.longest == max(values, default=None)
    may_cost = [run for run in runs if run.agent and run.status.may_cost]
    assert figures.priced == sum(run.cost_usd is not None for run in runs)
    assert figures.unpriced == sum(run.cost_usd is None for run in may_cost)
    assert figures.listed == sum(run.list_price and run.cost_usd is not None for run in runs)


def check_all(queue: Queue, ever: Mapping[RunId, Run]) -> None:
    """Hold the figures against all runs that there are, and the counters against all that there ever were."""
    runs = list(queue.runs())
    middle = runs[len(runs) // 2].started_at if runs else 0
    filters = ({}, {"session": "a"}, {"since": middle}, {"until": middle, "agent": "demo"}, {"label": "x"})
    for which in (*filters, {"statuses": (RunStatus.ERROR, RunStatus.RUNNING)}):
        meant = list(queue.runs(**which))  # type: ignore[arg-type]
        for group, found in zip(GROUPS, queue.figures.of_runs(*GROUPS, **which), strict=True):  # type: ignore[arg-type]
            key = GROUPS[group]
            assert set(found) == {key(run) for run in meant}
            for name, figures in found.items():
                check(figures, [run for run in meant if key(run) == name])
    counters = queue.figures.run_counters()
    assert set(counters) == {GROUPS["both"](run) for run in ever.values()}
    for name, figures in counters.items():
        assert totals(figures) == by_hand([run for run in ever.values() if GROUPS["both"](run) == name])


def test_figures_are_those_of_counting_by_hand_after_everything_that_can_happen_to_a_run(
    engine: Engine, queue: Queue, clock: Clock
) -> None:
    draw = chance("figures")
    ever: dict[RunId, Run] = {}
    live: list[RunId] = []
    for step in range(1, 70 * WIDE + 1):
        clock.forward(draw.randrange(-3_000, 9_000))  # a wall clock may be set back
        due = clock.now - draw.randrange(5_000)
        new = prompt if draw.random() < 0.6 else command
        if step % 2:
            submit(queue, new(draw.choice(["a", "b", "default"]), due_at=due, labels=draw.choice([("x",), ()])))
        action = draw.choice(["claim"] * 5 + ["finish"] * 4 + ["undo", "retry", "prune"])
        if action == "claim" and (claimed := claim_next(queue, parallel=widths(a=3, b=3))) is not None:
            live.append(claimed.run)
        elif action == "finish" and live:
            run, status = live.pop(draw.randrange(len(live))), draw.choice(ENDINGS)
            priced = draw.random() < 0.5
            came = draw.choice([None, None, Came.LANDED, Came.NOTHING])
            finish(
                queue,
                run,
                status,
                finished_at=clock.now,
                duration_ms=draw.choice([0, 1, draw.randrange(2**40)]),
                failure_class=FailureClass.ERROR if status is RunStatus.ERROR else None,
                tokens_in=draw.choice([None, draw.randrange(2**40)]),
                tokens_out=draw.choice([None, 7]),
                cost_usd=draw.random() if priced else None,
                list_price=draw.random() < 0.5,
                landing=None if came is None else Landing("main", came),
            )
        elif action == "undo" and live:
            assert queue.undo_claim(live.pop(), actor=Actor.SWEEP, reason="void")
        elif action in ("retry", "prune"):
            ever |= {run.id: run for run in queue.runs() if run.status is not RunStatus.RUNNING}
            ended = list(queue.tasks(statuses=[Status.FAILED, Status.COMPLETED]))
            if ended:
                getattr(queue, action)(draw.choice(ended).address)
        if step % 35 == 0:
            ever |= {run.id: run for run in queue.runs() if run.status is not RunStatus.RUNNING}
            swept(queue, rebuild=True)
            check_all(queue, ever)
    assert len(ever) > 5
