"""`agentq resume`: undo `pause`, and lift what holds an agent."""

from __future__ import annotations

from agentq_cli.commands.pause import switch
from agentq_cli.show.results import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq resume docs/7", "Resume one task."),
    ("agentq resume -s docs", "Resume a session."),
    ("agentq resume --agent claude", "Resume an agent that is paused or held."),
)


def resume(given: Given, at: Context) -> Result:
    """Let paused tasks start again.

    --agent also lifts a hold caused by a usage limit, a key or an account. --all resumes the queue.
    """
    return switch(given, at, paused=False)
