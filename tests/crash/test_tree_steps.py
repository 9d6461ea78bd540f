"""SIGKILL at every call of git that a run in a tree makes: of the program that called it, its keeper, or everything."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from crash_repository import make_repository
from crash_world import CHECK, QUICK, ForkServer, World
from invariants import Expected, violations
from sampling import some
from scenarios import HARMED, recover

VICTIMS = {
    "stage": "kill -KILL $PPID",
    "keeper": "kill -KILL $(cut -d ' ' -f 4 /proc/$PPID/stat)",
    "all": 'for each in $(grep -lzsF "AGENTQ_STATE_DIR=$AGENTQ_STATE_DIR" /proc/[0-9]*/environ); do'
    " each=${{each#/proc/}}; each=${{each%/environ}}; [ $each = $$ ] || kill -KILL $each; done; kill -KILL $$",
}
GIT = """#!/bin/bash
echo >> {place}/calls
[ $(wc -l < {place}/calls) -ge {number} ] && mkdir {place}/killed 2>/dev/null && {{ {victim}; }}
exec {git} "$@"
"""
CALLS = 25
"""At how many calls of git kills may come; a run that is the first in its tree makes 27, unless it is disturbed."""


def killed_at(world: World, number: int, victim: str) -> list[str]:
    """A run whose git kills at a call; what is wrong after the recovery."""
    place = world.root / "git"
    place.mkdir()
    program = place / "git"
    values = {"place": place, "git": shutil.which("git"), "number": number}
    program.write_text(GIT.format(victim=VICTIMS[victim].format(), **values))
    program.chmod(0o755)
    make_repository(world)
    path = f"PATH={place}:{world.environ()['PATH']}"
    given = ("--worktree", "-C", str(world.root / "repository"), "-e", path, "--grace", "200ms", "--check", CHECK)
    world.submit("-s", "s", *given, script=f'echo "$AGENTQ_RUN" >>work && {QUICK}')
    supervisor = world.start("run", "--drain")
    supervisor.wait()
    expected = Expected(HARMED if victim != "stage" else frozenset({"completed"}), strict=False)
    found = recover(world, number % 2, strict=False) + violations(world, expected)
    if not (place / "killed").exists():
        found.append(f"only {len((place / 'calls').read_text().splitlines())} calls")
    return [f"{victim} killed at call {number}: {each}" for each in found]


STEPS = tuple(itertools.product(range(1, CALLS + 1), VICTIMS))


def wrong(steps: Iterable[tuple[int, str]], directory: Path, server: ForkServer) -> Iterator[str]:
    for number, victim in steps:
        world = World(directory / f"{victim}-{number}", server)
        try:
            yield from killed_at(world, number, victim)
        finally:
            world.close()


def test_killed_at_some_calls_of_git(tmp_path: Path, server: ForkServer) -> None:
    assert list(wrong(some(STEPS, 2, "steps"), tmp_path, server)) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_every_call_of_git(tmp_path: Path, server: ForkServer) -> None:
    assert list(wrong(STEPS, tmp_path, server)) == []
