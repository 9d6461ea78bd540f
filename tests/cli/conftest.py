"""What the command tests share: agentq and its words, for one test or for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from agentq_process import Agentq
from driven import Driven


@pytest.fixture
def aq(agentq: Agentq) -> Driven:
    """A state dir of the test's own and agentq in it."""
    return Driven(agentq)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """One for all tests of a module, which must not disturb each other."""
    base = tmp_path_factory.mktemp("shared")
    (base / "home").mkdir()
    program = Agentq(base / "home", base / "state")
    yield Driven(program)
    program.stop()
