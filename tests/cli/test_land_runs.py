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
        """The address of a task that does that, in its next attempt something else, and lands."""
        return self.aq.submit("-a", "mine", *self.options, *given, f"DO {do} LATER {later}")

    def command(self, do: str, *given: str) -> str:
        """The address of a command that lands."""
        return self.aq.submit(*self.options, *given, "--exec", "--", "sh", "-ec", do)

    @property
    def options(self) -> tuple[str, ...]:
        return "-C", str(self.path), "--worktree", "--land", "main"

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


def line(number: int, text: str) -> str:
    return f"sed -i '{number}s/.*/{text}/' lines; git commit -qam 'Line {number}'"


def test_work_lands_once_its_check_passes_and_once_all_of_it_is_committed(work: Landing, aq: Driven) -> None:
    base = work.git("rev-parse", "main")
    work.prompt(save("new", "content"), "--check", "test -s new")
    work.prompt("true", "--check", "true")
    work.prompt("echo new > other; echo more >> file", later="git add -A; git commit -qm all")
    work.prompt(f"{save('a', 'a')}; {save('b', 'b')}", "--base", base, "--land-as", "squash")
    aq.drain("-j", "1")
    runs = aq.runs()
    first, nothing, unfit, whole, squashed = (runs[f"default/{name}"] for name in ("1.1", "2.1", "3.1", "3.2", "4.1"))
    assert set(aq.statuses().values()) == {"completed"}
    work.checked_tree(first)
    assert (first["base"], first["files_changed"], (work.path / "new").read_text()) == (base, 1, "content\n")
    assert (nothing["status"], nothing["landed"], nothing["check"]["passed"]) == ("success", "nothing", True)
    assert (unfit["failure_class"], unfit["landed"]) == ("land", None)
    assert unfit["error"] == "cannot land on 'main': files are not committed: 'file', 'other'"
    (told,) = (call["prompt"] for call in work.calls() if "default-3" in call["argv"])
    assert "    file\n    other\n" in told
    assert whole["landed"] is not None and (work.path / "other").exists()
    assert len(work.git("rev-list", "--parents", "-n1", squashed["landed"]).split()) == 2 and "default/4" in work.log()
    assert "land" in [event["event"] for event in aq.items("events", "1")]
    work.sound()


@pytest.mark.slow
def test_four_trees_and_a_conflict_that_its_own_agent_resolves(work: Landing, aq: Driven) -> None:
    work.git("config", "merge.both.driver", "cat %A %B | sort -u > %A.new && mv %A.new %A")
    work.commit(work.path, ".gitattributes", "log merge=union\ndriven merge=both\n")
    work.commit(work.path, "log", "begun\n")
    work.commit(work.path, "driven", "a\n")
    base = work.commit(work.path, "lines", "".join(f"{number}\n" for number in range(1, 13)))
    given = ("--base", base, "--check", "test $(wc -l < lines) = 12")
    tasks = [
        work.prompt(f"echo {number} | tee -a log >> driven; {line(number, 'mine')}", *given) for number in (1, 5, 9)
    ]
    resolve = "git merge -q main || true; sed -i '/^[<=>]/d' lines; sed -i 2d lines; git commit -qam 'Merge main'"
    tasks.append(work.prompt(line(1, "theirs"), *given, later=resolve))
    hook = ["sh", "-c", 'echo "$AGENTQ_HOOK" >> ~/told']
    with (aq.home / "config.toml").open("a") as config:
        config.write(f'[hooks]\n"task.landed" = {hook!r}\n"task.conflict" = {hook!r}\n')
    aq.drain("-j", "2")
    assert set(aq.statuses().values()) == {"completed"}
    lines = (work.path / "lines").read_text().splitlines()
    assert (lines[4], lines[8], len(lines)) == ("mine", "mine", 12)
    assert sorted((work.path / "log").read_text().split()) == ["1", "5", "9", "begun"]
    assert (work.path / "driven").read_text().split() == ["1", "5", "9", "a"]
    subjects = work.git("log", "--format=%s", "main").splitlines()
    assert sorted(each for each in subjects if each.startswith("Line")) == ["Line 1", "Line 1", "Line 5", "Line 9"]
    # The first that lands is a fast-forward, and so is the one that its agent has merged.
    assert len(work.log()) == 2 and set(work.log()) < set(tasks)
    runs = aq.runs()
    (conflict,) = (run for run in runs.values() if run["failure_class"] == "conflict")
    assert (conflict["landed"], conflict["error"]) == (None, "cannot land on 'main': conflict: 'lines'")
    assert len(runs) == 5
    assert sorted((aq.home / "told").read_text().split()) == ["task.conflict", *["task.landed"] * 4]
    for run in runs.values():
        if run["landed"]:
            work.checked_tree(run)
    (told,) = (call for call in work.calls() if "--resume" in call["argv"])
    assert "    lines\n" in told["prompt"] and "Merge main into this branch" in told["prompt"]
    assert told["argv"][-1] in told["at"], "in the tree of the task"
    work.sound()


FORGED = {
    "checked": dict.fromkeys(("signal", "stopped", "error"))
    | dict.fromkeys(("exit_code", "duration_ms", "output_bytes"), 0),
    "landing": dict.fromkeys(("tree", "why")) | {"into": "main", "came": "landed", "commit": "0" * 40, "paths": []},
}


@pytest.mark.slow
def test_what_a_person_has_begun_in_the_checkout_stays_and_holds_only_what_it_touches(
    work: Landing, aq: Driven
) -> None:
    (work.path / "file").write_text("mine\n")
    (work.path / "untracked").write_text("mine\n")
    work.prompt(save("new", "new"))
    work.prompt("echo theirs > file; git commit -qam theirs", "--check", "true")
    work.prompt("echo others > file; git commit -qam others", later="git reset -q --hard HEAD~1")
    for name, record in FORGED.items():
        (aq.home / name).write_text(json.dumps(record))
    forging = "cp ~/checked ~/landing $AGENTQ_STATE_DIR/sessions/default/runs/4.1; "
    work.prompt(f"{forging}{save('forged', 'forged')}", "--check", "false", "--retries", "0")
    aq.drain("-j", "1", code=1)
    assert aq.statuses() == {"default/1": "completed"} | dict.fromkeys((f"default/{n}" for n in (2, 3, 4)), "failed")
    forged = aq.runs()["default/4.1"]
    assert (forged["failure_class"], forged["landed"], (work.path / "forged").exists()) == ("check", None, False)
    held = aq.runs()["default/2.1"]
    assert (held["failure_class"], held["landed"], held["check"]["passed"]) == ("land", None, True)
    assert "'file'" in held["error"] and "changed here" in held["error"]
    assert "`agentq retry default/2`" in aq("show", "2").stdout
    note = next(each["note"] for each in aq.items("trees") if each["task"] == "default/2")
    assert "changed here" in note and "`agentq retry default/2` lands it" in note
    assert work.git("status", "--porcelain") == " M file\n?? untracked"
    assert (work.path / "file").read_text() == "mine\n" and (work.path / "new").exists()
    work.git("checkout", "-q", "file")
    aq("retry", "2")
    aq("retry", "3", "--prompt", "DO true LATER git reset -q --hard HEAD~1")
    asked = len(work.calls())
    aq.drain()
    landed = aq.runs()["default/2.2"]
    assert (landed["status"], landed["argv"]) == ("success", [])
    assert landed["landed"] == work.git("rev-parse", "main")
    work.checked_tree(landed)
    assert aq.runs()["default/3.2"]["landed"] == "nothing"
    assert len(work.calls()) == asked + 1, "only the agent that was given other words is asked"
    assert (work.path / "untracked").read_text() == "mine\n"
    assert "land" in aq("show", "2").stdout and aq("runs").stdout


@pytest.mark.slow
def test_a_push_that_is_refused_is_pushed_by_the_next_run(work: Landing, aq: Driven) -> None:
    remote = aq.home / "remote"
    work.git("init", "-q", "--bare", str(remote))
    work.git("remote", "add", "origin", str(remote))
    hook = remote / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho not today >&2; exit 1\n")
    hook.chmod(0o755)
    work.command(save("new", "new"), "--push", "origin", "--check", "true")
    aq.drain(code=1)
    refused = aq.runs()["default/1.1"]
    assert (refused["failure_class"], refused["landed"]) == ("land", work.git("rev-parse", "main"))
    assert "landed on 'main' and not pushed" in refused["error"]
    hook.unlink()
    aq("retry", "1")
    aq.drain()
    assert work.git("rev-parse", "main", at=remote) == work.git("rev-parse", "main") == refused["landed"]
    assert aq.statuses() == {"default/1": "completed"}
    assert work.log() == [], "a fast-forward"


@pytest.mark.slow
def test_a_check_that_fails_after_the_merge_is_the_works_fault_unless_the_branch_fails_it_too(
    work: Landing, aq: Driven
) -> None:
    base = work.git("rev-parse", "main")
    work.commit(work.path, "theirs", "theirs\n")
    broken = work.commit(work.path, "broken", "broken\n")
    check = "echo x >> $HOME/checks; ! (test -e ours && test -e theirs)"
    mend = f"git rm -q ours; git commit -qm away; {save('n', 'n')}"
    waits = ("--base", base, "--check", "test ! -e broken", "--retries", "0")
    work.prompt(save("mine", "mine"), *waits)
    work.prompt(save("ours", "ours"), "--base", base, "--check", check, later=mend)
    aq.drain("-j", "1")
    waiting, run = aq.task("default/1"), aq.runs()["default/1.1"]
    assert (waiting["status"], waiting["attempts"]) == ("retrying", 0)
    assert waiting["reason"] == "waits to land: 'main' itself fails its check"
    assert (run["failure_class"], run["landed"], run["check"]["passed"]) == ("land", None, True)
    first, second = aq.runs()["default/2.1"], aq.runs()["default/2.2"]
    assert (first["failure_class"], first["landed"], first["check"]["passed"]) == ("check", None, False)
    assert first["error"].endswith("exit code 1, once merged with 'main'")
    assert second["landed"] == work.git("rev-parse", "main") != broken
    work.checked_tree(second)
    assert (aq.home / "checks").read_text().count("x") == 4 + 1, "own, merged twice, main alone; own again"
    told = work.calls()[-1]["prompt"]
    assert "main was merged into your branch" in told and "its check failed" in told
    work.git("rm", "-q", "broken")
    work.git("commit", "-q", "-m", "Mend it")
    asked = len(work.calls())
    aq.agentq.environ["AGENTQ_NOW"] = "2030-01-01T00:00:00Z"
    aq.drain()
    assert aq.statuses()["default/1"] == "completed"
    assert len(work.calls()) == asked, "no agent was asked"
    work.checked_tree(aq.runs()["default/1.2"])
    work.sound()


@pytest.mark.slow
def test_a_session_lands_again_and_again_from_where_it_landed(work: Landing, aq: Driven) -> None:
    for do in (save("one", "one"), save("two", "two"), "true"):
        work.command(do, "-s", "docs")
    aq.drain()
    runs = aq.runs()
    assert [runs[f"docs/{seq}.1"]["files_changed"] for seq in (1, 2, 3)] == [1, 1, 0]
    assert runs["docs/2.1"]["base"] == runs["docs/1.1"]["landed"]
    assert runs["docs/3.1"]["landed"] == "nothing"
    assert runs["docs/2.1"]["landed"] == work.git("rev-parse", "main")


@pytest.mark.slow
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


@pytest.mark.slow
def test_two_supervisors_and_a_person_land_on_one_branch(work: Landing, aq: Driven) -> None:
    tasks = [work.command(save(name, name), "--check", f"test -e {name}") for name in ("one", "two", "three", "four")]
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
    work.command(save("one", "one"), "--check", "true")
    work.command(save("two", "two"), "--check", "true", "--timeout", "5s")
    work.command(save("three", "three"), "--check", "true")
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
