"""Completion in the real fish: by its own `complete -C`, which answers as a TAB does."""

from __future__ import annotations

import shlex
import subprocess

from shell_world import CASES, COMPLETIONS, World, shell

DRIVER = """
source $argv[1]
while read -l line
    complete -C $line
    echo =END
end
"""


def offered(world: World, lines: list[str]) -> list[set[str]]:
    """What fish offers for each line, without the descriptions."""
    done = subprocess.run(
        [shell("fish"), "--no-config", "-c", DRIVER, str(COMPLETIONS / "agentq.fish")],
        input="".join(f"{line}\n" for line in lines),
        env=world.environ,
        cwd=world.work,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    return [{line.partition("\t")[0] for line in part.splitlines()} for part in done.stdout.split("=END\n")[:-1]]


def test_fish_offers_what_fits(world: World) -> None:
    lines = [line.format(other=shlex.quote(str(world.other))) for line in CASES]
    found = offered(world, lines)
    assert dict(zip(CASES, found, strict=True)) == CASES
    world.check_untouched()


def test_fish_takes_options_with_their_values_and_what_stands_before_the_command(world: World) -> None:
    lines = [
        "agentq list --status=fa",
        "agentq list --label=x",
        "AGENTQ_STATE_DIR=/nonexistent agentq submit -s d",
        "agentq submit --exec -- bas",
        "agentq list -- bas",
    ]
    status, label, missing, programs, nothing = offered(world, lines)
    assert (status, label, missing) == ({"--status=failed"}, {"--label=x@y/z"}, set())
    assert "bash" in programs
    assert nothing == set()
    world.check_untouched()
