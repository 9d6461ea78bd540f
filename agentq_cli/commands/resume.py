"""`agentq resume`: undo `pause`, and lift what holds an agent."""

from __future__ import annotations

from agentq_cli.commands.pause import switch
from agentq_cli.show.results import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq resume docs/7", "One task."),
    ("agentq resume -s docs", "A session."),
    ("agentq resume --agent claude", "An agent that was paused or is held."),
)


def resume(given: Given) -> Result:
    """Let paused tasks start again.

    --agent also lifts a hold that a usage limit, a key or an account put on it. --all resumes the queue.
    """
    return switch(given, paused=False)
