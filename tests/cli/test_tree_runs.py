"""A task with --worktree runs in a tree of its own, and however its run ends, what is uncommitted there is stored."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from driven import HELD, Driven, alive, until
from tree_work import TreeWork

from agentq_cli.host import record_files


@pytest.fixture
def work(aq: Driven) -> TreeWork:
    made = TreeWork(aq)
    (made.path / "sub").mkdir()
    made.commit(made.path, "sub/inner", "1\n")
    return made


def submit(work: TreeWork, script: str, *given: str) -> str:
    return work.aq.exec("sh", "-c", script, given=("--worktree", "-C", str(work.path), *given))


def tree(work: TreeWork, run: dict[str, Any]) -> Path:
    assert Path(run["worktree"]).parent == work.trees
    return Path(run["worktree"])


def stored(work: TreeWork, run: dict[str, Any]) -> dict[str, str]:
    """What the snapshot of a run changes against its base: each path with its content."""
    names = work.git("diff", "--name-only", "--diff-filter=d", run["base"], run["snapshot"]).splitlines()
    return {name: work.git("show", f"{run['snapshot']}:{name}") for name in names}


def caller(work: TreeWork) -> dict[str, tuple[int, bytes]]:
    """The caller's checkout, and its HEAD, index and stash."""
    own = [work.path / ".git" / name for name in ("HEAD", "index", "refs/stash", "logs/HEAD")]
    files = [each for each in work.path.rglob("*") if each.is_file() and ".git" not in each.parts]
    return {str(each): (each.lstat().st_mtime_ns, each.read_bytes()) for each in (*own, *files) if each.exists()}


def test_a_session_has_one_tree_in_which_its_tasks_run(work: TreeWork, aq: Driven) -> None:
    (work.path / "file").write_text("the caller's\n")
    before = caller(work)
    where = ("-s", "docs", "-C", str(work.path / "sub"), "--setup", "echo once | tee -a $HOME/setups")
    told = 'printf "%s\\n" "$PWD" "$(pwd)" "$AGENTQ_WORKTREE" "$AGENTQ_BRANCH" "$AGENTQ_REPOSITORY" "$AGENTQ_TREE"'
    first = submit(work, f"{told}; echo 2 >> inner; git commit -qam two; echo 3 > new", *where, "--check", "pwd")
    second = submit(work, "cat inner new; echo $AGENTQ_BASE; rm new", *where)
    aq.drain()
    runs = aq.runs()
    one, two = runs[f"{first}.1"], runs[f"{second}.1"]
    path = tree(work, one)
    assert aq.stdout(one).splitlines() == [
        *(f"{path}/sub", f"{path}/sub", str(path), "agentq/s/docs", str(work.path), "1"),
    ]
    assert aq("logs", first, "--check").stdout == f"{path}/sub\n"
    assert aq.stdout(two).splitlines() == ["1", "2", "3", work.git("rev-parse", "main")]
    assert (aq.home / "setups").read_text() == "once\n"
    assert Path(f"{one['stdout_path'].removesuffix('stdout')}setup").read_text() == "once\n"
    for run, commits, dirty, files in ((one, 1, True, 2), (two, 1, False, 1)):
        assert (run["branch"], run["base"], run["cwd"]) == (
            "agentq/s/docs",
            work.git("rev-parse", "main"),
            f"{path}/sub",
        )
        assert (run["commits"], run["dirty"], run["files_changed"]) == (commits, dirty, files)
        assert run["head"] == work.git("rev-parse", "agentq/s/docs")
    assert stored(work, one) == {"sub/inner": "1\n2", "sub/new": "3"}
    assert two["snapshot"] == two["head"] == work.git("rev-parse", "refs/agentq/docs/2.1")
    assert caller(work) == before
    (record,) = [json.loads(each.read_text()) for each in work.trees.glob(".*.json")]
    assert (record["session"], record["seq"], record["head"]) == ("docs", None, two["head"])


def test_however_a_run_ends_what_is_uncommitted_is_stored(work: TreeWork, aq: Driven) -> None:
    began = "echo $AGENTQ_TREE > mine"
    moves = "git switch -qc other; echo more > more; git add .; git commit -qm more; echo >> mine"
    ends = {
        "error": submit(work, f"{began}; exit 3"),
        "timeout": submit(work, f"{began}; exec sleep 60", "--timeout", "2500ms"),
        "cancelled": submit(work, f"{began}; set -- cancelled; {HELD}"),
        "moved": submit(work, f"{began}; {moves}"),
        "gone": submit(work, f"{began}; echo gitdir: /nowhere > .git; rm file"),
        "init": submit(work, f"{began}; rm .git; git init --quiet; git add .; git commit -qm own"),
        "check": submit(work, began, "--retries", "0", "--check", "echo check >> mine; false"),
    }
    supervisor = aq.supervise("--drain", "-j", "7")
    aq.started("cancelled")
    aq("cancel", ends["cancelled"])
    aq.ended(supervisor, 1)
    runs = {name: aq.runs()[f"{address}.1"] for name, address in ends.items()}
    assert {name: (run["status"], run["failure_class"]) for name, run in runs.items()} == {
        "error": ("error", "error"),
        "timeout": ("timeout", "timeout"),
        "cancelled": ("cancelled", "cancelled"),
        "moved": ("success", None),
        "gone": ("success", None),
        "init": ("success", None),
        "check": ("error", "check"),
    }
    init = runs.pop("init")
    assert init["snapshot"] is None and "repository of its own" in aq("show", f"{ends['init']}.1").stdout
    numbers = {name: stored(work, run)["mine"] for name, run in runs.items()}
    assert len(set(numbers.values())) == 6
    assert stored(work, runs["moved"]).keys() == {"mine", "more"}
    assert "'other'" in aq("show", f"{ends['moved']}.1").stdout
    assert runs["gone"]["files_changed"] == 2 and not (work.path / "mine").exists()
    assert work.git("fsck", "--strict", "--no-dangling") == ""


def keeper_of(aq: Driven, run: str) -> int:
    """The keeper that has a run, by its newest record."""
    session, _, name = run.partition("/")
    found = (aq.state_dir / f"sessions/{session}/runs/{name}").glob("start*")
    newest = max(found, key=lambda path: (len(path.name), path.name))
    return int(record_files.load(str(newest))["pid"])


def test_a_sweep_alone_brings_a_run_whose_keeper_died_through_all_of_it(work: TreeWork, aq: Driven) -> None:
    given = ("--retries", "0", "--check", "touch $HOME/checked")
    address = submit(work, f"echo lost > mine; set -- agent; {HELD}", *given)
    supervisor = aq.supervise("--drain")
    agent = aq.started("agent")
    aq.kill_hard(supervisor)
    os.kill(keeper_of(aq, "default/1.1"), signal.SIGKILL)
    until(lambda: not alive(keeper_of(aq, "default/1.1")))
    actions = [each["action"] for each in aq.items("sweep", "--no-wake")]
    assert "recheck" in actions and not alive(agent)
    until(lambda: (aq.state_dir / "sessions/default/runs/1.1/left").exists())
    until(lambda: not alive(keeper_of(aq, "default/1.1")))
    assert [each["action"] for each in aq.items("sweep", "--no-wake")] == ["recover"]
    run = aq.runs()["default/1.1"]
    assert (aq.statuses(), run["failure_class"]) == ({address: "failed"}, "crashed")
    assert stored(work, run) == {"mine": "lost"}
    assert not (aq.home / "checked").exists()


def test_a_cancel_of_a_run_whose_keeper_died_stores_what_is_there(work: TreeWork, aq: Driven) -> None:
    address = submit(work, f"echo lost > mine; set -- agent; {HELD}")
    supervisor = aq.supervise("--drain")
    aq.started("agent")
    aq.kill_hard(supervisor)
    os.kill(keeper_of(aq, f"{address}.1"), signal.SIGKILL)
    aq("cancel", address)
    run = aq.runs()[f"{address}.1"]
    assert (aq.statuses()[address], run["status"], stored(work, run)) == ("cancelled", "cancelled", {"mine": "lost"})


def test_a_snapshot_whose_keeper_dies_again_and_again_is_given_up(work: TreeWork, aq: Driven) -> None:
    """git kills the keeper, which is the parent of git's, whenever a snapshot asks for the state of the tree."""
    tools = aq.home / "tools"
    tools.mkdir()
    kill = "echo x >> $HOME/kills; kill -KILL $(cut -d ' ' -f 4 /proc/$PPID/stat) $PPID"
    script = f'case "$*" in *--porcelain=v2*) {kill};; esac\nexec {shutil.which("git")} "$@"'
    (tools / "git").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "git").chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    address = submit(work, "echo lost > mine", "--retries", "0", "--grace", "100ms", "-e", f"PATH={path}")
    aq.drain(code=1)
    run = aq.runs()[f"{address}.1"]
    assert (run["failure_class"], run["snapshot"]) == ("crashed", None)
    assert "5 times during its snapshot" in run["error"]
    assert (aq.home / "kills").read_text().split() == ["x"] * 5


def test_what_prevents_a_tree_ends_the_run_and_says_so(work: TreeWork, aq: Driven) -> None:
    setup = submit(work, "touch $HOME/ran", "-s", "setup", "--retries", "2", "--setup", "echo no; [ -e $HOME/mended ]")
    taken = submit(work, "touch $HOME/ran", "-s", "taken", "--retries", "2")
    away = submit(work, "touch $HOME/ran", "-s", "away")
    work.git("branch", "agentq/s/taken")
    aq.drain("-s", "setup", "-s", "taken", code=1)
    (work.path / ".git").rename(work.path / "moved")
    aq.drain("-s", "away", code=1)
    (work.path / "moved").rename(work.path / ".git")
    runs = aq.runs()
    assert {name: (run["failure_class"], run["status"]) for name, run in runs.items()} == {
        f"{setup}.1": ("setup", "error"),
        f"{taken}.1": ("config", "error"),
        f"{away}.1": ("error", "error"),
    }
    assert "echo no; [ -e $HOME/mended ]': exit code 1" in runs[f"{setup}.1"]["error"]
    assert "already there" in runs[f"{taken}.1"]["error"] and str(work.path) in runs[f"{away}.1"]["error"]
    assert not (aq.home / "ran").exists()
    (aq.home / "mended").touch()
    aq("retry", setup)
    aq.drain()
    assert aq.statuses()[setup] == "completed"


@pytest.mark.slow
def test_a_tree_that_vanished_comes_back_with_what_was_uncommitted(work: TreeWork, aq: Driven) -> None:
    submit(work, "echo a > a; git add a; git commit -qm a; echo b > b", "-s", "docs")
    aq.drain()
    shutil.rmtree(tree(work, aq.runs()["docs/1.1"]))
    submit(work, "cat a b; git add b; git commit -qm b; echo c > c", "-s", "docs")
    aq.drain()
    second = aq.runs()["docs/2.1"]
    assert (aq.stdout(second), second["commits"]) == ("a\nb\n", 2)
    assert "vanished" in aq("show", "docs/2.1").stdout
    shutil.rmtree(work.trees)
    submit(work, "cat c", "-s", "docs", "--setup", "true")
    aq.drain()
    assert (aq.stdout(aq.runs()["docs/3.1"]), aq.runs()["docs/3.1"]["base"]) == ("c\n", second["base"])
    shutil.rmtree(second["worktree"])
    work.git("worktree", "unlock", second["worktree"])
    work.git("worktree", "prune")
    work.git("branch", "-D", "agentq/s/docs")
    submit(work, "cat a b c", "-s", "docs")
    aq.drain()
    last = aq.runs()["docs/4.1"]
    assert (aq.stdout(last), last["commits"], last["head"]) == ("a\nb\nc\n", 2, second["head"])


def test_two_runs_are_never_in_one_tree(work: TreeWork, aq: Driven) -> None:
    """The session had one conversation, and so a branch of a given name, when they were submitted."""
    first = submit(work, f"set -- first; {HELD}", "-s", "docs", "--branch", "topic")
    second = submit(work, "true", "-s", "docs", "--branch", "topic")
    with (aq.home / "config.toml").open("w") as config:
        config.write("[sessions.docs]\nparallel = 2\n")
    aq.agentq.environ["AGENTQ_CONFIG"] = str(aq.home / "config.toml")
    other = submit(work, "true", "--context", "isolated", "-s", "docs")
    supervisor = aq.supervise("--drain", "-j", "3")
    aq.started("first")
    until(lambda: aq.statuses()[other] == "completed")
    found = aq.task(second)
    assert found["status"] == "queued"
    assert found["waiting_for"]["kind"] == "directory" and first in found["waiting_for"]["ids"]
    assert str(work.trees) in found["waiting_for"]["detail"] and "--shared" not in found["waiting_for"]["detail"]
    aq.let_go("first")
    aq.ended(supervisor, 0)
    assert set(aq.statuses().values()) == {"completed"}


def test_a_conversation_goes_on_in_the_tree_and_a_base_of_its_own_begins_there(work: TreeWork, aq: Driven) -> None:
    (aq.home / "mine").write_text(
        f'#!{sys.executable} -S\nimport json, os, sys\nprint(json.dumps({{"event": "start", "conversation": "c"}}))\n'
        'print(json.dumps({"event": "end", "ok": True, "result": [os.getcwd(), *sys.argv[1:]]}))\n'
    )
    (aq.home / "mine").chmod(0o755)
    (aq.home / "config.toml").write_text(
        f'[agents.mine]\nargv = ["{aq.home}/mine"]\nreader = "events"\nresume = ["--resume", "{{conversation}}"]\n'
        "resume_same_directory = true\n"
    )
    aq.agentq.environ["AGENTQ_CONFIG"] = str(aq.home / "config.toml")
    for _ in range(2):
        aq.submit("-a", "mine", "-s", "talk", "--worktree", "-C", str(work.path), "go on")
    (work.path / "file").write_text("taken along\n")
    carried = submit(work, "cat file; git status --short", "--base", ".")
    first = submit(work, "echo a > a; git add a; git commit -qm a")
    after = submit(work, "cat a", "--after", first, "--base", f"@{first}")
    aq.drain()
    runs = aq.runs()
    path = str(tree(work, runs["talk/1.1"]))
    assert [runs[f"talk/{n}.1"]["result"] for n in (1, 2)] == [[path], [path, "--resume", "c"]]
    assert aq.stdout(runs[f"{carried}.1"]) == "taken along\n"
    assert runs[f"{carried}.1"]["files_changed"] == 0
    assert aq.stdout(runs[f"{after}.1"]) == "a\n"
    assert runs[f"{after}.1"]["base"] == runs[f"{first}.1"]["head"]
