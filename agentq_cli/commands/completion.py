"""`agentq completion`: the completion file for a shell."""

from __future__ import annotations

import os

from agentq_cli.base.errors import AgentqError
from agentq_cli.commands.context import context
from agentq_cli.options.table import row
from agentq_cli.options.values import parse_choice
from agentq_cli.show.results import Document, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.options.table import Given

FILES = {"bash": "agentq.bash", "zsh": "_agentq", "fish": "agentq.fish"}

EXAMPLES = (
    ("source <(agentq completion bash)", "In ~/.bashrc."),
    ("agentq completion zsh > _agentq", "Into a directory of zsh's fpath, before compinit."),
    ("agentq completion fish | source", "In ~/.config/fish/config.fish."),
)


def completion(given: Given) -> Result:
    """Print the completion file for a shell.

    Nothing needs to be done where agentq was installed into a prefix whose share/ the shell looks into, such as
    /usr/local.
    """
    shell = given["shell"]
    context()
    parse_choice(shell, row("completion", "shell"), "completion")
    text = shipped(FILES[shell])
    return Document("completion", {"shell": shell, "text": text}, text.splitlines())


def shipped(name: str) -> str:
    """A completion file: the package's own, or in a checkout the one beside the package."""
    package = os.path.dirname(os.path.dirname(__file__))
    for directory in (package, os.path.dirname(package)):
        try:
            with open(f"{directory}/completions/{name}", encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            continue
    raise AgentqError(f"completion '{name}': this installation lacks the file; install agentq anew")
