"""The targets of a command that may name several: each is processed and reported, whatever happens to the others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from agentq_cli.base.errors import AgentqError, NotAnAddress, Usage
from agentq_cli.commands import session_meant
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor, TargetResult, Undone
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.tasks import Task
from agentq_cli.options import values
from agentq_cli.show import notices
from agentq_cli.show.results import Results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

Done: TypeAlias = "tuple[str, Task | Undone]"
"""A target as it is reported, and the result for it."""


MOST_UNASKED = 10
"""How many tasks a command changes without asking first, on a terminal."""


def each(
    queue: Queue, targets: Sequence[str], act: Callable[[Sequence[Address]], Sequence[Task | Undone]]
) -> list[Done]:
    """Do something to each of these tasks, even if it fails for one of them."""
    return each_or_run(
        queue, targets, lambda known: act([Address(*target[:2]) for target in known]), values.parse_address
    )


def each_or_run(
    queue: Queue,
    targets: Sequence[str],
    act: Callable[[Sequence[Address | RunId]], Sequence[Task | Undone]],
    parse: Callable[[str], Address | RunId],
) -> list[Done]:
    """The same for targets that `parse` reads."""
    names = [named(target) for target in all_expanded(targets)]
    known: dict[int, Address | RunId] = {}
    found: dict[int, Task | Undone] = {}
    for position, name in enumerate(names):
        try:
            known[position] = parse(name)
        except NotAnAddress as error:
            found[position] = Undone(session_meant.explained(queue, error, takes_session=True))
        except AgentqError as error:
            found[position] = Undone(error)
    found.update(zip(known, act(list(known.values())), strict=True))
    return [(name, found[position]) for position, name in enumerate(names)]


def results(done: Sequence[Done], message: Callable[[str, Task], str], now: int) -> Results:
    """The report on each target; `message` gives the text for a target that succeeded."""
    return Results([_result(name, found, message, now) for name, found in done])


def _result(name: str, found: Task | Undone, message: Callable[[str, Task], str], now: int) -> TargetResult:
    if isinstance(found, Undone):
        return TargetResult(name, False, found.error.code, found.error.message, found.status)
    return TargetResult(name, True, 0, message(name, found), found.shown_status(now))


def all_expanded(words: Sequence[str]) -> list[str]:
    """The targets that all these words stand for."""
    return [target for word in words for target in values.expanded(word)]


def settle_dependents(queue: Queue) -> None:
    """Settle the tasks of other sessions that wait for the changed ones; a busy session is left to a supervisor."""
    for _ in queue.settle_dependents(actor=Actor.USER):
        pass


def named(target: str) -> str:
    """The full address if the target is one; else the word itself, for the error to quote."""
    try:
        return str(run_or_task(target))
    except Usage:
        return target


def address(target: str) -> Address:
    """The address that a person typed. Raises Usage."""
    return values.parse_address(target)


def run_or_task(target: str) -> Address | RunId:
    """The same, or a run of it. Raises Usage."""
    found, attempt = values.parse_run(target)
    return found if attempt is None else RunId(*found, attempt)


def live(queue: Queue, session: str | None) -> list[str]:
    """The addresses of all live tasks, or of those in `session`."""
    return [str(task.address) for task in queue.tasks(session=session)]


def confirm_many(yes: bool, count: int, verb: str) -> None:
    """Before many tasks are changed, say on a terminal how many, and ask above `MOST_UNASKED`. Raises Usage."""
    if yes or count <= 1 or not on_terminal():
        return
    if count > MOST_UNASKED:
        confirm(yes, f"{verb} {count} tasks")
    else:
        notices.note(f"{verb} {count} tasks")


def on_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()


def confirm(yes: bool, what: str) -> None:
    """Ask before a destructive command; without a terminal, require `--yes`. Raises Usage."""
    if yes:
        return
    if not on_terminal():
        raise Usage(f"{what}: not a terminal; confirm with --yes")
    import typer

    if not typer.confirm(f"{what}?", err=True):
        raise Usage(f"{what}: not confirmed; nothing was done")
