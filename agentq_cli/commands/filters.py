"""The filters of reading commands: checks sessions, statuses and times, and suggests the nearest name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from agentq_cli.base.errors import NotFound, Usage, nearest
from agentq_cli.host.place import is_there
from agentq_cli.model.addresses import DEFAULT_SESSION, Address
from agentq_cli.model.statuses import RunStatus
from agentq_cli.options import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from agentq_cli.base.enumeration import StrEnum
    from agentq_cli.cli.context import Context
    from agentq_cli.engines.door import Queue
    from agentq_cli.engines.nouns import WhichRuns
    from agentq_cli.model.tasks import Task
    from agentq_cli.options.table import Given

    Item = TypeVar("Item")
    Word = TypeVar("Word", bound=StrEnum)


AT_ONCE = 100
"""The tasks of how many items are read at once."""

NEWEST = 100
"""How many entries a log shows if no limit is given."""

RECENT = 10
"""With how many earlier entries a followed log begins."""


def place(
    at: Context, queue: Queue, session: str | None, address: Address | None, series: Address | None = None
) -> bool:
    """Whether these filters, each None if it is not given, leave anything to read: they must name the same session.
    Raises NotFound, Usage."""
    there = session is None or has_session(at, queue, session)
    if address is not None:
        queue.task(address)
    named = {each.session for each in (address, series) if each is not None} | ({session} - {None})
    return there and len(named) < 2


def has_session(at: Context, queue: Queue, name: str) -> bool:
    """Whether the session has anything to read. Raises Usage, and NotFound with the nearest name.

    Without a state dir every session on this machine is empty, and `default` exists even before its first task.
    """
    known = queue.session_names()
    if values.parse_session(name) in known:
        return True
    if name == DEFAULT_SESSION or (at.url is None and not is_there(at.state_dir)):
        return False
    raise NotFound(f"session '{name}': no such session{nearest(name, known) or '; see `agentq sessions`'}")


def statuses(given: Iterable[str] | None, known: type[Word], also: Iterable[str] = ()) -> frozenset[Word]:
    """The requested statuses; none means all. Raises Usage with the nearest one; `also` are other words that may have
    been meant."""
    chosen = set()
    for text in given or ():
        try:
            chosen.add(known(text))
        except ValueError:
            words = [*(word.value for word in known), *also]
            near = nearest(text, words) or f"; one of {', '.join(words)}"
            raise Usage(f"--status '{text}': no such status{near}") from None
    return frozenset(chosen)


FAILED = "failed"
OF_TASKS = {
    "completed": (RunStatus.SUCCESS,),
    FAILED: tuple(
        status
        for status in RunStatus
        if status not in (RunStatus.RUNNING, RunStatus.SUCCESS, RunStatus.CANCELLED, RunStatus.SKIPPED)
    ),
}
"""The words for tasks that also select runs, and the runs that each selects."""


def run_statuses(given: Iterable[str] | None) -> frozenset[str]:
    """The requested statuses of runs, which may be given in the words for tasks too; none means all. Raises Usage."""
    words = list(given or ())
    chosen = {status for word in words for status in OF_TASKS.get(word, ())}
    return frozenset(chosen | statuses([word for word in words if word not in OF_TASKS], RunStatus, OF_TASKS))


def which_runs(at: Context, queue: Queue, given: Given, address: Address | None = None) -> WhichRuns | None:
    """The runs that the filters of a command select; None if they leave none. Raises NotFound, Usage."""
    session, statuses, series = given["session"], run_statuses(given["status"]), of_series(queue, given["series"])
    times = when(at, given)
    if not place(at, queue, session, address, series):
        return None
    return {
        "session": session if series is None else series.session,
        "series": None if series is None else series.seq,
        "agent": given["agent"],
        "label": given["label"],
        "statuses": statuses,
        "since": times["since"],
        "until": times["until"],
    }


def with_tasks(
    queue: Queue, items: Iterable[Item], address: Callable[[Item], Address | None]
) -> Iterator[tuple[Item, Task | None]]:
    """The items, each with the task that it is about: None if that is gone, or cannot be read at once."""
    rest = iter(items)
    while some := list(islice(rest, AT_ONCE)):
        addresses = [address(item) for item in some]
        tasks = queue.readable([each for each in addresses if each is not None])
        yield from ((item, None if at is None else tasks.get(at)) for item, at in zip(some, addresses, strict=True))


def when(at: Context, given: Given) -> dict[str, int | None]:
    """The times of `--since` and `--until`, in milliseconds; None for one that is not given."""
    return {name: since(at, given[name], f"--{name}") for name in ("since", "until")}


def of_series(queue: Queue, given: str | None) -> Address | None:
    """The series of `--series`, of which any address may be given; None if it is not given. Raises NotFound, Usage."""
    return None if given is None else queue.series_of(values.parse_address(given, "--series"))


def since(at: Context, text: str | None, what: str = "--since") -> int | None:
    """The time of `--since` or `--until`, in milliseconds; None if it is not given."""
    return None if text is None else values.parse_since(text, zone=at.zone, now_ms=at.now_ms(), what=what)
