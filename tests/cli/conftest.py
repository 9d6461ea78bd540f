"""What the command tests share: agentq and its words, for one test or for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import postgres
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


ENGINES = ["local", pytest.param("fleet", marks=[pytest.mark.skip(why)] if (why := postgres.why_not()) else [])]
"""The engines for a test of commands that is to say the same of each."""


def in_fleet(program: Agentq) -> ExitStack:
    """Have a program use a fleet in which nothing was ever stored, until what is returned is closed."""
    opened = ExitStack()
    url, schema = opened.enter_context(postgres.fleet())
    config = program.home / "fleet.toml"
    config.write_text(f'url = "{url}"\n[fleet]\nschema = "{schema}"\n')
    program.environ["AGENTQ_CONFIG"] = str(config)
    return opened


@pytest.fixture(scope="module", params=ENGINES)
def each_shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """`shared` with each engine."""
    base = tmp_path_factory.mktemp("shared")
    (base / "home").mkdir()
    program = Agentq(base / "home", base / "state")
    with in_fleet(program) if request.param == "fleet" else ExitStack():
        yield Driven(program)
        program.stop()


@pytest.fixture(params=ENGINES)
def each(request: pytest.FixtureRequest, agentq: Agentq) -> Iterator[Driven]:
    """`aq` with each engine."""
    with in_fleet(agentq) if request.param == "fleet" else ExitStack():
        yield Driven(agentq)
        agentq.stop()
