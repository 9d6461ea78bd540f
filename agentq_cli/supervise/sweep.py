"""One pass over what nobody watches: settle, recover, keep limits, expire, wake. Safe at any time, any number at once.

Every step is idempotent and fenced, so that two sweeps, or a sweep and a supervisor, cannot do a thing twice.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence

from agentq_cli.clock import monotonic_ms
from agentq_cli.config import Config
from agentq_cli.dataclass import dataclass, field
from agentq_cli.errors import AgentqError, Busy, Refused, Usage
from agentq_cli.model import Actor, RunId, SweepAction, Undone, Worker
from agentq_cli.queue import Queue, Turn
from agentq_cli.supervise import (
    bells,
    history,
    keeper,
    limits,
    process,
    recovery,
    removal,
    requests,
    settle,
    wake,
)
from agentq_cli.supervise.hooks import PATIENCE_MS, Hooks, configured_at
from agentq_cli.supervise.records import LINGERS, RunDirectory, Start
from agentq_cli.supervise.ring import ring

MOST_REQUESTS = 16
"""How often one pass goes on with a session's requests: somebody who never stops writing must not keep it."""

FORGOTTEN = "the index did not have its tasks as its file has them"
LOST = "lost for good: hooks that were to be told, counters of pruned runs, events that were not of a run or an end"
"""What an index alone knows, once there was none."""


@dataclass(slots=True)
class Sweep:
    """One pass; `failed` holds the sessions that could not be swept, with the reason, `ailing` those that were in spite
    of some trouble in them."""

    queue: Queue
    config: Config
    host: str
    environ: Mapping[str, str]
    session: str | None = None
    wake: bool = True
    reindex: bool = False
    failed: dict[str, str] = field(default_factory=dict)
    ailing: dict[str, str] = field(default_factory=dict)

    def run(self) -> Iterator[SweepAction]:
        """Do it; yields what was done."""
        # By its bell a process of another PID namespace knows that it lives, and what of the hooks is its to run.
        with bells.Bell(self.queue.state.bells):
            yield from self._pass()

    def _pass(self) -> Iterator[SweepAction]:
        hooks = Hooks(self.queue, process.current(), self.environ, Actor.SWEEP)
        hooks.begin(self.config)
        if self.reindex:
            yield from self._reindex()
        turn = self.queue.turn(self.session)
        self.queue.note_sweep(turn=self.session is None)
        yield from self._changed(turn, remember=True)
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
        ring(self.queue.state.bells)
        if self.wake:
            yield from self._wake()
        yield from self._call(hooks)

    def plan(self) -> Iterator[SweepAction]:
        """What `run` would do now, without doing it."""
        yield from self._changed(self.queue.turn(self.session), remember=False)
        for worker in self._orphaned():
            directory = RunDirectory(self.queue.run_directory(worker.id))
            if directory.exit() is not None:
                yield _of_run("settle", worker.id, "it has ended")
            elif (start := directory.start()) is None:
                yield _of_run("undo", worker.id, "it was claimed and never started")
            elif not isinstance(start, Start) or not keeper.lives(directory, start):
                yield _of_run("recover", worker.id, "its keeper process is gone")
        for worker, _, reached in self._reached(remember=False):
            yield _of_run("stop", worker.id, f"{reached.reason}: {reached.detail}")
        for address in self.queue.expired():
            if self._mine(address.session):
                yield SweepAction("expire", address.session, str(address), None, "it was not started in time")
        if self.config.retention_ms is not None:
            for address in self.queue.ended_before(self.queue.now - self.config.retention_ms, session=self.session):
                detail = "it ended longer ago than the retention"
                yield SweepAction("prune", address.session, str(address), None, detail)
        sessions = [name for name in self._due() if name not in self.failed]
        if self.wake and sessions and not wake.looked_after(self.queue, sessions):
            yield SweepAction("wake", None, None, None, "work is due and no supervisor lives")
        if self.config.hooks:
            for hook, task in self.queue.hooks_called(self.config.hooks, configured_at=configured_at(self.config)):
                session, name = (None, None) if task is None else (task.session, str(task))
                yield SweepAction("hook", session, name, None, hook)

    def _mine(self, session: str) -> bool:
        return self.session is None or session == self.session

    def _orphaned(self) -> list[Worker]:
        return [worker for worker in recovery.orphaned(self.queue) if self._mine(worker.session)]

    def _reindex(self) -> Iterator[SweepAction]:
        sessions = [name for name in self.queue.stored_sessions() if self._mine(name)]
        lost = bool(sessions) and not self.queue.session_names()
        restored = self.queue.restore_holds()
        if restored is not None:
            yield SweepAction("reindex", None, None, None, restored)
        done = []
        for session in sessions:
            if (yield from self._reindexed(session, "in order")):
                done.append(session)
        yield from self._history(done)
        if lost:
            yield SweepAction("reindex", None, None, None, LOST)

    def _reindexed(self, session: str, detail: str) -> Generator[SweepAction, None, bool]:
        """Rebuild the index of a session; returns whether that could be done."""
        try:
            mended = self.queue.reindex(session, host=self.host)
        except AgentqError as error:
            yield self._could_not(session, error)
            return False
        yield SweepAction("reindex", session, None, None, "; ".join(mended) or detail)
        return True

    def _history(self, sessions: Sequence[str]) -> Iterator[SweepAction]:
        found, untold = history.put_back(self.queue, self.config, sessions, host=self.host)
        if found or untold:
            lost = f"; {untold} left no record" if untold else ""
            yield SweepAction("reindex", None, None, None, f"runs put back into the audit log: {found}{lost}")

    def _changed(self, turn: Turn, *, remember: bool) -> Iterator[SweepAction]:
        """Bring in order what dead writers left, and name the sessions whose files are corrupt or newer, whatever the
        index says is to be done in them."""
        reindexed = []
        for session, fault in self.queue.look_into(turn, remember=remember):
            if session in self.failed:
                continue
            if fault.part == "inbound.db":
                yield self._could_not(session, fault.error)
            elif fault.part == "index":
                if not remember:
                    yield SweepAction("reindex", session, None, None, FORGOTTEN)
                elif (yield from self._reindexed(session, FORGOTTEN)):
                    reindexed.append(session)
            else:
                self.ailing[session] = fault.error.message
                yield SweepAction("trouble", session, None, None, fault.error.message)
        if reindexed:
            yield from self._history(reindexed)
        if remember:
            yield from self._aside(turn)

    def _aside(self, turn: Turn) -> Iterator[SweepAction]:
        """What a prune that was killed has left: finished, or taken back."""
        for session in turn.changed:
            if session in self.failed:
                continue
            try:
                removed, back = removal.settle(self.queue, session)
            except AgentqError as error:
                yield self._could_not(session, error)
                continue
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
            try:
                self.queue.settle_batch(batch, committed=committed, sessions=sessions)
            except AgentqError as error:
                # The message names the file in trouble; none of the sessions is to be passed over for it.
                self.failed[""] = error.message
                yield SweepAction("busy" if isinstance(error, Busy) else "trouble", None, None, None, error.message)
                continue
            what = "finished a batch" if committed else "dropped a batch that was not committed"
            yield SweepAction("batch", None, None, None, f"{what} over {len(sessions)} sessions")

    def _runs(self) -> Iterator[SweepAction]:
        for worker in self._orphaned():
            try:
                recovered = recovery.settle_run(self.queue, worker, self.config, actor=Actor.SWEEP)
            except AgentqError as error:
                yield self._could_not(worker.session, error)
                continue
            if recovered is None:
                if keeper.is_elsewhere(RunDirectory(self.queue.run_directory(worker.id))):
                    yield _of_run("leave", worker.id, f"{keeper.ELSEWHERE}, and no supervisor watches it")
                continue
            if recovered.finding is recovery.Finding.NEVER_STARTED:
                yield _of_run("undo", worker.id, "it was claimed and never started")
            elif recovered.task is not None:
                crashed = recovered.finding is recovery.Finding.CRASHED
                reason = f" ({recovered.task.reason})" if recovered.task.reason else ""
                detail = f"{recovered.task.status}{reason}"
                yield _of_run("recover" if crashed else "settle", worker.id, detail)

    def _limits(self) -> Iterator[SweepAction]:
        for worker, directory, reached in self._reached(remember=True):
            try:
                if limits.enforce(self.queue, worker.id, directory, reached, actor=Actor.SWEEP):
                    yield _of_run("stop", worker.id, f"{reached.reason}: {reached.detail}")
            except OSError as error:
                yield self._could_not(worker.session, Refused(f"run '{worker.id}': {error.strerror}"))

    def _reached(self, *, remember: bool) -> Iterator[tuple[Worker, RunDirectory, limits.Reached]]:
        """The runs that nobody watches, that still run, and that have reached a limit."""
        for worker in self._orphaned():
            directory = RunDirectory(self.queue.run_directory(worker.id))
            start = directory.start()
            if worker.stop is not None or not isinstance(start, Start) or not keeper.lives(directory, start):
                continue
            try:
                task = self.queue.task(worker.id.address)
                of_run = limits.RunLimits.of(task, self.config, self.queue)
            except AgentqError:
                continue  # the session's trouble, which is told already
            stream = settle.follower(task, directory, self.config)
            if stream is not None:
                stream.finish()
                of_run.heard(stream.reader.finished)
            if of_run.look_at is None and not (remember and directory.look(LINGERS)):
                continue
            reached = of_run.look(directory, stream, remember=remember)
            if reached is not None:
                yield worker, directory, reached

    def _expire(self) -> Iterator[SweepAction]:
        for address in self.queue.expired():
            if not self._mine(address.session) or address.session in self.failed:
                continue
            try:
                expired = self.queue.expire(address, actor=Actor.SWEEP)
            except AgentqError as error:
                yield self._could_not(address.session, error)
                continue
            if expired is not None:
                yield SweepAction("expire", address.session, str(address), None, "it was not started in time")

    def _arrive(self) -> Iterator[SweepAction]:
        look = self.queue.look()
        for address, agent in self.queue.arriving():
            held = look.holds_back(address.session, agent)
            if held or not self._mine(address.session) or address.session in self.failed:
                continue
            try:
                self.queue.arrive(address, actor=Actor.SWEEP)
            except AgentqError as error:
                yield self._could_not(address.session, error)
                continue
            yield SweepAction("arrive", address.session, str(address), None, "it is due")

    def _requests(self, turn: Turn) -> Iterator[SweepAction]:
        for session in self.queue.changed_outbounds(turn.sessions):
            if session in self.failed or session in self.ailing:
                continue
            try:
                for _ in range(MOST_REQUESTS):
                    if not (yield from self._carry_out(session)):
                        break
            except AgentqError as error:
                yield self._could_not(session, error)
        self.queue.record_outbounds()

    def _carry_out(self, session: str) -> Generator[SweepAction, None, bool]:
        """Answer some of a session's requests; returns whether there may be more."""
        answers = requests.apply(self.queue, self.config, self.environ, session)
        while True:
            try:
                answer = next(answers)
            except StopIteration as end:
                return bool(end.value)
            task = None if answer.task is None else str(answer.task)
            yield SweepAction("request", session, task, None, f"{answer.status}: {answer.detail}")

    def _dependents(self) -> Iterator[SweepAction]:
        for task in self.queue.settle_dependents(actor=Actor.SWEEP):
            detail = f"{task.status}{f' ({task.reason})' if task.reason else ''}"
            yield SweepAction("depend", task.session, str(task.address), None, detail)

    def _post(self) -> Iterator[SweepAction]:
        for run in self.queue.post_results():
            session = run.rpartition("/")[0]
            if self._mine(session):
                why = f"its result could not be written to outbound.db: {self.queue.why_unposted(run)}"
                yield SweepAction("unposted", session, None, run, why)

    def _prune(self) -> Iterator[SweepAction]:
        if self.config.retention_ms is None:
            return
        found = self.queue.ended_before(self.queue.now - self.config.retention_ms, session=self.session)
        for address, task in zip(found, removal.remove_each(self.queue, found), strict=True):
            if isinstance(task, Undone):
                yield self._could_not(address.session, task.error)
                continue
            yield SweepAction("prune", address.session, str(address), None, "it ended longer ago than the retention")

    def _due(self) -> list[str]:
        look = self.queue.look()
        sessions = {session for session, agent in self.queue.unfinished() if not look.holds_back(session, agent)}
        sessions |= {worker.session for worker in recovery.orphaned(self.queue)}
        return sorted(name for name in sessions if self._mine(name))

    def _wake(self) -> Iterator[SweepAction]:
        sessions = [name for name in self._due() if name not in self.failed]
        if sessions and not wake.looked_after(self.queue, sessions):
            try:
                pid = wake.ensure_supervisor(self.queue, sessions)
            except (Refused, Usage) as error:
                self.failed[""] = error.message
                yield SweepAction("trouble", None, None, None, error.message)
                return
            if pid is not None:
                yield SweepAction("wake", None, None, None, f"started supervisor {pid}")

    def _call(self, hooks: Hooks) -> Iterator[SweepAction]:
        """Run what is to be told and nobody runs, for a while; the next one goes on."""
        try:
            for ran in hooks.finish(self.config, until=monotonic_ms() + PATIENCE_MS):
                task, run = ran.call.address, ran.call.run
                yield SweepAction(
                    "hook",
                    ran.call.session,
                    None if task is None else str(task),
                    None if run is None else str(run),
                    f"{ran.call.hook}: {ran.failure or 'done'}",
                )
        finally:
            hooks.abandon()

    def _could_not(self, session: str, error: AgentqError) -> SweepAction:
        self.failed[session] = error.message
        return SweepAction("busy" if isinstance(error, Busy) else "trouble", session, None, None, error.message)


def _of_run(action: str, run: RunId, detail: str) -> SweepAction:
    return SweepAction(action, run.session, str(run.address), str(run), detail)
