"""One pass over what nobody watches: settle, recover, keep limits, expire, wake. Safe at any time, any number at once.

Every step is idempotent and fenced, so that two sweeps, or a sweep and a supervisor, cannot do a thing twice. A plan is
the same pass in rehearsal: over copies of the databases, with no process, no file and no bell touched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence

from agentq_cli.clock import monotonic_ms
from agentq_cli.config import Config
from agentq_cli.dataclass import dataclass, field, replace
from agentq_cli.errors import AgentqError, Busy
from agentq_cli.model import Actor, Address, RunId, SweepAction, Undone, Worker
from agentq_cli.policy.hooks import Call
from agentq_cli.queue import Fault, Queue, Turn
from agentq_cli.supervise import (
    bells,
    history,
    keeper,
    limits,
    overdue,
    process,
    recovery,
    removal,
    requests,
    settle,
    wake,
)
from agentq_cli.supervise.guard import Guard
from agentq_cli.supervise.hooks import PATIENCE_MS, Hooks
from agentq_cli.supervise.records import LINGERS, RunDirectory, Start
from agentq_cli.supervise.ring import ring

MOST_REQUESTS = 16
"""How often one pass goes on with a session's requests: somebody who never stops writing must not keep it."""

FORGOTTEN = "the index did not have its tasks as its file has them"
LOST = "lost for good are hooks not yet told, counters of pruned runs, and events but of submits, runs and ends"
"""What an index alone knows, once there was none."""


@dataclass(slots=True)
class Sweep:
    """One pass; `failed` holds the sessions in which something could not be done, with the reason, under "" what is of
    no session. With `dry` it is a rehearsal: call `plan` for that."""

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
        # By its bell a process of another PID namespace knows that it lives, and what of the hooks is its to run.
        with contextlib.nullcontext() if self.dry else bells.Bell(self.queue.state.bells):
            yield from self._pass()

    def _pass(self) -> Iterator[SweepAction]:
        hooks = Hooks(self.queue, process.current(), self.environ, Actor.SWEEP)
        hooks.begin(self.config)
        if (restored := self.queue.restore_holds()) is not None:
            yield SweepAction("reindex", None, None, None, restored)
        if self.reindex:
            yield from self._reindex()
        turn = self.queue.turn(self.session)
        self.queue.note_sweep(turn=self.session is None)
        yield from self._changed(turn)
        yield from self._supervisors()
        yield from self._batches()
        yield from self._runs()
        yield from self._limits()
        yield from self._expire()
        yield from self._arrive()
        yield from self._requests(turn)
        yield from self._dependents()
        yield from self._post()
        yield from self._prune()
        if not self.dry:
            ring(self.queue.state.bells)
        if self.wake:
            yield from self._wake()
        yield from self._plan_hooks(hooks) if self.dry else self._call(hooks)

    # The guard

    def _guarded(self, session: str, step: Iterator[SweepAction]) -> Iterator[SweepAction]:
        """A step in one session; what goes wrong there is told, and the others go on."""
        with self._guard.over(session, "sweep") as tried:
            yield from step
        if tried.error is not None:
            yield from self._could_not(session, tried.error, of_files=tried.of_files)

    def _could_not(self, session: str, error: AgentqError, *, of_files: bool) -> Iterator[SweepAction]:
        """Tell it once. What a file of a run has done to it says nothing against the rest of its session."""
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
        """Whether something is to be done in a session."""
        return self._mine(session) and session not in self._unfit

    # The steps

    def _reindex(self) -> Iterator[SweepAction]:
        sessions = [name for name in self.queue.stored_sessions() if self._mine(name)]
        lost = bool(sessions) and not self.queue.session_names()
        yield from self._rebuilt(sessions, LOST if lost else None)

    def _rebuilt(self, sessions: Sequence[str], more: str | None) -> Iterator[SweepAction]:
        """Rebuild the index of sessions, and tell of each what was mended, and `more`."""
        for session, mended in history.rebuild(self.queue, self.config, sessions, host=self.host):
            if isinstance(mended, AgentqError):
                yield from self._could_not(session, mended, of_files=False)
            else:
                detail = "; ".join([*mended, *([more] if more else [])])
                yield SweepAction("reindex", session, None, None, detail or "in order")

    def _changed(self, turn: Turn) -> Iterator[SweepAction]:
        """Bring in order what dead writers left, and name the sessions whose files are corrupt or newer, whatever the
        index says is to be done in them."""
        forgotten = []
        for session, fault in self.queue.look_into(turn, remember=True):
            if session in self._unfit:
                continue
            if fault.of_index:
                forgotten.append(session)
            else:
                yield from self._faulty(session, fault)
        if forgotten:
            yield from self._rebuilt(forgotten, FORGOTTEN)
        for session in turn.changed:
            if session not in self._unfit:
                yield from self._guarded(session, self._aside(session))

    def _faulty(self, session: str, fault: Fault) -> Iterator[SweepAction]:
        """Tell what is wrong with a session; without its inbound.db nothing is done in it, else what can be."""
        yield from self._could_not(session, fault.error, of_files=not fault.of_all)
        if fault.of_voice:
            self._mute.add(session)

    def _aside(self, session: str) -> Iterator[SweepAction]:
        """What a prune that was killed has left: finished, or taken back."""
        removed, back = removal.settle(self.queue, session, dry=self.dry)
        if removed or back:
            detail = f"a prune was interrupted: files of {removed} runs removed, of {back} put back"
            yield SweepAction("prune", session, None, None, detail)

    def _supervisors(self) -> Iterator[SweepAction]:
        for supervisor in self.queue.supervisors():
            if not wake.lives(self.queue, supervisor.identity):
                self.queue.unregister(supervisor.identity)
                yield SweepAction("forget", None, None, None, f"supervisor {supervisor.identity.pid} is gone")

    def _batches(self) -> Iterator[SweepAction]:
        for batch, committed, sessions, owner in self.queue.batches():
            if wake.lives(self.queue, owner) or not (self.session is None or self.session in sessions):
                continue
            # The message names the file in trouble; none of the sessions is to be passed over for it.
            yield from self._guarded("", self._batch(batch, committed, sessions))

    def _batch(self, batch: str, committed: bool, sessions: list[str]) -> Iterator[SweepAction]:
        self.queue.settle_batch(batch, committed=committed, sessions=sessions)
        what = "finished a batch" if committed else "dropped a batch that was not committed"
        yield SweepAction("batch", None, None, None, f"{what} over {len(sessions)} sessions")

    def _runs(self) -> Iterator[SweepAction]:
        for worker in recovery.orphaned(self.queue):
            if self._fit(worker.session):
                yield from self._guarded(worker.session, self._run(worker))

    def _run(self, worker: Worker) -> Iterator[SweepAction]:
        recovered = recovery.settle_run(self.queue, worker, self.config, actor=Actor.SWEEP, dry=self.dry)
        if recovered is None:
            if keeper.is_elsewhere(RunDirectory(self.queue.run_directory(worker.id))):
                yield _of_run("leave", worker.id, f"{keeper.ELSEWHERE}, and no supervisor watches it")
            late = overdue.of(self.queue, self.config, worker)
            if late is not None:
                yield _of_run("overdue", worker.id, str(late))
            return
        if recovered.finding is recovery.Finding.NEVER_STARTED:
            yield _of_run("undo", worker.id, "it was claimed and never started")
        elif recovered.task is not None:
            crashed = recovered.finding is recovery.Finding.CRASHED
            reason = f" ({recovered.task.reason})" if recovered.task.reason else ""
            yield _of_run("recover" if crashed else "settle", worker.id, f"{recovered.task.status}{reason}")

    def _limits(self) -> Iterator[SweepAction]:
        """Of the runs that nobody watches and that still run, end those that have reached a limit."""
        for worker in recovery.orphaned(self.queue):
            if worker.stop is None and self._fit(worker.session):
                yield from self._guarded(worker.session, self._limit(worker))

    def _limit(self, worker: Worker) -> Iterator[SweepAction]:
        directory = RunDirectory(self.queue.run_directory(worker.id))
        start = directory.start()
        if not isinstance(start, Start) or not keeper.lives(directory, start):
            return
        task = self.queue.task(worker.id.address)
        of_run = limits.RunLimits.of(task, self.config, self.queue)
        stream = settle.follower(task, directory, self.config)
        if stream is not None:
            stream.finish()
            of_run.heard(stream.reader.seems_finished())
        if of_run.look_at is None and not directory.look(LINGERS):
            return
        reached = of_run.look(directory, stream, remember=not self.dry)
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
        look = self.queue.look()
        for address, agent in self.queue.arriving():
            if self._fit(address.session) and not look.holds_back(address.session, agent):
                yield from self._guarded(address.session, self._arrive_one(address))

    def _arrive_one(self, address: Address) -> Iterator[SweepAction]:
        self.queue.arrive(address, actor=Actor.SWEEP)
        yield SweepAction("arrive", address.session, str(address), None, "it is due")

    def _requests(self, turn: Turn) -> Iterator[SweepAction]:
        for session in self.queue.changed_outbounds(turn.sessions):
            if session not in self._unfit and session not in self._mute:
                yield from self._guarded(session, self._requests_of(session))
        self.queue.record_outbounds()

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

    def _post(self) -> Iterator[SweepAction]:
        for run in self.queue.post_results():
            session = run.rpartition("/")[0]
            if self._mine(session):
                yield SweepAction("unposted", session, None, run, "its result could not be written to outbound.db")

    def _prune(self) -> Iterator[SweepAction]:
        if self.config.retention_ms is None:
            return
        ended = self.queue.ended_before(self.queue.now - self.config.retention_ms, session=self.session)
        found = [address for address in ended if self._fit(address.session)]
        for address, task in zip(found, removal.remove_each(self.queue, found, dry=self.dry), strict=True):
            if isinstance(task, Undone):
                yield from self._could_not(address.session, task.error, of_files=False)
                continue
            yield SweepAction("prune", address.session, str(address), None, "it ended longer ago than the retention")

    def _due(self) -> list[str]:
        look = self.queue.look()
        sessions = {session for session, agent in self.queue.unfinished() if not look.holds_back(session, agent)}
        sessions |= {worker.session for worker in recovery.orphaned(self.queue)}
        return sorted(name for name in sessions if self._fit(name))

    def _wake(self) -> Iterator[SweepAction]:
        sessions = self._due()
        if not sessions or wake.looked_after(self.queue, sessions):
            return
        if self.dry:
            if wake.wanted(self.queue):
                yield SweepAction("wake", None, None, None, "work is due and no supervisor lives")
            return
        yield from self._guarded("", self._wake_up(sessions))

    def _wake_up(self, sessions: list[str]) -> Iterator[SweepAction]:
        pid = wake.ensure_supervisor(self.queue, sessions)
        if pid is not None:
            yield SweepAction("wake", None, None, None, f"started supervisor {pid}")

    def _call(self, hooks: Hooks) -> Iterator[SweepAction]:
        """Run what is to be told and nobody runs, for a while; the next one goes on."""
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
