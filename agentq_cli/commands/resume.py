"""`agentq resume`: undo `pause`, and lift what holds an agent."""

from __future__ import annotations

from agentq_cli.commands import options
from agentq_cli.commands.pause import switch
from agentq_cli.output import Result


def resume(
    ids: options.Ids = None,
    session: options.Session = None,
    agent: options.Agent = None,
    all_: options.All = False,
) -> Result:
    """Let paused tasks start again. --agent also lifts a hold that a limit put on it; --all resumes the queue."""
    return switch(ids, session, agent, all_, paused=False, reason=None)
