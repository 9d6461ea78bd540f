"""What a supervisor finds of its host: looks are cached within a round, notes are written once, ties are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from agentq_cli.base.clock import Clock
from agentq_cli.base.dataclass import replace
from agentq_cli.config.configuration import Config
from agentq_cli.engines.nouns import Past
from agentq_cli.host import process
from agentq_cli.host.place import Place
from agentq_cli.model.addresses import Address
from agentq_cli.model.fleet import FleetSettings
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.model.work import Launch, Work
from agentq_cli.policy import leases, placement
from agentq_cli.policy.order import Head
from agentq_cli.policy.placement import Bound, Needs, PassedOver
from agentq_cli.supervise import fitting, plan
from agentq_cli.supervise.duty import Duty, Settings
from agentq_cli.supervise.fitting import Fitting
from agentq_cli.supervise.guard import Guard

HERE, THERE = Bound("k1", "one", here=True), Bound("k2", "two", here=False)


class Fleet:
    """As much of a queue as is asked: who is expected, where tasks ran, and what was noted."""

    def __init__(self) -> None:
        self.placing = self
        self.now = 0
        self.up = {"k2"}
        self.here = Place("/nowhere")
        self.ran: dict[str, Bound] = {}
        self.notes: list[tuple[str, str | None]] = []
        self.asked = 0

    def expected(self, key: str) -> bool:
        self.asked += 1
        return key in self.up

    def ran_on(self, address: Address) -> Bound | None:
        return self.ran.get(str(address))

    def note(self, passed: Iterable[PassedOver]) -> None:
        self.notes += [(f"{each.session}/{each.seq}", each.reason) for each in passed]

    def candidate(self, head: Head) -> None:
        return None


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setattr(fitting, "LOOK_MS", 0)  # a look a round
    monkeypatch.setattr(fitting, "PATIENCE_MS", 0)
    return Fleet()


@pytest.fixture
def found(fleet: Fleet) -> Fitting:
    config = Config(path="", fleet=FleetSettings(host="one"), sessions={"strict": {"affinity": "strict"}})
    duty = Duty(fleet, config, Clock(), Settings(), {"PATH": "/bin"}, process.current(), Guard())  # type: ignore[arg-type]
    return Fitting(duty)


def head(session: str = "s", seq: int = 1, *, agent: str = "", bound: Bound | None = None, **needs: Any) -> Head:
    wanted = Needs(**{"on": (), "directory": "/"} | needs)
    return Head(
        session, seq, agent, 0, 0, None, False, False, 0, needs=wanted.text, bound=None if bound is None else bound.text
    )


def test_a_look_is_taken_once_a_round_and_a_note_is_written_once(
    found: Fitting, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app"
    wanted, like = (head(seq=seq, directory=str(path)) for seq in (1, 2))
    assert not found.fits(wanted)
    path.mkdir()
    assert not found.fits(wanted), "files that came since are seen in the next round"
    assert not found.fits(like)
    found.tell()
    assert fleet.notes == [("s/1", f"no directory '{path}'"), ("s/2", f"no directory '{path}'")]
    path.rmdir()
    found.begin()
    assert not found.fits(wanted)
    assert found.passed_over("s", "")
    found.tell()
    assert len(fleet.notes) == 2
    path.mkdir()
    found.begin()
    assert found.fits(wanted)
    assert not found.passed_over("s", "")
    found.tell()
    assert fleet.notes[2:] == [("s/1", None)]
    # A note is renewed before it is too old to count.
    monkeypatch.setattr(placement, "NOTED_MS", 0)
    monkeypatch.setattr(fitting, "ANEW_MS", 0)
    path.rmdir()
    for _ in range(2):
        found.begin()
        found.fits(wanted)
        found.tell()
    assert len(fleet.notes) == 5


def test_a_verdict_is_asked_for_again_only_when_a_look_finds_something_else(
    found: Fitting, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Head] = []
    obstacle = found._obstacle
    monkeypatch.setattr(found, "_obstacle", lambda head: asked.append(head) or obstacle(head))
    heads = [head(seq=seq, directory=str(tmp_path / "app"), bound=HERE) for seq in range(5)]
    for _ in range(3):
        found.begin()
        assert not any(found.fits(each) for each in heads)
        assert found.passed_over("s", "")
    assert asked == heads
    found.begin()
    assert not found.passed_over("s", ""), "in this round nobody has asked yet"
    (tmp_path / "app").mkdir()
    found.begin()
    assert all(found.fits(each) for each in heads)
    assert asked == heads * 2
    # A head that was read anew may be bound to another host.
    assert not found.fits(head(seq=1, directory=str(tmp_path / "app"), bound=THERE))


def test_what_starts_on_its_own_host_at_once_is_never_noted(
    found: Fitting, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "PATIENCE_MS", 1000)
    moment = 0
    monkeypatch.setattr(fitting, "monotonic_ms", lambda: moment)
    stays, starts = head(bound=THERE), head(seq=2, bound=THERE)
    for seen in ([stays, starts], [stays], [stays]):
        found.begin()
        assert not any(found.fits(each) for each in seen)
        found.tell()
        assert fleet.notes == []
        assert min(found.moments()) == 1000
        moment = 999
    moment = 1000
    found.begin()
    found.tell()
    assert fleet.notes == [], "in this round nobody has asked"
    assert not found.fits(stays)
    found.tell()
    assert fleet.notes == [("s/1", "session 's' is on host 'two'")]
    # It looks again now and then, as its host may be gone for good.
    assert found.moments() == [1000 + leases.renewal_ms(FleetSettings().lease_ms)]
    found.begin()
    assert found.moments() == []


def test_an_agent_is_there_if_its_program_is(found: Fitting) -> None:
    assert found.fits(head(agent="demo"))
    assert not found.fits(head(agent="codex"))
    assert not found.fits(head(agent="no such agent"))


def test_a_variable_is_there_if_the_host_has_it_in_its_environment_or_its_file(found: Fitting, tmp_path: Path) -> None:
    assert found.fits(head(variables=("PATH",)))
    wanted = head(variables=("PATH", "TOKEN"))
    assert not found.fits(wanted)
    (tmp_path / "env").write_text("TOKEN=x\n")
    duty = found._duty
    duty.config = replace(duty.config, fleet=replace(duty.config.fleet, env_file=str(tmp_path / "env")))
    found.begin()  # another config is another host
    assert found.fits(wanted)


def test_a_session_goes_where_it_is_bound_as_long_as_that_host_is_to_be_expected(found: Fitting, fleet: Fleet) -> None:
    assert found.fits(head(bound=HERE))
    assert not any(found.fits(head(seq=seq, bound=THERE)) for seq in (1, 2, 3))
    assert fleet.asked == 1
    assert found.fits(head("default", bound=THERE))
    assert not found.fits(head("default", bound=THERE, repository="/"))
    fleet.up.clear()
    found.begin()
    assert found.fits(head(bound=THERE))
    assert not found.fits(head("strict", bound=THERE))


def test_a_task_goes_where_its_tree_its_branch_or_its_conversation_is(found: Fitting, fleet: Fleet) -> None:
    fleet.ran = {"s/1": THERE, "s/9": THERE}
    own = {"repository": "/", "own_tree": True}
    assert not found.fits(head(seq=1, **own))
    assert found.fits(head(seq=2, **own))
    assert not found.fits(head(seq=2, repository="/", base="@s/9"))
    assert found.fits(head(seq=2, repository="/", base="main"))
    assert not found.fits(head(seq=1, continues="c"))
    # The session has moved here since: what goes back to its own tree does not go with it.
    assert not found.fits(head(seq=1, bound=HERE, **own))
    fleet.ran["s/1"] = HERE
    found.begin()
    assert found.fits(head(seq=1, bound=THERE, **own))
    fleet.ran["s/1"] = THERE
    fleet.up.clear()
    found.begin()
    assert found.fits(head(seq=1, **own))
    assert found.fits(head(seq=2, repository="/", base="@s/9"))
    assert not found.fits(head(seq=1, continues="c")), "such a reply is given there or not at all"


@pytest.mark.parametrize(
    ("session", "bound", "needs", "binds", "moved"),
    [
        ("s", None, {}, True, False),
        ("s", HERE, {}, True, False),
        ("s", THERE, {}, True, True),
        ("default", THERE, {}, False, False),
        ("default", THERE, {"repository": "/"}, True, True),
        ("s", THERE, {"continues": "c"}, False, False),
        ("s", HERE, {"continues": "c"}, True, False),
    ],
)
def test_a_plan_binds_the_session_and_tells_the_agent_that_it_has_moved(
    fleet: Any, session: str, bound: Bound | None, needs: dict[str, Any], binds: bool, moved: bool
) -> None:
    config = Config(path="", fleet=FleetSettings(host="one"))
    launch = Launch(continues=needs.get("continues"))
    work = Work("prompt", "/", prompt="do it", agent="demo", launch=launch)
    task = Task(session, 1, work, Status.QUEUED, 0, 0)
    of = plan.plan(task, config, Past("c"), fleet, head=head(session, bound=bound, **needs))
    assert (of.error, of.binds, of.moved) == (None, binds, "from host 'two' to 'one'" if moved else None)
    text = of.stdin_text or " ".join(of.argv)
    assert ("This session ran on another host ('two')" in text) == moved
    assert text.endswith("do it")


def test_without_a_fleet_a_plan_binds_nothing(fleet: Any) -> None:
    task = Task("s", 1, Work("exec", "/", argv=("true",)), Status.QUEUED, 0, 0)
    assert not plan.plan(task, Config(path=""), Past(), fleet).binds
