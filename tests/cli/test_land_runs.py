"""A run that lands: its work comes onto the branch once it is checked, and what prevents that is named or resolved."""

from __future__ import annotations

import json
import sys

import pytest
from driven import Driven, Object
from tree_work import TreeWork

AGENT = """
import json, os, subprocess, sys
prompt = sys.stdin.read()
with open(os.environ["HOME"] + "/calls", "a") as calls:
    calls.write(json.dumps({"argv": sys.argv[1:], "prompt": prompt, "at": os.getcwd()}) + "\\n")
known = sys.argv[sys.argv.index("--resume") + 1] if "--resume" in sys.argv else os.environ["AGENTQ_TASK"]
print(json.dumps({"event": "start", "conversation": known}), flush=True)
first, _, later = prompt.rpartition("DO ")[2].partition(" LATER ")
done = subprocess.run(["sh", "-ec", later if "--resume" in sys.argv else first], stdout=2).returncode == 0
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
        return self.git("log", "--reverse", "--first-parent", form, "main").split()

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
