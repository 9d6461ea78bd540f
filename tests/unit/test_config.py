"""The configuration: precedence, every kind of key, and errors that name file, line and the nearest name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentq_cli.agents.reader import READERS
from agentq_cli.base.errors import Usage
from agentq_cli.config import configuration, schema
from agentq_cli.config.configuration import load

EXAMPLE = """
jobs = 2                      # agents at once
default_agent = "claude"
tz = "Europe/Berlin"
retention = "90d"
max_queued = 100000
capture_env = ["PATH", "LANG", "LC_*", "VIRTUAL_ENV"]
[defaults]
timeout = "2h"
[sessions.docs]
agent = "codex"
cwd = "~/src/docs"
parallel = 1
conversation_ttl = "30m"
[agents.mine]
argv = ["my-agent", "--json"]
[limits]
stagger = "0s"
[hooks]
"task.finished" = ["notify-send", "done"]
"""


def read(tmp_path: Path, text: str, **environ: str) -> configuration.Config:
    """The configuration that a file of this text gives."""
    file = tmp_path / "config.toml"
    file.write_text(text)
    return load({"AGENTQ_CONFIG": str(file), **environ})


def refused(tmp_path: Path, text: str, **environ: str) -> str:
    """What the error says, the path cut to its name."""
    with pytest.raises(Usage) as caught:
        read(tmp_path, text, **environ)
    assert caught.value.code == 2
    return caught.value.message.replace(f"{tmp_path}/", "")


def test_the_example_of_the_manual_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, EXAMPLE)
    assert (found.jobs, found.default_agent, found.tz, found.max_queued) == (2, "claude", "Europe/Berlin", 100_000)
    assert found.retention_ms == 90 * 86_400_000
    assert found.capture_env == ("PATH", "LANG", "LC_*", "VIRTUAL_ENV")
    assert found.options("docs") == {
        "timeout": 7_200_000,
        "agent": "codex",
        "cwd": str(Path.home() / "src/docs"),
        "parallel": 1,
        "conversation_ttl": 1_800_000,
    }
    assert found.options("another") == {"timeout": 7_200_000}
    assert found.agents["mine"]["argv"] == ("my-agent", "--json")
    assert found.limits.stagger_ms == 0
    assert found.hooks == {"task.finished": ("notify-send", "done")}


def test_without_a_file_everything_has_the_documented_default(tmp_path: Path) -> None:
    found = load({"XDG_CONFIG_HOME": str(tmp_path)})
    assert (found.jobs, found.default_agent, found.tz, found.retention_ms) == (2, None, None, None)
    assert found.max_queued == 100_000
    assert (found.capture_env, found.secret_env) == (("*",), ())
    mib = 1 << 20
    assert found.limits == configuration.Limits(0, 512 * mib, 512 * mib, 30_000, None, 3_600_000, 64 * mib)
    assert {each.source for each in configuration.settings(found)} == {"default"}
    assert list(tmp_path.iterdir()) == []


def test_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("jobs = 3\nmax_queued = 7\n")
    environ = {"AGENTQ_CONFIG": str(file)}
    assert load({}).jobs == 2
    assert load(environ).jobs == 3
    assert load({**environ, "AGENTQ_JOBS": "4"}).jobs == 4
    found = load({**environ, "AGENTQ_JOBS": "4"})
    sources = {each.key: each.source for each in configuration.settings(found)}
    assert sources["jobs"] == "environment AGENTQ_JOBS"
    assert sources["max_queued"] == f"file {file}"
    assert sources["tz"] == "default"


def test_every_top_level_key_can_come_from_the_environment(tmp_path: Path) -> None:
    environ = {
        "XDG_CONFIG_HOME": str(tmp_path),
        "AGENTQ_JOBS": "9",
        "AGENTQ_DEFAULT_AGENT": "demo",
        "AGENTQ_TZ": "Asia/Tokyo",
        "AGENTQ_RETENTION": "1d",
        "AGENTQ_MAX_QUEUED": "5",
        "AGENTQ_CAPTURE_ENV": "PATH,LC_* HOME",
        "AGENTQ_SECRET_ENV": "PGPASS* LICENCE",
        "AGENTQ_TREES": "~/trees",
        "AGENTQ_CACHES": "node_modules/,out",
        "AGENTQ_TREES_WARN": "5GiB",
        "AGENTQ_URL": "postgresql://q@db/agentq",
    }
    found = load(environ)
    values = (found.jobs, found.default_agent, found.tz, found.retention_ms, found.max_queued)
    assert values == (9, "demo", "Asia/Tokyo", 86_400_000, 5)
    assert (found.capture_env, found.secret_env) == (("PATH", "LC_*", "HOME"), ("PGPASS*", "LICENCE"))
    assert (found.trees, found.caches) == (os.path.expanduser("~/trees"), ("node_modules", "out"))
    assert (found.trees_warn_bytes, found.url) == (5 << 30, "postgresql://q@db/agentq")
    assert {f"AGENTQ_{key.upper()}" for key in schema.TOP} == {name for name in environ if "AGENTQ" in name}
    assert load({"XDG_CONFIG_HOME": str(tmp_path), "AGENTQ_JOBS": ""}).jobs == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("job = 2", "config.toml:1: unknown key 'job'; did you mean 'jobs'?"),
        ("\n\njobs = 2\nretentoin = '1d'", "config.toml:4: unknown key 'retentoin'; did you mean 'retention'?"),
        ("jobs = 0", "config.toml:1: jobs '0': must be a whole number from 1 to 10000"),
        ("jobs = true", "config.toml:1: jobs 'true': must be a whole number from 1 to 10000"),
        ("retention = 90", "config.toml:1: retention '90': a duration needs a unit, such as 90s, 15m, 2h or 1d"),
        ("[default]\ntimeout = '1h'", "config.toml:1: unknown key 'default'; did you mean 'defaults'?"),
        ("[defaults]\n\ntimout = '1h'", "config.toml:3: unknown key 'timout' in [defaults]; did you mean 'timeout'?"),
        (
            "[sessions.a]\nagent = 'demo'\n[sessions.b]\nparalel = 2",
            "config.toml:4: unknown key 'paralel' in [sessions.b]; did you mean 'parallel'?",
        ),
        ("defaults.parallel = 2", "config.toml:1: unknown key 'parallel' in [defaults]"),
        (
            "sessions = { docs = { context = 'shared' } }",
            "config.toml:1: context 'shared': not one of isolated, session",
        ),
        (
            "[sessions.x]\nlabel = [\n 'a',\n 5,\n]\n",
            "config.toml:2: label '5': must be a string",
        ),
        ("jobs = 2\ntz = 'Europe/Belrin'", "config.toml:2: tz 'Europe/Belrin': not an IANA time zone"),
        ("default_agent = 'cluade'", "config.toml:1: default_agent 'cluade': no such agent; did you mean 'claude'?"),
        ("[sessions.x]\nagent = 'mien'\n[agents.mine]\nargv = ['a']", "config.toml:2: agent 'mien': no such agent"),
        ("[sessions.'../x']\nagent = 'demo'", "config.toml:1: [sessions] name '../x': must be 1 to 64 letters"),
        ("[sessions.x]\ncwd = 'docs'", "config.toml:2: cwd 'docs': must be an absolute path, or begin with ~"),
        (
            "[agents.x]\nargv = 'my-agent'",
            "config.toml:2: argv 'my-agent': must be a list of strings, one for each word",
        ),
        ("[agents.x]\nargv = []", "config.toml:2: argv '[]': must name a program"),
        (
            "[agents.x]\nargv = ['a']\nreader = 'cluade'",
            "reader 'cluade': not one of none, claude, codex, events, gemini, opencode; did you mean 'claude'?",
        ),
        ("jobs = 1\n[agents.x]\nreader = 'events'", "config.toml:2: agent 'x': no argv; a new profile needs one"),
        ("[agents.claude]\nresume = ['-c']", "config.toml:1: agent 'claude': resume: contains no '{conversation}'"),
        ("[limits]\nload = 'on'", "config.toml:2: load 'on': must be a number above 0"),
        ("[limits]\noutput_bytes = '64'", "output_bytes '64': not a size"),
        ("[hooks]\n'task.finshed' = ['a']", "unknown key 'task.finshed' in [hooks]; did you mean 'task.finished'?"),
        ("[defaults]\nstall_timeout = '1h'\nstall-timeout = '2h'", "config.toml:3: 'stall-timeout': given twice"),
        ("jobs = 2\njobs =\n", "config.toml:2: not TOML: Invalid value (at line 2, column 7)"),
        ("jobs = [1,", "config.toml:1: not TOML: "),
        ("sessions = 5", "config.toml:1: sessions '5': must be a table"),
        ("[sessions]\nx = 5", "config.toml:2: sessions.x '5': must be a table"),
    ],
)
def test_a_mistake_names_file_line_and_the_nearest_name(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(tmp_path, text)


def test_the_value_of_an_environment_variable_is_never_in_an_error_or_shown(tmp_path: Path) -> None:
    assert "s3cret" not in refused(tmp_path, "[defaults.env]\n'A B' = 's3cret'")
    assert "12345678" not in refused(tmp_path, "[defaults.env]\nTOKEN = 12345678")
    assert "s3cret" not in refused(tmp_path, "[defaults]\nenv = 's3cret'")
    shown = configuration.settings(
        read(tmp_path, "[sessions.x.env]\nTOKEN = 's3cret'\n[agents.y]\nargv = ['a']\nenv = {K = 's3cret'}")
    )
    assert "s3cret" not in repr(shown)
    assert {"sessions.x.env": ["TOKEN"], "agents.y.env": ["K"]}.items() <= {
        each.key: each.value for each in shown
    }.items()


def test_options_have_their_long_name_with_dashes_or_underscores(tmp_path: Path) -> None:
    found = read(
        tmp_path, "[defaults]\nstall-timeout = '5m'\nagent_arg = '--fast'\nlabel = ['a', 'b']\nmemory = '2GiB'"
    )
    expected: dict[str, Any] = {
        "stall_timeout": 300_000,
        "agent_arg": ("--fast",),
        "label": ("a", "b"),
        "memory": 2 << 30,
    }
    assert found.options("default") == expected


def test_the_environment_of_a_session_is_added_to_the_default_one(tmp_path: Path) -> None:
    found = read(tmp_path, "[defaults.env]\nA = '1'\nB = '1'\n[sessions.x.env]\nB = '2'")
    assert found.options("x")["env"] == {"A": "1", "B": "2"}
    assert found.options("y")["env"] == {"A": "1", "B": "1"}


def test_hooks_may_be_written_without_quotes(tmp_path: Path) -> None:
    assert read(tmp_path, "[hooks]\ntask.finished = ['true']").hooks == {"task.finished": ("true",)}


def test_a_bad_value_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    assert refused(tmp_path, "", AGENTQ_JOBS="two").startswith("AGENTQ_JOBS 'two': must be a whole number")
    assert refused(tmp_path, "", AGENTQ_DEFAULT_AGENT="demi").endswith("did you mean 'demo'?")


def test_an_unknown_zone_in_the_environment_is_a_warning(tmp_path: Path) -> None:
    found = read(tmp_path, "tz = 'Asia/Tokyo'", AGENTQ_TZ="Mars/Base")
    assert found.tz == "Asia/Tokyo"
    assert found.warnings == ("AGENTQ_TZ 'Mars/Base': not an IANA time zone, ignored",)


def test_a_file_that_is_named_must_be_there_and_be_text(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="no such file"):
        load({"AGENTQ_CONFIG": str(tmp_path / "none.toml")})
    with pytest.raises(Usage, match="cannot be read: Is a directory"):
        load({"AGENTQ_CONFIG": str(tmp_path)})
    (tmp_path / "latin.toml").write_bytes(b"tz = '\xe9'")
    with pytest.raises(Usage, match="not UTF-8"):
        load({"AGENTQ_CONFIG": str(tmp_path / "latin.toml")})


@pytest.mark.parametrize(("base", "expected"), [("", "~/.config"), ("/elsewhere", "/elsewhere"), (" ", "~/.config")])
def test_the_default_path_is_among_the_users_configurations(base: str, expected: str) -> None:
    path = os.path.expanduser(f"{expected}/agentq/config.toml")
    assert configuration.config_path({"XDG_CONFIG_HOME": base}) == (path, False)


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    file = Path(read(tmp_path, "jobs = 2").path)
    os.utime(file, (1, 1))  # one that has just been written is soon read once more
    found = load({"AGENTQ_CONFIG": str(file)})
    assert not found.changed()
    Path(found.path).write_text("jobs = 10")
    assert found.changed()
    os.unlink(found.path)
    assert found.changed()


def test_the_schema_knows_every_reader() -> None:
    for name in READERS:
        assert schema.PROFILE["reader"](name, "reader") == name


def test_without_a_file_nothing_heavy_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from agentq_cli.config import configuration; configuration.load({'XDG_CONFIG_HOME': '/nowhere'}); "
        "from agentq_cli.agents import profile; "
        "print([m for m in ('tomllib', 'zoneinfo', 'subprocess', 'asyncio') if m in sys.modules])"
    )
    root = str(Path(configuration.__file__).parent.parent)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, env=environ, check=True
    )
    assert done.stdout.strip() == "[]"
