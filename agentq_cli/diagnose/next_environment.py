"""Which variables the next run of a task gets, and where each comes from, for `show` and `--dry-run`: never a value."""

from __future__ import annotations

import os

from agentq_cli.base.errors import NotFound
from agentq_cli.host import process
from agentq_cli.model.addresses import RunId
from agentq_cli.model.statuses import Status
from agentq_cli.supervise import variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentq_cli.config.configuration import Config
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.tasks import NewTask, Task

    Items = Sequence[Mapping[str, str]]


class NextEnvironment:
    """Finds the names for the tasks of one command, each as an item with `name` and `from` (`variables`)."""

    def __init__(self, queue: Queue, config: Config, environ: Mapping[str, str]) -> None:
        self._queue = queue
        self._config = config
        self._environ = environ
        self._serving: dict[str, Mapping[str, str]] = {}

    def of_new(self, new: NewTask) -> Items:
        """For the first run of a task, if it were submitted. Raises NotFound if there is no such agent."""
        serving = self._supervisors(new.session)
        return _items(variables.sources(new.work, new.session, new.captured, self._config, serving))

    def of_task(self, task: Task) -> Items:
        """For the run of a task that runs, or else for its next one; none if its agent is no longer known."""
        run = RunId(*task.address, task.runs if task.status is Status.RUNNING else task.runs + 1)
        before = variables.previous_run(self._queue.here, run, task.work.launch.earlier_runs)
        stored, serving = self._queue.environment(task), self._supervisors(task.session)
        try:
            found = variables.sources(task.work, task.session, stored, self._config, serving, again=before is not None)
        except NotFound:
            return []
        return _items(found)

    def _supervisors(self, session: str) -> Mapping[str, str]:
        """The environment of the supervisor that serves a session. If there is none, or if it cannot be seen from here,
        this process's own, as if a supervisor were started here."""
        if session not in self._serving:
            seen = (
                _environ_of(each.identity.pid) for each in self._queue.serving(session) if process.alive(each.identity)
            )
            self._serving[session] = next(filter(None, seen), self._environ)
        return self._serving[session]


def _environ_of(pid: int) -> Mapping[str, str] | None:
    found = process.read_file(f"/proc/{pid}/environ")
    if not found:
        return None
    pairs = (os.fsdecode(each).partition("=") for each in found.split(b"\0") if each)
    return {name: value for name, _, value in pairs}


def _items(found: Mapping[str, str]) -> Items:
    return [{"name": name, "from": source} for name, source in found.items()]


def lines(items: Items) -> Iterator[str]:
    """The items as text: a line for each place that variables come from."""
    names: dict[str, list[str]] = {}
    for each in items:
        names.setdefault(each["from"], []).append(each["name"])
    return (f"{source}: {' '.join(names[source])}" for source in variables.SOURCES if source in names)
