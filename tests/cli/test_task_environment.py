"""The environment of the submitting shell: stored whole, once for each different one, and without a secret."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import tarfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from driven import Driven, until

from agentq_cli.base import environment

ENV = ("env", "-0")
OLDER = Path(__file__).parent / "older_state.tar.gz"
"""A state dir of the version before this one: three commands of session default (the third is a schedule) and a prompt
of session talk, submitted with PATH, LANG and HOME at AGENTQ_NOW=2026-03-01T12:00:00Z."""

SECRETS = {
    "ANTHROPIC_API_KEY": "hidden-1",
    "GITHUB_TOKEN": "hidden-2",
    "MY_SECRET": "hidden-3",
    "PGPASSWORD": "hidden-4",
    "AWS_CREDENTIALS": "hidden-5",
    "SESSION_COOKIE": "hidden-6",
    "lower_api_key": "hidden-7",
    "LICENCE": "hidden-8",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "http.extraheader",
    "GIT_CONFIG_VALUE_0": "hidden-9",
}


def seen(aq: Driven, run: str = "default/1.1") -> dict[str, str]:
    """The environment that `env -0` printed."""
    return dict(each.partition("=")[::2] for each in aq.stdout(aq.runs()[run]).split("\0") if each)


def stored(aq: Driven, session: str = "default") -> list[dict[str, str]]:
    """The environments that a session keeps."""
    with closing(sqlite3.connect(aq.state_dir / "sessions" / session / "inbound.db")) as database:
        return [json.loads(text) for (text,) in database.execute("SELECT variables FROM environments ORDER BY id")]


def sources(item: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: each["from"] for each in item["environment"]}


def own(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name not in environment.RESERVED}


def test_a_task_gets_the_whole_environment_of_its_shell_and_the_secrets_of_the_supervisors(aq: Driven) -> None:
    shell = {"EDITOR": "vi", "EMPTY": "", "ODD": "a=b\nc", "HOME": str(aq.home / "its"), "API_KEY": "of the shell"}
    shell |= {"SSH_AUTH_SOCK": "/agent", "SSH_TTY": "/dev/pts/1", "TERM": "xterm", "GIT_DIR": "/elsewhere"}
    aq.exec(*ENV, env=shell)
    aq.drain(env={"API_KEY": "of the supervisor", "EDITOR": "ed", "OTHER": "x", "DISPLAY": ":0", "LC_ALL": "C"})
    env = own(seen(aq))
    expected = aq.agentq.environ | shell | {"API_KEY": "of the supervisor"}
    for name in ("SSH_TTY", "TERM", "GIT_DIR", "AGENTQ_STATE_DIR"):
        del expected[name]
    assert env == expected


def test_what_belongs_to_the_moment_and_what_is_secret_is_not_stored(aq: Driven) -> None:
    given = {each.replace("*", "X") for each in (*environment.SECRET, *environment.MOMENT)}
    local = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True)
    given |= set(local.stdout.split()) | {"my_api_key", "AGENTQ_NOW", "AGENTQ_RUN", "AGENTQ_PREVIOUS_RUN"}
    text = dict.fromkeys(given, "2026-03-01T12:00:00Z")
    # Each by the express path and by the general one.
    aq.exec("true", env=text)
    aq.exec("true", env=text)
    aq.exec("true", given=("--label", "l"), env=text)
    (found,) = stored(aq)
    assert found == {name: value for name, value in aq.agentq.environ.items() if name != "AGENTQ_STATE_DIR"}


def test_capture_env_chooses_and_secret_env_names_more_secrets(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text('capture_env = ["PATH", "MY_*"]\nsecret_env = "MY_LICENCE"\n')
    env = {"AGENTQ_CONFIG": str(config), "MY_LICENCE": "shell", "MY_OWN": "shell", "MY_TOKEN": "shell", "OTHER": "x"}
    aq.exec(*ENV, env=env)
    aq.drain(env=env | {"MY_LICENCE": "supervisor", "MY_TOKEN": "supervisor", "MY_OWN": "supervisor"})
    expected = {"PATH": aq.agentq.environ["PATH"], "MY_OWN": "shell"}
    assert stored(aq) == [expected]
    assert own(seen(aq)) == expected | {"MY_LICENCE": "supervisor", "MY_TOKEN": "supervisor"}


def test_each_different_one_is_stored_once_and_goes_with_the_last_task_that_has_it(aq: Driven) -> None:
    one, other, third = {"WHICH": "one"}, {"WHICH": "other"}, {"WHICH": "third"}

    def which() -> list[str]:
        return sorted(each["WHICH"] for each in stored(aq))

    aq.exec("true", env=one)
    aq.exec("true", env={"A": "b"} | one)
    aq.exec("true", given=("-p", "3", "--label", "l"), env=one)
    aq.batch({"exec": ["true"]}, {"exec": ["true"]}, env=other)
    aq.batch({"exec": ["true"]}, {"exec": ["true"], "session": "s"}, env=other)
    aq("schedule", "--every", "1h", "--exec", "--", "true", env=other)
    aq.submit("--key", "k", "--in", "1h", "--exec", "--", "true", env=third)
    assert which() == ["one", "one", "other", "third"]
    assert [each["WHICH"] for each in stored(aq, "s")] == ["other"]
    # Replacing a task, even by the same work, takes over the environment of the later shell.
    aq.submit("--key", "k", "--replace", "--in", "1h", "--exec", "--", "true", env=one)
    assert which() == ["one", "one", "other"]
    aq.drain()
    aq("prune", "2", "1", "--yes")
    assert which() == ["one", "other"]
    aq("cancel", "7", "8")
    aq("prune", "3", "8", "4", "5", "6", "--yes")
    assert which() == ["other"]
    aq("prune", "7", "--yes")
    assert stored(aq) == []


def test_a_batch_that_is_refused_leaves_none(aq: Driven) -> None:
    aq.exec("true", env={"WHICH": "one"})
    aq.submit("-s", "s", "--key", "k", "--exec", "--", "true", env={"WHICH": "one"})
    lines = {"exec": ["true"]}, {"exec": ["false"], "session": "s", "key": "k"}
    text = "".join(json.dumps(line) + "\n" for line in lines)
    aq("submit", "--batch", "-", input=text, env={"WHICH": "other"}, code=4)
    assert [each["WHICH"] for each in (*stored(aq), *stored(aq, "s"))] == ["one", "one"]


def test_a_retry_and_the_next_occurrence_have_the_environment_of_the_submit(aq: Driven) -> None:
    aq("schedule", "--every", "1h", "--exec", "--", *ENV, env={"WHICH": "one", "AGENTQ_NOW": "2026-03-01T12:00:00Z"})
    for hour in (13, 14):
        aq.drain(env={"WHICH": "supervisor", "AGENTQ_NOW": f"2026-03-01T{hour}:00:00Z"})
    aq("retry", "1", env={"WHICH": "retry", "AGENTQ_NOW": "2026-03-01T14:01:00Z"})
    aq.drain(env={"WHICH": "supervisor", "AGENTQ_NOW": "2026-03-01T14:02:00Z"})
    assert [seen(aq, f"default/{run}")["WHICH"] for run in ("1.1", "2.1", "1.2")] == ["one"] * 3
    aq("edit", "3", "--priority", "4", env={"WHICH": "edit"})
    assert [each["WHICH"] for each in stored(aq)] == ["one"]


@pytest.mark.exec
def test_what_is_listed_before_is_what_the_run_gets(aq: Driven) -> None:
    """In `--dry-run` and in `show`; the secrets are those of the supervisor that serves, whatever this shell has."""
    shell = {"EDITOR": "vi", "API_KEY": "of the shell"}
    words = ("-e", "MINE=1", "--exec", "--", *ENV)
    (alone,) = aq.items("submit", "--dry-run", *words, env=shell)
    assert sources(alone)["API_KEY"] == "supervisor"
    supervisor = aq.supervise(env={"OTHER_TOKEN": "hidden", "EDITOR": "ed"})
    until(lambda: aq.json("workers")["supervisors"], what="a supervisor")
    (planned,) = aq.items("submit", "--dry-run", *words, env=shell)
    address = aq.submit("--wait", *words, env=shell)
    env = seen(aq)
    assert set(sources(planned)) == set(planned["env"]) == set(env)
    shown = sources(aq.json("show", address, env=shell))
    assert shown == sources(planned) | {"AGENTQ_PREVIOUS_RUN": "agentq"}
    told_of = ("EDITOR", "MINE", "OTHER_TOKEN", "AGENTQ_RUN", "PWD")
    assert [shown[name] for name in told_of] == ["shell", "task", "supervisor", "agentq", "agentq"]
    text = aq("show", address, env=shell).stdout.partition("Answer:")[0]  # below is what it printed
    dry = aq("submit", "--dry-run", *words, env=shell).stdout
    for printed in (text, dry):
        assert "supervisor: OTHER_TOKEN\n" in printed and "hidden" not in printed and "API_KEY" not in printed
    supervisor.terminate()
    aq.ended(supervisor)


def test_no_secret_is_anywhere_in_the_state_dir(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text(
        'secret_env = ["LICENCE"]\n[agents.mine]\nargv = ["sh", "-c", "cat"]\nenv = { MINE_KEY = "hidden-10" }\n'
        '[sessions.s.env]\nLICENCE = "hidden-11"\n[hooks]\n"task.finished" = ["true"]\n'
    )
    now = iter(range(100))

    def env() -> dict[str, str]:
        later = {"AGENTQ_NOW": f"2026-03-01T12:{next(now):02d}:00Z"}
        return SECRETS | {"AGENTQ_CONFIG": str(config), "WHICH": "seen"} | later

    quick = env()
    del quick["AGENTQ_CONFIG"], quick["LICENCE"]
    aq.exec("true", env=quick)
    aq.exec("true", env=quick)
    aq.exec("false", given=("--retries", "1", "--label", "l"), env=env())
    aq.submit("-a", "mine", "a prompt", env=env())
    aq.submit("-s", "s", "-a", "mine", "a prompt", env=env())
    aq.batch({"exec": ["true"]}, {"exec": ["true"]}, env=env())
    aq.batch({"exec": ["true"]}, {"exec": ["true"], "session": "t"}, env=env())
    aq("schedule", "--every", "1m", "--exec", "--", "true", env=env())
    aq.submit("--key", "k", "--exec", "--", "true", env=env())
    aq.submit("--key", "k", "--replace", "--exec", "--", "true", "other", env=env())
    aq.exec("true", given=("--hold",), env=env())
    aq.agentq("run", "--drain", env=env())
    aq("retry", "1", env=env())
    aq.agentq("run", "--drain", env=env())
    with closing(sqlite3.connect(aq.state_dir / "sessions" / "s" / "outbound.db")) as database, database:
        asked = json.dumps({"action": "schedule_task", "prompt": "again", "in": "1m"})
        database.execute("INSERT INTO messages_out VALUES ('m1', 'system', ?, 0)", (asked,))
    aq("sweep", "--no-wake", env=env())
    aq.agentq("run", "--drain", env=env())
    for words in (("show", "1"), ("list", "--all"), ("config", "show"), ("sweep", "--no-wake", "--reindex")):
        aq(*words, env=env())
    assert len(aq.runs("-s", "s")) == 2
    found = {path: path.read_bytes() for path in aq.state_dir.rglob("*") if path.is_file()}
    assert any(b'"WHICH": "seen"' in content for content in found.values()), "the environment is stored"
    assert [path for path, content in found.items() if b"hidden-" in content] == []


def test_a_copy_of_the_config_that_an_older_version_kept_with_secrets_goes(aq: Driven) -> None:
    config, kept = aq.home / "config.toml", aq.state_dir / "config.parsed"
    config.write_text("jobs = 3\n")
    env = {"AGENTQ_CONFIG": str(config)}
    until(lambda: aq.exec("true", env=env) and kept.exists(), what="a copy of the parsed config")
    mark, document = json.loads(kept.read_text())
    kept.write_text(json.dumps([mark, document | {"defaults": {"env": {"API_KEY": "hidden"}}}]))
    aq.exec("true", env=env)
    assert "hidden" not in kept.read_text()
    config.write_text('[defaults.env]\nAPI_KEY = "hidden"\n')
    aq.exec("true", env=env)
    assert not kept.exists()


def test_a_state_dir_of_the_version_before_goes_on_as_it_was_submitted(aq: Driven) -> None:
    with tarfile.open(OLDER) as older:
        # The filter of the library, on a Python that has it (3.11.4): the archive is our own.
        older.extraction_filter = getattr(tarfile, "data_filter", None)
        older.extractall(aq.state_dir)
    now = {"AGENTQ_NOW": "2026-03-01T12:10:00Z"}
    ours = {"OTHER": "supervisor", "LC_ALL": "C", "PATH": "/supervisor:/usr/bin:/bin", "API_KEY": "hidden"}
    assert set(aq.tasks()) == {"default/1", "default/2", "default/3", "talk/1"}
    shown = sources(aq.json("show", "1", env=ours))
    told_of = ("PATH", "LANG", "OTHER", "API_KEY", "GIVEN")
    assert [shown[name] for name in told_of] == ["shell", "shell", "supervisor", "supervisor", "task"]
    aq.drain(env=ours | now)
    env = _lines(aq, "default/1.1")
    assert set(shown) == set(env)
    # What an older version had promised: the supervisor's environment, with PATH, LANG, LC_* of the submitting shell.
    assert (env["OTHER"], env["GIVEN"], env["PATH"]) == ("supervisor", "task", "/usr/local/bin:/usr/bin:/bin")
    assert "LC_ALL" not in env
    aq.exec(*ENV, env={"OTHER": "shell"} | now)
    for hour in (13, 14):
        aq.drain(env=ours | {"AGENTQ_NOW": f"2026-03-01T{hour}:00:00Z"})
    runs = aq.runs()
    series = [run for run, each in runs.items() if each["series"] == "default/3"]
    assert sorted(runs[run]["status"] for run in series) == ["success", "success"]
    assert {_lines(aq, run)["OTHER"] for run in series} == {"supervisor"}
    assert seen(aq, "default/4.1")["OTHER"] == "shell"
    assert [each["OTHER"] for each in stored(aq)] == ["shell"]
    assert aq.task("talk/1")["status"] == "completed"


def _lines(aq: Driven, run: str) -> dict[str, str]:
    """The environment that `env` printed."""
    return dict(line.partition("=")[::2] for line in aq.stdout(aq.runs()[run]).splitlines())
