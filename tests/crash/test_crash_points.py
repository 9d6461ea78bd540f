"""Every process of agentq killed at every statement and every file operation in turn (case 3).

By default at one point of each scenario in one of its roles, others every day (see `sampling`); at all of them in all
roles in the slow tier
(`python -m pytest -m slow tests/crash`, some minutes). SQLite works inside a statement: see `test_mid_commit.py`.
"""

from __future__ import annotations

import pytest
from crasher import Crasher
from sampling import chance
from scenarios import SCENARIOS, Scenario

FEW = 1
PAIRS = [(scenario, role) for scenario in SCENARIOS for role in scenario.roles]
NAMES = [f"{scenario.name}-{role}" for scenario, role in PAIRS]


def killed_at(crasher: Crasher, scenario: Scenario, role: str, most: int | None = None) -> None:
    report = crasher.at_points(scenario, role, most)
    print(f"{scenario.name}, {role}: {report.points} points, {report.killed} kills, {len(report.failures)} failures")
    assert not report.failures, "\n".join(report.failures)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_a_process_may_be_killed_at_some_points(crasher: Crasher, scenario: Scenario) -> None:
    killed_at(crasher, scenario, chance(f"role {scenario.name}").choice(scenario.roles), FEW)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("scenario", "role"), PAIRS, ids=NAMES)
def test_a_process_may_be_killed_at_any_point(crasher: Crasher, scenario: Scenario, role: str) -> None:
    killed_at(crasher, scenario, role)
