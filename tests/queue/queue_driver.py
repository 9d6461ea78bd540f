"""Drives a queue by its verbs alone, as submit and a supervisor do; run as a program it is one of several processes.

The tests of this directory run on each of `ENGINES`. What knows SQLite, or files of the state dir, is in the
`test_sqlite_*` files, and what knows PostgreSQL or several hosts in the `test_fleet_*` files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import postgres

from agentq_cli.base.errors import Busy
from agentq_cli.base.identity import Identity
from agentq_cli.engines import door
from agentq_cli.engines.door import Queue
from agentq_cli.engines.fleet import statements
from agentq_cli.engines.nouns import Claim, Past, Plan
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.fleet import FleetSettings
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import RunStatus
from agentq_cli.model.tasks import NewTask, Task
from agentq_cli.model.work import Work
from agentq_cli.model.workers import Worker
from agentq_cli.policy import order, waiting
from agentq_cli.policy.pool import Pool

ROOT = Path(__file__).resolve().parent.parent.parent

NOON = 1_774_785_600_000
"""2026-03-29T12:00:00Z, where the clock of a test stands at first."""

OWNER = Identity(4_100_001, 11, "boot")
SUPERVISOR = Identity(4_100_002, 22, "boot")
ANOTHER = Identity(4_100_003, 33, "boot")
"""Processes that do not exist: the queue stores who they are and asks nobody."""

MANY = 1_000_000

KEPT: WeakKeyDictionary[Queue, Any] = WeakKeyDictionary()
"""The heads that each queue's supervisor keeps."""

MOST_LOOKS = 50

Planner = Callable[[Task, Past], Plan]

OpenQueue = Callable[..., Queue]
"""What the fixture `open_queue` is."""


class Clock:
    """A wall clock that only the test moves."""

    fixed = True

    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now

    def forward(self, milliseconds: int) -> None:
        self.now += milliseconds


def directory() -> TemporaryDirectory[str]:
    """A directory of a test's own, in memory where there is such a place.

    What a sync is worth is shown where processes are killed; here thousands of them would only take time.
    """
    memory = "/dev/shm"
    return TemporaryDirectory(prefix="agentq-", dir=memory if os.access(memory, os.W_OK) else None)


class Local:
    """The queue as SQLite files of a state dir."""

    why_not: str | None = None

    def __init__(self, where: str | Path) -> None:
        self.state_dir = Path(where)

    @classmethod
    @contextmanager
    def made(cls) -> Iterator[Local]:
        """An engine in which nothing was ever stored."""
        with directory() as place:
            yield cls(f"{place}/state")

    @property
    def where(self) -> str:
        """What another process makes the same engine of."""
        return str(self.state_dir)

    def open(self, clock: Clock, *, create: bool = True, rebuild: bool = False) -> Queue:
        """Open the queue, as often as a test likes: each is another user of the same state."""
        return door.open_queue(self.where, clock, create=create, rebuild=rebuild)  # type: ignore[arg-type]

    def content(self) -> dict[str, Any]:
        """Everything that is stored, to be compared: nothing where nothing was ever stored."""
        found = self.state_dir.parent.rglob("*")
        return {str(path): path.read_bytes() if path.is_file() else None for path in found}


class Fleet:
    """The queue as a schema of a PostgreSQL server, and this machine's place in a directory."""

    why_not = postgres.why_not()

    def __init__(self, where: str) -> None:
        self.where = where
        self.state_dir, self.url, self.schema = json.loads(where)

    @classmethod
    @contextmanager
    def made(cls) -> Iterator[Fleet]:
        """An engine in which nothing was ever stored."""
        with postgres.fleet() as (url, schema), directory() as place:
            yield cls(json.dumps([f"{place}/state", url, schema]))

    def open(self, clock: Clock, *, create: bool = True, rebuild: bool = False) -> Queue:
        """Open the queue, as often as a test likes: each is another user of the same host, and prepares its statements
        as a supervisor does."""
        settings = FleetSettings(schema=self.schema)
        queue = door.open_queue(self.state_dir, clock, create=create, url=self.url, settings=settings)  # type: ignore[arg-type]
        statements.OFTEN = 1
        queue.stay()  # type: ignore[attr-defined]
        return queue

    def content(self) -> dict[str, Any]:
        """Everything that is stored, to be compared: nothing where nothing was ever stored."""
        return {**Local(self.state_dir).content(), **postgres.content(self.schema)}


ENGINES: Mapping[str, type[Local] | type[Fleet]] = {"local": Local, "fleet": Fleet}
"""The engines under test."""

Engine = Local | Fleet
"""What each engine has."""


def engine_param(name: str, *, slow: bool = False) -> Any:
    """The name of an engine as the parameter of a test; skipped where it cannot be had. `slow`: another than the local
    one is for the slow tier."""
    import pytest

    why_not = ENGINES[name].why_not
    marks = [pytest.mark.skip(why_not)] if why_not else []
    return pytest.param(name, marks=[*marks, *([pytest.mark.slow] if slow and name != "local" else [])])


def command(session: str = "default", *argv: str, **fields: Any) -> NewTask:
    """A command to submit."""
    return new_task(session, kind="exec", argv=argv or ("true",), **fields)


def prompt(session: str = "default", text: str = "do it", *, agent: str = "demo", **fields: Any) -> NewTask:
    """A prompt to submit."""
    return new_task(session, kind="prompt", prompt=text, agent=agent, **fields)


def new_task(session: str, **fields: Any) -> NewTask:
    """A task to submit, of the fields of its work and its own."""
    work = {"cwd": "/", "context": "isolated" if session == "default" else "session"}
    return changed(NewTask(session, Work(**work | {"kind": fields.pop("kind")})), **fields)


Given = TypeVar("Given", NewTask, Task)


def changed(task: Given, **fields: Any) -> Given:
    """A task with some fields of its work, and its own, at other values."""
    work = {name: fields.pop(name) for name in Work.__slots__ if name in fields}
    fields["work"] = replace(task.work, **work)
    return task._replace(**fields) if isinstance(task, NewTask) else replace(task, **fields)


def submit(queue: Queue, *tasks: NewTask, max_queued: int = MANY) -> list[Address]:
    """Store tasks; their addresses."""
    return [address for address, _ in queue.submit(tasks, owner=OWNER, max_queued=max_queued)]


def widths(**parallel: int) -> Callable[[str], int | None]:
    """How wide each session is: as configured here, else as the contract says."""
    return lambda session: waiting.width(session, parallel.get(session))


def the_plan(task: Task, past: Past) -> Plan:
    """What every claimed task starts here."""
    return Plan(argv=task.work.argv or (task.work.agent or "", task.work.prompt or ""), conversation=past.conversation)


def pick(queue: Queue, *, parallel: Callable[[str], int | None], ageing_ms: int | None = None) -> order.Head | None:
    """What a supervisor would claim next: the same by what it has kept of its looks before and by a look at all."""
    heads = KEPT.setdefault(queue, queue.heads())
    for _ in range(MOST_LOOKS):
        anew = order.pick(queue.snapshot(), now=queue.now, ageing_ms=ageing_ms, parallel=parallel)
        kept = heads.pick(now=queue.now, jobs=MANY, ageing_ms=ageing_ms, parallel=parallel)
        if kept == anew:  # else another process may have claimed something between the two
            return kept
    raise AssertionError(f"{kept} is kept, and a look finds {anew}")


def claim(
    queue: Queue,
    head: order.Head,
    *,
    jobs: int = MANY,
    parallel: Callable[[str], int | None] | None = None,
    supervisor: Identity = SUPERVISOR,
    planner: Planner = the_plan,
    **more: Any,
) -> Claim | None:
    """Try to take a task."""
    candidate = queue.candidate(head, Pool((parallel or widths())(head.session)))
    if candidate is None:
        return None
    plan = planner(candidate.task, candidate.past)
    return queue.claim(
        candidate, plan, supervisor=supervisor, jobs=jobs, parallel=parallel or widths(), host="here", **more
    )


class Undone(Exception):
    """Makes a turn come to nothing."""


def turn(
    queue: Queue,
    session: str,
    ends: Mapping[RunId, RunStatus],
    *,
    undone: bool = False,
    ageing_ms: int | None = None,
    parallel: Callable[[str], int | None] | None = None,
) -> tuple[list[RunId], order.Head | None]:
    """End runs of a session and claim what comes next there, in one commit: the claims, and the head that is left, of
    another session or None. `undone`: nothing of that is kept."""
    heads, width, claims = KEPT.setdefault(queue, queue.heads()), parallel or widths(), list[RunId]()
    outcomes = {run: outcome(queue, status) for run, status in ends.items()}
    try:
        with queue.turn(session, outcomes, actor=Actor.SUPERVISOR, background=True) as made:
            for run in ends:
                with made.step():
                    assert made.finish(run) is not None
            while True:
                how: dict[str, Any] = {"jobs": MANY, "parallel": width}
                head = heads.pick(now=made.now, ageing_ms=ageing_ms, turn=made, **how)
                if head is None or head.session != session:
                    break
                heads.doubt(session)
                with made.step():
                    candidate = made.candidate(head, Pool(width(session)))
                    assert candidate is not None
                    plan = the_plan(candidate.task, candidate.past)
                    claimed = made.claim(candidate, plan, supervisor=SUPERVISOR, host="here", **how)
                assert claimed is not None, "what was picked in a turn can be claimed in it"
                claims.append(claimed.run)
            if undone:
                raise Undone
    except Undone:
        heads.forget()
    return claims, head


def claim_next(
    queue: Queue, *, ageing_ms: int | None = None, parallel: Callable[[str], int | None] | None = None, **options: Any
) -> Claim | None:
    """Take the next task as a supervisor does; None where none may start."""
    head = pick(queue, parallel=parallel or widths(), ageing_ms=ageing_ms)
    if head is None:
        return None
    KEPT[queue].doubt(head.session)
    return claim(queue, head, parallel=parallel, **options)


def head_of(queue: Queue, address: Address) -> order.Head:
    """A pick of exactly this task, whatever the queue would pick."""
    task = queue.task(address)
    return order.Head(
        session=task.session,
        seq=task.seq,
        agent=task.work.agent or "",
        priority=task.work.priority,
        due_at=task.due_at,
        expires_at=task.work.expires_at,
        retry=task.attempts > 0,
        shares=task.work.in_line,
        last_start_at=0,
        conversation_key=task.conversation_key or "",
    )


def start(queue: Queue, address: Address, **options: Any) -> RunId:
    """Take exactly this task."""
    claimed = claim(queue, head_of(queue, address), **options)
    assert claimed is not None, f"{address} could not be claimed"
    return claimed.run


def started(queue: Queue, **options: Any) -> list[str]:
    """Take tasks until none may start; their addresses in the order of their starts."""
    found = []
    while (claimed := claim_next(queue, **options)) is not None:
        found.append(str(claimed.task.address))
    return found


def outcome(queue: Queue, status: RunStatus = RunStatus.SUCCESS, **fields: Any) -> Outcome:
    """How a run ended."""
    exit_code = {RunStatus.SUCCESS: 0, RunStatus.ERROR: 1}.get(status)
    values: dict[str, Any] = {"finished_at": queue.now, "duration_ms": 5, "exit_code": exit_code}
    return Outcome(status, **(values | fields))


def finish(queue: Queue, run: RunId, status: RunStatus = RunStatus.SUCCESS, **fields: Any) -> Task | None:
    """Record how a run ended."""
    return queue.finish(run, outcome(queue, status, **fields), actor=Actor.SUPERVISOR)


def ended(queue: Queue, address: Address, status: RunStatus = RunStatus.SUCCESS) -> Task:
    """Run a task to its end."""
    task = finish(queue, start(queue, address), status)
    assert task is not None
    return task


def swept(queue: Queue, *, rebuild: bool = False) -> None:
    """What a sweep does at first; with `rebuild` everything is made anew that can be made from something else."""
    list(queue.upkeep.begin(lambda *_: None, host="here", rebuild=rebuild))


def only_worker(queue: Queue) -> Worker:
    """The one live run."""
    (worker,) = queue.workers()
    return worker


def edited(**fields: Any) -> Callable[[Task], Task]:
    """An edit of these fields."""
    return lambda task: changed(task, **fields)


# Several processes


def together(engine: Engine, actions: Sequence[Sequence[str]], clock: int = NOON) -> list[Any]:
    """Run each action as a process of its own, all let loose at one moment; what each returned."""
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, type(engine).__name__.lower(), engine.where, str(clock), *action],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        for action in actions
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        found = []
        for process in processes:
            out, err = process.communicate(timeout=100)
            assert process.returncode == 0, err
            assert err == ""
            found.append(json.loads(out))
        return found
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _environment() -> Mapping[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT}/tests", "PYTHONWARNINGS": "error"}


def _claims(engine: Engine, clock: Clock, times: str) -> Any:
    """Claim so many times, as a supervisor does: busy is no answer, it asks again."""
    with engine.open(clock) as queue:
        _wait_for_the_others()
        runs: list[str] = []
        answers = busy = 0
        while answers < int(times):
            try:
                claimed = claim_next(queue)
            except Busy:
                busy += 1
                continue
            answers += 1
            if claimed is not None:
                runs.append(str(claimed.run))
        return {"runs": runs, "busy": busy}


def _submits(engine: Engine, clock: Clock, session: str, times: str) -> Any:
    with engine.open(clock) as queue:
        _wait_for_the_others()
        return [submit(queue, command(session))[0].seq for _ in range(int(times))]


def _keyed(engine: Engine, clock: Clock, session: str, key: str, threads: str) -> Any:
    """Submit the same key from so many threads at once, each with a queue of its own."""

    def one(_: int) -> tuple[str, bool]:
        with engine.open(clock) as queue:
            ((address, new),) = queue.submit([command(session, key=key)], owner=OWNER, max_queued=MANY)
            return str(address), new

    engine.open(clock).close()
    _wait_for_the_others()
    with ThreadPoolExecutor(int(threads)) as pool:
        return list(pool.map(one, range(int(threads))))


def _finishes(engine: Engine, clock: Clock, run: str, status: str) -> Any:
    """Finish a run; whether it was this process that did."""
    session, _, rest = run.partition("/")
    seq, _, attempt = rest.partition(".")
    with engine.open(clock) as queue:
        _wait_for_the_others()
        return finish(queue, RunId(session, int(seq), int(attempt)), RunStatus(status)) is not None


def _adopts(engine: Engine, clock: Clock, pid: str) -> Any:
    """Adopt the one live run; whether it was this process that did."""
    with engine.open(clock) as queue:
        worker = only_worker(queue)
        _wait_for_the_others()
        while True:
            try:
                return queue.adopt(worker, Identity(int(pid), 1, "boot"))
            except Busy:
                continue


def _wait_for_the_others() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


ACTIONS: Mapping[str, Callable[..., Any]] = {
    "claims": _claims,
    "submits": _submits,
    "keyed": _keyed,
    "finishes": _finishes,
    "adopts": _adopts,
}

if __name__ == "__main__":
    kind, where, moment, name, *arguments = sys.argv[1:]
    sys.stdout.write(json.dumps(ACTIONS[name](ENGINES[kind](where), Clock(int(moment)), *arguments)))
