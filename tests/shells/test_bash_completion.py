"""Completion in the real bash: by calling the function as readline does, and by typing on a terminal."""

from __future__ import annotations

import shlex
import subprocess

from shell_world import CASES, COMPLETIONS, World, shell
from terminal_shell import TYPED, on_terminal

DRIVER = r"""
source "$1"
COMP_WORDBREAKS=$' \t\n"\'@><=;|&(:'
while IFS= read -r line; do
    # The words as bash cuts them, quotes and substitutions left as they are.
    COMP_LINE=$line COMP_POINT=${#line} COMP_WORDS=()
    rest=$line
    pattern='^[[:space:]]*([=:@]+|("[^"]*"?|'"'[^']*'?"'|\$\([^)]*\)|[^[:space:]=:@])+)(.*)$'
    while [[ $rest =~ $pattern ]]; do
        COMP_WORDS+=("${BASH_REMATCH[1]}")
        rest=${BASH_REMATCH[3]}
    done
    [[ $line == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _agentq
    (( ${#COMPREPLY[@]} )) && printf '%s\n' "${COMPREPLY[@]}"
    echo =END
done
"""


def offered(world: World, lines: list[str]) -> list[set[str]]:
    """What the function offers for each line."""
    done = subprocess.run(
        [shell("bash"), "--norc", "--noprofile", "-c", DRIVER, "driver", str(COMPLETIONS / "agentq.bash")],
        input="".join(f"{line}\n" for line in lines),
        env=world.environ,
        cwd=world.work,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    return [set(part.split("\n")) - {""} for part in done.stdout.split("=END\n")[:-1]]


def test_bash_offers_what_fits(world: World) -> None:
    lines = [line.format(other=shlex.quote(str(world.other))) for line in CASES]
    found = offered(world, lines)
    assert dict(zip(CASES, found, strict=True)) == CASES
    world.check_untouched()


def test_bash_cuts_what_readline_keeps_in_front(world: World) -> None:
    lines = [
        "agentq list --status=fa",
        "agentq list --label a:",
        "agentq list --label=x@",
        "agentq submit --session=do",
    ]
    assert offered(world, lines) == [{"failed"}, {"b"}, {"y/z"}, {"docs"}]
    programs, nothing = offered(world, ["agentq submit --exec -- bas", "agentq list -- bas"])
    assert "bash" in programs
    assert nothing == set()


def test_a_line_that_is_typed_in_bash_becomes_the_command_that_was_meant(world: World) -> None:
    with on_terminal([shell("bash"), "--norc", "--noprofile", "-i"], world.environ, world.work) as bash:
        bash.type(
            f"PS1='' PS2=''; bind 'set enable-bracketed-paste off'; source '{COMPLETIONS}/agentq.bash';"
            ' agentq() { local IFS="|"; echo "GOT<""$*>"; }; echo READ""Y\n'
        )
        bash.until("READY")
        for typed, words in TYPED.items():
            bash.type(f"{typed}\t\n")
            bash.until(f"GOT<{words}>")
        bash.type("agentq list --label \t\t")
        seen = bash.until("x@y/z")
        assert "touch" not in seen
    world.check_untouched()
