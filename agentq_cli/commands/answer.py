"""The answer of a run, as `show` ends with it: what it said, what it used, and how a person goes on by hand."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.agents.profile import CONVERSATION
from agentq_cli.commands.following import STREAMS
from agentq_cli.show.costs import used
from agentq_cli.show.documents import shell_word
from agentq_cli.show.results import Said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.commands.reading import Reading
    from agentq_cli.config.configuration import Config
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.runs import Run

LAST_LINES = 20
"""How many lines of its stdout and of its stderr stand for what a run said that has no result."""
WINDOW = 1 << 16
"""How many bytes of a stream are looked through for them."""


def lines(queue: Queue, config: Config, run: Run) -> Iterator[tuple[str, str] | Said]:
    """The last fields of a task, about the run that answered."""
    yield "Answer", f"{run.id}, {run.status.value}"
    said = _said(queue, config, run)
    if said.text.strip():
        yield said
    if run.agent is None:
        return
    if run.finished_at is not None:
        turns = [] if run.turns is None else [f"{run.turns} {'turn' if run.turns == 1 else 'turns'}"]
        yield "Used", ", ".join((used(run), *turns))
    if run.conversation:
        yield "Conversation", run.conversation
        if by_hand := _by_hand(config, run.agent, run.conversation):
            where = "" if config.url is None or run.host == config.fleet.host else f"on host '{run.host}': "
            yield "Go on", f"{where}cd {shell_word(run.cwd)} && {by_hand}"


def _said(queue: Queue, config: Config, run: Run) -> Said:
    """The result of a run; without one the end of what it said or printed, and of its stderr."""
    rest = f"agentq logs {run.id}"
    if isinstance(run.result, str) and run.result.strip():
        return Said(run.result.strip("\n"), rest, markdown=run.agent is not None)
    if run.result is not None and run.result != "":
        import json

        return Said(json.dumps(run.result, indent=2, ensure_ascii=False), rest)
    ends = [_told(queue, config, run), _end(queue, run, STREAMS[1])]
    cut = any(len(lines) > LAST_LINES for lines in ends)
    return Said("\n".join(line for lines in ends for line in lines[-LAST_LINES:]), rest, cut=cut)


def _told(queue: Queue, config: Config, run: Run) -> list[str]:
    """The last lines of the transcript, or of the stdout of a run that has none."""
    if run.agent is None:
        return _end(queue, run, STREAMS[0])
    from agentq_cli.commands import logs, reading

    def opened(middle: bool) -> Reading:
        return reading.reading(queue, lambda: config, run.id, None, middle=middle)

    if opened(False).plain:
        return _end(queue, run, STREAMS[0])
    try:
        read, _, lines = logs.tail_of(opened, queue, run.id, LAST_LINES + 1)
    except OSError:
        return []  # the agent changed its output files
    return _lines((b"".join(lines) + read.end()).decode(errors="replace"))


def _end(queue: Queue, run: Run, stream: str) -> list[str]:
    try:
        with queue.output(run.id, stream) as output:
            return _lines(output.last(WINDOW))
    except OSError:
        return []  # the agent changed its output files


def _lines(text: str) -> list[str]:
    """The last lines, and one before them to show that there are more."""
    return text.rstrip().split("\n")[-LAST_LINES - 1 :] if text.strip() else []


def _by_hand(config: Config, agent: str, conversation: str) -> str:
    """The command line that continues the conversation interactively; empty if none is known."""
    import re

    from agentq_cli.commands.reading import profile_of

    profile = profile_of(config, agent)
    if profile is None or not re.match(CONVERSATION, conversation):
        return ""
    return " ".join(shell_word(word.replace("{conversation}", conversation)) for word in profile.interactive)
