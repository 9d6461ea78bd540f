"""`agentq reply`: go on in the conversation of an ended task."""

from __future__ import annotations

from agentq_cli.base.errors import Usage, WrongState
from agentq_cli.commands import nobody_there, targets
from agentq_cli.diagnose.why import Why
from agentq_cli.options.texts import text
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ('agentq reply 3 "Also fix the docs"', "Go on where task 3 ended."),
    ("agentq reply docs/7 - < review.md", "The same, with the text of a file."),
)


def reply(given: Given, at: Context) -> Result:
    """Go on in the conversation of an ended task, with TEXT as the next prompt.

    It is the task's next attempt, under its own address, with the agent, directory and limits that it had and a fresh
    retry budget. What all its attempts may cost does not change. A reply to a task of a named session goes on in that
    task's conversation, even if the session has begun another one since.
    """
    address, said = targets.address(given["id"]), given["text"]
    if said == "-":
        from agentq_cli.options import batch

        said = batch.read_text("-", "TEXT")
    if not said.strip():
        raise Usage(f"TEXT '{said[:20]}': a reply must not be blank")
    queue = at.open_queue()
    agent = queue.task(address).work.agent
    if agent is not None:
        from agentq_cli.agents import profile

        if not profile.profile(at.config, agent).continues:
            raise WrongState(f"task '{address}': agent '{agent}' cannot continue a conversation")
    task = queue.reply(address, text(said, "TEXT"))
    targets.settle_dependents(queue)
    nobody_there.check(at, queue, [task])
    why = Why(queue, at.config)
    document = documents.task(task, now=queue.now, waiting_for=why.exactly(task), host=why.host(task))
    return Items("tasks", [document], line=lambda item: str(item["id"]))
