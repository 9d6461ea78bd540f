"""The README's recipe of a night: a batch in trees, checked, landed on a branch, and the report of the morning."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from agentq_process import ROOT
from driven import Driven
from tree_work import TreeWork

CLAUDE = """#!{python} -S
import json, os, re, subprocess, sys
prompt = sys.stdin.read()
with open(os.environ["HOME"] + "/prompts", "a") as prompts:
    prompts.write(prompt + "\\n---\\n")
again = "--resume" in sys.argv
known = sys.argv[sys.argv.index("--resume") + 1] if again else sys.argv[sys.argv.index("--session-id") + 1]
number = int(re.search("issue #([0-9]+)", prompt)[1])
def sh(line):
    subprocess.run(["sh", "-ec", line], check=True, stdout=2)
if again and "overnight" in prompt:
    sh(f"git merge -q overnight || true; echo both > shared; git commit -qam 'Merge overnight: both'")
elif again:
    sh(f"rm BROKEN; git commit -qam 'Mend {{number}}'")
elif number in (3, 4):
    sh(f"echo {{number}} > shared; git add shared; git commit -qm 'Fix {{number}}'")
elif number == 5:
    sh("echo half > 5; touch BROKEN; git add .; git commit -qm 'Fix 5'")
elif number != 6:
    sh(f"echo done > {{number}}; git add {{number}}; git commit -qm 'Fix {{number}}'")
print(json.dumps({{"type": "system", "subtype": "init", "session_id": known}}))
print(json.dumps({{"type": "result", "subtype": "success", "is_error": False, "result": "Done.", "session_id": known}}))
"""
GH = """#!/bin/sh
[ "$1 $2 $3 $4 $5 $6 $7" = "issue list --limit 10 --json number,title,body --jq" ] || exit 2
echo '%s' | jq -c "$8"
"""
ISSUES = "[" + ", ".join(f'{{"number": {n}, "title": "Title {n}", "body": "Body."}}' for n in range(1, 8)) + "]"
MAKE = "#!/bin/sh\n[ ! -e BROKEN ] || { echo 'BROKEN is there'; exit 1; }\n"


def recipe() -> str:
    """The block of the README."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (found,) = [each for each in blocks if "git branch overnight" in each]
    return str(found)


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed; gh has it built in")
def test_a_night_of_issues_lands_one_by_one_and_the_morning_shows_it(aq: Driven) -> None:
    work = TreeWork(aq)
    programs = aq.home / "bin"
    programs.mkdir()
    program(programs / "claude", CLAUDE.format(python=sys.executable))
    program(programs / "gh", GH % ISSUES)
    program(programs / "make", MAKE)
    program(programs / "agentq", f'#!/bin/sh\nexec {sys.executable} -m agentq_cli "$@"\n')
    environ = {
        **work.environ,
        **aq.agentq.environ,
        "PATH": f"{programs}:{work.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "AGENTQ_JOBS": "4",
    }
    before = work.git("rev-parse", "HEAD")
    (work.path / "loose").write_text("mine")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", recipe()],
        cwd=work.path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (work.git("rev-parse", "HEAD"), work.git("status", "--porcelain")) == (before, "?? loose")
    assert set(work.git("ls-tree", "--name-only", "overnight").split()) == {"file", "1", "2", "5", "7", "shared"}
    assert work.git("show", "overnight:shared") == "both"
    runs = aq.runs()
    by_class = {run["failure_class"] for run in runs.values()}
    assert by_class == {None, "check", "conflict"}
    assert sorted(run["landed"] is None for run in runs.values() if run["status"] == "success") == [False] * 7
    assert [run["landed"] for run in runs.values()].count("nothing") == 1
    assert "BROKEN is there" in (aq.home / "prompts").read_text()
    assert "Landed 6, nothing to land 1, conflicts 1, checks failed 1" in done.stdout
    work.git("fsck", "--no-dangling")
