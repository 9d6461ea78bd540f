"""The run protocol of agentq-protocol(7), explored: in every order of steps, and with every fault in between, no agent
of a run begins twice or lives beside its end or a retry, no end is lost or invented, and the end can always be reached.

Each rule is broken once: without it one of these does happen.
"""

from __future__ import annotations

import pytest
import run_protocol
from exploring import Explored, explore
from run_protocol import Rules, Scene, World

DEATHS = frozenset({"supervisor", "launcher", "keeper"})
ALL = DEATHS | {"power", "timeout"}
LAPSE = frozenset({"lapse"})
WHOLE = Rules()

UNDISTURBED = Scene(tasks=2, attempts=1, idles=1)
ONE_FAULT = Scene(faults=ALL, budget=1)
LAPSED = Scene(supervisors=2, faults=LAPSE, budget=1)
FOREIGN = Scene(tasks=2, attempts=1, supervisors=2, faults=LAPSE, budget=1, foreign=True)
KILLER = Scene(tasks=2, attempts=1, killers=1)
TWO_DEATHS = Scene(attempts=1, faults=frozenset({"supervisor", "keeper"}), budget=2)

SCENES = {
    "undisturbed": UNDISTURBED,
    "two at once": Scene(tasks=2, jobs=2, idles=1),
    "one fault": ONE_FAULT,
    "a death with reuse": Scene(tasks=2, attempts=1, faults=DEATHS, budget=1, idles=1),
    "lapsed": LAPSED,
    "lapsed with reuse": Scene(tasks=2, attempts=1, supervisors=2, faults=LAPSE, budget=1),
    "lapsed to another namespace": FOREIGN,
    "a killer": KILLER,
    "a killer, and deaths": Scene(tasks=2, attempts=1, killers=1, faults=frozenset({"keeper"}), budget=1),
    "two deaths": TWO_DEATHS,
}
LARGE_SCENES = {
    "two faults": Scene(faults=ALL, budget=2),
    "two faults, two supervisors": Scene(supervisors=2, faults=ALL | LAPSE, budget=2),
    "two faults, another namespace": Scene(supervisors=2, faults=ALL | LAPSE, budget=2, foreign=True),
    "two faults with reuse": Scene(tasks=2, attempts=1, idles=1, faults=ALL, budget=2),
    "one fault with reuse and retries": Scene(tasks=2, idles=1, faults=ALL, budget=1),
    "two at once, one fault": Scene(tasks=2, attempts=1, jobs=2, faults=ALL, budget=1),
    "lapsed with reuse and retries": Scene(tasks=2, supervisors=2, faults=LAPSE, budget=1),
    "a killer and all else": Scene(tasks=2, attempts=1, supervisors=2, killers=1, faults=DEATHS | LAPSE, budget=1),
}

NEEDED = {
    "first_start_wins": (ONE_FAULT, "began twice"),
    "start_is_durable_before_the_agent": (ONE_FAULT, "is undone and had begun"),
    "named_before_the_start": (ONE_FAULT, "a crash of run 0 is invented"),
    "unnamed_after_the_exit": (ONE_FAULT, "the end of run 0 is lost"),
    "unlocked_after_the_exit": (FOREIGN, "a crash of run 0 is invented"),
    "exit_is_durable_before_unnamed": (ONE_FAULT, "the end of run 0 is lost"),
    "tree_is_gone_before_the_exit": (UNDISTURBED, "an end of run 0 is invented"),
    "keeps_is_asked_before_the_exit": (ONE_FAULT, "the end of run 0 is lost"),
    "void_before_undo": (ONE_FAULT, "runs beside"),
    "tree_first": (ONE_FAULT, "runs beside"),
    "looks_for_what_becomes_the_agent": (TWO_DEATHS, "runs beside"),
    "looks_for_that_first": (TWO_DEATHS, "runs beside"),
    "fenced": (LAPSED, "finished after it had been"),
    "numbered_names": (KILLER, "killed for a run that it keeps no more"),
    "stopped_before_killed": (KILLER, "killed for a run that it keeps no more"),
    "served_or_refused": (UNDISTURBED, "is void and nothing had happened"),
    "no_copy_of_a_line": (UNDISTURBED, "nothing leads to the end"),
}


def explored(scene: Scene, rules: Rules = WHOLE) -> Explored[World]:
    return explore(
        run_protocol.beginning(scene),
        lambda world: run_protocol.steps(world, scene, rules),
        lambda world: run_protocol.faults(world, scene),
        wrong=lambda world: run_protocol.wrong(world, scene),
        done=run_protocol.is_done,
    )


def holds(scene: Scene) -> None:
    found = explored(scene)
    assert not found.wrong, "\n".join((found.wrong, *found.trace))


@pytest.mark.parametrize("name", SCENES)
def test_the_protocol_keeps_its_promises(name: str) -> None:
    holds(SCENES[name])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", LARGE_SCENES)
def test_the_protocol_keeps_its_promises_in_a_larger_scene(name: str) -> None:
    holds(LARGE_SCENES[name])


@pytest.mark.parametrize("rule", Rules._fields)
def test_no_rule_of_the_protocol_can_be_left_out(rule: str) -> None:
    scene, what = NEEDED[rule]
    assert what in explored(scene, WHOLE._replace(**{rule: False})).wrong
