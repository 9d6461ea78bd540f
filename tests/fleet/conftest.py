"""What the tests of the fleet share: a database, and machines in one process, each with a clock that the test moves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import postgres
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "queue"))

from fleet_machines import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet without hosts."""
    why = postgres.why_not()
    if why is not None:
        pytest.skip(why)
    with postgres.fleet() as (_, schema):
        made = Fleet(postgres.shared(), schema, tmp_path)
        yield made
        made.close()
