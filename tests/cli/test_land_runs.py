"""A run that lands: its work comes onto the branch once it is checked, and what prevents that is named or resolved."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from driven import Driven, Object, until
from tree_work import TreeWork

from agentq_cli.host import landing_lock

AGENT = """
import json, os, subprocess, sys
prompt = sys.stdin.read()
with open(os.environ["HOME"] + "/calls", "a") as calls:
    calls.write(json.dumps({"argv": sys.argv[1:], "prompt": prompt, "at": os.getcwd()}) + "\\n")
known = sys.argv[-1] if "--resume" in sys.argv else os.environ["AGENTQ_TASK"].replace("/", "-")
print(json.dumps({"event": "start", "conversation": known}), flush=True)
first, _, later = prompt.rpartition("DO ")[2].partition(" LATER ")
again = os.environ["AGENTQ_ATTEMPT"] != "1"
done = subprocess.run(["sh", "-ec", later if again else first], stdout=2).returncode == 0
print(json.dumps({"event": "end", "ok": done, "result": "done"}))
"""
"""An agent that does what follows `DO` in its prompt, and in its next attempt what follows `LATER`."""


class Landing(TreeWork):
    """Tasks of the agent `mine` that land on `main`."""

    def __init__(self, aq: Driven) -> None:
        super().__init__(aq)
        (aq.home / "mine").write_text(f"#!{sys.executable} -S\n{AGENT}")
        (aq.home / "mine").chmod(0o755)
        config = aq.home / "config.toml"
        config.write_text(
            f'[agents.mine]\nargv = ["{aq.home}/mine"]\nreader = "events"\n'
            'resume = ["--resume", "{conversation}"]\n[defaults]\nbackoff = "1ms"\nmax_backoff = "1ms"\n'
        )
        aq.agentq.environ["AGENTQ_CONFIG"] = str(config)

    def prompt(self, do: str, *given: str, later: str = "true") -> str:
        """The address of a task that does that, commits it, and lands."""
        options = ("-a", "mine", "-C", str(self.path), "--worktree", "--land", "main", *given)
        return self.aq.submit(*options, f"DO {do} LATER {later}")

    def calls(self) -> list[Object]:
        return [json.loads(line) for line in (self.aq.home / "calls").read_text().splitlines()]

    def log(self) -> list[str]:
        """The tasks that landed on main by a commit of their own, oldest first."""
        form = "--format=%(trailers:key=Agentq-Task,valueonly,separator=%x2C)"
        return self.git("log", "--reverse", form, "main").split()

    def checked_tree(self, run: Object) -> None:
        """What landed is the tree that the check passed on, and the repository is sound."""
        assert run["check"]["tree"] == self.git("rev-parse", f"{run['landed']}^{{tree}}")

    def sound(self) -> None:
        self.git("fsck", "--no-dangling")
        assert self.git("status", "--porcelain") == ""


@pytest.fixture
def work(aq: Driven) -> Landing:
    return Landing(aq)


def save(name: str, content: str) -> str:
    return f"echo {content} > {name}; git add {name}; git commit -qm {name}"


def test_work_lands_once_its_check_passes_with_title_and_trailer(work: Landing, aq: Driven) -> None:
    base = work.git("rev-parse", "main")
    address = work.prompt(save("new", "content"), "--check", "test -s new")
    aq.drain()
    run = aq.runs()[f"{address}.1"]
    assert (run["status"], run["landed"]) == ("success", work.git("rev-parse", "main"))
    assert (work.path / "new").read_text() == "content\n"
    work.checked_tree(run)
    assert run["base"] == base and run["files_changed"] == 1
    work.sound()
    events = [event["event"] for event in aq.items("events", address)]
    assert "land" in events


def line(number: int, text: str) -> str:
    return f"sed -i '{number}s/.*/{text}/' lines; git commit -qam 'Line {number}'"


def test_four_trees_and_a_conflict_that_its_own_agent_resolves(work: Landing, aq: Driven) -> None:
    base = work.commit(work.path, "lines", "".join(f"{number}\n" for number in range(1, 13)))
    given = ("--base", base, "--check", "test $(wc -l < lines) = 12")
    tasks = [work.prompt(line(number, "mine"), *given) for number in (1, 5, 9)]
    resolve = "git merge -q main || true; sed -i '/^[<=>]/d' lines; sed -i 2d lines; git commit -qam 'Merge main'"
    tasks.append(work.prompt(line(1, "theirs"), *given, later=resolve))
    aq.drain("-j", "2")
    assert set(aq.statuses().values()) == {"completed"}
    lines = (work.path / "lines").read_text().splitlines()
    assert (lines[4], lines[8], len(lines)) == ("mine", "mine", 12)
    subjects = work.git("log", "--format=%s", "main").splitlines()
    assert sorted(each for each in subjects if each.startswith("Line")) == ["Line 1", "Line 1", "Line 5", "Line 9"]
    # The first that lands is a fast-forward, and so is the one that its agent has merged.
    assert len(work.log()) == 2 and set(work.log()) < set(tasks)
    runs = aq.runs()
    conflicts = [run for run in runs.values() if run["failure_class"] == "conflict"]
    assert len(conflicts) == 1 and conflicts[0]["landed"] is None
    assert conflicts[0]["error"] == "cannot land on 'main': conflict: 'lines'"
    assert len(runs) == 5
    for run in runs.values():
        if run["landed"]:
            work.checked_tree(run)
    (told,) = (call for call in work.calls() if "--resume" in call["argv"])
    assert "    lines\n" in told["prompt"] and "Merge main into this branch" in told["prompt"]
    assert told["at"] == next(
        call["at"] for call in work.calls() if call["argv"] == [] and told["argv"][1] in call["at"]
    )
    work.sound()


def test_files_that_are_not_committed_go_back_to_the_agent_by_name(work: Landing, aq: Driven) -> None:
    work.prompt("echo new > new; echo more >> file", later="git add -A; git commit -qm all")
    aq.drain()
    first, second = aq.runs()["default/1.1"], aq.runs()["default/1.2"]
    assert (first["failure_class"], first["landed"]) == ("land", None)
    assert first["error"] == "cannot land on 'main': files are not committed: 'file', 'new'"
    assert second["landed"] == work.git("rev-parse", "main")
    assert "    file\n    new\n" in work.calls()[1]["prompt"]
    work.sound()


def test_no_change_is_completed_and_lands_nothing(work: Landing, aq: Driven) -> None:
    before = work.git("rev-parse", "main")
    work.prompt("true", "--check", "true")
    aq.drain()
    run = aq.runs()["default/1.1"]
    assert (run["status"], run["landed"]) == ("success", "nothing")
    assert work.git("rev-parse", "main") == before


@pytest.mark.parametrize("how", ["squash", "ff"])
def test_how_it_lands(work: Landing, aq: Driven, how: str) -> None:
    base = work.git("rev-parse", "main")
    work.commit(work.path, "other", "other\n")
    work.prompt(f"{save('a', 'a')}; {save('b', 'b')}", "--base", base, "--land-as", how, later="git rebase -q main")
    aq.drain()
    assert (work.path / "a").exists() and (work.path / "b").exists() and (work.path / "other").exists()
    merges = work.git("rev-list", "--merges", "--count", "main")
    subjects = work.git("log", "--format=%s", f"{base}..main").splitlines()
    assert merges == "0"
    assert len(subjects) == (2 if how == "squash" else 3)
    assert len(aq.runs()) == (1 if how == "squash" else 2)


def test_merge_drivers_and_attributes_hold(work: Landing, aq: Driven) -> None:
    work.git("config", "merge.both.driver", "cat %A %B | sort -u > %A.new && mv %A.new %A")
    work.commit(work.path, ".gitattributes", "log merge=union\ndriven merge=both\n")
    work.commit(work.path, "log", "begun\n")
    base = work.commit(work.path, "driven", "a\n")
    for word in ("one", "two"):
        work.prompt(f"echo {word} >> log; echo {word} >> driven; git commit -qam {word}", "--base", base)
    aq.drain()
    assert set(aq.statuses().values()) == {"completed"}
    assert sorted((work.path / "log").read_text().split()) == ["begun", "one", "two"]
    assert (work.path / "driven").read_text().split() == ["a", "one", "two"]


def test_what_a_person_has_begun_in_the_checkout_stays_and_holds_only_what_it_touches(
    work: Landing, aq: Driven
) -> None:
    (work.path / "file").write_text("mine\n")
    (work.path / "untracked").write_text("mine\n")
    work.prompt(save("new", "new"))
    work.prompt("echo theirs > file; git commit -qam theirs", "--check", "true")
    aq.drain("-j", "1", code=1)
    assert aq.statuses() == {"default/1": "completed", "default/2": "failed"}
    held = aq.runs()["default/2.1"]
    assert (held["failure_class"], held["landed"], held["check"]["passed"]) == ("land", None, True)
    assert "'file'" in held["error"] and "changed here" in held["error"]
    assert work.git("status", "--porcelain") == " M file\n?? untracked"
    assert (work.path / "file").read_text() == "mine\n" and (work.path / "new").exists()
    work.git("checkout", "-q", "file")
    aq("retry", "2")
    aq.drain()
    landed = aq.runs()["default/2.2"]
    assert (landed["status"], landed["argv"]) == ("success", [])
    assert landed["landed"] == work.git("rev-parse", "main")
    assert len(work.calls()) == 2, "no agent was asked"
    work.checked_tree(landed)
    assert (work.path / "untracked").read_text() == "mine\n"


def test_other_words_after_a_landing_that_was_held_ask_the_agent(work: Landing, aq: Driven) -> None:
    (work.path / "file").write_text("mine\n")
    work.prompt("echo theirs > file; git commit -qam theirs")
    aq.drain(code=1)
    aq("retry", "1", "--prompt", "DO true LATER git reset -q --hard HEAD~1")
    aq.drain()
    assert aq.runs()["default/1.2"]["landed"] == "nothing"
    assert len(work.calls()) == 2


def test_a_push_that_is_refused_is_pushed_by_the_next_run(work: Landing, aq: Driven) -> None:
    remote = aq.home / "remote"
    work.git("init", "-q", "--bare", str(remote))
    work.git("remote", "add", "origin", str(remote))
    hook = remote / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho not today >&2; exit 1\n")
    hook.chmod(0o755)
    work.prompt(save("new", "new"), "--push", "origin", "--check", "true")
    aq.drain(code=1)
    refused = aq.runs()["default/1.1"]
    assert (refused["failure_class"], refused["landed"]) == ("land", work.git("rev-parse", "main"))
    assert "landed on 'main' and not pushed" in refused["error"]
    hook.unlink()
    aq("retry", "1")
    aq.drain()
    assert work.git("rev-parse", "main", at=remote) == work.git("rev-parse", "main") == refused["landed"]
    assert len(work.calls()) == 1 and work.log() == []  # a fast-forward
    assert aq.statuses() == {"default/1": "completed"}


BOTH = "! (test -e ours && test -e theirs)"


def test_a_check_that_fails_only_after_the_merge_is_the_works_fault(work: Landing, aq: Driven) -> None:
    base = work.git("rev-parse", "main")
    work.commit(work.path, "theirs", "theirs\n")
    check = f"echo x >> $HOME/checks; {BOTH}"
    work.prompt(
        save("ours", "ours"),
        "--base",
        base,
        "--check",
        check,
        later="git rm -q ours; git commit -qm away; echo n > n; git add n; git commit -qm n",
    )
    aq.drain()
    first, second = aq.runs()["default/1.1"], aq.runs()["default/1.2"]
    assert (first["failure_class"], first["landed"], first["check"]["passed"]) == ("check", None, False)
    assert first["error"].endswith("exit code 1, once merged with 'main'")
    assert second["landed"] == work.git("rev-parse", "main")
    work.checked_tree(second)
    assert (aq.home / "checks").read_text().count("x") == 4 + 1, "own, merged twice, main alone; own again"
    told = work.calls()[1]["prompt"]
    assert "main was merged into your branch" in told and "its check failed" in told
    work.sound()


def test_a_branch_that_fails_its_check_itself_is_waited_for(work: Landing, aq: Driven) -> None:
    base = work.git("rev-parse", "main")
    broken = work.commit(work.path, "broken", "broken\n")
    work.prompt(save("ours", "ours"), "--base", base, "--check", "test ! -e broken", "--retries", "0")
    aq.drain()
    task = aq.task("default/1")
    assert (task["status"], task["attempts"]) == ("retrying", 0)
    assert task["reason"] == "waits to land: 'main' itself fails its check"
    assert work.git("rev-parse", "main") == broken
    run = aq.runs()["default/1.1"]
    assert (run["failure_class"], run["landed"], run["check"]["passed"]) == ("land", None, True)
    work.git("rm", "-q", "broken")
    work.git("commit", "-q", "-m", "Mend it")
    aq.agentq.environ["AGENTQ_NOW"] = "2030-01-01T00:00:00Z"
    aq.drain()
    assert aq.statuses() == {"default/1": "completed"}
    assert len(work.calls()) == 1, "no agent was asked"
    work.checked_tree(aq.runs()["default/1.2"])
    work.sound()


def test_a_session_lands_again_and_again_from_where_it_landed(work: Landing, aq: Driven) -> None:
    for name in ("one", "two"):
        work.prompt(save(name, name), "-s", "docs")
    work.prompt("true", "-s", "docs", later="true")
    aq.drain()
    runs = aq.runs()
    assert [runs[f"docs/{seq}.1"]["files_changed"] for seq in (1, 2, 3)] == [1, 1, 0]
    assert runs["docs/2.1"]["base"] == runs["docs/1.1"]["landed"]
    assert runs["docs/3.1"]["landed"] == "nothing"
    assert runs["docs/2.1"]["landed"] == work.git("rev-parse", "main")


def test_a_branch_that_begins_at_another_tasks_work(work: Landing, aq: Driven) -> None:
    options = ("-C", str(work.path), "--worktree", "--exec", "--")
    aq.submit(*options, "sh", "-c", save("first", "first"))
    aq.submit("--after", "1", "--base", "@1", *options, "test", "-e", "first")
    aq.submit("--after", "1", "--after", "2", "--base", "@1", *options, "test", "-e", "first")
    aq.drain("--max-tasks", "2")
    branch = aq.runs()["default/1.1"]["branch"]
    work.git("worktree", "remove", "--force", "--force", aq.runs()["default/1.1"]["worktree"])
    work.git("branch", "-q", "-D", branch)
    aq.drain()
    assert set(aq.statuses().values()) == {"completed"}
    assert aq.runs()["default/3.1"]["base"] == aq.runs()["default/1.1"]["head"]


def test_two_supervisors_and_a_person_land_on_one_branch(work: Landing, aq: Driven) -> None:
    tasks = [
        aq.submit(
            *("-C", str(work.path), "--worktree", "--land", "main", "--check", f"test -e {name}"),
            *("--exec", "--", "sh", "-ec", save(name, name)),
        )
        for name in ("one", "two", "three", "four")
    ]
    supervisors = [aq.supervise("--drain", "-j", "4") for _ in range(2)]
    runs = aq.state_dir / "sessions/default/runs"
    for number in range(1, 5):
        until(lambda: (runs / f"{number}.1/checked").exists(), what="it is about to land")  # noqa: B023
        until(lambda: commits_by_hand(work, f"mine-{number}"), what="git is free")  # noqa: B023
    assert [aq.ended(each) for each in supervisors] == [0, 0]
    assert set(aq.statuses().values()) == {"completed"}
    subjects = work.git("log", "--format=%s", "main").splitlines()
    for name in ("one", "two", "three", "four", *(f"mine-{number}" for number in range(1, 5))):
        assert subjects.count(name) == 1, name
        assert (work.path / name).exists()
    for address in tasks:
        work.checked_tree(aq.runs()[f"{address}.1"])
    work.sound()


def commits_by_hand(work: Landing, name: str) -> bool:
    """Commit a file in the checkout as a person does, who tries again later if git is busy there."""
    (work.path / name).write_text(name)
    for words in (("add", name), ("commit", "-qm", name)):
        done = subprocess.run(["git", *words], cwd=work.path, env=work.environ, capture_output=True, check=False)
        if done.returncode:
            return False
    return True


def test_who_waits_for_another_landing_can_be_cancelled_and_has_its_time(work: Landing, aq: Driven) -> None:
    lock = landing_lock.take(str(work.path / ".git"), "main")
    assert lock is not None
    work.prompt(save("one", "one"), "--check", "true")
    work.prompt(save("two", "two"), "--check", "true", "--timeout", "3s", "--retries", "0")
    work.prompt(save("three", "three"), "--check", "true")
    supervisor = aq.supervise("--drain", "-j", "3")
    runs = aq.state_dir / "sessions/default/runs"
    until(lambda: (runs / "1.1/checked").exists(), what="the first waits")
    aq("cancel", "1", "--wait")
    until(lambda: aq.statuses()["default/2"] == "failed", what="the second is late")
    assert work.git("log", "--format=%s", "main").splitlines() == ["Change file"]
    os.close(lock)
    aq.ended(supervisor)
    assert aq.statuses() == {"default/1": "cancelled", "default/2": "failed", "default/3": "completed"}
    assert [run["failure_class"] for run in aq.runs().values()][::-1] == ["cancelled", "timeout", None]
    assert work.git("log", "--format=%s", "main").splitlines() == ["three", "Change file"]
