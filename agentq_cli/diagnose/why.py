"""Why tasks are not running: for one task in full detail, or for thousands in a listing from one snapshot."""

from __future__ import annotations

from agentq_cli.base.dataclass import replace
from agentq_cli.model.fleet import machine_name
from agentq_cli.model.statuses import Status
from agentq_cli.policy import waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.config.configuration import Config
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.tasks import Task, WaitingFor
    from agentq_cli.model.workers import Supervisor, Worker
    from agentq_cli.policy.admission import Gate


class Why:
    """A snapshot of the queue, shared by all tasks of a listing; taken when the first of them needs it."""

    def __init__(self, queue: Queue, config: Config) -> None:
        self._queue = queue
        self._config = config
        self._supervisors: dict[str, list[Supervisor]] = {}
        self._around: dict[tuple[str, str | None, str, str | None], waiting.Surroundings] = {}
        self._workers: list[Worker] | None = None

    def exactly(self, task: Task) -> WaitingFor | None:
        """Why a task is not running, including how many tasks are before it."""
        return self._queue.waiting_for(
            task,
            jobs=self.jobs(task.session),
            parallel=self.parallel(task.session),
            gate=self.gate(task.session),
            directory=self.directory(task),
            hosts=self.hosts(task.session),
        )

    def of(self, task: Task) -> WaitingFor | None:
        """The same from the snapshot, without that count, which would take a query for each task."""
        if task.status.ended or task.status is Status.RUNNING:
            return None
        around = self._surroundings(task)
        if task.status is Status.BLOCKED:
            around = replace(around, depends=self._queue.depends(task))
        return waiting.waiting_for(task, around, self._queue.now)

    def host(self, task: Task) -> str | None:
        """The host on which a task runs; None if it does not run."""
        if task.status is not Status.RUNNING:
            return None
        named = {worker.id.address: worker.host for worker in self._live()}
        return named.get(task.address) or machine_name()

    def _live(self) -> list[Worker]:
        if self._workers is None:
            self._workers, self._holds = self._queue.workers(), self._queue.holds()
        return self._workers

    def directory(self, task: Task) -> str | None:
        """The real path in which a task's agent would edit; None if it would not, or may do so beside others. If the
        tree in which it runs is yet to be chosen, one that may keep it waiting."""
        if not task.work.directory:  # a command
            return None
        if task.work.launch.repository is not None:
            from agentq_cli.trees.asking import in_any_tree, taken_tree, tree_of_task

            if in_any_tree(task) and self.parallel(task.session) != 1:
                return taken_tree(self._config, self._queue.here.path, task, self._live())
            return tree_of_task(self._config, self._queue.here.path, task)
        from agentq_cli.agents.profile import edited

        return edited(self._config, task.work.agent or "", task.work.directory)

    def parallel(self, session: str) -> int | None:
        """How many tasks of a session may run at once; None means up to the cap."""
        return waiting.width(session, self._config.options(session).get("parallel"))

    def jobs(self, session: str) -> int:
        """The most slots that a live supervisor of the session has, with several hosts on all of them; 0 if there is
        none."""
        of_hosts = [max(supervisor.jobs for supervisor in of_host) for of_host in self._by_host(session).values()]
        most = self._config.fleet.jobs if self.hosts(session) else None
        return sum(of_hosts) if most is None else min(sum(of_hosts), most)

    def gate(self, session: str) -> Gate | None:
        """The first gate that keeps a live supervisor from starting tasks of the session; None if there is none on some
        host."""
        held = [
            next((gate for supervisor in of_host for gate in supervisor.gates if gate.holding), None)
            for of_host in self._by_host(session).values()
        ]
        return held[0] if held and None not in held else None

    def hosts(self, session: str) -> list[str]:
        """The names of the hosts with a live supervisor of the session; none without a fleet."""
        return sorted(host for host in self._by_host(session) if host is not None)

    def _by_host(self, session: str) -> dict[str | None, list[Supervisor]]:
        found: dict[str | None, list[Supervisor]] = {}
        for supervisor in self._serving(session):
            found.setdefault(supervisor.host, []).append(supervisor)
        return found

    def _serving(self, session: str) -> list[Supervisor]:
        if session not in self._supervisors:
            self._supervisors[session] = self._queue.serving(session)
        return self._supervisors[session]

    def _surroundings(self, task: Task) -> waiting.Surroundings:
        key = (task.session, task.work.agent, task.work.directory, task.conversation_key)
        if key not in self._around:
            workers = self._live()
            session = task.session
            self._around[key] = self._queue.surroundings(
                session,
                workers=workers,
                holds=self._holds,
                jobs=self.jobs(session),
                parallel=self.parallel(session),
                gate=self.gate(session),
                directory=self.directory(task),
                hosts=self.hosts(session),
            )
        return self._around[key]
