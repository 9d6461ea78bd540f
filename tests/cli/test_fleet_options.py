"""What names the database of a fleet and the hosts of a task, as far as it is told without a database."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from driven import Driven

from agentq_cli.base import environment
from agentq_cli.config import mark

NOBODY = "postgresql://agentq:hush@127.0.0.1:1/agentq"
"""A database that nobody serves."""

HERE = os.uname().nodename


@pytest.fixture
def config(aq: Driven) -> Path:
    path = aq.home / "agentq.toml"
    aq.agentq.environ["AGENTQ_CONFIG"] = str(path)
    return path


def test_what_names_no_database_or_no_host_is_refused_before_anything_is_stored(aq: Driven, config: Path) -> None:
    config.write_text('[host]\nname = "a"\nlabels = ["gpu", "big"]\n[sessions.far]\non = "tpu"\n')
    for words, why in (
        (("--url", "mysql://a:hush@b/c"), "--url 'mysql://b/c': must be a URL of PostgreSQL"),
        (("--on", HERE), f"--on '{HERE}': neither the name of this machine, 'a', nor one of its labels"),
        (("--on", "gpu", "--on", "tpu"), "--on 'tpu': neither"),
        (("-s", "far"), "--on 'tpu': neither"),
        (("--on", "a b"), "--on 'a b': not the name or a label of a host"),
    ):
        refused = aq("submit", *words, "--exec", "--", "true", code=2).stderr
        assert why in refused
        assert "hush" not in refused
    aq("submit", "--on", "gpu", "--on", "a", "--on", "gpu", "--exec", "--", "true")
    (task,) = aq.json("list")["items"]
    assert task["on"] == ["gpu", "a"]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ('url = "postgres//a:hush@b"', ":1: url '…': must be a URL of PostgreSQL"),
        ('[fleet]\nlease = "4s"', ":2: lease '4s': must be from 5s to 1h"),
        ('[fleet]\nschema = "Q; DROP"', ":2: schema 'Q; DROP': must be small letters"),
        ('[fleet]\nlisten_url = "http://hush@b"', ":2: listen_url 'http://b': must be a URL of PostgreSQL"),
        ('[host]\nlabels = ["a b"]', ":2: labels 'a b': must be 1 to 64 letters"),
        ('[sessions.x]\naffinity = "hots"', ":2: affinity 'hots': not one of host, none, strict; did you mean 'host'?"),
        ("[hosts]\n", ":1: unknown key 'hosts'; did you mean 'host'?"),
    ],
)
def test_a_wrong_key_of_a_fleet_is_told_with_its_line(aq: Driven, config: Path, key: str, why: str) -> None:
    config.write_text(key)
    refused = aq("config", "check", code=2).stderr
    assert f"{config}{why}" in refused
    assert "hush" not in refused


def test_a_url_anywhere_turns_the_queue_of_the_state_dir_off(aq: Driven, config: Path) -> None:
    """Nothing is stored in it, swept or offered for completion, by the quick ways either."""
    config.write_text("jobs = 3\n")
    aq("submit", "-s", "near", "--exec", "--", "true")
    aq("sweep", "--no-wake")  # reads the config, so that the next one need not
    assert aq("__complete", "sessions", "").stdout == "near\n"
    words = {"submit": ("submit", "--exec", "--", "true"), "sweep": ("sweep", "--no-wake"), "list": ("list",)}

    def all_fail(*more: str, **env: str) -> None:
        for each in words.values():
            failed = aq(*more, *each, code=5, env=env)
            assert "agentq: error: url 'postgresql://127.0.0.1:1/agentq': " in failed.stderr
            assert "hush" not in failed.stderr + failed.stdout

    all_fail("--url", NOBODY)
    all_fail(AGENTQ_URL=NOBODY)
    assert aq("__complete", "sessions", "", env={"AGENTQ_URL": NOBODY}).stdout == ""
    assert aq("__complete", "sessions", "", NOBODY).stdout == ""  # --url on the line
    config.write_text(f'jobs = 3\nurl = "{NOBODY}"\n')
    all_fail()
    assert aq("__complete", "sessions", "").stdout == ""
    shown = aq("config").stdout
    assert "postgresql://agentq@127.0.0.1:1/agentq" in shown
    assert "hush" not in shown
    assert not any("hush" in path.read_text(errors="replace") for path in aq.state_dir.rglob("*") if path.is_file())
    config.write_text(f'url = "{NOBODY}"\njobs = 0\n')
    assert "jobs '0'" in aq("pause", "near/1", code=2).stderr  # of which queue is not known
    config.write_text("jobs = 0\n")
    aq("pause", "near/1")


def test_a_sweep_remembers_no_configuration_that_names_a_database(config: Path) -> None:
    from agentq_cli.config import configuration

    config.parent.mkdir(exist_ok=True)
    config.write_text(f'url = "{NOBODY}"\n')
    os.utime(config, (1, 1))
    environ = {"AGENTQ_CONFIG": str(config), "HOME": str(config.parent)}
    assert environment.names_url(environ)
    loaded = configuration.load(environ)
    assert loaded.url == NOBODY
    assert mark.note(loaded) is None


def test_a_secret_is_stored_by_its_name_alone(aq: Driven, config: Path) -> None:
    """In the database of a fleet; what each host takes then is tested here for this one."""
    (aq.home / "env").write_text("API_KEY=hush\n")
    config.write_text('secret_env = "LICENCE"\n')
    for words in (("-e", "API_KEY=hush"), ("-e", "LICENCE=hush"), ("--env-file", str(aq.home / "env"))):
        refused = aq("--url", NOBODY, "submit", *words, "--exec", "--", "true", code=2).stderr
        assert "looks like a secret" in refused
        assert "hush" not in refused
    config.write_text(config.read_text() + "[fleet]\nstore_env = true\n")
    aq("--url", NOBODY, "submit", "-e", "API_KEY=hush", "--exec", "--", "true", code=5)
    config.write_text(f'[host]\nenv_file = "{aq.home}/env"\n')
    aq("submit", "-e", "API_KEY", "-e", "OF_SUPERVISOR", "-e", "A=1", "--exec", "--", "env")
    aq("submit", "-e", "NOWHERE", "--exec", "--", "true")
    (aq.home / "batch").write_text('{"exec": ["env"], "env": {"API_KEY": true, "A": "2"}}\n')
    aq("submit", "--batch", str(aq.home / "batch"))
    task = aq.json("show", "1")
    assert task["env_keys"] == ["A", "API_KEY", "OF_SUPERVISOR"]
    assert {"name": "API_KEY", "from": "host"} in task["environment"]
    assert not any(b"hush" in path.read_bytes() for path in aq.state_dir.rglob("*") if path.is_file())
    aq("run", "--drain", env={"OF_SUPERVISOR": "its"}, code=1)
    printed = aq("logs", "1").stdout.splitlines()
    assert {"API_KEY=hush", "OF_SUPERVISOR=its", "A=1"} <= set(printed)
    assert {"API_KEY=hush", "A=2"} <= set(aq("logs", "3").stdout.splitlines())
    assert "--env 'NOWHERE': this host has no such variable" in aq.json("show", "2")["reason"]


def test_a_path_that_is_only_on_another_machine_is_accepted_for_a_fleet(aq: Driven) -> None:
    with socket.socket() as unused:  # so that a connection is tried, and nothing else fails before
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://127.0.0.1:{unused.getsockname()[1]}/agentq"
        for words in (("-C", "/nowhere"), ("--script", "/nowhere/x"), ("--stdin", "/nowhere/y")):
            aq("submit", *words, "--exec", "--", "true", code=2)
            aq("--url", url, "submit", *words, "--exec", "--", "true", code=5)
        aq("--url", url, "submit", "-C", "nowhere", "--exec", "--", "true", code=2)


def test_a_unit_of_a_host_has_the_url_without_its_password(aq: Driven) -> None:
    for kind in ("systemd", "cron"):
        printed = aq("service", "print", kind, env={"AGENTQ_URL": NOBODY}).stdout
        assert "postgresql://agentq@127.0.0.1:1/agentq" in printed
        assert "hush" not in printed


def test_the_driver_is_wanted_only_with_a_url(aq: Driven) -> None:
    (aq.home / "without").mkdir()
    (aq.home / "without" / "psycopg2.py").write_text("raise ImportError('none here')\n")
    path = f"{aq.home / 'without'}:{aq.agentq.environ['PYTHONPATH']}"
    aq.agentq.by_exec = True
    without = {"PYTHONPATH": path}
    aq.exec("true", env=without)
    aq.drain(env=without)
    assert [each["name"] for each in aq.items("hosts", env=without)] == [HERE]
    refused = aq.refused("list", "--url", NOBODY, code=2, env=without)
    assert "pip install 'agentq[fleet]'" in refused
