"""`agentq pause`: start nothing new of a task, a session, an agent, or of all."""

from __future__ import annotations

from agentq_cli.agents import profile
from agentq_cli.base.errors import NotFound, Usage, nearest
from agentq_cli.commands import targets
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import TargetResult
from agentq_cli.model.statuses import Status
from agentq_cli.options import values
from agentq_cli.show.results import Result, Results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq pause docs/7 default/3", "Pause two tasks."),
    ('agentq pause -s docs --reason "waits for review"', "Pause a session, and record the reason."),
    ("agentq pause --agent claude", "Pause every task of one agent."),
    ("agentq pause --all", "Pause the whole queue."),
)


def pause(given: Given, at: Context) -> Result:
    """Keep tasks from starting until 'agentq resume'.

    Running tasks are not interrupted. A session may be paused before its first task. --all pauses the whole queue,
    including sessions that are created later.
    """
    return switch(given, at, paused=True, reason=given["reason"])


def switch(given: Given, at: Context, *, paused: bool, reason: str | None = None) -> Result:
    """Pause or resume the targets."""
    verb = "pause" if paused else "resume"
    ids, session, agent = given["ids"], given["session"], given["agent"]
    everything = bool(given["all"])
    if (bool(ids), session is not None, agent is not None, everything).count(True) != 1:
        raise Usage(f"{verb}: name tasks, a session with -s, an agent with --agent, or --all; only one of these")
    queue = at.open_queue(create=agent is not None or everything or (session is not None and paused))
    if ids:
        act = (lambda addresses: queue.pause_each(addresses, reason=reason)) if paused else queue.resume_each
        now = queue.now
        results = targets.results(
            targets.each(queue, ids, act), lambda _, task: f"{task.address} is {task.shown_status(now)}", now
        )
    else:
        results = Results([_whole(at, queue, session, agent, paused, reason)])
    return results


def _whole(
    at: Context, queue: Queue, session: str | None, agent: str | None, paused: bool, reason: str | None
) -> TargetResult:
    state = Status.PAUSED if paused else None
    word = "paused" if paused else "resumed"
    if session is not None:
        name = values.parse_session(session)
        changed = queue.pause_session(name, reason=reason, paused=paused)
        message = f"session {name} is {word}" if changed else f"session {name} was already {word}"
        return TargetResult(name, True, 0, message, state)
    if agent is not None:
        _known(at, agent)
    if paused:
        queue.pause_agent(agent, reason=reason)
    else:
        queue.resume_agent(agent)
    what = "the queue" if agent is None else f"agent {agent}"
    return TargetResult(agent or "queue", True, 0, f"{what} is {word}", state)


def _known(at: Context, agent: str) -> None:
    names = profile.names(at.config)
    if agent not in names:
        raise NotFound(f"--agent '{agent}': no such agent{nearest(agent, names) or '; see `agentq agents`'}")
