"""`agentq run`: what it starts, when it ends, and what it says."""

from __future__ import annotations

import re

from driven import Driven, alive, held, until

NOW = "2026-03-01T12:00:00Z"
LATER = "2026-03-01T13:00:00Z"


def test_drain_runs_what_is_due_and_leaves_the_rest(aq: Driven) -> None:
    aq.batch(
        {"exec": ["true"]},
        {"exec": ["true"], "session": "later", "in": "1h"},
        {"exec": ["true"], "session": "paused"},
        {"exec": ["true"], "session": "laned"},
    )
    aq("pause", "paused/1")
    aq("pause", "-s", "laned")
    aq.drain()
    statuses = {"default/1": "completed", "later/1": "scheduled", "paused/1": "paused", "laned/1": "queued"}
    assert aq.statuses() == statuses


def test_a_drain_exits_1_if_a_task_it_ran_failed_and_no_other_supervisor_does(aq: Driven) -> None:
    aq.exec("false")
    aq("run", "--max-tasks", "1")
    # One that failed before is none of its own.
    aq.drain()
    aq("retry", "1")
    aq.drain(code=1)
    assert aq.statuses() == {"default/1": "failed"}


def test_a_pipe_gets_one_line_an_event(aq: Driven) -> None:
    aq.batch({"exec": ["true"]}, {"exec": ["sh", "-c", "exit 3"]})
    done = aq.drain("-j", "1", code=1)
    lines = [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", "", line) for line in done.stdout.splitlines()]
    assert [re.sub(r" in [0-9.]+m?s", "", line) for line in lines] == [
        "start default/1.1",
        "finish default/1.1 completed",
        "start default/2.1",
        "finish default/2.1 failed (exit code 3)",
    ]
    assert done.stderr == ""


def test_only_the_sessions_named(aq: Driven) -> None:
    aq.batch(*({"exec": ["true"], "session": name} for name in ("a", "b", "c")))
    aq.drain("-s", "a", "--session", "c")
    assert aq.statuses() == {"a/1": "completed", "b/1": "queued", "c/1": "completed"}


def test_max_tasks_is_the_number_of_tasks_it_starts(aq: Driven) -> None:
    aq.batch(*({"exec": ["true"]} for _ in range(4)))
    aq("run", "--max-tasks", "3", "-j", "2")
    assert sorted(aq.statuses().values()) == ["completed", "completed", "completed", "queued"]


def test_idle_exit_waits_for_what_runs_and_takes_what_comes(aq: Driven) -> None:
    aq.exec(*held("first"))
    supervisor = aq.supervise("--idle-exit", "1s", "-j", "1")
    aq.started("first")
    aq.exec("true")
    aq.let_go("first")
    aq.ended(supervisor, 0)
    assert aq.statuses() == {"default/1": "completed", "default/2": "completed"}


def test_detach_prints_the_pid_of_a_supervisor_that_goes_on(aq: Driven) -> None:
    pid = int(aq("run", "--detach", "--idle-exit", "1h", "-j", "3").stdout)
    (supervisor,) = aq.json("workers")["supervisors"]
    assert (supervisor["pid"], supervisor["jobs"]) == (pid, 3)
    aq("submit", "--wait", "--exec", "--", "true")
    document = aq.json("run", "--detach", "--another", "--drain")
    assert document["schema"] == "agentq.supervisor/1"
    until(lambda: not alive(document["pid"]), what="end of a drain without work")
    assert alive(pid)


def test_jobs_come_from_the_config_and_follow_the_file(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text("jobs = 1\n")
    environ = {"AGENTQ_CONFIG": str(config)}
    aq.batch(*({"exec": held(name)} for name in ("one", "two", "three")))
    aq.supervise(env=environ)
    aq.started("one")
    (supervisor,) = aq.json("workers")["supervisors"]
    assert supervisor["jobs"] == 1
    assert not aq.has_started("two")
    # Rewritten in another size, so that its change shows whatever the clock's steps are.
    config.write_text("# more\njobs = 2\n")
    aq.exec("true", given=("--in", "1h"))
    aq.started("two")
    gates = {gate["name"]: gate for gate in aq.json("workers", env=environ)["gates"]}
    assert gates["cap"]["holding"]
    assert "2 of 2" in gates["cap"]["detail"]
    assert not aq.has_started("three")
    waiting = aq.task("3")["waiting_for"]
    assert waiting["kind"] == "slot"
    assert "2 of 2" in waiting["detail"]


def test_a_second_supervisor_counts_all_live_workers_against_its_own_jobs(aq: Driven) -> None:
    aq.batch(*({"exec": held(name)} for name in ("one", "two", "three")))
    aq.supervise("-j", "1", "--drain")
    aq.started("one")
    second = aq.supervise("-j", "2", "--max-tasks", "1")
    aq.started("two")
    assert not aq.has_started("three")
    aq.let_go("one", "two", "three")
    aq.ended(second, 0)
    aq("wait", "1", "2", "3")
    assert {run["attempt"] for run in aq.runs().values()} == {1}


def test_expired_tasks_are_not_started(aq: Driven) -> None:
    early = {"AGENTQ_NOW": NOW}
    times = {"default": "30m", "exact": LATER, "in-time": "2h"}
    aq.batch(*({"exec": ["true"], "session": name, "expires": time} for name, time in times.items()), env=early)
    done = aq.drain(env={"AGENTQ_NOW": LATER})
    tasks = aq.tasks()
    statuses = {address: task["status"] for address, task in tasks.items()}
    assert statuses == {"default/1": "expired", "exact/1": "expired", "in-time/1": "completed"}
    assert "expire default/1" in done.stdout
    task = tasks["default/1"]
    assert (task["attempts"], task["last_run"], task["exit_code"]) == (0, None, None)
    aq("wait", "1", code=1)


def test_bad_values_are_refused(aq: Driven) -> None:
    for arguments, named in (
        (("-j", "0"), "'0'"),
        (("--idle-exit", "5"), "'5'"),
        (("--on-stop", "kill"), "'kill'"),
        (("-s", "a/b"), "'a/b'"),
    ):
        assert named in aq.refused("run", *arguments, code=2)
    assert not aq.state_dir.exists()
