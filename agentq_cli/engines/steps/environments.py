"""The environments that submitting shells had: each different one is stored once in a session, and tasks refer to it.

An engine forgets one with the last task that refers to it.
"""

from __future__ import annotations

from agentq_cli.base import environment
from agentq_cli.base.dataclass import replace
from agentq_cli.base.json_text import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agentq_cli.engines.transaction import Reading, Transaction
    from agentq_cli.model.tasks import NewTask
    from agentq_cli.model.work import Work


def kept(write: Transaction, tasks: Iterable[NewTask]) -> Iterator[NewTask]:
    """The new tasks, each referring to what its shell's environment is stored as."""
    last: Mapping[str, str] | None = None
    stored = None
    for task in tasks:
        if task.captured is None:
            yield task
            continue
        if task.captured is not last:  # the tasks of a batch share theirs
            last, stored = task.captured, _stored(write, environment.text(task.captured))
        yield replace(task, captured=None, work=replace(task.work, environment=stored))


def _stored(write: Transaction, variables: str) -> int:
    write.tell("write.keep_environment", {"variables": variables})
    ((found,),) = write.ask("write.environment_of", {"variables": variables})
    return int(found)


def find(reading: Reading, work: Work) -> Mapping[str, str] | None:
    """The stored environment of a task; None if an older version stored the task."""
    if work.environment is None:
        return None
    found = reading.ask("write.environment", {"id": work.environment})
    return dict(loads(found[0][0])) if found else {}
