"""Two PID namespaces on one state dir, as a container and its host, or two containers, have them.

A pid of the one means nothing in the other: nothing that lives there may be taken for gone, and nothing that is gone
for living.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from driven import Driven, held, until
from namespaces import ROOT_ONLY, UNSHARE, Container, Side, impossible
from terminal import all_on_terminal

from agentq_cli.host.run_directory import RunDirectory

why = impossible()
pytestmark = pytest.mark.skipif(why is not None, reason=f"no PID namespace can be made here: {why}")

ELSEWHERE = "its keeper is in another PID namespace"
SOON = ("--backoff", "100ms", "--max-backoff", "100ms")


@pytest.fixture
def outside(aq: Driven) -> Side:
    return Side(aq.agentq)


@pytest.fixture
def container(aq: Driven) -> Iterator[Container]:
    made = Container(aq.agentq)
    yield made
    made.stop()


@pytest.fixture
def another(aq: Driven) -> Iterator[Container]:
    made = Container(aq.agentq)
    yield made
    made.stop()


@pytest.fixture(params=["container and host", "host and container", "two containers"])
def sides(request: pytest.FixtureRequest, outside: Side, container: Container) -> tuple[Side, Side]:
    """Where a task runs, and from where it is looked at."""
    if request.param == "container and host":
        return container, outside
    if request.param == "host and container":
        return outside, container
    return container, request.getfixturevalue("another")


@pytest.fixture
def pair(outside: Side, container: Container) -> tuple[Side, Side]:
    """The host looks at a container."""
    return container, outside


def begin(here: Side, *options: str) -> int:
    """A task that runs there until it is let go; the pid of its supervisor."""
    here.aq.exec(*held("job"), given=[*SOON, *options])
    supervisor = here.supervise("--drain")
    here.aq.started("job")
    return supervisor


def status(side: Side, address: str = "default/1") -> str:
    return str(side.aq.task(address)["status"])


def swept(side: Side) -> dict[str | None, tuple[str, str]]:
    """What a sweep did, by run."""
    return {item["run"]: (item["action"], item["detail"]) for item in side.aq.items("sweep", "--no-wake")}


def test_a_healthy_run_is_left_alone_and_said_to_be_elsewhere(sides: tuple[Side, Side]) -> None:
    here, there = sides
    begin(here)
    assert there.aq("sweep", "--no-wake").stdout == ""
    assert [item["action"] for item in there.aq.items("sweep", "--dry-run")] == []
    (worker,) = there.aq.items("workers")
    assert (worker["state"], worker["note"], worker["rss_bytes"]) == ("running", ELSEWHERE, None)
    assert ELSEWHERE in there.aq("workers").stdout
    assert ELSEWHERE in there.aq("show", "1").stdout
    assert ELSEWHERE not in here.aq("show", "1").stdout + here.aq("workers").stdout
    assert there.aq.json("health")["status"] == "healthy"
    here.aq.let_go("job")
    until(lambda: status(there) == "completed")
    (run,) = there.aq.items("runs")
    assert (run["status"], run["exit_code"], run["adopted"]) == ("success", 0, False)


def test_a_drain_elsewhere_waits_for_it_and_runs_nothing_twice(pair: tuple[Side, Side]) -> None:
    here, there = pair
    begin(here)
    there.supervise("--drain")
    assert len(there.supervisors()) == 2
    here.aq.let_go("job")
    until(lambda: there.supervisors() == set(), what="both drained")
    assert [run["status"] for run in there.aq.items("runs")] == ["success"]


def test_a_supervisor_elsewhere_counts_while_it_lives_and_no_longer(sides: tuple[Side, Side]) -> None:
    here, there = sides
    idle = here.supervise()
    assert there.supervisors() == {idle}
    there.aq("sweep")
    assert there.supervisors() == {idle}, "a sweep elsewhere took it off the record, or started a second one"
    done = there.aq("submit", "--exec", "--", "true")
    assert done.stderr == "", "there is somebody"
    until(lambda: status(there) == "completed", what="its bell was rung")
    here.signal(idle)
    assert there.supervisors() == set()
    assert swept(there) == {None: ("forget", f"supervisor {idle} is gone")}
    late = {"AGENTQ_NOW": "2031-01-01T00:00:00Z"}
    assert "hint" in all_on_terminal(there.aq.agentq, "submit", "--exec", "--", "true", env=late)


def test_a_run_whose_supervisor_was_killed_elsewhere_is_settled_by_its_record(sides: tuple[Side, Side]) -> None:
    here, there = sides
    here.signal(begin(here))
    assert swept(there)["default/1.1"] == ("leave", f"{ELSEWHERE}, and no supervisor watches it")
    issues = there.aq.json("health", code=1)["issues"]
    assert [issue["message"] for issue in issues if issue["component"] == "run default/1.1"] == [
        f"no supervisor watches it, and {ELSEWHERE}"
    ]
    assert status(there) == "running"
    here.aq.let_go("job")
    until(RunDirectory(there.aq.state_dir / "sessions/default/runs/1.1").exit)
    until(lambda: (there.aq("sweep", "--no-wake"), status(there))[1] == "completed")
    assert len(there.aq.items("runs")) == 1


def test_a_supervisor_elsewhere_adopts_it_and_sees_its_end(pair: tuple[Side, Side]) -> None:
    here, there = pair
    here.signal(begin(here))
    there.supervise("--drain")
    until(lambda: there.aq.items("workers")[0]["state"] == "adopted")
    here.aq.let_go("job")
    until(lambda: status(there) == "completed")
    (run,) = there.aq.items("runs")
    assert (run["exit_code"], run["adopted"]) == (0, True)


def test_a_cancel_elsewhere_ends_it(pair: tuple[Side, Side]) -> None:
    here, there = pair
    here.signal(begin(here))
    there.aq("cancel", "1", "--wait")
    assert status(there) == "cancelled"
    (run,) = there.aq.items("runs")
    assert run["status"] == "cancelled"
    assert here.aq.items("workers") == []


def test_a_stall_is_seen_from_elsewhere(pair: tuple[Side, Side]) -> None:
    here, there = pair
    here.signal(begin(here, "--stall-timeout", "1s", "--retries", "0"))
    there.supervise("--drain")
    until(lambda: status(there) == "failed")
    assert there.aq.items("runs")[0]["status"] == "stalled"


def test_with_its_namespace_all_of_it_is_gone_and_it_runs_again(
    outside: Side, container: Container, another: Container
) -> None:
    begin(container)
    container.stop()
    assert outside.supervisors() == set()
    # A container that was started anew looks for what the one before it left.
    assert swept(another)["default/1.1"][0] == "recover"
    another.aq.let_go("job")
    another.aq.drain()
    assert [run["status"] for run in outside.aq.items("runs")] == ["success", "crashed"]


def test_an_agent_that_outlives_its_keeper_elsewhere_is_not_run_beside_itself(sides: tuple[Side, Side]) -> None:
    here, there = sides
    here.signal(begin(here))
    agent = here.aq.started("job")
    here.signal(here.keeper("default/1.1"))
    found = swept(there)
    if here.init is not None and there.init is None:
        # From the host a container's processes can be seen, and ended.
        assert found["default/1.1"][0] == "recover"
    else:
        assert found["default/1.1"][0] == "leave"
        assert status(there) == "running"
        here.signal(agent)
        assert swept(there)["default/1.1"][0] == "recover"
    assert there.aq.items("runs")[0]["status"] == "crashed"


def test_two_supervisors_of_one_pid_are_told_apart(aq: Driven, outside: Side) -> None:
    # Both are the first process of their namespace, and started in one tick of the clock as often as not.
    for _ in range(2):
        aq.agentq.start_as([*UNSHARE, *aq.agentq.command("run")])
    until(lambda: len(aq.json("workers")["supervisors"]) == 2, what="both are on duty")
    assert outside.supervisors() == {1}
    assert len(list((aq.state_dir / "bells").iterdir())) == 2


def test_hooks_of_a_supervisor_elsewhere_are_not_taken_from_it(pair: tuple[Side, Side]) -> None:
    here, there = pair
    config = here.aq.home / "config.toml"
    wait = f"echo x >> {here.aq.home}/told; touch {here.aq.home}/hook.started; while [ ! -e {here.aq.home}/hook.go ]"
    config.write_text(f'[hooks]\n"task.finished" = ["sh", "-c", "{wait}; do sleep 0.02; done"]\n')
    environ = {"AGENTQ_CONFIG": str(config)}
    here.aq.exec("true")
    here.aq.supervise("--drain", env=environ)
    until(lambda: (here.aq.home / "hook.started").exists())
    assert [item["action"] for item in there.aq.items("sweep", "--no-wake", env=environ)] == []
    here.aq.let_go("hook")
    until(lambda: here.supervisors() == set())
    assert (here.aq.home / "told").read_text() == "x\n"


def test_where_proc_is_another_namespaces_run_and_sweep_refuse(aq: Driven) -> None:
    submitted = subprocess.run(
        ["unshare", *ROOT_ONLY, "-pf", *aq.agentq.command("submit", "--exec", "--", "true")],
        env=aq.agentq.environ,
        capture_output=True,
        text=True,
    )
    assert submitted.stdout == "default/1\n"
    for command in ("run", "sweep"):
        refused = subprocess.run(
            ["unshare", *ROOT_ONLY, "-pf", sys.executable, "-m", "agentq_cli", command],
            env=aq.agentq.environ,
            capture_output=True,
            text=True,
        )
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"agentq: error: {command}: '/proc' shows the processes of another PID")
    aq.drain()
    assert aq.task("default/1")["status"] == "completed"


def test_ten_sweeps_on_both_sides_give_one_supervisor_and_one_run(pair: tuple[Side, Side]) -> None:
    here, there = pair
    here.aq.exec("sleep", "0.5")
    sweeps = [side.aq.start("sweep") for _ in range(5) for side in pair]
    for each in sweeps:
        each.communicate(timeout=60)
    until(lambda: status(there) == "completed")
    assert len(there.aq.items("runs")) == 1
