"""Carrying out what agents request in their outbound.db; the same for `run` and `sweep`."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping

from agentq_cli.base.clock import Clock
from agentq_cli.base.dataclass import dataclass, replace
from agentq_cli.base.errors import LimitReached, Usage
from agentq_cli.config import zones
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.engines.nouns import Answer
from agentq_cli.host import stop
from agentq_cli.model.addresses import DEFAULT_SESSION
from agentq_cli.model.tasks import NewTask, Task
from agentq_cli.model.work import Launch
from agentq_cli.options import requests as policy
from agentq_cli.options.new_schedule import OCCURRENCE, make_schedule
from agentq_cli.options.new_task import DEPTH_LIMIT, TaskMaker
from agentq_cli.options.requests import Request
from agentq_cli.options.tree_options import PLACE
from agentq_cli.policy.schedule import Schedule, first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.model.work import Work
    from agentq_cli.options.tree_options import Admit, TreeAsked

MOST = 64
"""How many requests are answered in one go: an agent that writes thousands must not keep the others waiting."""


def apply(
    queue: Queue, config: Config, environ: Mapping[str, str], session: str, *, dry: bool = False
) -> Generator[Answer, None, bool]:
    """Answer up to `MOST` new requests of a session; returns whether there may be more. With `dry` no run is told to
    end.

    Raises Busy, Unreadable (for its outbound.db, which concerns nothing else).
    """
    seen = queue.voice.stamp(session)
    asked = Asked(queue, config, environ, session)

    def zone(named: str | None) -> str:
        return zones.resolve(config, environ, session=session, typed=named).name

    taken = 0
    for message, content in queue.voice.asked(session, MOST):
        taken += 1
        request = policy.read(content, session=session, zone=zone, now=queue.now)
        answer = queue.voice.apply(
            session,
            message,
            request,
            template=asked.task,
            reschedule=asked.schedule,
            max_queued=config.max_queued,
        )
        if answer is None:
            continue
        if answer.stop is not None and not dry and queue.files(answer.stop).path is not None:
            directory = queue.here.run(answer.stop)
            # The stop is on record already: if the disk is full, the run's supervisor tells its shim as soon as that is
            # possible.
            with contextlib.suppress(OSError):
                directory.create()
                stop.request_stop(directory, reason="cancelled", at=queue.now)
        yield answer
    if taken == MOST:
        return True
    queue.voice.remember(session, seen)
    return False


@dataclass(frozen=True, slots=True)
class _Agent:
    """An agent as a caller; its umask and its directory are its session's, which `Asked.task` sets."""

    config: Config
    environ: Mapping[str, str]
    clock: Clock
    umask: int = 0o022

    @property
    def url(self) -> str | None:
        return self.config.url

    def may_have_trees(self) -> bool:
        return False  # `_tree` knows the directory of the session's last prompt, which a request does not leave

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def zone(self, typed: str | None = None, session: str = DEFAULT_SESSION) -> str:
        return zones.named(self.config, self.environ, session=session, typed=typed)


class Asked:
    """Makes what the agents of a session request, reading the config's options as `submit` and `schedule` do.

    An agent chooses only what the request may contain: the agent, the directory, the tree and the environment are the
    session's. What is to land is not: a person says that.
    """

    def __init__(self, queue: Queue, config: Config, environ: Mapping[str, str], session: str) -> None:
        self._session = session
        self._config = config
        self._environ = environ
        self._at = _Agent(config, environ, Clock(queue.now))

    def task(self, request: Request, last: Task | None) -> NewTask:
        """The requested task; what the config leaves open it takes from `last`, the session's last prompt.

        Raises Usage if the session has no directory, or if the config names something that does not exist, and
        LimitReached if agents have submitted one another too deep.
        """
        options = self._config.options(self._session)
        given = {"session": self._session, **{name: request.changes.get(name) for name in ("prompt", "context")}}
        if last is not None:
            given |= {name: getattr(last.work, name) for name in ("agent", "cwd") if options.get(name) is None}
            given |= tree_options(last.work, options, request.changes.get("context"))
        elif options.get("cwd") is None:
            why = "no directory is known: it never had a prompt, and the config sets none"
            raise Usage(f"session '{self._session}': {why}")
        given |= {"tz": request.when.get("tz")}
        schedule = self.schedule(request, None) if request.recurs else None
        # A duration counts from the slot of an occurrence, as for `schedule`.
        begins = None if schedule is None else first(schedule, self._at.now_ms())
        fallback = OCCURRENCE if request.recurs else None
        made = TaskMaker(self._at, fallback, counted_from=begins, admit=_admit(last)).make(given, str)
        before = Launch() if last is None else last.work.launch
        if before.depth >= DEPTH_LIMIT:
            raise LimitReached(f"AGENTQ_DEPTH {before.depth + 1}: agents may submit one another {DEPTH_LIMIT} deep")
        launch = replace(
            made.work.launch,
            env={**made.work.launch.env, **before.env},
            captured=before.captured,
            umask=before.umask,
            depth=before.depth + 1,
        )
        work = replace(made.work, launch=launch, **request.changes)
        if last is None:
            return made._replace(work=work, schedule=schedule)
        work = replace(work, environment=last.work.environment)
        return made._replace(work=work, schedule=schedule, captured=None)

    def schedule(self, request: Request, before: Schedule | None) -> Schedule:
        """The requested schedule; what was set `before` and is not changed stays. Raises Usage."""
        return make_schedule(self._at, {"tz": None, **request.when}, session=self._session, before=before)


def tree_options(last: Work, options: Mapping[str, Any], context: str | None) -> dict[str, Any]:
    """The options of the tree that an agent's own prompt runs in, or the last one of its session: a directory that what
    it asks for does not leave. A task that is isolated gets one of its own. `options` are those of the config."""
    if last.launch.repository is None:
        return {}
    names = {"setup", "teardown"}
    if last.context == "session" and context != "isolated":
        names.add("branch")
    return {"worktree": True, **{name: getattr(last.launch, name) for name in names if options.get(name) is None}}


def _admit(last: Task | None) -> Admit:
    """Where the trees of requested tasks belong: where the last prompt had one. No repository is asked, since this is
    under the session's lock; the run does that."""

    def place(asked: TreeAsked) -> Mapping[str, Any] | None:
        if last is None or last.work.launch.repository is None or last.work.cwd != asked.directory:
            return None
        return {name: getattr(last.work.launch, name) for name in PLACE}

    return place
