"""How many cases a test draws from a space too large for the gate, and which.

Every day draws others, so that over time all are met; a failure prints the seed that draws the same again as
`AGENTQ_TEST_SEED`. `AGENTQ_TEST_WIDE=N` draws N times as many: the slow tier, see README.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from _pytest.mark import ParameterSet

Case = TypeVar("Case")

WIDE = int(os.environ.get("AGENTQ_TEST_WIDE", "1"))
SEED = os.environ.get("AGENTQ_TEST_SEED") or f"{datetime.now(UTC):%Y-%m-%d}"


def chance(name: str) -> random.Random:
    """Today's draws of a test, of which pytest shows the seed where it fails."""
    print(f"AGENTQ_TEST_SEED={SEED}")
    return random.Random(f"{SEED} {name}")


def some(cases: Sequence[Case], count: int, name: str) -> list[Case]:
    """So many of the cases, as they stand in order; WIDE times as many, and all where that is no fewer."""
    chosen = chance(name).sample(range(len(cases)), min(len(cases), count * WIDE))
    return [cases[number] for number in sorted(chosen)]


def in_gate(cases: Iterable[Case], *chosen: Case) -> list[ParameterSet]:
    """Parameters of a test: these are in the gate, the others of the same claim in the slow tier with them."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=() if case in chosen else pytest.mark.slow)
        for case in cases
    ]
