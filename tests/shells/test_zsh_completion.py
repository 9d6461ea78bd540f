"""Completion in the real zsh, typed on a terminal."""

from __future__ import annotations

import shlex

from shell_world import CASES, COMPLETIONS, World, shell
from terminal_shell import TYPED, TerminalShell, on_terminal

WIDGET = r"""
show-matches() {
    local -a all
    compadd() {
        local -a hits
        builtin compadd -O hits "$@"
        all+=("${hits[@]}")
        builtin compadd "$@"
    }
    _main_complete
    unfunction compadd
    compstate[insert]='' compstate[list]=''
    print -rl -- '' "${(@)all/#/=}" "=EN""D" >$TTY
}
zle -C show-matches complete-word show-matches
bindkey '^X^X' show-matches
"""
"""Shows the candidates, a line each, instead of inserting one."""


def begin(zsh: TerminalShell, world: World) -> None:
    zsh.type("PS1='' PS2='' RPS1=''; unsetopt zle_bracketed_paste prompt_cr prompt_sp; stty -echo; echo READ''Y1\n")
    zsh.until("READY1")
    zsh.type(
        f"fpath=({shlex.quote(str(COMPLETIONS))} $fpath); autoload -Uz compinit && compinit -u -D; echo READ''Y2\n"
    )
    zsh.until("READY2")
    widget = world.environ["HOME"] + "/widget"
    with open(widget, "w") as file:
        file.write(WIDGET)
    zsh.type(f"source {shlex.quote(widget)}; echo READ''Y3\n")
    zsh.until("READY3")


def test_zsh_offers_what_fits_and_inserts_it(world: World) -> None:
    with on_terminal([shell("zsh"), "-f", "-i"], world.environ, world.work) as zsh:
        begin(zsh, world)
        found = {}
        for case in CASES:
            line = case.format(other=shlex.quote(str(world.other)))
            zsh.type(f"\x15{line}\x18\x18")
            shown = zsh.until("=END")
            found[case] = {word[1:] for word in shown.replace("\r", "").split("\n") if word[:1] == "="}
        assert found == CASES
        zsh.type("\x15agentq() { local IFS='|'; echo \"GOT<\"\"$*>\"; }; echo READ''Y4\n")
        zsh.until("READY4")
        for typed, words in TYPED.items():
            zsh.type(f"{typed}\t\n")
            zsh.until(f"GOT<{words}>")
        zsh.type("agentq submit --exec -- bas\x18\x18")
        assert "=bash" in zsh.until("=END")
    world.check_untouched()
