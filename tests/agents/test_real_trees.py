"""The real agent CLIs in trees of their own: what they do there lands, and goes on after a conflict or a kill.

The model API asks each prompt for the same command, a script that the test writes; it runs as a tool of the agent, in
the agent's directory and environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agentq_process import ROOT
from model_api import ANSWER, ModelApi
from real_cli import CLIS, Cli, document, free, submit, until

from agentq_cli.agents import profile as profiles
from agentq_cli.config.configuration import load
from agentq_cli.host.run_directory import RunDirectory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

FIRST = "Write down what you were asked to."
SECOND = "Write it down again."
COMMIT = "git add --all && git commit --quiet --message 'Write it down'\n"
NUDGE = "You began this task in this conversation and were interrupted"


class Work:
    """A repository with a commit on `main`, and tasks of one agent CLI in trees of it that land there."""

    def __init__(self, agentq: Any, cli: Cli, api: ModelApi) -> None:
        # Nothing that a user would have to add because the directory is new.
        self.agentq, self.cli, self.api = agentq, replace(cli, args=()), api
        self.path = agentq.home / "repository"
        self.tool = agentq.home / "tool"
        self.began, self.go = agentq.home / "began", agentq.home / "go"
        api.command = f"sh -e {self.tool}"
        self.environ = dict(cli.prepare(agentq.home, api.url("tool")))
        # The user's own answer is not there, so that agentq's must do.
        self.environ.pop("GEMINI_CLI_TRUST_WORKSPACE", None)
        self.path.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")
        # In the repository, since Gemini CLI hides the git configuration of home from its tools.
        self.git("config", "user.name", "Ann Other")
        self.git("config", "user.email", "ann@example.com")
        self.commit("lines", "one\n")

    def git(self, *words: str) -> str:
        """What git prints in the checkout; it must succeed."""
        done = subprocess.run(
            ["git", *words], cwd=self.path, env=self.agentq.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def commit(self, name: str, content: str) -> str:
        """Commit one file as a person would; returns the commit."""
        (self.path / name).write_text(content)
        self.git("add", name)
        self.git("commit", "--quiet", "--message", f"Change {name}")
        return self.git("rev-parse", "HEAD")

    def submit(self, prompt: str, *given: str) -> None:
        """A task of the session `talk` in its tree, to land on main."""
        where = ("--cwd", str(self.path), "--worktree", "--land", "main", "--backoff", "1s")
        submit(self.agentq, self.cli, prompt, *free(self.cli), *where, *given, env=self.environ)

    def drain(self) -> None:
        """Run what is there to its end."""
        done = self.agentq("run", "--drain", env=self.environ, timeout=300)
        assert done.returncode == 0, done.stderr + done.stdout + json.dumps(self.runs(), indent=1)

    def runs(self) -> list[Any]:
        """All runs, oldest first."""
        return list(reversed(document(self.agentq, "runs")["items"]))

    def asked(self, prompt: str) -> str:
        """The last conversation that holds a prompt."""
        return [request.text for request in self.api.conversations() if prompt in request.text][-1]

    def sound(self) -> None:
        """The repository is whole, the checkout clean, and nothing of the runs is left."""
        self.git("fsck", "--no-dangling")
        assert self.git("status", "--porcelain") == ""
        assert self.agentq.left_over() == []

    def kill_everything(self) -> None:
        """SIGKILL to the first run's keeper, then to the agent and the tools that it runs."""
        directory = RunDirectory(self.agentq.state_dir / "sessions/talk/runs/1.1")
        for pid in (directory.start().identity.pid, directory.pid()):
            os.kill(pid, signal.SIGKILL)
        for pid in self.agentq.left_over():
            with contextlib.suppress(ProcessLookupError, OSError):
                if str(self.tool).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def work(agentq: Any, cli: Cli, api: ModelApi) -> Work:
    return Work(agentq, cli, api)


def test_what_is_done_in_trees_lands_and_the_conversation_is_found_in_them(work: Work) -> None:
    """The CLI has never seen the directory, and nobody is there to be asked whether it is to be trusted."""
    told = "$AGENTQ_TASK $AGENTQ_TREE $AGENTQ_BRANCH $AGENTQ_WORKTREE $PWD"
    work.tool.write_text(f"echo {told} >> written.txt\n{COMMIT}")
    for prompt in (FIRST, SECOND):
        work.submit(prompt, "--check", "test -s written.txt")
    work.drain()

    first, second = work.runs()
    tree = first["worktree"]
    for run in (first, second):
        assert (run["status"], run["result"], run["files_changed"]) == ("success", ANSWER, 1), run
        assert (run["worktree"], run["branch"], run["dirty"]) == (tree, "agentq/s/talk", False)
        assert run["check"]["tree"] == work.git("rev-parse", f"{run['landed']}^{{tree}}")
    assert (work.path / "written.txt").read_text() == "".join(
        f"talk/{number} 1 agentq/s/talk {tree} {tree}\n" for number in (1, 2)
    )
    assert second["landed"] == work.git("rev-parse", "main")
    assert first["conversation"] == second["conversation"]
    assert FIRST in work.asked(SECOND)
    assert sorted(os.listdir(tree)) == [".git", "lines", "written.txt"], "nothing of the CLI's own lies in the tree"
    work.sound()

    # By hand in the tree, as a person goes on there.
    work.api.now = "ok"
    profile = profiles.profile(load({"XDG_CONFIG_HOME": str(work.agentq.home)}), work.cli.name)
    argv, stdin = profiles.command(
        profile,
        prompt="By hand.",
        conversation=second["conversation"],
        resume=True,
        agent_args=work.cli.args,
        new_directory=True,
    )
    done = subprocess.run(
        argv,
        input=stdin,
        cwd=tree,
        env={**profile.env, **work.agentq.environ, **work.environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert FIRST in work.asked("By hand.") and SECOND in work.asked("By hand.")


def test_a_question_about_a_new_directory_that_nothing_answers_is_said(agentq: Any, api: ModelApi) -> None:
    """Gemini CLI alone asks one when it is run without a terminal."""
    if shutil.which("gemini") is None:
        pytest.skip("the agent CLI gemini is not on PATH")
    work = Work(agentq, next(cli for cli in CLIS if cli.name == "gemini"), api)
    config = agentq.home / "config.toml"
    config.write_text("[agents.gemini]\ntrust = []\n")
    work.environ["AGENTQ_CONFIG"] = str(config)
    work.submit(FIRST)
    assert agentq("run", "--drain", env=work.environ, timeout=120).returncode == 1
    (run,) = work.runs()
    assert (run["status"], run["failure_class"], run["landed"]) == ("error", "config", None), run
    assert "not running in a trusted directory" in run["error"], run
    assert work.api.requests == []
    work.sound()


def test_codex_commits_from_within_its_sandbox_where_it_is_let(agentq: Any, api: ModelApi) -> None:
    """By itself its sandbox keeps it from writing to the git directory; agentq-config(5) has what lets it."""
    if shutil.which("codex") is None:
        pytest.skip("the agent CLI codex is not on PATH")
    cli = next(cli for cli in CLIS if cli.name == "codex")
    work = Work(agentq, replace(cli, free=("--sandbox", "workspace-write")), api)
    # Not a script: what the sandbox shows of /dev has no home of a test.
    api.command = f"echo mine > written.txt; {COMMIT}"
    work.submit(FIRST, "--retries", "0")
    assert agentq("run", "--drain", env=work.environ, timeout=120).returncode == 1
    (run,) = work.runs()
    assert (run["failure_class"], run["dirty"]) == ("land", True)
    assert run["error"] == "cannot land on 'main': files are not committed: 'written.txt'"

    config = agentq.home / "config.toml"
    page = (ROOT / "man/man5/agentq-config.5").read_text()
    examples = re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed", page, re.DOTALL | re.MULTILINE)
    config.write_text(next(each for each in examples if each.startswith("[agents.codex]")))
    work.environ["AGENTQ_CONFIG"] = str(config)
    assert agentq("retry", "talk/1", env=work.environ).returncode == 0
    work.drain()
    last = work.runs()[-1]
    assert (last["status"], last["landed"]) == ("success", work.git("rev-parse", "main"))
    assert last["conversation"] == run["conversation"]
    work.sound()


def test_a_conflict_is_resolved_in_the_conversation(work: Work) -> None:
    base = work.git("rev-parse", "main")
    work.commit("lines", "one, by a person\n")
    resolve = (
        "git merge --quiet main || true; printf 'one, by both\\n' > lines; git commit --quiet --all --message both"
    )
    mine = "printf 'one, by the agent\\n' > lines; git commit --quiet --all --message mine"
    work.tool.write_text(f"if [ $AGENTQ_ATTEMPT = 1 ]; then {mine}; else {resolve}; fi\n")
    work.submit(FIRST, "--base", base, "--check", "test $(wc -l < lines) = 1")
    work.drain()

    conflict, landed = work.runs()
    assert (conflict["status"], conflict["failure_class"], conflict["landed"]) == ("error", "conflict", None)
    assert conflict["error"] == "cannot land on 'main': conflict: 'lines'"
    assert (landed["status"], landed["landed"]) == ("success", work.git("rev-parse", "main"))
    assert landed["conversation"] == conflict["conversation"] and landed["worktree"] == conflict["worktree"]
    assert (work.path / "lines").read_text() == "one, by both\n"
    asked = work.asked("Merge main into this branch")
    assert asked.count(FIRST) == 2 and asked.index(FIRST) < asked.index("Merge main into this branch")
    work.sound()


@pytest.mark.parametrize("victim", ["agent", "everything"])
def test_what_was_killed_in_the_middle_goes_on_in_its_tree(work: Work, victim: str) -> None:
    waits = f"touch {work.began}; while [ ! -e {work.go} ]; do sleep 0.05; done"
    work.tool.write_text(f"echo $AGENTQ_ATTEMPT >> written.txt\n[ $AGENTQ_ATTEMPT != 1 ] || {{ {waits}; }}\n{COMMIT}")
    work.submit(FIRST, "--check", "test $(wc -l < written.txt) = 2")
    supervisor = work.agentq.start("run", "--drain", env=work.environ)
    until(work.began.exists)
    until(lambda: work.runs()[0]["conversation"] is not None)
    if victim == "agent":
        os.kill(RunDirectory(work.agentq.state_dir / "sessions/talk/runs/1.1").pid(), signal.SIGKILL)
    else:
        work.kill_everything()
    assert supervisor.wait(200) == 0, work.runs()

    crashed, again = work.runs()
    how = ("error", "no_verdict") if victim == "agent" else ("crashed", "crashed")
    assert (crashed["status"], crashed["failure_class"], crashed["landed"]) == (*how, None), crashed
    assert crashed["dirty"] and crashed["commits"] == 0
    assert work.git("show", f"{crashed['snapshot']}:written.txt") == "1"
    checkpoint = document(work.agentq, "show", "talk/1.1")["checkpoint"]
    assert checkpoint["paths"] == ["written.txt"], checkpoint
    assert (again["status"], again["landed"]) == ("success", work.git("rev-parse", "main")), again
    assert (again["conversation"], again["worktree"]) == (crashed["conversation"], crashed["worktree"])
    assert NUDGE in work.asked(FIRST)
    assert (work.path / "written.txt").read_text() == "1\n2\n", "the file of the first attempt was still there"
    work.sound()
