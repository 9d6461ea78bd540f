"""The commands of trees with real runs: who works in a tree, what each task changed, and what comes after a removal."""

from __future__ import annotations

from pathlib import Path

import pytest
from driven import Driven, held, until
from tree_work import TreeWork


@pytest.fixture
def work(aq: Driven) -> TreeWork:
    return TreeWork(aq)


def save(name: str, text: str) -> str:
    return f"echo {text} > {name} && git add {name} && git commit -qm {name}"


def submit(work: TreeWork, line: str, *given: str) -> str:
    return work.aq.submit("--worktree", "-C", str(work.path), "-s", "docs", *given, "-c", line)


def the_tree(aq: Driven) -> dict[str, object]:
    (item,) = aq.items("trees")
    return item


def test_each_task_of_a_session_has_a_diff_and_the_session_all_of_it(work: TreeWork, aq: Driven) -> None:
    session = ("--context", "session")
    submit(work, save("one", "first"), *session)
    submit(work, "echo more >> file", *session)
    aq.drain()
    assert [each["path"] for each in aq.json("diff", "docs/1")["files"]] == ["one"]
    assert [each["path"] for each in aq.json("diff", "-s", "docs")["files"]] == ["file", "one"]
    assert aq.json("diff", "docs/2")["files"] == aq.json("diff", "-s", "docs")["files"]
    assert aq.json("diff", "docs/2.1")["run"] == "docs/2.1"
    running = submit(work, "touch now; " + " ".join(held("third")[2:3]).replace("$1", "third"), *session)
    supervisor = aq.start("run", "--drain")
    until(lambda: (aq.home / "third.started").exists())
    assert (the_tree(aq)["state"], the_tree(aq)["dirty"]) == ("used", True)
    assert "now" in [each["path"] for each in aq.json("diff", running)["files"]]
    assert "now" not in aq("diff", "docs/2").stdout
    assert "a run works in its tree" in aq.refused("discard", running, "--yes", code=4)
    assert "a run works in its tree" in aq.refused("land", running, code=4)
    assert aq.items("prune", "docs/1", "--dry-run")[0]["ok"]
    (aq.home / "third.gate").write_text("go\n")
    assert supervisor.wait(30) == 0
    assert the_tree(aq)["state"] == "waiting"


@pytest.mark.slow
def test_a_session_goes_on_after_its_tree_was_discarded_pruned_or_restored(work: TreeWork, aq: Driven) -> None:
    session = ("--context", "session")
    submit(work, save("one", "first"), *session)
    aq.drain()
    aq("discard", "-s", "docs", "--yes")
    second = submit(work, "ls > seen; cat .git > /dev/null", *session)
    aq.drain()
    assert aq.statuses()[second] == "completed"
    tree = Path(str(the_tree(aq)["path"]))
    assert (tree / "seen").read_text().split() == ["file", "seen"]
    assert [each["path"] for each in aq.json("diff", second)["files"]] == ["seen"]
    (tree / "seen").unlink()
    done = aq("prune", "--older-than", "1d", "--yes", env={"AGENTQ_NOW": "2030-01-01T00:00:00Z"})
    assert "docs: pruned: its tree 1 (unchanged)" in done.stderr
    assert not tree.exists()
    aq("restore", "-s", "docs")
    third = submit(work, save("three", "third"), *session)
    aq.drain()
    assert aq.statuses()[third] == "completed"
    assert aq("land", third).stdout.startswith("docs: landed on 'main' as ")
    assert (work.path / "three").exists()
    assert the_tree(aq)["state"] in ("landed", "unchanged")


def test_a_landing_that_waits_is_told_until_it_lands(work: TreeWork, aq: Driven) -> None:
    task = submit(work, save("file", "ours"), "--context", "isolated", "--land", "main")
    (work.path / "file").write_text("a person's\n")
    aq.drain(code=1)
    (issue,) = aq.json("health", code=1)["issues"]
    assert (issue["severity"], issue["component"]) == ("warning", f"task {task}")
    assert issue["message"].startswith("cannot land on 'main'")
    assert f"`agentq retry {task}` lands it" in issue["recommendation"]
    assert "cannot land on 'main'" in aq.refused("land", task, code=4)
    work.git("checkout", "--quiet", "file")
    assert aq("land", task).stdout.endswith(f"; `agentq retry {task}` completes the task, without its agent\n")
    aq("retry", task)
    aq.drain()
    assert aq.task(task)["status"] == "completed"
    assert aq.json("health")["issues"] == []
    assert the_tree(aq)["state"] == "landed"
