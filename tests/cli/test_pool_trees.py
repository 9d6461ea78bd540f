"""With a pool of conversations each has a tree: which task runs in which, and what every command says about them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from driven import HELD, Driven, held, until
from tree_work import TreeWork

POOL = (
    '[sessions.docs]\nparallel = 2\n[agents.editor]\nedits = true\nprompt = "argv"\nargv = ["sh", "-c", "{prompt}"]\n'
)
TALKER = f"""#!{sys.executable} -S
import json, os, sys
branch = os.environ["AGENTQ_BRANCH"].rpartition("/")[2]
print(json.dumps({{"event": "start", "conversation": sys.argv[2] if len(sys.argv) > 2 else branch}}))
os.system('echo $AGENTQ_BRANCH > new; git add new; git commit -qm "Work of an agent"')
print(json.dumps({{"event": "end", "ok": True, "result": [branch, *sys.argv[1:]]}}))
"""
SESSION = ("--context", "session")
TRUE = ("--exec", "--", "true")


@pytest.fixture
def work(aq: Driven) -> TreeWork:
    config = aq.home / "config.toml"
    config.write_text(POOL)
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    return TreeWork(aq)


def submit(work: TreeWork, *words: str, **options: Any) -> str:
    return work.aq.submit("--worktree", "-C", str(work.path), "-s", "docs", *words, **options)


def refused(work: TreeWork, *words: str) -> str:
    line = work.aq.refused("submit", "--worktree", "-C", str(work.path), "-s", "docs", *words, code=2)
    return line.removeprefix("agentq: error: ")


def trees(aq: Driven, *more: str) -> dict[str, dict[str, Any]]:
    return {item["conversation_key"]: item for item in aq.items("trees", "-s", "docs", *more)}


def test_each_conversation_has_a_tree_in_which_its_tasks_run(work: TreeWork, aq: Driven) -> None:
    ids = [submit(work, "-c", f"echo {name} > new; set -- {name}; {HELD}") for name in ("one", "two")]
    third = submit(work, "--conversation", "a..b", "-c", "git log --format=%s > new; echo $AGENTQ_BRANCH")
    supervisor = aq.supervise("--drain", "-j", "3")
    for name in ("one", "two"):
        aq.started(name)
    assert {key: (tree["branch"], tree["state"]) for key, tree in trees(aq).items()} == {
        "1": ("agentq/s/docs", "used"),
        "2": ("agentq/c/docs/2", "used"),
    }
    assert aq.task(third)["waiting_for"]["kind"] == "session"
    aq.let_go("one", "two")
    aq.ended(supervisor, 0)
    keys = [aq.task(each)["conversation_key"] for each in (*ids, third)]
    assert sorted(keys[:2]) == ["1", "2"]
    found = trees(aq)
    assert aq.stdout(aq.runs()[f"{third}.1"]) == "agentq/c/docs/a%2E.b\n" == found["a..b"]["branch"] + "\n"
    for address, key, name in zip(ids, keys, ("one", "two"), strict=False):
        assert Path(found[key]["path"], "new").read_text() == f"{name}\n"
        assert [each["path"] for each in aq.json("diff", address)["files"]] == ["new"]


def test_a_conversation_goes_on_in_its_own_tree(work: TreeWork, aq: Driven) -> None:
    """The agent names a conversation after the end of the branch in whose tree it began, and goes on only there."""
    (aq.home / "mine").write_text(TALKER)
    (aq.home / "mine").chmod(0o755)
    with (aq.home / "config.toml").open("a") as config:
        config.write(
            f'[agents.mine]\nargv = ["{aq.home}/mine"]\nreader = "events"\nresume = ["--resume", "{{conversation}}"]\n'
            "resume_same_directory = true\n"
        )
    mine = ("-a", "mine", "--retries", "0")
    first = submit(work, *mine, "--conversation", "a", "begin")
    submit(work, *mine, "--conversation", "b", "begin")
    later = submit(work, *mine, "--after", first, "go on where that was")
    last = submit(work, *mine, "--after", later, "go on in the one used last")
    based = submit(work, "--context", "isolated", "--after", first, "--base", f"@{first}", "-c", "cat new")
    aq.drain("-j", "3")
    runs = aq.runs()
    began, went_on = ["a"], ["a", "--resume", "a"]
    assert runs["docs/2.1"]["result"] == ["b"]
    assert [runs[f"{each}.1"]["result"] for each in (first, later, last)] == [began, went_on, went_on]
    assert aq.stdout(runs[f"{based}.1"]) == "agentq/c/docs/a\n"
    assert trees(aq).keys() == {"a", "b", None}


def test_every_command_finds_the_tree_of_a_conversation(work: TreeWork, aq: Driven) -> None:
    work.task("docs", *SESSION)
    made = {key: work.tree("docs", None, conversation=key) for key in ("1", "2", "a")}
    for key, tree in made.items():
        (tree / "new").write_text(f"{key}\n")
    assert "+2\n" in aq("diff", "-s", "docs", "--conversation", "2").stdout
    assert list(trees(aq, "--conversation", "2")) == ["2"]
    assert "docs  2    waiting" in aq("trees").stdout
    several = "session 'docs': several of its conversations have a tree; name one: --conversation 1, 2, a"
    for command in ("diff", "restore"):
        assert aq.refused(command, "-s", "docs", code=2).endswith(several)
    work.commit(made["2"], "new", "landed\n")
    assert aq("land", "-s", "docs", "--conversation", "2").stdout.startswith("docs conversation 2: landed on 'main'")
    assert (work.path / "new").read_text() == "landed\n"
    for key in ("2", "a"):
        done = aq("discard", "-s", "docs", "--conversation", key, "--yes")
        assert done.stdout.endswith(f"`agentq restore -s docs --conversation {key}` brings it back\n")
    # One is left; what is gone counts for whoever brings it back.
    assert aq.json("diff", "-s", "docs")["conversation_key"] == "1"
    assert aq.refused("restore", "-s", "docs", code=2).endswith(several)
    aq("restore", "-s", "docs", "--conversation", "a")
    assert (made["a"] / "new").read_text() == "a\n"
    assert "it has no tree" in aq.refused("diff", "-s", "docs", "--conversation", "none", code=3)
    assert "only together with --session" in aq.refused("diff", "docs/1", "--conversation", "1", code=2)
    assert "only together with --session" in aq.refused("trees", "--conversation", "1", code=2)
    assert "not a key" in aq.refused("diff", "-s", "docs", "--conversation", "../x", code=2)


def test_a_tree_of_a_conversation_belongs_to_it_alone(work: TreeWork, aq: Driven) -> None:
    why = "each conversation of session 'docs' has a tree of its own; name the one that is meant with --conversation"
    assert refused(work, "--branch", "topic", *TRUE) == f"--branch 'topic': {why}"
    submit(work, "--conversation", "a", "--branch", "topic", *TRUE)
    assert refused(work, "--conversation", "b", "--branch", "topic", *TRUE).endswith(
        "it belongs to docs conversation a"
    )
    works = "session 'docs' works in the tree of branch 'topic'; `agentq discard -s docs --conversation a`"
    for words in (("--conversation", "a"), ()):
        assert works in refused(work, *words, *TRUE)
    submit(work, "--conversation", "b", *TRUE)
    name = "agentq/c/docs/b"
    assert refused(work, "--conversation", "c", "--branch", name, *TRUE).endswith("it belongs to docs conversation b")
    aq("cancel", "--all", "--yes")
    submit(work, *TRUE)
    other = aq.home / "other"
    shutil.copytree(work.path, other)
    said = aq.refused("submit", "--worktree", "-C", str(other), "-s", "docs", "--conversation", "c", *TRUE, code=2)
    assert f"works in the tree of branch 'agentq/s/docs' of '{work.path}/.git'" in said
    # What somebody made is not taken, also if it is the next conversation that would have it.
    work.git("branch", "agentq/c/docs/2")
    work.git("branch", "agentq/c/docs/3")
    assert refused(work, *TRUE).startswith("--branch 'agentq/c/docs/2': already there, and not made for this")
    assert "already there" in refused(work, "--conversation", "3", *TRUE)
    work.git("branch", "-D", "agentq/c/docs/2")
    first = submit(work, *TRUE)
    plan = aq.json("submit", "--worktree", "-C", str(work.path), "-s", "docs", "--dry-run", *TRUE)["items"][0]
    assert (plan["worktree"], plan["branch"]) == (None, "agentq/c/docs/KEY")
    inside = aq("submit", "-C", str(work.path), "-s", "docs", "--hold", *TRUE)
    assert "session 'docs' works in trees, and so does this" in inside.stderr
    assert aq.task(inside.stdout.strip())["worktree"]
    aq("edit", first, "--conversation", "d")
    assert aq.task(first)["branch"] == "agentq/c/docs/d"
    assert "already there" in aq.refused("edit", first, "--conversation", "3", code=2)


def test_lines_of_a_batch_may_be_in_trees_of_different_conversations(work: TreeWork, aq: Driven) -> None:
    tree = {"exec": ["true"], "cwd": str(work.path), "worktree": True, "session": "docs"}
    given = [{**tree, "conversation": "a", "branch": "x"}, {**tree, "conversation": "b"}]
    assert len(aq.batch(*given, {**given[0]})) == 3
    given = [{**each, "session": "notes", "branch": "z"} for each in given]
    bad = [given[0], {**given[0], "branch": "y"}, given[1]]
    done = aq("submit", "--batch", "-", code=2, input="\n".join(map(json.dumps, bad)))
    assert "--batch line 2: branch 'y': all tasks of a conversation share one tree" in done.stderr
    assert "--batch line 3: branch 'z': another of these tasks has it" in done.stderr


def test_a_task_for_any_conversation_keeps_the_trees_of_all(work: TreeWork, aq: Driven) -> None:
    for key in ("1", "2"):
        work.tree("docs", None, conversation=key)
    waiting = submit(work, "--hold", *TRUE)
    assert {key: tree["state"] for key, tree in trees(aq).items()} == {"1": "waiting", "2": "waiting"}
    assert "chosen when it starts" in aq.refused("diff", waiting, code=4)
    shown = aq("show", waiting).stdout
    assert "that of the conversation that is chosen when it starts, from main" in " ".join(shown.split())
    later = {"AGENTQ_NOW": "2030-01-01T00:00:00Z"}
    aq("prune", "--older-than", "1d", "--yes", env=later)
    assert len(trees(aq)) == 2
    aq("cancel", waiting)
    submit(work, "--hold", "--conversation", "2", *TRUE)
    assert {key: tree["state"] for key, tree in trees(aq).items()} == {"1": "unchanged", "2": "waiting"}
    aq("prune", "--older-than", "1d", "--yes", env=later)
    assert list(trees(aq)) == ["2"]
    work.commit(work.path, "file", "more\n")
    began = "--base 'HEAD': the tree of docs conversation 2 began at 'refs/heads/main' already"
    assert refused(work, "--base", "HEAD", *TRUE).startswith(began)


def test_a_tree_whose_record_is_lost_gets_back_its_own_work(work: TreeWork, aq: Driven) -> None:
    for key in ("1", "2"):
        submit(work, "--conversation", key, "-c", f"echo {key} > new")
        aq.drain()
    path = Path(trees(aq)["1"]["path"])
    (path.parent / f".{path.name}.json").unlink()
    shutil.rmtree(path)
    seen = submit(work, "--conversation", "1", "-c", "cat new")
    aq.drain()
    assert aq.stdout(aq.runs()[f"{seen}.1"]) == "1\n"


def test_a_task_for_any_conversation_waits_while_its_tree_is_occupied(work: TreeWork, aq: Driven) -> None:
    submit(work, "-c", "true")
    aq.drain()
    path = trees(aq)["1"]["path"]
    peek = aq.submit("-a", "editor", "-C", path, HELD.replace("$1", "peek").replace("${2:-0}", "0"))
    supervisor = aq.supervise("--drain", "-j", "3")
    aq.started("peek")
    second = submit(work, "-c", "true")
    aq.exec(*held("passed"))
    aq.started("passed")
    found = aq.task(second)
    assert (found["status"], found["waiting_for"]["ids"]) == ("queued", [peek])
    assert found["waiting_for"]["detail"] == f"{peek} is in '{path}'; two runs are never in one tree"
    aq.let_go("peek")
    until(lambda: aq.task(second)["status"] == "completed")
    assert aq.task(second)["conversation_key"] == "1"
    aq.let_go("passed")
    aq.ended(supervisor, 0)
    assert aq.statuses()[peek] == "completed"
