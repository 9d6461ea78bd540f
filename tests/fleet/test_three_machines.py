"""The recipe of three machines, with a namespace for each: one of them is lost, and its work goes on on another."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import postgres
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HAS = os.geteuid() == 0 and all(map(shutil.which, ("ip", "unshare", "setpriv"))) and postgres.why_not() is None


@pytest.mark.slow
@pytest.mark.skipif(not HAS, reason="needs root, iproute2 and PostgreSQL")
def test_it_works_as_printed(tmp_path: Path) -> None:
    agentq = tmp_path / "agentq"
    agentq.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m agentq_cli "$@"\n')
    agentq.chmod(0o755)
    done = subprocess.run(
        [ROOT / "tests/three_machines", agentq], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Its work went on on " in done.stdout
