"""Commands that name several targets: all are done, each is reported, and one address may be many words away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

from agentq_cli import values
from agentq_cli.errors import AgentqError, Usage
from agentq_cli.model import Actor, Address, Status, TargetResult, Task
from agentq_cli.output import Results
from agentq_cli.queue import Queue


def each(targets: Iterable[str], act: Callable[[str], tuple[str, Status | None]]) -> list[TargetResult]:
    """Do every target, whatever becomes of the others; `act` returns what to say and the task's status then."""
    found = []
    for target in targets:
        try:
            message, status = act(target)
        except AgentqError as error:
            found.append(TargetResult(target, False, error.code, error.message))
        else:
            found.append(TargetResult(target, True, 0, message, status))
    return found


def each_task(targets: Sequence[str], act: Callable[[Address], Task], message: Callable[[Task], str]) -> Results:
    """Do something to each of these tasks."""

    def one(target: str) -> tuple[str, Status]:
        task = act(values.parse_address(target))
        return message(task), task.status

    return Results(each([named(target) for target in targets], one))


def settle_dependents(queue: Queue) -> None:
    """Tell the tasks of other sessions what was done to those that they wait for; what is busy a supervisor tells."""
    for _ in queue.settle_dependents(actor=Actor.USER):
        pass


def named(target: str) -> str:
    """The full address where the target is one; the word itself where it is not, for the error to quote."""
    try:
        address, attempt = values.parse_run(target)
    except Usage:
        return target
    return str(address) if attempt is None else f"{address}.{attempt}"


def address(target: str) -> Address:
    """The address that a person typed. Raises Usage."""
    return values.parse_address(target)


def live(queue: Queue, session: str | None) -> list[str]:
    """The addresses of all live tasks, of one session where given."""
    return [str(task.address) for task in queue.tasks(session=session)]


def confirm(yes: bool, what: str) -> None:
    """Off a terminal a destructive command wants `--yes`; on one it asks. Raises Usage."""
    if yes:
        return
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        raise Usage(f"{what}: off a terminal this needs --yes")
    import typer

    if not typer.confirm(f"{what}?", err=True):
        raise Usage(f"{what}: not confirmed, nothing was done")
