"""`agentq jobs`: how many tasks run at once."""

from __future__ import annotations

from agentq_cli.base.errors import Usage
from agentq_cli.options import values
from agentq_cli.options.table import row
from agentq_cli.show import notices
from agentq_cli.show.results import Document, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

USAGES = ("[OPTIONS]", "[OPTIONS] N", "[OPTIONS] --reset")
EXAMPLES = (
    ("agentq jobs", "Show how many tasks run at once, and where that is set."),
    ("agentq jobs 4", "Let four run at once, under the supervisor that runs now too."),
    ("agentq jobs --reset", "Let the config say it again."),
)


def jobs(given: Given, at: Context) -> Result:
    """Show or set how many tasks run at once in this state directory.

    A supervisor that was started without -j follows at once; with fewer than before, what runs goes on to its end. -j
    and AGENTQ_JOBS of a supervisor override it, and it overrides the config file.
    """
    count, reset = given["count"], bool(given["reset"])
    if count is not None and reset:
        raise Usage(f"--reset: not together with N, '{count}'")
    changed = count is not None or reset
    wanted = None if count is None else _number(count)
    queue = at.open_queue(create=changed)
    if changed:
        queue.set_jobs(wanted)
    told = queue.jobs()
    number, source = at.config.jobs_of(None, told)
    if changed and told not in (None, number):
        notices.warn(f"{source} '{number}' overrides it for every supervisor with this environment")
    for supervisor in () if changed else queue.living():
        if supervisor.jobs != number:
            notices.note(f"supervisor {supervisor.identity.pid} runs {supervisor.jobs} at once")
    return Document("jobs", {"jobs": number, "source": source}, [f"{number} ({source})"])


def _number(text: str) -> int:
    """Raises Usage."""
    bounds = row("run", "jobs")
    if not text.isdecimal() or len(text) > len(str(bounds.high)):
        raise Usage(f"N '{text}': must be a whole number from {bounds.low} to {bounds.high}")
    return values.parse_whole(int(text), bounds, "N")
