"""One pass over what nobody watches: settle, recover, enforce limits, expire, wake. Safe at any time, and any number at
once.

Every step is idempotent and fenced, so two sweeps, or a sweep and a supervisor, cannot do anything twice. A plan is the
same pass in rehearsal: over copies of the databases, without touching a process, a file or a bell.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import partial

from agentq_cli.base import clock
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import dataclass, field, replace
from agentq_cli.base.errors import AgentqError, Busy
from agentq_cli.config import mark
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.engines.nouns import Trouble
from agentq_cli.host import keeper, process
from agentq_cli.host.records import Start
from agentq_cli.host.run_directory import LINGERS
from agentq_cli.model.actions import Actor, SweepAction, Undone
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.workers import Worker
from agentq_cli.policy.hooks import Call
from agentq_cli.supervise import attended, history, limits, overdue, recovery, requests, settle, strays, wake
from agentq_cli.supervise.going_on import Keepers
from agentq_cli.supervise.guard import Guard
from agentq_cli.supervise.hooks import PATIENCE_MS, Hooks

MOST_REQUESTS = 16
"""How many rounds one pass spends on a session's requests: an agent that never stops writing must not keep it busy."""


@dataclass(slots=True)
class Sweep:
    """One pass; `failed` has the sessions in which something could not be done, with the reason; "" stands for no
    session. With `dry` it is a rehearsal: call `plan` for that."""

    queue: Queue
    config: Config
    host: str
    environ: Mapping[str, str]
    session: str | None = None
    wake: bool = True
    reindex: bool = False
    dry: bool = False
    failed: dict[str, str] = field(default_factory=dict)
    _unfit: set[str] = field(default_factory=set)
    _mute: set[str] = field(default_factory=set)
    _told: set[tuple[str, str]] = field(default_factory=set)
    _guard: Guard = field(default_factory=Guard)

    def plan(self) -> Iterator[SweepAction]:
        """What `run` would do now, without doing it."""
        with self.queue.rehearsal() as rehearsed:
            yield from replace(self, queue=rehearsed, dry=True).run()

    def run(self) -> Iterator[SweepAction]:
        """Do it; yields what was done."""
        # Its bell tells processes of other PID namespaces that it is alive, and which hooks are its to run.
        with contextlib.nullcontext() if self.dry else self.queue.bell():
            yield from self._pass()

    def _pass(self) -> Iterator[SweepAction]:
        hooks = Hooks(self.queue, process.current(), self.environ, Actor.SWEEP)
        hooks.begin(self.config)
        upkeep = self.queue.upkeep
        find_run = partial(history.past, self.queue.here, self.config)
        noted = mark.note(self.config)
        begin = upkeep.begin(find_run, host=self.host, session=self.session, rebuild=self.reindex, config=noted)
        yield from self._tended(begin)
        yield from self._guarded("", self._strays())
        yield from self._runs()
        yield from self._limits()
        yield from self._expire()
        yield from self._arrive()
        yield from self._requests(upkeep.asking())
        yield from self._dependents()
        yield from self._tended(upkeep.end(self.session))
        yield from self._prune()
        if self.wake:
            yield from self._wake()
        yield from self._plan_hooks(hooks) if self.dry else self._call(hooks)

    # The guard

    def _guarded(self, session: str, step: Iterator[SweepAction]) -> Iterator[SweepAction]:
        """Run a step in one session; a failure is reported, and the other sessions continue."""
        with self._guard.guarding(session, "sweep") as tried:
            yield from step
        if tried.error is not None:
            yield from self._could_not(session, tried.error, of_files=tried.of_files)

    def _could_not(self, session: str, error: AgentqError, *, of_files: bool) -> Iterator[SweepAction]:
        """Report an error once. An error about a file of a run does not make the rest of its session unfit."""
        self.failed.setdefault(session, error.message)
        if not of_files:
            self._unfit.add(session)
        if (session, error.message) not in self._told:
            self._told.add((session, error.message))
            action = "busy" if isinstance(error, Busy) else "trouble"
            yield SweepAction(action, session or None, None, None, error.message)

    def _mine(self, session: str) -> bool:
        return self.session is None or session == self.session

    def _fit(self, session: str) -> bool:
        """Whether the sweep does anything in a session."""
        return self._mine(session) and session not in self._unfit

    # The steps

    def _tended(self, steps: Iterator[SweepAction | Trouble]) -> Iterator[SweepAction]:
        """What the engine does for itself. If a session's own file is unfit nothing more is done in it, else what is
        possible."""
        for step in steps:
            if isinstance(step, SweepAction):
                yield step
                continue
            if step.of_voice:
                self._mute.add(step.session)
            yield from self._could_not(step.session, step.error, of_files=step.of_files)

    def _strays(self) -> Iterator[SweepAction]:
        """End what runs on this machine and belongs to nobody: only a fleet can know better than the machine."""
        if not self.dry and self.queue.here.leased:
            for run in strays.end_unknown(self.queue):
                yield _of_run("stop", run, strays.WHY)

    def _runs(self) -> Iterator[SweepAction]:
        for worker in self.queue.orphaned():
            if self._fit(worker.session):
                yield from self._guarded(worker.session, self._run(worker))

    def _run(self, worker: Worker) -> Iterator[SweepAction]:
        recovered = recovery.settle_run(self.queue, worker, self.config, actor=Actor.SWEEP, dry=self.dry)
        if recovered is None:
            if keeper.run_is_foreign(self.queue.here.run(worker.id)):
                yield _of_run("leave", worker.id, f"{keeper.ELSEWHERE}, and no supervisor watches it")
            late = overdue.of(self.queue, self.config, worker)
            if late is not None:
                yield _of_run("overdue", worker.id, str(late))
            return
        if recovered.finding is recovery.Finding.UNDONE:
            yield from self._take_over(worker, recovered.take)
        elif recovered.finding is recovery.Finding.NEVER_STARTED:
            yield _of_run("undo", worker.id, "it was claimed and never started")
        elif recovered.task is not None:
            crashed = recovered.finding is recovery.Finding.CRASHED
            reason = f" ({recovered.task.reason})" if recovered.task.reason else ""
            yield _of_run("recover" if crashed else "settle", worker.id, f"{recovered.task.status}{reason}")

    def _take_over(self, worker: Worker, take: int) -> Iterator[SweepAction]:
        """Start a keeper for a run of which something is left to do after its agent. Systemd would end it together with
        this sweep: there a supervisor does it, which is woken for this run too."""
        if "INVOCATION_ID" in self.environ and self.wake:
            return
        keepers = Keepers(self.queue, self.config, clock.from_environment(self.environ), self.environ)
        if self.dry or keepers.launch_alone(worker.id, take):
            yield _of_run("recheck", worker.id, "its keeper vanished; a new one does what is left to do")

    def _limits(self) -> Iterator[SweepAction]:
        """End those of the unwatched, running runs that have reached a limit."""
        for worker in self.queue.orphaned():
            if worker.stop is None and self._fit(worker.session):
                yield from self._guarded(worker.session, self._limit(worker))

    def _limit(self, worker: Worker) -> Iterator[SweepAction]:
        directory = self.queue.here.run(worker.id)
        start = directory.start()
        if not isinstance(start, Start) or not keeper.keeps(directory, start):
            return
        task = self.queue.task(worker.id.address)
        of_run = limits.RunLimits.of(task, self.config, self.queue)
        stream = settle.follower(task, directory, self.config)
        if stream is not None:
            stream.finish()
            of_run.heard(stream.reader.seems_finished())
        if of_run.check_at is None and not directory.recorded_silence(LINGERS):
            return
        reached = of_run.check(directory, stream, remember=not self.dry)
        if reached is not None and limits.enforce(
            self.queue, worker.id, directory, reached, actor=Actor.SWEEP, dry=self.dry
        ):
            yield _of_run("stop", worker.id, f"{reached.reason}: {reached.detail}")

    def _expire(self) -> Iterator[SweepAction]:
        for address in self.queue.expired():
            if self._fit(address.session):
                yield from self._guarded(address.session, self._expire_one(address))

    def _expire_one(self, address: Address) -> Iterator[SweepAction]:
        if self.queue.expire(address, actor=Actor.SWEEP) is not None:
            yield SweepAction("expire", address.session, str(address), None, "it was not started in time")

    def _arrive(self) -> Iterator[SweepAction]:
        snapshot = self.queue.snapshot()
        for address, agent in self.queue.arriving():
            if self._fit(address.session) and not snapshot.holds_back(address.session, agent):
                yield from self._guarded(address.session, self._arrive_one(address))

    def _arrive_one(self, address: Address) -> Iterator[SweepAction]:
        self.queue.arrive(address, actor=Actor.SWEEP)
        yield SweepAction("arrive", address.session, str(address), None, "it is due")

    def _requests(self, sessions: Iterable[str]) -> Iterator[SweepAction]:
        for session in sessions:
            if session not in self._unfit and session not in self._mute:
                yield from self._guarded(session, self._requests_of(session))

    def _requests_of(self, session: str) -> Iterator[SweepAction]:
        for _ in range(MOST_REQUESTS):
            if not (yield from self._carry_out(session)):
                break

    def _carry_out(self, session: str) -> Generator[SweepAction, None, bool]:
        """Answer some of a session's requests; returns whether there may be more."""
        answers = requests.apply(self.queue, self.config, self.environ, session, dry=self.dry)
        while True:
            try:
                answer = next(answers)
            except StopIteration as end:
                return bool(end.value)
            task = None if answer.task is None else str(answer.task)
            yield SweepAction("request", session, task, None, f"{answer.status}: {answer.detail}")

    def _dependents(self) -> Iterator[SweepAction]:
        tried: set[str] = set()
        while waiting := [name for name in self.queue.unsettled_sessions() if name not in tried]:
            for session in waiting:
                tried.add(session)
                if session not in self._unfit:
                    yield from self._guarded(session, self._dependents_in(session))

    def _dependents_in(self, session: str) -> Iterator[SweepAction]:
        while session in self.queue.unsettled_sessions():
            for task in self.queue.settle_dependents_in(session, actor=Actor.SWEEP):
                detail = f"{task.status}{f' ({task.reason})' if task.reason else ''}"
                yield SweepAction("depend", task.session, str(task.address), None, detail)

    def _prune(self) -> Iterator[SweepAction]:
        if self.config.retention_ms is None:
            return
        ended = self.queue.ended_before(self.queue.now - self.config.retention_ms, session=self.session)
        found = [address for address in ended if self._fit(address.session)]
        gone = set()
        for address, task in zip(found, self.queue.prune_each(found), strict=True):
            if isinstance(task, Undone):
                yield from self._could_not(address.session, task.error, of_files=False)
                continue
            gone.add(str(address))
            yield SweepAction("prune", address.session, str(address), None, "it ended longer ago than the retention")
        yield from self._guarded("", self._prune_trees(self.config.retention_ms, frozenset(gone)))
        if self.session is None:
            yield from self._guarded("", self._prune_states(self.queue.now - self.config.retention_ms))

    def _prune_states(self, before: int) -> Iterator[SweepAction]:
        if (count := self.queue.forget_states(before)) > 0:
            why = f"{count} changes of the states of supervisors, longer ago than the retention"
            yield SweepAction("prune", None, None, None, why)

    def _prune_trees(self, retention_ms: int, gone: frozenset[str]) -> Iterator[SweepAction]:
        from agentq_cli.trees.place import trees_directory
        from agentq_cli.trees.pruning import Pruner

        trees, before = trees_directory(self.config, self.queue.here.path), self.queue.now - retention_ms
        pruner = Pruner(self.queue, trees, self.environ, self.config.caches, before, before, gone, self.dry)
        for each in pruner.sweep(self.session):
            task = None if each.record.seq is None else each.record.line
            yield SweepAction("prune", each.record.session, task, None, str(each))

    def _due(self) -> list[str]:
        snapshot = self.queue.snapshot()
        sessions = {session for session, agent in self.queue.unfinished() if not snapshot.holds_back(session, agent)}
        sessions |= {worker.session for worker in self.queue.orphaned()}
        return sorted(name for name in sessions if self._fit(name))

    def _wake(self) -> Iterator[SweepAction]:
        sessions = self._due()
        if not sessions or attended.is_served(self.queue, sessions):
            return
        if self.dry:
            if wake.wanted(self.queue):
                yield SweepAction("wake", None, None, None, "work is due and no supervisor is running")
            return
        yield from self._guarded("", self._wake_up(sessions))

    def _wake_up(self, sessions: list[str]) -> Iterator[SweepAction]:
        pid = wake.ensure_supervisor(self.queue, sessions, self.environ)
        if pid is not None:
            yield SweepAction("wake", None, None, None, f"started supervisor {pid}")

    def _call(self, hooks: Hooks) -> Iterator[SweepAction]:
        """Run the hooks that nobody runs, for a while; the next sweep or supervisor continues."""
        try:
            for ran in hooks.finish(self.config, until=monotonic_ms() + PATIENCE_MS):
                yield _of_hook(ran.call, f": {ran.failure or 'done'}")
        finally:
            hooks.abandon()

    def _plan_hooks(self, hooks: Hooks) -> Iterator[SweepAction]:
        for call in hooks.planned(self.config):
            yield _of_hook(call, "")


def _of_run(action: str, run: RunId, detail: str) -> SweepAction:
    return SweepAction(action, run.session, str(run.address), str(run), detail)


def _of_hook(call: Call, what: str) -> SweepAction:
    task = None if call.address is None else str(call.address)
    run = None if call.run is None else str(call.run)
    return SweepAction("hook", call.session, task, run, f"{call.hook}{what}")
