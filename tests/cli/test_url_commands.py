"""A fleet from outside: its tables, what its hosts and their agents are told, and which machine can do what."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import postgres
import pytest
from agentq_process import Agentq
from driven import Driven, held, until

Machines = Callable[..., Driven]


@pytest.fixture
def schema() -> Iterator[str]:
    why = postgres.why_not()
    if why is not None:
        pytest.skip(why)
    with postgres.schema() as name:
        yield name


@pytest.fixture
def machine(schema: str, tmp_path: Path) -> Iterator[Machines]:
    """Makes machines of one fleet, each with a state dir, a home and a config of its own."""
    made: list[Agentq] = []

    def make(name: str, *, url: str | None = None, more: str = "") -> Driven:
        home = tmp_path / f"home-{name}"
        home.mkdir()
        config = home / "agentq.toml"
        config.write_text(f'{more}\n[host]\nname = "{name}"\nlabels = ["label-{name}"]\n[fleet]\nschema = "{schema}"\n')
        agentq = Agentq(home, tmp_path / name)
        login = postgres.shared().url(user="agentq:hush", tcp=True)
        agentq.environ |= {"AGENTQ_CONFIG": str(config), "AGENTQ_URL": login if url is None else url}
        made.append(agentq)
        return Driven(agentq)

    yield make
    for each in made:
        each.stop()


def rows(schema: str, sql: str) -> list[tuple[Any, ...]]:
    return postgres.shared().ask(sql.replace("agentq.", f"{schema}."))


def test_the_tables_are_made_once_as_their_owner_and_used_by_a_role_that_owns_nothing(
    machine: Machines, schema: str
) -> None:
    role, cluster = f"hosts_{schema}", postgres.shared()
    cluster.ask(f"CREATE ROLE {role} LOGIN")
    host = machine("a", url=cluster.url(user=role, tcp=True))
    assert "`agentq fleet init`" in host.refused("list", code=6)
    assert "`agentq fleet init`" in host.refused("fleet", "upgrade", code=6)
    assert "permission denied" in host.refused("fleet", "init", code=2)
    owner = cluster.url(tcp=True)
    made = host("fleet", "init", owner)
    assert made.stderr.splitlines() == [f"schema '{schema}': created"]
    again = host.json("fleet", "init", owner)
    assert (again["changed"], again["role"]) == (False, role)
    assert again["grants"] == made.stdout.splitlines()
    cluster.ask(made.stdout)
    try:
        host.drain()
        assert host.exec("true") == "default/1"
        # What is started for it works with the same queue.
        host("sweep", "--url", host.agentq.environ["AGENTQ_URL"], env={"AGENTQ_URL": ""})
        until(lambda: host.statuses() == {"default/1": "completed"}, what="the end of the task")
        assert "nothing to do" in host("fleet", "upgrade").stderr
        rows(schema, "UPDATE agentq.meta SET value = '999' WHERE name = 'version'")
        for command in (("list",), ("submit", "--exec", "--", "true"), ("fleet", "upgrade"), ("fleet", "init", owner)):
            assert "newer than" in host.refused(*command, code=6)
        (issue,) = host.json("health", code=2)["issues"]
        assert (issue["component"], issue["severity"]) == ("database", "error")
        rows(schema, "UPDATE agentq.meta SET value = '0' WHERE name = 'version'")
        assert "`agentq fleet upgrade`" in host.refused("list", code=6)
    finally:
        cluster.ask(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_an_agent_of_a_fleet_gets_the_url_without_password_and_its_own_agentq_works(
    machine: Machines, schema: str, tmp_path: Path
) -> None:
    host = machine("a", more='secret_env = "LICENCE"')
    host("fleet", "init")
    (host.home / "env").write_text("LICENCE=of the host\n")
    config = Path(host.agentq.environ["AGENTQ_CONFIG"])
    config.write_text(config.read_text().replace("[host]", f'[host]\nenv_file = "{host.home}/env"'))
    program = " ".join(map(str, host.agentq.command("submit", "-s", "by-agent", "--exec", "--", "true")))
    shell = {"PGPASSFILE": "/hush", "PGHOST": "nowhere.invalid", "SHELLS": "own"}
    host.exec("sh", "-c", f"env; {program} >&2", given=("-e", "LICENCE", "-e", "PGDATA=asked for"), env=shell)
    host.drain(env={"PGAPPNAME": "of the supervisor"})
    seen = dict(line.partition("=")[::2] for line in host("logs", "1").stdout.splitlines())
    assert seen["AGENTQ_URL"] == postgres.shared().url(tcp=True)
    (place,) = (host.state_dir / "fleet").iterdir()
    assert seen["AGENTQ_STATE_DIR"] == str(place)
    assert {name for name in seen if name.startswith("PG")} == {"PGDATA"}
    assert (seen["LICENCE"], seen["SHELLS"]) == ("of the host", "own")
    assert host.task("by-agent/1")["status"] == "completed"
    assert not (place / "fleet").exists()
    stored = subprocess.run(
        [postgres.binaries() / "pg_dump", "--schema", schema, postgres.shared().url(tcp=True)],  # type: ignore[operator]
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "asked for" in stored
    assert "hush" not in stored
    assert "of the host" not in stored.replace("LICENCE=of the host", "")  # printed by the agent, so it is output
    assert "nowhere.invalid" not in stored


def test_a_task_runs_where_it_is_to_and_every_machine_says_where(machine: Machines, schema: str) -> None:
    a, b = machine("a"), machine("b")
    a("fleet", "init")
    assert a.items("hosts") == []
    repo = a.home / "repo"
    for words in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "one")):
        named = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(repo))
        repo.mkdir(exist_ok=True)
        subprocess.run((*named, *words), env=a.agentq.environ, check=True)
    tree = ("--worktree", "-C", str(repo), "--base", "HEAD")
    a.exec("sh", "-c", "echo new > file", given=("--on", "label-b", *tree))
    a.exec("true", given=("--on", "b", "--on", "label-a"))
    a("edit", "2", "--on", "b")
    a.exec(*held("here"), given=("--on", "b"), env={"HOME": str(b.home)})
    waiter = a.start("submit", "--wait", "--on", "label-b", "--exec", "--", "sh", "-c", "exit 3")
    until(lambda: "default/4" in a.tasks(), what="the fourth task")
    a.drain()
    assert set(a.statuses().values()) == {"queued"}
    (host,) = a.items("hosts")
    assert (host["name"], host["state"], host["here"]) == ("a", "left", True)
    b.supervise("-j", "4")
    b.started("here")
    assert a.ended(waiter) == 3
    assert a.items("workers")[0]["host"] == "b"
    assert a.task("3")["host"] == "b"
    assert a.json("workers")["supervisors"][0]["host"] == "b"
    shown = {each["name"]: each for each in b.items("hosts")}
    assert (shown["b"]["state"], shown["b"]["jobs"]) == ("up", 4)
    assert shown["b"]["running"] >= 1
    assert shown["b"]["labels"] == ["label-b"]
    assert [line.split()[1] for line in a("hosts").stdout.splitlines()] == ["STATE", "left", "up"]
    assert "default/3  running" in a("list").stdout
    b.let_go("here")
    until(lambda: a.statuses()["default/3"] == "completed", what="the end of the third task")
    assert {run["host"] for run in a.runs().values()} == {"b"}
    assert "Host:" in a("show", "1").stdout
    for command in ("diff", "land", "discard", "restore"):
        assert "it ran on host 'b', so its tree is there and not here" in a.refused(command, "1", code=4)
    assert "+new" in b("diff", "1").stdout
    assert a.items("trees") == []
    assert [each["task"] for each in b.items("trees")] == ["default/1"]


def test_health_names_late_hosts_other_versions_clocks_apart_and_rings_that_do_not_arrive(
    machine: Machines, schema: str
) -> None:
    cluster = postgres.shared()
    elsewhere = cluster.url("template1", tcp=True)  # where nobody hears what is told here, as behind a pooler
    host = machine("a")
    host("fleet", "init")
    host.drain()
    assert host("health").stdout == "healthy\n"
    (database,) = (each for each in host.json("doctor", code=1)["items"] if each["check"] == "database")
    assert database["status"] == "ok"
    columns = "key, name, boot_id, version, beat_at, lease_ms, joined_at"
    rows(
        schema,
        f"INSERT INTO agentq.hosts ({columns}) SELECT n, n, 'boot', '0.0.1', beat_at - ago, lease_ms, joined_at"
        " FROM agentq.hosts, (VALUES ('slow', 40000), ('dead', 90000)) AS other (n, ago)",
    )
    config = Path(host.agentq.environ["AGENTQ_CONFIG"])
    config.write_text(config.read_text().replace("[fleet]", f'[fleet]\nlisten_url = "{elsewhere}"'))
    quick = {"engines.fleet.listen:ECHO_MS": 100, "engines.fleet.listen:LOOK_MS": 100, "diagnose.fleet:APART_MS": -1}
    issues = host.json("health", code=1, env=host.agentq.constants(**quick))["issues"]
    told = {each["component"]: each["message"] for each in issues}
    assert told["host slow"].startswith("late: its last sign was ")
    assert told["host dead"].startswith("lost: its last sign was ")
    assert told["versions"].startswith("dead, slow: agentq 0.0.1, and here ")
    assert "whose time counts for what is due" in told["clock"]
    assert "its rings do not come through" in told["database"]


def test_what_a_machine_that_is_no_host_reads_makes_nothing_on_it(machine: Machines) -> None:
    host, reader = machine("a"), machine("b")
    host("fleet", "init")
    host.exec("echo", "hello", given=("-s", "docs"))
    host.drain()
    shutil.rmtree(reader.state_dir, ignore_errors=True)
    assert reader("logs", "docs/1").stdout == "hello\n"
    (session,) = reader.items("sessions")
    assert session["host"] == "a"
    for command in ("list", "runs", "events", "workers", "hosts", "trees", "health"):
        reader(command)
    assert not [path for path in reader.state_dir.rglob("*") if path.name == "key"]
    assert not os.path.exists(reader.state_dir / "agentq.db")


def test_a_login_or_a_database_that_is_not_there_is_a_wrong_url(machine: Machines) -> None:
    cluster = postgres.shared()
    host = machine("a")
    for url, why in (
        (cluster.url(user="nobody-here:hush", tcp=True), 'role "nobody-here" does not exist'),
        (cluster.url("no_such", tcp=True), 'database "no_such" does not exist'),
        (cluster.url(tcp=True) + "?sslmode=require", "SSL"),
        (cluster.url(tcp=True) + "?no_such=hush", "not a URL that libpq can read"),
    ):
        refused = host.refused("list", "--url", url, code=2)
        assert refused.startswith("agentq: error: url 'postgresql://127.0.0.1:")
        assert why in refused
        assert "hush" not in refused
