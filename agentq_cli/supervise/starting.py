"""From a waiting task to a process: pick, pass the gates, claim, launch. A failure in one session stays there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from agentq_cli.agents import profile as profiles
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.config.configuration import Config
from agentq_cli.engines.nouns import Claim
from agentq_cli.host.launch import Launcher
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import RunId
from agentq_cli.model.statuses import Status
from agentq_cli.model.workers import Worker
from agentq_cli.policy import order, waiting
from agentq_cli.policy.admission import Gate
from agentq_cli.policy.pool import Pool
from agentq_cli.supervise import plan, strays
from agentq_cli.supervise.duty import Duty, Happening
from agentq_cli.supervise.fitting import Fitting
from agentq_cli.supervise.gates import Gates
from agentq_cli.supervise.going_on import Keepers
from agentq_cli.supervise.watch import Watched, unstarted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.subdoors import Turn

START = "start"
LAUNCH = "launch"
ZONE_MS = 1_000


class Starter:
    """What a supervisor starts tasks with, and what it does to tasks that are not to be started as they are. `fitting`
    finds what fits this host."""

    def __init__(self, duty: Duty, launcher: Launcher, gates: Gates) -> None:
        self._duty = duty
        self._queue = duty.queue
        self._guard = duty.guard
        self._launcher = launcher
        self._gates = gates
        self._heads = duty.queue.heads(duty.settings.sessions)
        self._environ = dict(duty.environ)
        self._host = duty.config.fleet.host
        self.fitting = Fitting(duty)
        self._nothing_at: int | None = None
        self._zones: dict[str, tuple[Config, int, str]] = {}
        self._blocked: dict[tuple[str, str], str] = {}

    def pick(self, turn: Turn | None = None) -> order.Head | None:
        """The task to start next; None if no slot is free or no task may start. With `turn` from what that sees."""
        now = self._queue.now if turn is None else turn.now
        head = self._heads.pick(
            now=now,
            jobs=self._duty.jobs,
            ageing_ms=self._duty.config.limits.ageing_ms,
            parallel=self._parallel,
            place=self._place,
            fleet_jobs=self._duty.config.fleet.jobs,
            fits=self.fitting.fits,
            without=self._guard.put_off(START) | self._guard.put_off(LAUNCH),
            turn=turn,
        )
        self._nothing_at = now if head is None else None
        return head

    def was_last(self, turn: Turn, session: str) -> bool:
        """Whether nothing more may start once a task of a session was claimed in a turn: only that session has waiting
        tasks, and it runs one at a time."""
        last = self._parallel(session) == 1 and self._heads.only(session)
        if last:
            self._nothing_at = turn.now
        return last

    def foresee(self, turn: Turn, session: str) -> None:
        """Note that a turn of a session may pick next."""
        self._heads.foresee(turn, session)

    def forget(self) -> None:
        """Note that a turn was undone."""
        self._heads.forget()

    def ask_gates(self, head: order.Head | None) -> list[Gate]:
        """Check the gates for one more start (None: there is none); returns the gates that have begun or ceased to
        hold."""
        return self._gates.forget() if head is None else self._gates.ask(self._duty.config, workers=self._duty.jobs - 1)

    @property
    def held(self) -> bool:
        """Whether a gate holds back the task that was picked last."""
        return self._gates.closed

    @property
    def open(self) -> bool:
        """Whether no gate holds back one more start, as far as can be told without asking the queue."""
        return self._gates.open(self._duty.config, self._duty.jobs - 1)

    def claim(self, turn: Turn, head: order.Head) -> Claim | None:
        """Claim a task in a turn of its session; None if it may no longer be taken or that failed (see the guard)."""
        self._heads.doubt(head.session)
        with self._guard.guarding(head.session, START) as tried, turn.step():
            candidate = turn.candidate(head, self._pool(head.session))
            if candidate is None:
                return None
            made = plan.plan(
                candidate.task,
                self._duty.config,
                candidate.past,
                self._queue,
                head=head,
                environ=self._environ,
            )
            claim = turn.claim(
                candidate,
                made,
                supervisor=self._duty.identity,
                jobs=self._duty.jobs,
                fleet_jobs=self._duty.config.fleet.jobs,
                parallel=self._parallel,
                host=self._host,
                newest=self._gates.newest,
                monotonic=monotonic_ms(),
            )
            refused = claim is None and candidate.past.conversation_key is not None
            self._note_tree(head, made.directory if refused else None)
            return claim
        if tried.error is not None and turn.lost:
            raise tried.error
        return None

    def launch(self, claims: Sequence[Claim]) -> list[Watched]:
        """Start the processes of claimed tasks; a task that could not be started is watched to its end all the same."""
        watched = [self._watched(claim) for claim in claims]
        # Each is asked for before the first answer is waited for.
        for _ in zip_longest(*map(self._launching, watched, claims)):
            pass
        return watched

    def _watched(self, claim: Claim) -> Watched:
        worker = Worker(
            *claim.run,
            agent=claim.task.work.agent,
            claimed_at=self._queue.now,
            supervisor=self._duty.identity,
            adopted=False,
            stop=None,
            directory=claim.plan.directory,
            conversation_key=claim.task.conversation_key,
        )
        return Watched(worker, claim.task, self._queue.here.run(claim.run))

    def _launching(self, watched: Watched, claim: Claim) -> Iterator[None]:
        """Ask the launcher for a run, and then wait for its answer."""
        if claim.plan.error is not None:
            watched.outcome = unstarted(self._queue.now, claim.plan.error)
            watched.ended = True
            return
        with self._guard.guarding(claim.run.session, LAUNCH) as tried:
            # Everything that may fail comes first: a launched process is watched, whatever happens.
            strays.make_way(self._queue.here, claim.run)
            watched.follow(self._duty.config, self._queue)
            zone = claim.task.work.launch.tz or self._zone(claim.task.session)
            duty, queue = self._duty, self._queue
            request = plan.request(claim, duty.config, queue.here, duty.clock, self._environ, zone, find=queue.task)
            watched.began, asked = monotonic_ms(), self._launcher.ask(request)
            yield
            watched.line = self._launcher.line(asked)
        # No process can be created now. A run that has not begun is void; if a keeper did begin, it is adopted.
        watched.ended = tried.error is not None

    def take_over(self, watched: Watched) -> None:
        """Start a keeper for a run that only has its check left. Raises OSError."""
        keepers = Keepers(self._queue, self._duty.config, self._duty.clock, self._environ)
        request = keepers.request(watched.worker.id, watched.take)
        if request is not None:
            watched.taken_over(self._launcher.launch(request))

    def expire(self) -> Iterator[Happening]:
        """End the tasks that were not started in time."""
        for address in self._queue.expired():
            if self._duty.outside(address.session) or not self._guard.may_run(address.session, "expire"):
                continue
            expired = None
            with self._guard.guarding(address.session, "expire"):
                expired = self._queue.expire(address, actor=Actor.SUPERVISOR)
                self._heads.doubt(address.session)  # it may have been moved to a slot that is in time
            if expired is not None:
                run = RunId(*address, 0)
                yield self._duty.tell("expire", run, before=Status.QUEUED, after=Status.EXPIRED, reason=expired.reason)
                yield from self._duty.tell_stopped(expired)

    def arrive(self) -> None:
        """Apply the missed policy to occurrences when they become due, so that slots that pass while they wait for a
        place are distinguished from slots at which nothing ran."""
        around = self._queue.around()
        for address, agent in self._queue.arriving():
            held = around.holds_back(address.session, agent)
            may = self._guard.may_run(address.session, "arrive")
            if may and not held and not self._duty.outside(address.session):
                with self._guard.guarding(address.session, "arrive"):  # the claim does it too
                    self._queue.arrive(address, actor=Actor.SUPERVISOR)
                    self._heads.doubt(address.session)  # changed without an event

    def moments(self) -> list[int]:
        """When the gates are to be checked again, and when the next task will be due (monotonic)."""
        moments = self.fitting.moments() + ([] if self._gates.again_at is None else [self._gates.again_at])
        if not self._duty.clock.fixed and self._guard.may_run(None, "round"):
            now = monotonic_ms()
            with self._guard.guarding(None, "next"):
                # What became due since the pick that found nothing counts as well.
                ahead = self._queue.ahead(self._nothing_at)
                self._nothing_at = None
                moments += [now + max(0, at - self._queue.now) for at in ahead if at is not None]
        return moments

    def _parallel(self, session: str) -> int | None:
        return waiting.width(session, self._duty.config.sessions.get(session, {}).get("parallel"))

    def _pool(self, session: str) -> Pool:
        return Pool(self._parallel(session), self._duty.config.sessions.get(session, {}).get("conversation_ttl"))

    def _place(self, head: order.Head) -> str | None:
        if not head.directory or head.directory.startswith("/"):
            return profiles.edited(self._duty.config, head.agent, head.directory)
        if _in_any_tree(head):
            blocked = self._blocked.get((head.session, head.agent))
            if blocked is not None or self._parallel(head.session) != 1:
                return blocked
        from agentq_cli.trees.asking import tree_of_head

        return tree_of_head(self._duty.config, self._queue.here.path, head)

    def _note_tree(self, head: order.Head, blocked: str | None) -> None:
        """Note the tree that was chosen for a task and could not be taken, so that the next pick waits for it and does
        not choose it again while it is occupied."""
        if not _in_any_tree(head):
            return
        if blocked is not None:
            self._blocked[head.session, head.agent] = blocked
        else:
            self._blocked.pop((head.session, head.agent), None)

    def _zone(self, session: str) -> str:
        """The zone of a session's tasks, determined again after a while because a person may set another one."""
        now, config = monotonic_ms(), self._duty.config
        known = self._zones.get(session)
        if known is None or known[0] is not config or now - known[1] >= ZONE_MS:
            known = self._zones[session] = (config, now, plan.zone(config, self._environ, session))
        return known[2]


def _in_any_tree(head: order.Head) -> bool:
    """Whether a task works in the tree of whichever conversation of its session is chosen for it."""
    return not head.conversation_key and head.directory.startswith(":")
