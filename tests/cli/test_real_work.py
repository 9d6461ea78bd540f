"""Forty real commands over eight sessions: builds, test suites, git and tar of real packages from the registry.

Each command is first run by hand in a copy of its own; agentq must come to the same exit code and the same output.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("six==1.16.0", "iniconfig==2.0.0", "pluggy==1.5.0", "toml==0.10.2")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def commands(session: int, archive: str) -> list[list[str]]:
    """Five commands of one session, which build on one another: in a session they run in order."""
    source = archive.removesuffix(".tar.gz")
    python = sys.executable
    unpack = ["tar", "-xzvf", f"../archives/{archive}"]
    compile_ = [python, "-m", "compileall", "-q", "-j", "1", source]
    if session % 2 == 0:
        return [
            unpack,
            compile_,
            [python, "setup.py", "--version"] if source.startswith(("six", "toml")) else ["ls", "-1", source],
            ["tar", "-czf", "again.tar.gz", "--exclude=__pycache__", source],
            ["sh", "-c", f"tar -tzf again.tar.gz | LC_ALL=C sort | sha256sum; diff -rq {source} {source}/.. | wc -l"],
        ]
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return [
        unpack,
        ["git", *identity, "init", "-q", source],
        ["git", "-C", source, "add", "-A"],
        ["git", "-C", source, *identity, "commit", "-q", "-m", "import"],
        # One of each kind of failure that commands really have.
        [
            ["git", "-C", source, "log", "--format=%s", "no-such-branch"],
            ["git", "-C", source, "grep", "-c", "no such words anywhere"],
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "no_such_test.py"],
            ["sh", "-c", f"kill -TERM $$; echo {source}"],
        ][session // 2],
    ]


def normal(text: str) -> str:
    """The output without what differs between two runs of the same."""
    return re.sub(r"\d+\.\d+s", "0s", text)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archives of the packages."""
    directory = tmp_path_factory.mktemp("archives")
    got = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            ":all:",
            "-d",
            str(directory),
            *PACKAGES,
        ],
        capture_output=True,
        text=True,
    )
    if got.returncode:
        pytest.skip(f"the packages cannot be had from the registry: {got.stderr[-200:]}")
    return directory


def test_forty_real_commands_over_eight_sessions_are_recorded_as_they_went(agentq, archives, tmp_path):
    names = sorted(os.listdir(archives))
    assert len(names) == len(PACKAGES)
    by_hand, by_agentq = tmp_path / "by-hand", tmp_path / "by-agentq"
    expected: dict[str, tuple[int, str, str]] = {}
    environment = {**agentq.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    for root in (by_hand, by_agentq):
        shutil.copytree(archives, root / "archives")
    for session in range(8):
        archive = names[session % len(names)]
        for number, argv in enumerate(commands(session, archive), start=1):
            for root in (by_hand, by_agentq):
                (root / f"s{session}").mkdir(exist_ok=True)
            done = subprocess.run(
                argv,
                cwd=by_hand / f"s{session}",
                capture_output=True,
                text=True,
                env=environment,
                stdin=subprocess.DEVNULL,
            )
            code = done.returncode if done.returncode >= 0 else 128 - done.returncode
            expected[f"s{session}/{number}"] = (code, normal(done.stdout), normal(done.stderr))
            place = ["-s", f"s{session}", "-C", str(by_agentq / f"s{session}"), "-e", "PYTHONDONTWRITEBYTECODE=1"]
            assert agentq("submit", *place, "--exec", "--", *argv).stdout == f"s{session}/{number}\n"
    assert len(expected) == 40
    codes = {code for code, _, _ in expected.values()}
    assert 0 in codes and len(codes) >= 4, codes

    drained = agentq("run", "--drain", "-j", "2", timeout=600)
    assert drained.returncode == 1, drained.stderr

    runs = {run["task"]: run for run in json.loads(agentq("runs", "--limit", "1000", "--json").stdout)["items"]}
    assert set(runs) == set(expected)
    for address, (code, stdout, stderr) in expected.items():
        logs = json.loads(agentq("logs", address, "--json").stdout)
        found = (runs[address]["exit_code"], normal(logs["stdout"]), normal(logs["stderr"]))
        assert found == (
            code,
            stdout.replace(str(by_hand), str(by_agentq)),
            stderr.replace(str(by_hand), str(by_agentq)),
        )
        assert runs[address]["status"] == ("success" if code == 0 else "error")
        assert runs[address]["attempt"] == 1
