"""The tool `wait`: it returns once the tasks have ended or the time is up, and reports progress meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.errors import NotFound, Usage
from agentq_cli.commands import wait as command
from agentq_cli.diagnose.why import Why
from agentq_cli.engines.door import Queue, done
from agentq_cli.mcp import arguments as given_by
from agentq_cli.mcp import texts
from agentq_cli.mcp.calls import Outcome, bounded, clean, own_context
from agentq_cli.mcp.limits import Limits
from agentq_cli.mcp.tools import DEFAULT_WAIT, LONGEST_WAIT, MOST_ITEMS, Tool
from agentq_cli.mcp.waiting import Wait, Watch, look
from agentq_cli.model.addresses import RunId
from agentq_cli.model.tasks import Task
from agentq_cli.options import values
from agentq_cli.options.table import rows
from agentq_cli.show import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from agentq_cli.cli.context import Context

    class InThread(Protocol):
        """Calls a function in a thread and returns its result."""

        def __call__(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]: ...


PROGRESS_SECONDS = 3.0
"""The longest time between two reports of progress."""

MOST_TASKS = MOST_ITEMS
"""How many tasks one call waits for at most."""

MOST_ANSWERS = 20
"""Of how many tasks the answer is told."""

MOST_NAMED = 5


async def wait(
    tool: Tool,
    arguments: Mapping[str, Any],
    limits: Limits,
    at: Context,
    *,
    watch: Watch,
    in_thread: InThread,
    report: Callable[[float, float, str], Awaitable[None]],
) -> Outcome:
    """Wait for tasks; `report` takes the seconds that have passed, those that there are, and how the tasks stand.
    Raises what `agentq wait` does."""
    begun, seconds = await in_thread(_begin, tool, arguments, limits, at)
    timed_out = not await _until_over(begun, seconds, watch, report)
    outcome: Outcome = await in_thread(_end, begun, timed_out, at)
    return outcome


def _begin(tool: Tool, arguments: Mapping[str, Any], limits: Limits, at: Context) -> tuple[Wait, float]:
    """The wait with a first look, and for how many seconds at most. Raises NotFound, Usage, NotAllowed."""
    given = {"timeout": DEFAULT_WAIT} | given_by.read(tool, arguments, limits)
    with own_context(at) as here:
        every = dict.fromkeys(option.name for option in rows("wait")) | given
        try:
            queue, addresses, first, limit = command.wanted(every, here)
        except NotFound:
            if not given_by.only_own(arguments, given):
                raise
            return Wait((), frozenset(), {}), 0.0
        assert limit is not None
        if limit > values.parse_duration(LONGEST_WAIT, "timeout"):
            raise Usage(f"timeout '{given['timeout']}': at most {LONGEST_WAIT}; call wait again after that")
        if len(addresses) > MOST_TASKS:
            raise Usage(f"wait: {len(addresses)} tasks, at most {MOST_TASKS}")
        found = look(queue, addresses)
        for task in queue.task_each(addresses):
            done(task)
        return Wait(addresses, first, found), limit / 1000


async def _until_over(
    wait: Wait, seconds: float, watch: Watch, report: Callable[[float, float, str], Awaitable[None]]
) -> bool:
    """Whether what is waited for came in time."""
    began = monotonic_ms()
    tasks = wait.tasks()
    if wait.is_over(tasks):
        return True
    watch.add(wait)
    try:
        told = ""
        reported = float("-inf")
        while True:
            passed = (monotonic_ms() - began) / 1000
            if passed >= seconds or watch.closed:
                return False
            now = _standing(tasks)
            if now != told or passed - reported >= PROGRESS_SECONDS:
                told, reported = now, passed
                await report(passed, seconds, now)
            wait.news.clear()
            pause = min(seconds - passed, max(reported + PROGRESS_SECONDS - passed, 0.01))
            try:
                await asyncio.wait_for(wait.news.wait(), pause)
            except TimeoutError:
                continue
            tasks = wait.tasks()
            if wait.is_over(tasks):
                return True
    finally:
        watch.remove(wait)


def _standing(tasks: Sequence[Task]) -> str:
    """How the tasks stand, in a few words."""
    still = [task for task in tasks if not task.status.ended]
    named = ", ".join(f"{task.address} {task.status}" for task in still[:MOST_NAMED])
    more = f" and {len(still) - MOST_NAMED} more" if len(still) > MOST_NAMED else ""
    return f"{len(tasks) - len(still)} of {len(tasks)} ended; {named}{more}"


def _end(wait: Wait, timed_out: bool, at: Context) -> Outcome:
    """The tasks that have ended, as `agentq wait --json` prints them, with the answers of the first of them; and those
    that are still open."""
    tasks = wait.tasks()
    with own_context(at) as here:
        queue = here.open_queue()
        why = Why(queue, here.config)
        items: list[dict[str, Any]] = []
        still: list[dict[str, Any]] = []
        for task in tasks:
            waiting_for = None if task.status.ended else why.of(task)
            item = dict(documents.task(task, now=queue.now, waiting_for=waiting_for))
            if not task.status.ended:
                still.append(item)
                continue
            items.append(item | {"result": _result(queue, task) if len(items) < MOST_ANSWERS else None})
    document = {"schema": "agentq.tasks/1", "items": items, "open": still, "timed_out": timed_out}
    cleaned: dict[str, Any] = bounded(clean(document), texts.LONGEST_ITEM)
    said = [
        f"\n{item['last_run']} answered:\n{answer}"
        for item in items[:MOST_NAMED]
        if item["agent"] is not None
        for answer in texts.answer(item)
    ]
    return Outcome(cleaned, "\n".join([texts.text(cleaned), *map(clean, said)]))


def _result(queue: Queue, task: Task) -> Any:
    """The result of the last run of a task."""
    with suppress(NotFound):
        if task.last_run is not None:
            return queue.run(RunId(*task.address, task.last_run)).result
    return None
