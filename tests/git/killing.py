"""Runs something in a process of its own that is killed at its n-th call of git."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

WRAPPER = """#!/bin/sh
# Counts the calls of git, and kills whoever made the one that is due, once git has done its part.
count=$(($(cat {place}/count) + 1))
echo $count > {place}/count
{git} "$@"
code=$?
if [ $count = {number} ]; then kill -9 $PPID; fi
exit $code
"""


NEVER = 1_000_000
"""A call that nobody comes to."""


def counted(place: Path) -> int:
    """How many calls there were, by the last `killing_git` of a place."""
    return int((place / "count").read_text())


def killing_git(place: Path, number: int, environ: dict[str, str]) -> dict[str, str]:
    """An environment whose git kills its caller at call `number`, after git has done its part."""
    return having_git(place, WRAPPER, environ, number=number)


def having_git(place: Path, script: str, environ: dict[str, str], **values: object) -> dict[str, str]:
    """An environment whose git is a shell script."""
    real = shutil.which("git", path=environ["PATH"])
    place.mkdir(exist_ok=True)
    (place / "count").write_text("0\n")
    program = place / "git"
    program.write_text(script.format(place=place, git=real, **values))
    program.chmod(0o755)
    return environ | {"PATH": f"{place}:{environ['PATH']}"}


def was_killed(do: Callable[[], object]) -> bool:
    """Do it in a process of its own, and tell whether that was killed. An exception there fails the test."""
    child = os.fork()
    if child == 0:
        try:
            do()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status != 0
