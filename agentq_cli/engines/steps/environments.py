"""The environments that submitting shells had: an engine keeps each different one once, and tasks refer to it.

It forgets one with the last task that refers to it. With several hosts each keeps those that it captured.
"""

from __future__ import annotations

from agentq_cli.base import environment
from agentq_cli.base.json_text import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agentq_cli.engines.transaction import Reading, Transaction
    from agentq_cli.model.tasks import NewTask
    from agentq_cli.model.work import Work


def stored(write: Transaction, tasks: Iterable[NewTask]) -> Iterator[int | None]:
    """The number under which the environment of each new task's shell is stored."""
    last: Mapping[str, str] | None = None
    number = None
    for task in tasks:
        if task.captured is None:
            yield task.work.environment
            continue
        if task.captured is not last:  # the tasks of a batch share theirs
            last, number = task.captured, write.keep_environment(environment.text(task.captured))
        yield number


def find(reading: Reading, work: Work) -> Mapping[str, str] | None:
    """The stored environment of a task; None if an older version stored the task, or if another host has it."""
    stored = None if work.environment is None else reading.environment(work.environment)
    return None if stored is None else dict(loads(stored))
