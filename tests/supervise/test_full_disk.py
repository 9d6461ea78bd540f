"""A full disk fails the run with the reason. The disk is a small tmpfs in a mount namespace of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MOUNT = ["unshare", "--mount", "--map-root-user", "--user"]
MOUNTED = 'mount -t tmpfs -o size=256k tmpfs "$0" && exec "$@"'

PROGRAM = """
import json, os, select, sys
sys.path.insert(0, sys.argv[1])
from agentq_cli.host.launch import Launcher, LaunchRequest
from agentq_cli.host.run_directory import RunDirectory
os.mkdir("s")
launcher = Launcher()
launcher.start()
if sys.argv[3] == "before":
    with open("filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass
request = LaunchRequest(os.getcwd() + "/s/runs/1.1", "s/1.1", ["/bin/sh", "-c", sys.argv[2]], os.getcwd(),
    {"PATH": os.environ["PATH"]}, 0o22, None, None, False, None, 200, False, 64 << 20)
poll = select.poll()
poll.register(launcher.launch(request), select.POLLIN)
assert poll.poll(10000)
directory = RunDirectory(request.run_dir)
record = directory.exit()
try:
    void = directory.write_void(1)
except OSError as error:
    void = error.strerror
print(json.dumps({"start": bool(directory.start()), "exit": record and record._asdict(), "void": void}))
"""


def on_a_small_disk(tmp_path: Path, script: str, filled: str) -> dict:
    if not shutil.which("unshare") or subprocess.run([*MOUNT, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespace to be had here")
    root = str(Path(__file__).parents[2])
    inner = ["/bin/sh", "-c", f'cd "$0"; {MOUNTED.replace("exec", "cd $0; exec")}', str(tmp_path)]
    done = subprocess.run(
        [*MOUNT, *inner, sys.executable, "-c", PROGRAM, root, script, filled],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_agent_that_fills_the_disk_with_output_fails_with_the_reason(tmp_path) -> None:
    found = on_a_small_disk(tmp_path, "while echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; do :; done; exit 0", "later")
    assert found["exit"]["error"].startswith("no space left on the file system of ")
    assert not found["exit"]["spawn_error"]
    assert found["exit"]["exit_code"] == 0
    assert found["exit"]["stdout_bytes"] > 100_000


def test_on_a_disk_that_is_full_before_nothing_is_started_and_the_void_says_why(tmp_path) -> None:
    found = on_a_small_disk(tmp_path, "echo never > /proc/self/fd/1", "before")
    assert found["exit"] is None
    assert not found["start"]
    assert found["void"] == "No space left on device"


def test_a_disk_with_room_is_not_called_full(tmp_path) -> None:
    found = on_a_small_disk(tmp_path, "echo fine", "later")
    assert (found["exit"]["error"], found["exit"]["exit_code"]) == (None, 0)
