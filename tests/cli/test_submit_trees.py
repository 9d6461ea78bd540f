"""Tasks with a tree of their own, from the option to what is stored: real submits in real repositories."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from driven import Driven
from terminal import screen

from agentq_cli.trees import register
from agentq_cli.trees.records import TreeRecord, tree_name

TRUE = ("--exec", "--", "true")


class Checkout:
    """A repository with a commit on `main`, and agentq called in it."""

    def __init__(self, aq: Driven, path: Path) -> None:
        self.aq = aq
        self.path = path
        path.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Ann")
        self.git("config", "user.email", "ann@example.com")
        (path / "src").mkdir()
        (path / "src" / "a").write_text("a\n")
        self.commit()

    def git(self, *words: str) -> str:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.aq.home), "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(["git", *words], cwd=self.path, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "work")
        return self.git("rev-parse", "HEAD")

    def submit(self, *words: str, at: str = "", **options: Any) -> str:
        """The address of a new task."""
        return self.aq.submit("--worktree", "-C", str(self.path / at), *words, **options)

    def refused(self, *words: str, at: str = "", **options: Any) -> str:
        """The error of a submit, without the beginning."""
        line = self.aq.refused("submit", "--worktree", "-C", str(self.path / at), *words, code=2, **options)
        return line.removeprefix("agentq: error: ")

    def launch(self, address: str) -> dict[str, Any]:
        """What is stored of a task's launch."""
        return launch(self.aq, address)

    def record(self, branch: str, session: str, seq: int | None, base: str = "refs/heads/main") -> TreeRecord:
        """Make the branch and the record of a tree, as the first run does."""
        place = f"{os.path.realpath(self.aq.state_dir)}/trees"
        common, start = f"{self.path}/.git", self.git("rev-parse", "main")
        self.git("branch", branch, "main")

        def made(number: int) -> TreeRecord:
            path = f"{place}/{tree_name(common, branch)}"
            return TreeRecord(*(number, path, session, seq, common, str(self.path), branch, base, start, start, 0))

        return register.add(place, made)


def launch(aq: Driven, address: str) -> dict[str, Any]:
    session, _, seq = address.partition("/")
    with closing(sqlite3.connect(aq.state_dir / "sessions" / session / "inbound.db")) as database:
        ((text,),) = database.execute("SELECT launch FROM messages_in WHERE seq = ?", (seq,))
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def repo(aq: Driven) -> Checkout:
    """A repository of the test's own."""
    return Checkout(aq, aq.home / "repo")


@pytest.fixture(scope="module")
def kept(shared: Driven) -> Iterator[Checkout]:
    """One that no test writes to, with a second branch and a remote; its queue is shared too."""
    made = Checkout(shared, shared.home / "kept")
    made.git("branch", "release")
    made.git("remote", "add", "origin", "/nowhere")
    yield made


def test_everything_about_a_tree_is_stored_with_the_task(kept: Checkout) -> None:
    words = ("--branch", "topic/x", "--base", "HEAD", "--setup", "make deps", "--teardown", "make clean")
    address = kept.submit(*words, "--land", "release", "--land-as", "ff", "--push", "origin", *TRUE, at="src")
    assert kept.launch(address) == {
        "umask": kept.launch(address)["umask"],
        "depth": 0,
        "repository": f"{kept.path}/.git",
        "checkout": str(kept.path),
        "subdirectory": "src",
        "branch": "topic/x",
        "base": "HEAD",
        "setup": "make deps",
        "teardown": "make clean",
        "land": "release",
        "land_as": "ff",
        "push": "origin",
    }
    assert kept.git("for-each-ref", "--format=%(refname)") == "refs/heads/main\nrefs/heads/release"


@pytest.mark.parametrize(
    ("words", "base"),
    [((), "refs/heads/main"), (("--land", "release"), "refs/heads/release"), (("--base", "main~0"), "main~0")],
)
def test_a_branch_begins_where_it_lands_or_where_head_is_and_the_name_is_kept(
    kept: Checkout, words: tuple[str, ...], base: str
) -> None:
    assert kept.launch(kept.submit(*words, *TRUE))["base"] == base


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--land", "none"), "--land 'none': no such branch"),
        (("--base", "none"), "--base 'none': no commit of this name"),
        (("--branch", "a..b"), "--branch 'a..b': not a name that git takes"),
        (("--branch", "main/x"), "--branch 'main/x': the branch 'main' is in its way"),
        (("--branch", "main"), "--branch 'main': checked out in '{path}'"),
        (("--branch", "release"), "--branch 'release': already there, and not made for this"),
        (("--branch", "agentq/s/other"), "--branch 'agentq/s/other': it belongs to other"),
        (("--branch", "agentq/t/other/7"), "--branch 'agentq/t/other/7': it belongs to other/7"),
        (("--branch", "new", "--land", "new"), "--land 'new': no such branch"),
        (("--push", "origin"), "--push 'origin': needs --land"),
        (("--land", "main", "--push", "none"), "--push 'none': no such remote"),
        (("--land-as", "squash"), "--land-as 'squash': needs --land"),
        (("--land", "main", "--land-as", "rebase"), "--land-as 'rebase': must be merge, squash or ff"),
        (("--setup", " "), "--setup ' ': must not be blank"),
        (("--base", "@3"), "--base '@default/3': "),
        (("-e", "GIT_DIR=/x"), "--env 'GIT_DIR': names a repository"),
    ],
)
def test_what_a_repository_cannot_have_is_refused_by_name(kept: Checkout, words: tuple[str, ...], error: str) -> None:
    assert error.format(path=kept.path) in kept.refused(*words, *TRUE)


def test_a_place_that_is_no_checkout_is_refused_by_name(aq: Driven, repo: Checkout) -> None:
    (aq.home / "plain").mkdir()
    subprocess.run(["git", "init", "-q", "--bare", str(aq.home / "bare.git")], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(aq.home / "unborn")], check=True)
    for name, why in (
        ("plain", "is in no git repository"),
        ("bare.git", "is in a bare repository"),
        ("repo/.git", "is in the git directory of a repository"),
        ("unborn", "HEAD is on 'main', which has no commit yet"),
    ):
        said = aq.refused("submit", "--worktree", "-C", str(aq.home / name), *TRUE, code=2)
        assert said.startswith("agentq: error: --worktree: ") and why in said
    inside = {"AGENTQ_TREES": str(repo.path / "trees")}
    assert f"lies inside the repository '{repo.path}'" in repo.refused(*TRUE, env=inside)
    assert not aq.state_dir.exists()


@pytest.mark.parametrize("version", ["git version 2.37.9", None])
def test_a_git_that_is_old_or_missing_is_refused_for_these_options_alone(
    aq: Driven, repo: Checkout, version: str | None
) -> None:
    programs = aq.home / "bin"
    programs.mkdir()
    for name in ("sh", "true"):
        (programs / name).symlink_to(f"/bin/{name}")
    if version is not None:
        (programs / "git").write_text(f"#!/bin/sh\necho {version}\n")
        (programs / "git").chmod(0o755)
    path = {"PATH": str(programs)}
    why = "git: no such program on PATH" if version is None else "git 2.37: too old"
    expected = f"{why}; --worktree needs git 2.38 or newer"
    assert expected in repo.refused(*TRUE, env=path)
    assert aq.exec("true", given=("-C", str(repo.path)), env=path) == "default/1"
    (told,) = [each for each in aq.json("doctor", code=1, env=path)["items"] if each["check"] == "git"]
    assert (told["status"], told["message"]) == ("warning", expected)


def test_options_that_need_a_tree_say_so_and_as_defaults_are_ignored_without_one(aq: Driven, repo: Checkout) -> None:
    config = aq.home / "config.toml"
    env = {"AGENTQ_CONFIG": str(config)}
    for name in ("branch", "base", "setup", "teardown", "land", "push"):
        said = aq.refused("submit", f"--{name}", "x", *TRUE, code=2)
        assert said.endswith(f"--{name} 'x': needs --worktree")
    config.write_text('[defaults]\nland = "main"\nland-as = "ff"\nsetup = "make"\n[sessions.work]\nworktree = true\n')
    assert launch(aq, aq.exec("true", given=("-C", str(repo.path)), env=env)).keys() == {"umask", "depth"}
    found = launch(aq, aq.exec("true", given=("-s", "work", "-C", str(repo.path)), env=env))
    assert (found["land"], found["land_as"], found["setup"]) == ("main", "ff", "make")
    # Where there is no repository, the config asks for nothing that could be.
    done = aq("submit", "-s", "work", "-C", str(aq.home), *TRUE, env=env)
    assert "is in no git repository; it runs without --worktree, which the config sets" in done.stderr
    assert launch(aq, done.stdout.strip()).keys() == {"umask", "depth"}
    assert aq.batch({"exec": ["true"], "cwd": str(repo.path), "worktree": False, "session": "work"}, env=env)
    assert launch(aq, "work/3").keys() == {"umask", "depth"}


def test_submit_says_what_the_tree_will_not_have_and_takes_it_along_if_asked(repo: Checkout) -> None:
    (repo.path / "new").write_text("new\n")
    (repo.path / "src" / "a").write_text("changed\n")
    before = repo.git("status", "--porcelain")
    done = repo.aq("submit", "--worktree", "-C", str(repo.path), *TRUE)
    assert f"2 uncommitted files of '{repo.path}' will not be in the tree; --base . takes them along" in done.stderr
    done = repo.aq("submit", "--dry-run", "--worktree", "--base", ".", "-C", str(repo.path), *TRUE)
    assert (done.stderr, repo.git("for-each-ref", "refs/agentq")) == ("", "")
    done = repo.aq("submit", "--worktree", "--base", ".", "-C", str(repo.path), *TRUE)
    assert done.stderr == ""
    commit = repo.launch(done.stdout.strip())["base"]
    assert repo.git("show", f"{commit}:new") == "new"
    assert repo.git("rev-parse", f"{commit}~1") == repo.git("rev-parse", "main")
    # It is kept until its last task is pruned.
    assert repo.git("for-each-ref", "--format=%(objectname)", "refs/agentq") == commit
    assert repo.git("status", "--porcelain") == before


def test_a_branch_belongs_to_one_line_of_work(repo: Checkout) -> None:
    repo.submit("--branch", "topic", *TRUE)
    assert repo.refused("--branch", "topic", *TRUE) == "--branch 'topic': it belongs to default/1"
    assert repo.refused("--branch", "topic", "-s", "docs", *TRUE) == "--branch 'topic': it belongs to default/1"
    repo.aq("cancel", "1")
    assert repo.submit("--branch", "topic", "-s", "docs", *TRUE) == "docs/1"
    assert repo.submit("--branch", "topic", "-s", "docs", *TRUE) == "docs/2"
    said = repo.refused("-s", "docs", *TRUE)
    why = "session 'docs' works in the tree of branch 'topic'; `agentq discard -s docs`, or name another session"
    assert said == f"--worktree: {why}"
    assert repo.submit("-s", "docs", "--context", "isolated", *TRUE) == "docs/3"
    # Once its tree is made, the branch is there, and its record says whose.
    record = repo.record("topic", "docs", None)
    assert repo.submit("--branch", "topic", "-s", "docs", "--base", "main", *TRUE) == "docs/4"
    repo.commit()
    said = repo.refused("--branch", "topic", "-s", "docs", "--base", "HEAD", *TRUE)
    assert said.startswith("--base 'HEAD': the tree of docs began at 'refs/heads/main' already")
    repo.aq("cancel", "-s", "docs", "--yes")
    assert repo.refused("--branch", "topic", *TRUE) == "--branch 'topic': it belongs to docs"
    register.remove(record.path)
    assert "already there, and not made for this" in repo.refused("--branch", "topic", "-s", "docs", *TRUE)


def test_a_task_found_by_its_key_keeps_its_branch(repo: Checkout) -> None:
    words = ("--key", "k", "--replace", "--branch", "topic", *TRUE)
    assert repo.submit(*words) == repo.submit(*words) == "default/1"
    assert "it belongs to default/1" in repo.refused("--key", "other", *words[3:])


def test_a_branch_begins_at_that_of_a_task_it_waits_for(repo: Checkout) -> None:
    first = repo.submit("-s", "docs", *TRUE)
    assert repo.launch(repo.submit("--base", f"@{first}", "--after", first, *TRUE))["base"] == "@docs/1"
    assert repo.refused("--base", f"@{first}", *TRUE) == (
        "--base '@docs/1': the task must wait for it; give --after too"
    )
    plain = repo.aq.exec("true")
    assert "that task has no tree in" in repo.refused("--base", f"@{plain}", "--after", plain, *TRUE)
    # git's own name for HEAD is no task.
    assert repo.launch(repo.submit("--base", "@", *TRUE))["base"] == "@"


@pytest.mark.parametrize("sessions", [("default", "default"), ("one", "two")])
def test_a_line_of_a_batch_begins_at_the_branch_of_another(repo: Checkout, sessions: tuple[str, str]) -> None:
    tree = {"exec": ["true"], "cwd": str(repo.path), "worktree": True}
    lines = (
        {**tree, "session": sessions[0], "after": "@first", "base": "@first", "context": "isolated"},
        {**tree, "session": sessions[1], "ref": "first"},
    )
    second, first = repo.aq.batch(*lines)
    assert repo.launch(second)["base"] == f"@{first}"
    assert repo.launch(first)["base"] == "refs/heads/main"
    bad = ({**tree, "after": "@x", "base": "@x"}, {"exec": ["true"], "ref": "x"})
    done = repo.aq("submit", "--batch", "-", code=2, input="\n".join(map(json.dumps, bad)))
    assert "--batch line 1: base '@x': that line has no tree in the same repository" in done.stderr


def test_every_line_of_a_batch_is_asked_about_once_and_told_by_its_number(repo: Checkout) -> None:
    (repo.path / "new").write_text("new\n")
    tree = {"exec": ["true"], "cwd": str(repo.path), "worktree": True}
    lines = [{**tree, "branch": "x"}, {**tree, "branch": "x"}, {**tree, "base": "none"}, {**tree, "land": "main"}]
    done = repo.aq("submit", "--batch", "-", code=2, input="\n".join(map(json.dumps, lines)))
    assert "--batch line 2: branch 'x': another of these tasks has it" in done.stderr
    assert "--batch line 3: base 'none': no commit of this name" in done.stderr
    assert done.stderr.count("1 uncommitted file of") == 1
    spread = [{**tree, "session": f"s{number}"} for number in range(3)]
    assert len(repo.aq.batch(*spread)) == 3


def test_a_series_resolves_its_base_anew_and_has_a_branch_for_each_occurrence(repo: Checkout) -> None:
    series = ("schedule", "--every", "1h", "--worktree", "-C", str(repo.path))
    said = repo.aq.refused(*series, "--branch", "x", *TRUE, code=2)
    assert "--branch 'x': each occurrence has a tree of its own; leave it out, or give --context session" in said
    repo.aq(*series, "--branch", "x", "--context", "session", "-s", "docs", *TRUE)
    repo.aq(*series, *TRUE)
    assert repo.launch("default/1")["base"] == "refs/heads/main"
    repo.aq("schedule", "--at", "2030-01-01", "--worktree", "--branch", "y", "-C", str(repo.path), *TRUE)


def test_a_task_in_a_tree_is_changed_as_it_is_submitted(repo: Checkout) -> None:
    repo.git("branch", "release")
    edit = ("edit", "default/1")
    repo.aq.exec("true", given=("--in", "1h"))
    assert "--land 'main': needs --worktree" in repo.aq.refused(*edit, "--land", "main", code=2)
    repo.aq(*edit, "-C", str(repo.path), "--worktree", "--land", "main")
    found = repo.launch("default/1")
    assert (found["repository"], found["land"], found["base"]) == (f"{repo.path}/.git", "main", "refs/heads/main")
    assert "--land 'none': no such branch" in repo.aq.refused(*edit, "--land", "none", code=2)
    second = repo.submit(*TRUE)
    assert "--base '@default/2': the task must wait" in repo.aq.refused(*edit, "--base", "@2", code=2)
    repo.aq(*edit, "--base", "@2", "--after", second)
    assert repo.launch("default/1")["base"] == "@default/2"
    repo.aq(*edit, "--land-as", "squash", "--land", "release", "--base", "release", "--branch", "topic")
    repo.aq(*edit, "-C", str(repo.path / "src"), "--setup", "make")
    found = repo.launch("default/1")
    assert (found["land"], found["land_as"], found["base"]) == ("release", "squash", "release")
    assert (found["branch"], found["subdirectory"], found["setup"]) == ("topic", "src", "make")
    repo.record("topic", "default", 1)
    said = repo.aq.refused(*edit, "--branch", "other", code=2)
    assert "task 'default/1' works in the tree of branch 'topic'; `agentq discard default/1`" in said
    # What is not about the tree needs no repository.
    (repo.path / ".git").rename(repo.path.parent / "away")
    repo.aq(*edit, "--priority", "5")
    assert repo.launch("default/1") == found


def test_a_submit_from_a_commit_hook_stores_nothing_of_that_commit(repo: Checkout) -> None:
    """git sets GIT_DIR, GIT_INDEX_FILE and more for its hooks."""
    environ = repo.aq.agentq.environ
    words = [*repo.aq.agentq.command("submit", "--worktree", *TRUE)]
    assigned = " ".join(f"{name}={shlex.quote(value)}" for name, value in environ.items())
    hook = repo.path / ".git" / "hooks" / "pre-commit"
    hook.write_text(f"#!/bin/sh\n{assigned} exec {shlex.join(words)} 2>&1\n")
    hook.chmod(0o755)
    repo.git("commit", "-q", "--allow-empty", "-m", "by hand")
    names = [each["name"] for each in repo.aq.task("default/1")["environment"]]
    kept = {"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_EDITOR", "GIT_EXEC_PATH", "GIT_CONFIG_NOSYSTEM"}
    assert {name for name in names if name.startswith("GIT_")} <= kept
    assert repo.launch("default/1")["checkout"] == str(repo.path)


def test_what_an_agent_requests_stays_in_the_tree_of_its_session(repo: Checkout) -> None:
    repo.git("branch", "release")
    words = ("-s", "docs", "--branch", "topic", "--setup", "make", "--land", "release", "-a", "demo", "by a person")
    repo.submit(*words)
    outbound = repo.aq.state_dir / "sessions" / "docs" / "outbound.db"
    asked = [{"action": "schedule_task", "prompt": "more"}]
    asked += [{"action": "schedule_task", "prompt": "beside", "context": "isolated"}]
    asked += [{"action": "schedule_task", "prompt": "x", "land": "main"}]
    with closing(sqlite3.connect(outbound)) as database, database:
        for seq, content in enumerate(asked, start=1):
            text = json.dumps(content)
            database.execute("INSERT INTO messages_out VALUES (?, 'system', ?, 0)", (f"m{seq}", text))
    repo.aq("sweep")
    more, beside = repo.launch("docs/2"), repo.launch("docs/3")
    assert (more["repository"], more["branch"], more["setup"]) == (f"{repo.path}/.git", "topic", "make")
    assert (beside["repository"], beside.get("branch"), beside["setup"]) == (f"{repo.path}/.git", None, "make")
    assert {"land"}.isdisjoint(more.keys() | beside.keys())
    assert "docs/4" not in repo.aq.tasks()


def test_a_submit_from_inside_a_tree_belongs_to_the_checkout_that_stays(repo: Checkout) -> None:
    place = f"{os.path.realpath(repo.aq.state_dir)}/trees"
    repo.git("worktree", "add", "-q", "-b", "agentq/s/docs", f"{place}/docs")
    done = repo.aq("submit", "--worktree", "-C", f"{place}/docs", *TRUE)
    found = repo.launch(done.stdout.strip())
    assert (found["checkout"], found["base"]) == (str(repo.path), "refs/heads/agentq/s/docs")


def test_the_table_of_the_hook_is_the_one_of_git() -> None:
    from agentq_cli.base.environment import OF_REPOSITORY

    told = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True)
    assert set(told.stdout.split()) <= set(OF_REPOSITORY)


def test_dry_run_shows_the_tree_and_what_the_agent_asks_there(kept: Checkout) -> None:
    config = kept.aq.home / "config.toml"
    config.write_text('[agents.shy]\nargv = ["true"]\nasks = "for a password"\n')
    env = {"AGENTQ_CONFIG": str(config)}
    words = ("submit", "--dry-run", "--worktree", "-C", str(kept.path), "-a", "shy", "work")
    (plan,) = kept.aq.items(*words, "-s", "docs", "--base", "HEAD", env=env)
    place = f"{os.path.realpath(kept.aq.state_dir)}/trees"
    path = f"{place}/{tree_name(f'{kept.path}/.git', 'agentq/s/docs')}"
    assert (plan["worktree"], plan["branch"], plan["base"]) == (path, "agentq/s/docs", "HEAD")
    asks = "asks for a password of a directory that it has not seen; no switch answers that"
    assert plan["asks"] == asks
    (plan,) = kept.aq.items(*words, env=env)
    assert (plan["worktree"], plan["branch"], plan["base"]) == (None, "agentq/t/default/N", "refs/heads/main")
    text = kept.aq(*words, env=env).stdout
    assert "branch: " in text and asks in text
    done = kept.aq("doctor", code=1, env=env)
    assert f"it may not work with --worktree: it {asks}" in done.stdout.replace("\n", " ")


def test_a_branch_that_an_earlier_queue_left_behind_is_not_taken_for_that_of_the_next_task(repo: Checkout) -> None:
    repo.git("branch", "agentq/t/default/2")
    repo.git("branch", "agentq/s/docs")
    assert repo.submit(*TRUE) == "default/1"
    assert "--branch 'agentq/t/default/2': already there, and not made for this" in repo.refused(*TRUE)
    assert "--branch 'agentq/s/docs': already there, and not made for this" in repo.refused("-s", "docs", *TRUE)
    assert repo.submit("--branch", "mine", *TRUE) == "default/2"
    assert repo.submit(*TRUE) == "default/3"


def test_a_person_changes_the_tree_of_a_task_in_an_editor(repo: Checkout) -> None:
    repo.git("branch", "release")
    address = repo.submit("--land", "main", "--setup", "make", "--in", "1h", *TRUE)
    editor = repo.aq.home / "editor"
    editor.write_text('#!/bin/sh\ncp "$1" "$HOME/seen"\nsed -i "$EDIT" "$1"\n')
    editor.chmod(0o755)

    def by_hand(edit: str) -> dict[str, Any]:
        with screen(repo.aq.agentq, "edit", address, env={"VISUAL": str(editor), "EDIT": edit}) as shown:
            shown.ended(0)
        return tomllib.loads((repo.aq.home / "seen").read_text())

    shown = by_hand("s/^land = .*/land = 'release'/; /^setup/d")
    assert (shown["worktree"], shown["base"], shown["land"], shown["setup"]) == (
        True,
        "refs/heads/main",
        "main",
        "make",
    )
    found = repo.launch(address)
    assert (found["land"], found["base"], "setup" in found) == ("release", "refs/heads/main", False)
    by_hand("/^worktree/d")
    assert repo.launch(address).keys() == {"umask", "depth"}


def test_a_retry_may_land_elsewhere(repo: Checkout) -> None:
    repo.git("branch", "release")
    address = repo.submit(*TRUE)
    plain = repo.aq.exec("true")
    repo.aq("cancel", address, plain)
    repo.aq("retry", address, "--land", "release", "--push", "none", code=2)
    repo.aq("retry", address, "--land", "release")
    assert repo.launch(address)["land"] == "release"
    assert "needs --worktree" in repo.aq("retry", plain, "--land", "release", code=2).stderr


def test_an_agent_gets_the_switch_for_a_new_directory_and_a_run_says_where_there_is_none(repo: Checkout) -> None:
    config = repo.aq.home / "config.toml"
    profiles = '[agents.shy]\nargv = ["false"]\nasks = "for a password"\n'
    profiles += '[agents.bold]\nargv = ["true"]\nasks = "whether to go on"\ntrust = ["--go-on"]\n'
    config.write_text(profiles)
    repo.aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    for name in ("shy", "bold"):
        repo.submit("-a", name, "work")
    repo.aq.drain(code=1)
    runs = {item["id"]: item for item in repo.aq.items("runs")}
    asks = "asks for a password of a directory that it has not seen; no switch answers that"
    assert runs["default/1.1"]["error"] == f"exit code 1; shy {asks}"
    assert runs["default/2.1"]["argv"] == ["true", "--go-on"]
