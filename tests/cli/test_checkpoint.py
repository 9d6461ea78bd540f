"""What an attempt leaves in a repository: recorded at its end, shown, and told to an attempt that does not know it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from driven import Driven, alive, until

from agentq_cli.base.clock import TICK_NS
from agentq_cli.host import record_files

AGENT = """#!/bin/sh
cat >"$HOME/told.$AGENTQ_ATTEMPT"
[ "$AGENTQ_ATTEMPT" = 1 ] || { echo '{"event": "end", "ok": true}'; exit 0; }
git checkout -q -b other; cd ..
echo 2 >committed; git add committed; git commit -q -m work
echo 2 >kept; rm gone; mkdir new; echo 1 >"new/a
b"
echo '{"event": "text", "text": "I began, and then"}'
echo $$ >"$HOME/began.new" && mv "$HOME/began.new" "$HOME/began"
[ -e "$HOME/stay" ] && exec sleep 600
exit 1
"""


@pytest.fixture
def repository(aq: Driven) -> Path:
    """A repository with an uncommitted change of a person, and the agent `mine`, which continues no conversation."""
    path = aq.home / "repository"
    (path / "sub").mkdir(parents=True)
    (aq.home / ".gitconfig").write_text("[user]\n\tname = A\n\temail = a@b\n[init]\n\tdefaultBranch = main\n")
    git(aq, path, "init", "-q")
    for name in ("committed", "kept", "gone", "persons"):
        (path / name).write_text("1")
    git(aq, path, "add", ".")
    git(aq, path, "commit", "-q", "-m", "first")
    (path / "persons").write_text("2")
    changed = (path / "persons").stat().st_ctime_ns
    until(lambda: time.time_ns() > changed + TICK_NS, what="a later file time")
    program = aq.home / "mine"
    program.write_text(AGENT)
    program.chmod(0o755)
    config = aq.home / "config.toml"
    config.write_text(f'[agents.mine]\nargv = ["{program}"]\nprompt = "stdin"\nreader = "events"\n')
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    return path


def git(aq: Driven, path: Path, *command: str) -> str:
    environ = {**aq.agentq.environ, "HOME": str(aq.home)}
    return subprocess.run(
        ("git", *command), cwd=path, env=environ, check=True, capture_output=True, text=True
    ).stdout.strip()


def submit(aq: Driven, repository: Path) -> str:
    return aq.submit("-a", "mine", "-C", str(repository / "sub"), "--retries", "1", "--backoff", "1ms", "the work")


def checkpoint(aq: Driven, run: str) -> dict[str, Any]:
    found = aq.json("show", run)["checkpoint"]
    assert isinstance(found, dict)
    return found


def test_what_an_attempt_left_is_recorded_and_told_to_the_next(aq: Driven, repository: Path) -> None:
    before = git(aq, repository, "rev-parse", "HEAD")
    index = (repository / ".git/index").read_bytes()
    address = submit(aq, repository)
    assert aq.task(address)["checkpoint"] is None
    aq.drain()
    assert aq.task(address)["status"] == "completed"

    after = git(aq, repository, "rev-parse", "HEAD")
    assert (repository / ".git/index").read_bytes() != index, "the agent's own commit"
    first = checkpoint(aq, f"{address}.1")
    assert first == {
        "repository": str(repository),
        "branch_before": "main",
        "head_before": before,
        "branch_after": "other",
        "head_after": after,
        "paths": ["committed", "gone", "kept", "new/a\nb"],
        "more": 0,
        "said": "I began, and then",
        "missing": [],
    }
    second = aq.task(address)["checkpoint"]
    assert second == checkpoint(aq, f"{address}.2")
    assert (second["branch_before"], second["head_after"], second["paths"]) == ("other", after, [])
    assert json.loads((aq.state_dir / "sessions/default/runs/1.1/checkpoint").read_text()) == first

    assert (aq.home / "told.1").read_text() == "the work"
    assert (aq.home / "told.2").read_text() == (
        "There was an attempt at this task before, whose conversation you do not have."
        f" This is what it left in {repository}:\n\n"
        f"Branch: main before, other after\nCommit: {before} before, {after} after\n"
        'Changed files:\n  committed\n  gone\n  kept\n  "new/a\\nb"\n'
        "The last that it said:\n\nI began, and then\n\nSee what is done, and go on from there.\n\nthe work"
    )


def test_what_an_attempt_left_whose_keeper_vanished_is_found_out_later(aq: Driven, repository: Path) -> None:
    (aq.home / "stay").touch()
    address = submit(aq, repository)
    supervisor = aq.supervise()
    agent = int(until(lambda: (aq.home / "began").read_text() if (aq.home / "began").exists() else ""))
    alive_one = checkpoint(aq, f"{address}.1")
    assert (alive_one["branch_before"], alive_one["head_after"]) == ("main", None)
    assert len(alive_one["missing"]) == 1
    keeper = record_files.load(f"{aq.state_dir}/sessions/default/runs/1.1/start")["pid"]
    aq.kill_hard(supervisor)
    for pid in (keeper, agent):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(keeper) and not alive(agent), what="end of keeper and agent")
    aq.drain()

    found = checkpoint(aq, f"{address}.1")
    assert found["branch_after"] == "other"
    assert found["paths"] == ["committed", "gone", "kept", "new/a\nb"]
    assert found["said"] == "I began, and then"
    assert [each.partition(":")[0] for each in found["missing"]] == [
        "what it left was found out later, when others may have changed it"
    ]
    assert "Changed files:\n  committed\n" in (aq.home / "told.2").read_text()


def test_git_is_started_only_for_a_prompt_in_a_repository_and_a_slow_one_is_not_waited_for(
    aq: Driven, repository: Path
) -> None:
    programs = aq.home / "programs"
    programs.mkdir()
    real = shutil.which("git")
    (programs / "git").write_text(
        f'#!/bin/sh\necho "$GIT_OPTIONAL_LOCKS $*" >>"$HOME/asked"\n'
        f'case "$*" in *status*) exec sleep 600;; esac\nexec {real} "$@"\n'
    )
    (programs / "git").chmod(0o755)
    aq.agentq.environ["PATH"] = f"{programs}:{aq.agentq.environ['PATH']}"
    aq.submit("-a", "demo", "-C", str(aq.home), "outside")
    aq.exec("true", given=("-C", str(repository)))
    aq.drain()
    assert not (aq.home / "asked").exists()
    assert aq.task("1")["checkpoint"] is None
    assert aq.task("2")["checkpoint"] is None

    inside = aq.submit("-a", "demo", "-C", str(repository), "inside")
    aq.drain()
    assert {line[:2] for line in (aq.home / "asked").read_text().splitlines()} == {"0 "}
    found = aq.task(inside)["checkpoint"]
    assert (found["branch_after"], found["paths"]) == ("main", [])
    assert [each.partition(":")[0] for each in found["missing"]] == ["what it did not commit"]
    assert "inside" in found["said"]
    assert aq.runs()[f"{inside}.1"]["status"] == "success"
