"""The password of a URL, wherever it is and however it is wrong; and when the certificate of the server is verified."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import postgres
import pytest
from driven import Driven
from psycopg2 import _psycopg

from agentq_cli.base import database_url
from agentq_cli.base.errors import AgentqError, Usage
from agentq_cli.config.configuration import Config
from agentq_cli.engines.fleet import driver, errors
from agentq_cli.engines.fleet.connection import Connection
from agentq_cli.engines.fleet.dsn import dsn
from agentq_cli.model.fleet import FleetSettings
from agentq_cli.supervise import variables

HIDDEN = {
    "postgresql://u:SECa?SECb@127.0.0.1:1/db": "postgresql://u@127.0.0.1:1/db",
    "postgresql://u:SEC#&=@[::1]:1,h:2/db?user=x": "postgresql://u@[::1]:1,h:2/db?user=x",
    "postgresql://127.0.0.1:1/db?pass%77ord=SEC&user=x": "postgresql://127.0.0.1:1/db?user=x",
    "postgresql://:SEC@/db?host=@abstract&password=SEC": "postgresql://@/db?host=@abstract",
}
"""What libpq can read, and what is left of it when it is shown."""

REFUSED = (
    *("postgresql://u:SECa/SECb@h/db", "postgresql://u:SECa@SECb@h/db", "postgresql://u:SECa?SECb/c@h/db"),
    *("postgresql://u:SEC/db", "postgresql://u:1?SEC=c/d@h/db", "postgresql://h/db?a=1;password=SEC"),
    *("postgresql://h/db?pass%7word=SEC", "postgresql://u:SEC@[::1/db", "postgresql://h/db?password=a&SEC"),
    *("postgresql://u:1/SEC@h/db", "postgresql://u:SEC@h:x/db", "postgresql://h/db?dbname=postgresql://u:SEC@h"),
)
"""What it may read otherwise than it is meant."""

UNREADABLE = (
    *("postgresql://u:SEC%C@h/db", "postgresql://u:SEC@h/db?nonsense=1", "postgresql://h/db?port=SEC"),
    *("postgresql://h/db?host=b%40SEC", "postgresql://u:SEC@h/db?sslmode=%00"),
)


def test_a_url_is_never_shown_with_its_password() -> None:
    for url, shown in HIDDEN.items():
        assert "SEC" in _psycopg.parse_dsn(url)["password"]
        assert database_url.without_password(url) == shown
        assert database_url.has_password(url)
        assert dsn(url)
        assert "SEC" not in database_url.shown(url)
    for url in REFUSED:
        assert database_url.without_password(url) == database_url.shown(url) == "postgresql://…", url
    assert database_url.shown("postgresql:u:SEC@b?c=http://d") == "…"
    for url in ("postgresql://", "postgresql:///db?host=/run&port=1", "postgresql://a.b-c/d%40e?options=-c%20a%3D1&"):
        assert dsn(url)
        assert database_url.without_password(url).rstrip("&") == url.rstrip("&")
        assert not database_url.doubtful(url)
    assert database_url.user_of("postgresql://u?x:SEC@h/db?sslmode=a") == "u?x"
    assert database_url.user_of("postgresql://u@h/db?us%65r=a%20+b") == "a +b"
    assert database_url.user_of("postgresql://h/db") is None


@pytest.mark.parametrize("url", [*REFUSED, *UNREADABLE])
def test_what_libpq_would_quote_is_refused_before_it_is_asked(url: str) -> None:
    with pytest.raises(Usage) as raised:
        Connection(url, "agentq")
    assert raised.value.message.endswith(f": {database_url.UNREADABLE}")
    assert "SEC" not in "".join(traceback.format_exception(raised.value))


def test_it_is_refused_on_the_command_line_in_the_file_and_in_the_environment(aq: Driven) -> None:
    config = aq.home / "agentq.toml"
    url = REFUSED[0]
    config.write_text(f'url = "{url}"\n')
    for words, env in (
        (("--url", url, "list"), {}),
        (("list",), {"AGENTQ_URL": url}),
        (("config", "check"), {"AGENTQ_CONFIG": str(config)}),
    ):
        failed = aq(*words, code=2, env=env)
        assert database_url.UNREADABLE in failed.stderr
        assert "SEC" not in failed.stderr + failed.stdout
    config.write_text(f'url = "{next(iter(HIDDEN))}"\n')
    assert "SEC" not in aq("config", env={"AGENTQ_CONFIG": str(config)}).stdout


def test_a_message_is_one_line_whoever_words_it() -> None:
    assert errors.line(driver.Error("a\nb  c")) == "a b c"
    assert errors.line(driver.Unanswered()) == "Unanswered"


VERIFIED, PREFERRED = "sslmode='verify-full'", "sslmode='prefer'"


def test_only_a_numeric_address_of_this_machine_needs_no_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    assert VERIFIED in dsn("postgresql://127.evil.example/q")
    assert VERIFIED in dsn("postgresql://db.example/q?sslmode=")
    assert PREFERRED in dsn("postgresql://127.0.0.2/q")
    monkeypatch.setenv("PGSSLMODE", "")
    assert VERIFIED in dsn("postgresql://db.example/q")
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    assert VERIFIED in dsn("postgresql://localhost/q")
    assert PREFERRED in dsn("postgresql://localhost/q?hostaddr=127.0.0.1")
    monkeypatch.setenv("PGSSLMODE", "require")
    assert "sslmode" not in dsn("postgresql://localhost/q")


@pytest.mark.skipif(postgres.why_not() is not None, reason=str(postgres.why_not()))
def test_a_service_is_verified_unless_its_file_says_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a server without TLS, which nobody may take for the one that is meant."""
    cluster = postgres.shared()
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    file = tmp_path / "services"
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    tcp = dict(_psycopg.parse_dsn(cluster.url(tcp=True)))
    socket = dict(_psycopg.parse_dsn(cluster.url()))

    def connect(url: str, **service: str) -> None:
        file.write_text("[s]\n" + "".join(f"{name}={value}\n" for name, value in service.items()))
        with Connection(url, "agentq") as connection:
            assert connection.send("SELECT 1") == [(1,)]

    for named in ("postgresql:///?service=s", "postgresql://"):
        with pytest.raises(AgentqError, match="SSL"):
            connect(named, **tcp)
        connect(named, **tcp, sslmode="prefer")
        connect(named, **socket)
        connect(named + ("&" if "?" in named else "?") + "sslmode=disable", **tcp)
        assert "PGSSLMODE" not in os.environ
        monkeypatch.setenv("PGSERVICE", "s")
    monkeypatch.setenv("PGSSLMODE", "prefer")
    connect("postgresql://", **tcp)
    monkeypatch.setenv("PGSSLMODE", "")
    with pytest.raises(AgentqError, match="SSL"):
        connect("postgresql://", **tcp)
    assert os.environ["PGSSLMODE"] == ""


def test_a_url_with_a_password_is_not_stored_and_a_host_gives_none_of_its_pg_variables(aq: Driven) -> None:
    there = ("--url", "postgresql://127.0.0.1:1/agentq")
    for given in (
        "A=see redis://:SEC@h/0 there",
        "A=http://u:S?EC@h",
        "A=postgresql://h/?password=SEC",
        "PGPASSFILE=SEC",
    ):
        refused = aq(*there, "submit", "-e", given, "--exec", "--", "true", code=2).stderr
        assert "looks like a secret" in refused
        assert "SEC" not in refused
    aq(*there, "submit", "-e", "A=http://h:80/a@b", "--exec", "--", "true", code=5)
    file = aq.home / "env"
    file.write_text("PGUSER=of the file\n")
    environ = {"PGPASSWORD": "SEC", "PGUSER": "SEC", "OTHER": "x"}

    def known(url: str | None, env_file: str | None = None) -> dict[str, str]:
        config = Config("", url=url, fleet=FleetSettings(env_file=env_file))
        return dict(variables.known_here(config, environ))

    assert known(None) == environ
    assert known(there[1]) == {"OTHER": "x"}
    assert known(there[1], str(file)) == {"OTHER": "x", "PGUSER": "of the file"}
