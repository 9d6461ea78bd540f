"""`agentq completion`: the completion file for a shell."""

from __future__ import annotations

import os

from agentq_cli.base.errors import AgentqError
from agentq_cli.options.table import row
from agentq_cli.options.values import parse_choice
from agentq_cli.show.results import Document, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

FILES = {"bash": "agentq.bash", "zsh": "_agentq", "fish": "agentq.fish"}

EXAMPLES = (
    ("source <(agentq completion bash)", "For bash, in ~/.bashrc."),
    ("agentq completion zsh > _agentq", "For zsh, in a directory of its fpath, before compinit."),
    ("agentq completion fish | source", "For fish, in ~/.config/fish/config.fish."),
)


def completion(given: Given, at: Context) -> Result:
    """Print the completion file for a shell.

    This is not needed if agentq is installed in a prefix whose share/ the shell searches, such as /usr/local.
    """
    shell = given["shell"]
    parse_choice(shell, row("completion", "shell"), "completion")
    text = shipped(FILES[shell])
    return Document("completion", {"shell": shell, "text": text}, text.splitlines())


def shipped(name: str) -> str:
    """The content of a completion file: the package's own, or in a checkout the one beside the package."""
    package = os.path.dirname(os.path.dirname(__file__))
    for directory in (package, os.path.dirname(package)):
        try:
            with open(f"{directory}/completions/{name}", encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            continue
    raise AgentqError(f"completion '{name}': the file is missing from this installation; reinstall agentq")
