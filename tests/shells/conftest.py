"""A state dir full of names that a shell must not obey, for the tests of completions."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator

import pytest
from agentq_process import Agentq
from shell_world import HOSTILE, SAFE, World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Tasks docs/1 and docs/2, site.v2/1 and default/1, which has ended; labels, keys and prompts of the worst kind."""
    base = tmp_path_factory.mktemp("world")
    home, work, programs, other = (base / name for name in ("home", "work", "programs", "other state"))
    for directory in (home, work, programs):
        directory.mkdir()
    agentq = Agentq(home, base / "state")
    lines = [
        {"session": "docs", "exec": ["true"], "label": [*HOSTILE, *SAFE], "key": HOSTILE[0]},
        {"session": "docs", "prompt": " ".join(HOSTILE), "agent": "demo", "key": HOSTILE[4], "conversation": "a.b"},
        {"session": "site.v2", "exec": list(HOSTILE), "label": ["ok+1"]},
        {"session": "default", "exec": ["true"]},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    assert agentq("submit", "--batch", "-", input=text).returncode == 0
    assert agentq("cancel", "default/1").returncode == 0
    assert agentq("--state-dir", str(other), "submit", "-s", "elsewhere", "--exec", "--", "true").returncode == 0
    program = programs / "agentq"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m agentq_cli "$@"\n')
    program.chmod(0o755)
    environ = agentq.environ | {"PATH": f"{programs}:{agentq.environ['PATH']}", "TERM": "xterm"}
    yield World(agentq, work, environ, other)
    agentq.stop()
