"""The variables that agentq sets for each run: one list, and nobody else may name one of them."""

from __future__ import annotations

import json
import subprocess

import pytest
from driven import Driven

from agentq_cli.base.environment import RESERVED


def test_the_list_is_what_a_run_finds_set(aq: Driven) -> None:
    """In the second attempt of a task with a script and a tree, which has them all."""
    (aq.home / "script").write_text('echo \'{"wakeAgent": true, "data": 1}\'\n')
    named = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "one")):
        subprocess.run((*named, *words), cwd=aq.home, env=aq.agentq.environ, check=True)
    given = ("--retries", "1", "--backoff", "1ms", "--script", "script", "--worktree")
    aq.exec("sh", "-c", "env; exit 1", given=given)
    aq.drain(code=1)
    found = dict(line.partition("=")[::2] for line in aq("logs", "1.2").stdout.splitlines() if "=" in line)
    only_in_a_fleet = {"AGENTQ_URL"}
    assert {name for name in found if name.startswith("AGENTQ_")} | {"PWD"} == RESERVED - only_in_a_fleet
    assert found["AGENTQ_TZ"]


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_reserved_name_is_taken_from_anybody(shared: Driven, name: str) -> None:
    env_file, config = shared.home / "env", shared.home / "config.toml"
    env_file.write_text(f"A=1\nexport {name}='x'\n")
    command = ("--exec", "--", "true")
    assert f"'{name}'" in shared.refused("submit", "-e", f"{name}=x", *command, code=2)
    assert f"'{name}'" in shared.refused("schedule", "--every", "1h", "-e", f"{name}=x", *command, code=2)
    assert "line 2" in shared.refused("submit", "--env-file", str(env_file), *command, code=2)
    line = json.dumps({"exec": ["true"], "env": {name: "x"}})
    assert f"line 1: env '{name}'" in shared.refused("submit", "--batch", "-", input=line, code=2)
    for table in ("defaults.env", "sessions.docs.env", "agents.mine.env"):
        argv = '[agents.mine]\nargv = ["true"]\n' if "mine" in table else ""
        config.write_text(f'{argv}[{table}]\n{name} = "x"\n')
        assert f"'{name}'" in shared.refused("list", env={"AGENTQ_CONFIG": str(config)}, code=2)
    assert shared.items("list", "--all") == []


def test_other_names_of_ours_reach_the_task(aq: Driven) -> None:
    aq.exec("sh", "-c", "echo $AGENTQ_JOBS $AGENTQ_MINE", given=("-e", "AGENTQ_JOBS=3", "-e", "AGENTQ_MINE=4"))
    aq.drain()
    assert aq("logs", "1").stdout == "3 4\n"


def test_a_prompt_has_a_directory_of_its_own_for_temporary_files(shared: Driven) -> None:
    assert "'TMPDIR'" in shared.refused("submit", "-a", "demo", "-e", "TMPDIR=/tmp", "hello", code=2)
    (plan,) = shared.items("submit", "--dry-run", "-e", "TMPDIR=/tmp", "--exec", "--", "true")
    assert "TMPDIR" in plan["env"]
