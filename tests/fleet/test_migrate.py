"""Sessions that go from a state dir into a fleet and back: addresses, history and what waits are the same there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import postgres
import pytest
from agentq_process import Agentq

from agentq_cli.base import database_url
from agentq_cli.base.clock import Clock
from agentq_cli.engines import door
from agentq_cli.engines.fleet import init
from agentq_cli.model.fleet import FleetSettings

pytestmark = pytest.mark.skipif(postgres.why_not() is not None, reason=str(postgres.why_not()))

MANY = 10_000
READINGS = (
    ("list", "--all"),
    ("runs",),
    ("sessions", "-v"),
    ("schedules",),
    ("messages", "-s", "docs"),
    ("events", "--limit", "1000"),
    ("show", "docs/1"),
    ("show", "a/2"),
)


class Two:
    """A state dir and a fleet: `at(where, …)` runs a command there."""

    def __init__(self, program: Agentq, url: str, schema: str, home: Path) -> None:
        self.program, self.url, self.schema = program, url, schema
        self.config = home / "config.toml"
        self.old, self.other = str(home / "old"), str(home / "other")

    def __call__(self, where: str, *words: str, code: int = 0, **options: Any) -> str:
        given = ("--url", where) if "://" in where else ("--state-dir", where)
        return self.run(*given, *words, code=code, **options)

    def run(self, *words: str, code: int = 0, **options: Any) -> str:
        done = self.program(*words, env={"AGENTQ_CONFIG": str(self.config)}, **options)
        assert done.returncode == code, f"{words}: {done.returncode} {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def state(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database has."""
        return postgres.shared().ask(sql.replace("agentq.", f"{self.schema}."))

    def told(self, where: str) -> dict[str, Any]:
        """What reading commands say, without what is of a place, and without the moves themselves."""
        return {" ".join(words): plain(json.loads(self(where, *words, "--json"))) for words in READINGS}

    def migrate(self, *words: str, code: int = 0) -> str:
        return self.run("migrate", *words, code=code)


PLACES = ("stdout_path", "stderr_path", "path", "pid", "host", "age_ms")
"""What is of one place, or of the moment."""


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        if "environment" in value:  # of which each host adds its own
            found = {each["name"] for each in value["environment"] if each["from"] == "shell"} - {"PATH"}
            value = value | {"environment": sorted(found)}
        return {name: plain(each) for name, each in value.items() if name not in PLACES}
    if isinstance(value, list):
        return [plain(each) for each in value if not (isinstance(each, dict) and each.get("event") == "move")]
    return value


def differences(one: Any, other: Any, at: str = "") -> Iterator[str]:
    """Where two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() | other.keys():
            yield from differences(one.get(name), other.get(name), f"{at}.{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{at}[{number}]")
    elif one != other:
        yield f"{at}: {one!r} and {other!r}"


@pytest.fixture
def two(agentq: Agentq, tmp_path: Path) -> Iterator[Two]:
    with postgres.schema() as schema:
        of = postgres.shared()
        init.init(of.url(), FleetSettings(schema=schema))
        made = Two(agentq, of.url(), schema, tmp_path)
        made.config.write_text(f'[fleet]\nschema = "{schema}"\n')
        yield made


@pytest.fixture
def filled(two: Two) -> Two:
    """A state dir with some of everything."""

    def at(*words: str, code: int = 0) -> None:
        two(two.old, *words, code=code)

    at("submit", "-s", "docs", "--conversation", "draft", "-a", "demo", "Write [it] down\\ with\ta tab\nand a line")
    at("submit", "-s", "a", "-e", "PLAIN=1", "-e", "MY_TOKEN=secret", "--exec", "--", "sh", "-c", "echo out; exit 3")
    at("run", "--drain", code=1)
    at("submit", "-s", "a", "--key", "k", "--label", "l", "-p", "7", "--exec", "--", "true")
    at("submit", "-s", "b", "--after", "a/2", "--exec", "--", "true")
    at("schedule", "--every", "1h", "--start", "2999-01-01T00:00:00Z", "-s", "nightly", "--exec", "--", "true")
    at("submit", "-s", "docs", "-a", "demo", "Then this")
    at("pause", "-s", "docs", "--reason", "not yet")
    at("pause", "--agent", "claude", "--reason", "resting")
    return two


def test_there_and_back_it_is_the_same(filled: Two) -> None:
    two = filled
    before = two.told(two.old)
    assert "would" not in two.migrate(two.old, two.url, "--dry-run")
    assert two.told(two.old) == before and "[]" in two(two.url, "sessions", "--json")
    said = two.migrate(two.old, two.url, "--logs")
    assert "a/1 lacks MY_TOKEN" in said
    assert list(differences(two.told(two.url), before)) == []
    assert two(two.url, "logs", "a/1", "--raw") == "out\n"
    # What goes on in a conversation does so where its files are.
    here = two.state("SELECT DISTINCT key FROM agentq.hosts")
    assert two.state("SELECT DISTINCT host_key FROM agentq.task_runs") == here
    assert two.state("SELECT DISTINCT host FROM agentq.conversations") == here
    for words in (("submit", "-s", "a", "--exec", "true"), ("submit", "--exec", "true"), ("resume", "-s", "docs")):
        assert "has moved to 'postgresql://" in two(two.old, *words, code=4), words
    assert two.told(two.old)["runs"] == before["runs"], "it can still be read"
    assert two(two.old, "sweep", "--no-wake") == ""
    # Somebody works there, and everything comes back, into another place.
    assert two(two.url, "submit", "-s", "a", "--exec", "--", "true").split() == ["a/3"]
    two(two.url, "cancel", "a/3")
    then = two.told(two.url)
    two.migrate(two.url, two.other, "--logs")
    assert list(differences(two.told(two.other), then)) == []
    assert two(two.other, "logs", "a/1", "--raw") == "out\n"
    assert "has moved to" in two(two.url, "submit", "-s", "a", "--exec", "true", code=4)
    assert "has moved to" in two(two.url, "submit", "--exec", "true", code=4)
    two(two.other, "resume", "-s", "docs")
    two(two.other, "run", "--drain")
    assert [item["status"] for item in json.loads(two(two.other, "list", "--all", "-s", "b", "--json"))["items"]] == [
        "completed"
    ]
    # And home again, in place of what stayed there to be read, with a session that is new there.
    two(two.other, "submit", "-s", "Aa", "--exec", "--", "true")
    then = two.told(two.other)
    two.migrate(two.other, two.old)
    assert list(differences(two.told(two.old), then)) == []
    assert two(two.old, "submit", "-s", "a", "--exec", "--", "true").split() == ["a/4"]


def test_what_cannot_go_is_refused_by_name(filled: Two) -> None:
    two = filled
    assert "task 'b/1': waits for 'a/2'" in two.migrate("-s", "b", two.old, two.url, code=4)
    assert "no such session" in two.migrate("-s", "bb", two.old, two.url, code=3)
    assert "it is already there" in two.migrate(two.old, two.old, code=2)
    two(two.url, "submit", "-s", "docs", "--exec", "true")
    assert "session 'docs': there is one of that name" in two.migrate(two.old, two.url, code=4)
    two.migrate("-s", "a", "-s", "b", two.old, two.url)
    assert "session 'a' has moved to" in two.migrate("-s", "a", two.old, two.other, code=4)
    assert two(two.old, "submit", "-s", "new", "--exec", "true").split() == ["new/1"]
    assert two(two.url, "submit", "-s", "a", "--exec", "true").split() == ["a/3"]


def test_the_role_of_the_hosts_may_do_it_and_a_second_time_goes_on_where_one_was_killed(filled: Two) -> None:
    two = filled
    before = two.told(two.old)
    of, settings = postgres.shared(), FleetSettings(schema=two.schema)
    role = f"role_{two.schema}"
    database = init.names(of.url(), settings)[0]
    of.ask("; ".join([f"CREATE ROLE {role} LOGIN", *init.grants(settings, role, database)]))
    of.ask(f"GRANT CONNECT ON DATABASE {database} TO PUBLIC")
    two.url = of.url(user=role)
    with closing(door.open_queue(two.old, Clock(), create=False)) as queue:
        queue.moving.leave(queue.moving.sessions(), database_url.shown(two.url), all_of_them=True)
    assert "has moved to" in two(two.old, "submit", "--exec", "true", code=4)
    two.migrate(two.old, two.url)
    assert list(differences(two.told(two.url), before)) == []
    assert two.migrate(two.old, two.url) == ""


@pytest.mark.slow
def test_ten_thousand_tasks_are_moved_in_seconds(two: Two, tmp_path: Path) -> None:
    lines = "".join(f'{{"exec": ["true"], "session": "s{number % 10}"}}\n' for number in range(MANY))
    two(two.old, "submit", "--batch", "-", input=lines)
    began = time.monotonic()
    two.migrate(two.old, two.url)
    print(f"{time.monotonic() - began:.2f} s there")
    began = time.monotonic()
    two.migrate(two.url, two.other)
    print(f"{time.monotonic() - began:.2f} s back")
    assert len(json.loads(two(two.other, "list", "--limit", str(MANY), "--json"))["items"]) == MANY
