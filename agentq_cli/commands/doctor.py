"""`agentq doctor`: checks the environment of the queue, and names the command that fixes each problem."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.base.dataclass import asdict
from agentq_cli.diagnose.doctor import ERROR, OK, WARNING, Check, checks, overall
from agentq_cli.show.results import Document, Result, Worded

CODES = {OK: 0, WARNING: 1, ERROR: 2}

EXAMPLES = (
    ("agentq doctor", "Check whether agents will run here, under cron and under systemd."),
    ("agentq doctor --json", "Print the same as a JSON document."),
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given


def doctor(given: Given, at: Context) -> Result:
    """Check for anything that keeps agents from running here, under cron or under systemd.

    It compares this shell's environment with those of cron and systemd, finds agents that are missing or not logged in,
    and checks the config, the state dir, the clock, the time zone and leftovers. It includes the checks of 'health'.
    Exit code 0: no problems, 1: warnings, 2: errors.
    """
    found = list(checks(at))
    status = overall(found)
    data = {"status": status, "items": [asdict(each) for each in found]}
    return Document("doctor", data, _lines(found), code=CODES[status], prose=True)


def _lines(found: list[Check]) -> Iterator[str]:
    for each in found:
        yield Worded(f"{each.status:<8} {each.check}: {each.message}")
        if each.command is not None and each.status != OK:
            yield f"{'':<8} → {each.command}"
