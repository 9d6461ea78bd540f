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
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """One for all tests of a module, which must not disturb each other."""
    base = tmp_path_factory.mktemp("shared")
    (base / "home").mkdir()
    by_exec = request.node.get_closest_marker("exec") is not None
    program = Agentq(base / "home", base / "state", by_exec=by_exec)
    yield Driven(program)
    program.stop()
