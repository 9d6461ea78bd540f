"""The run protocol of agentq-protocol(7) as a state machine: what each process does in one step, and what may happen to
it.

A step is what no other process can divide: one commit, one record put in place, one look at a record, one signal.
Whoever is slow is one that does nothing for a while. Each rule of the protocol is a field of `Rules`; without it the
machine does the obvious other thing, and `wrong` says what came of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")

VOID = (-1, 0)
QUEUED, RUNNING, DONE, GIVEN_UP = "queued", "running", "done", "given up"


class Rules(NamedTuple):
    """What the protocol demands; see the page for the reasons."""

    first_start_wins: bool = True
    start_is_durable_before_the_agent: bool = True
    named_before_the_start: bool = True
    unnamed_after_the_exit: bool = True
    unlocked_after_the_exit: bool = True
    exit_is_durable_before_unnamed: bool = True
    tree_is_gone_before_the_exit: bool = True
    keeps_is_asked_before_the_exit: bool = True
    void_before_undo: bool = True
    tree_first: bool = True
    looks_for_what_becomes_the_agent: bool = True
    looks_for_that_first: bool = True
    fenced: bool = True
    numbered_names: bool = True
    stopped_before_killed: bool = True
    served_or_refused: bool = True
    no_copy_of_a_line: bool = True


class Scene(NamedTuple):
    """What is there, and what may happen: each of `faults` at any time, `budget` times in all."""

    tasks: int = 1
    attempts: int = 2
    jobs: int = 1
    supervisors: int = 1
    faults: frozenset[str] = frozenset()
    budget: int = 0
    idles: int = 0
    """How many keepers may end because they were idle."""
    foreign: bool = False
    """Whether the second supervisor is in another PID namespace."""
    killers: int = 0
    """How many processes kill the first run: its host has lost it."""


class Sent(NamedTuple):
    """A request for a run on its way, with the write end of a line attached."""

    run: int
    line: int


class Task(NamedTuple):
    status: str = QUEUED
    attempt: int = 0


class Run(NamedTuple):
    """The records of a run, its agent, and what really happened to it (`begun` and so on), which nobody reads.

    `agent` is "vfork" between vfork and exec: it has the keeper's name and descriptors, `line` among them, and not yet
    the marker."""

    start: tuple[int, int] | None = None
    start_synced: bool = False
    exit: bool = False
    exit_synced: bool = False
    agent: str = ""
    line: Sent | None = None
    begun: int = 0
    ended: bool = False
    over: bool = False
    bereft: bool = False


class Keeper(NamedTuple):
    """`name` 0 is `agentq-idle`; `ready` is what its launcher knows."""

    launcher: int
    inbox: Sent | None = None
    alive: bool = True
    stopped: bool = False
    at: str = "idle"
    serves: int = 0
    name: int = 0
    line: Sent | None = None
    locks: int | None = None
    ready: bool = False
    last: bool = False


class Launcher(NamedTuple):
    queue: tuple[Sent, ...] = ()
    alive: bool = True
    kept: tuple[Sent, ...] = ()


class Supervisor(NamedTuple):
    """`watch` is what it is about to do about each run; `launcher` is -1 before it needs one."""

    watch: tuple[tuple, ...]
    alive: bool = True
    launcher: int = -1


class World(NamedTuple):
    tasks: tuple[Task, ...]
    runs: tuple[Run, ...]
    supervisors: tuple[Supervisor, ...]
    launchers: tuple[Launcher, ...]
    keepers: tuple[Keeper, ...] = ()
    killer: tuple = ()
    budget: int = 0
    idles: int = 0
    killers: int = 0
    lapsed: bool = False
    wrong: str = ""

    @property
    def attempts(self) -> int:
        """How many runs a task may have."""
        return len(self.runs) // len(self.tasks)


Step = tuple[str, World]

GONE = Keeper(-1, alive=False, at="gone")
ENDED = Launcher(alive=False)


def beginning(scene: Scene) -> World:
    """All tasks queued."""
    nothing: tuple[tuple, ...] = ((),) * (scene.tasks * scene.attempts)
    return World(
        tasks=(Task(),) * scene.tasks,
        runs=(Run(),) * (scene.tasks * scene.attempts),
        supervisors=(Supervisor(nothing),) * scene.supervisors,
        launchers=(),
        budget=scene.budget,
        idles=scene.idles,
        killers=scene.killers,
    )


def is_done(world: World) -> bool:
    """Whether nothing is left to be done and no agent is left."""
    return all(task.status in (DONE, GIVEN_UP) for task in world.tasks) and not any(run.agent for run in world.runs)


def wrong(world: World, scene: Scene) -> str:
    """What is wrong with a state, "" if nothing is."""
    if world.wrong:
        return world.wrong
    for number, run in enumerate(world.runs):
        if run.begun > 1:
            return f"run {number} began twice"
        if run.agent == "runs" and not is_live(world, number):
            return f"the agent of run {number} runs beside its end or a retry"
        if run.start == VOID and not scene.faults:
            return f"run {number} is void and nothing had happened"
    return ""


def steps(world: World, scene: Scene, rules: Rules) -> Iterator[Step]:
    """Everything that may come next, but for faults."""
    for number, supervisor in enumerate(world.supervisors):
        yield from _supervise(world, number, supervisor, scene, rules)
    for number, launcher in enumerate(world.launchers):
        if launcher.alive:
            yield from _launch(world, number, launcher, rules)
    for number, keeper in enumerate(world.keepers):
        if keeper.alive and not keeper.stopped:
            yield from _keep(world, number, keeper, scene, rules)
    for number, run in enumerate(world.runs):
        if run.agent:
            yield from _agent(world, number, run)
    if scene.killers:
        yield from _kill(world, rules)


def faults(world: World, scene: Scene) -> Iterator[Step]:
    """Everything that may happen to somebody."""
    if not world.budget:
        return
    world = world._replace(budget=world.budget - 1)
    if "supervisor" in scene.faults:
        for number, supervisor in enumerate(world.supervisors):
            if supervisor.alive:
                dead = Supervisor(((),) * len(world.runs), alive=False)
                yield f"supervisor {number} is killed", _put(world, "supervisors", number, dead)
    if "lapse" in scene.faults and not world.lapsed:
        yield "supervisor 0 is late", world._replace(lapsed=True)
    if "launcher" in scene.faults:
        for number, launcher in enumerate(world.launchers):
            if launcher.alive:
                yield f"launcher {number} is killed", _put(world, "launchers", number, ENDED)
    if "timeout" in scene.faults:
        for number, supervisor in enumerate(world.supervisors):
            for run, watch in enumerate(supervisor.watch):
                if watch == ("sent", 0):
                    yield f"supervisor {number} loses patience", _send(_relaunch(world, number), number, run, 1)
    if "keeper" in scene.faults:
        for number, keeper in enumerate(world.keepers):
            if keeper.alive:
                yield f"keeper {number} is killed", _bereave(world, number)
    if "killer" in scene.faults and world.killer:
        yield "the killer is killed", world._replace(killer=())
    if "power" in scene.faults:
        for number, after in enumerate(_without_power(world)):
            yield f"the power fails ({number})", after


def _put(world: World, kind: str, number: int, item: object) -> World:
    items = getattr(world, kind)
    return world._replace(**{kind: (*items[:number], item, *items[number + 1 :])})


def _change(world: World, kind: str, number: int, **changes: object) -> World:
    return _put(world, kind, number, getattr(world, kind)[number]._replace(**changes))


def _wrong(world: World, what: str) -> World:
    return world._replace(wrong=world.wrong or what)


# The supervisor, which stands for a sweep too

AT_ONCE = (("claimed",), ("start",), ("keeps",), ("gone",), ("ended",), ("absent",))
"""What it goes on with before it does anything about another run: it has one thread."""


def _supervise(world: World, own: int, supervisor: Supervisor, scene: Scene, rules: Rules) -> Iterator[Step]:
    me = f"supervisor {own}"
    if not supervisor.alive:
        yield f"{me} comes again", _change(world, "supervisors", own, alive=True)
        return
    busy = [number for number, watch in enumerate(supervisor.watch) if watch[:1] in AT_ONCE]
    for number in busy or range(len(world.runs)):
        if watch := supervisor.watch[number]:
            for label, after in _about(world, own, number, watch, scene, rules):
                yield f"{me} {label} {number}", after
        elif _may_adopt(world, number):
            yield f"{me} adopts {number}", _watch(world, own, number, "look")
    if own == 0 and not busy and sum(task.status is RUNNING for task in world.tasks) < scene.jobs:
        for number, task in enumerate(world.tasks):
            if task.status is QUEUED:
                claimed = Task(RUNNING, task.attempt + 1)
                run = number * scene.attempts + task.attempt
                after = _put(world, "tasks", number, claimed)
                yield f"{me} claims {run}", _watch(after, own, run, "claimed")
                break


def _may_adopt(world: World, run: int) -> bool:
    """Whether a run is live and nobody watches it, or somebody does who is late."""
    watched = any(each.watch[run] for each in world.supervisors)
    return is_live(world, run) and (world.lapsed or not watched)


def is_live(world: World, run: int) -> bool:
    """Whether a task's row says that this run is running."""
    task = world.tasks[run // world.attempts]
    return task.status is RUNNING and run % world.attempts == task.attempt - 1


def _watch(world: World, own: int, run: int, *state: object) -> World:
    supervisor = world.supervisors[own]
    watch = (*supervisor.watch[:run], state, *supervisor.watch[run + 1 :])
    return _put(world, "supervisors", own, supervisor._replace(watch=watch))


def _send(world: World, own: int, run: int, line: int) -> World:
    launcher = world.supervisors[own].launcher
    queue = (*world.launchers[launcher].queue, Sent(run, line))
    return _watch(_change(world, "launchers", launcher, queue=queue), own, run, "sent", line)


def _relaunch(world: World, own: int) -> World:
    """With a new launcher, in the place of one of which nothing is left."""
    used = {each.launcher for each in (*world.supervisors, *world.keepers)}
    free = (place for place, each in enumerate(world.launchers) if each == ENDED and place not in used)
    place = next(free, len(world.launchers))
    return _change(_put(world, "launchers", place, Launcher()), "supervisors", own, launcher=place)


def _has_launcher(world: World, own: int) -> bool:
    launcher = world.supervisors[own].launcher
    return launcher >= 0 and world.launchers[launcher].alive


def _is_held(world: World, line: Sent) -> bool:
    """Whether anybody has the write end of a line."""
    return (
        any(line in launcher.queue or line in launcher.kept for launcher in world.launchers if launcher.alive)
        or any(line in (keeper.inbox, keeper.line) for keeper in world.keepers if keeper.alive)
        or any(run.agent == "vfork" and run.line == line for run in world.runs)
    )


def _keeps(world: World, own: int, run: int, start: tuple[int, int], scene: Scene, rules: Rules) -> bool:
    keeper = world.keepers[start[0]]
    if scene.foreign and own == 1:
        return keeper.alive and keeper.locks == run
    return keeper.alive and (keeper.name == start[1] if rules.numbered_names else keeper.name > 0)


def _about(world: World, own: int, run: int, watch: tuple, scene: Scene, rules: Rules) -> Iterator[Step]:
    """What a supervisor does next about a run: `watch` says how far it is, and what it has read."""
    now, *read = watch
    record = world.runs[run]
    if now == "claimed":
        after = world if _has_launcher(world, own) else _relaunch(world, own)
        yield "asks for", _send(after, own, run, 0)
    elif now == "sent":
        if read == [0] and not _has_launcher(world, own):
            yield "asks again for", _send(_relaunch(world, own), own, run, 1)
        if not _is_held(world, Sent(run, read[0])):
            yield "sees the end of the line of", _watch(world, own, run, *_first(record, rules))
    elif now == "look":
        yield "looks at", _watch(world, own, run, *_first(record, rules))
    elif now == "start":  # with the exit record as it was
        state = _by_start(record.start)
        yield "reads start of", _watch(world, own, run, *state, *(read if state[0] == "keeps" else ()))
    elif now == "keeps":
        if _keeps(world, own, run, read[0], scene, rules):
            yield "sees who keeps", _watch(world, own, run, "look")
        elif len(read) > 1:
            yield "sees nobody keep", _watch(world, own, run, "ended" if read[1] else "crashed")
        else:
            yield "sees nobody keep", _watch(world, own, run, "gone")
    elif now == "gone" and not record.exit:
        yield "finds no exit of", _watch(world, own, run, "crashed")
    elif now in ("gone", "ended") or (now == "absent" and record.exit):
        yield "finishes", _watch(_finish(world, run, rules, ok=True), own, run)
    elif now == "absent":
        if record.start == VOID or not rules.void_before_undo:
            yield "undoes", _watch(_undo(world, run, rules), own, run)
        elif record.start is None:
            void = record._replace(start=VOID, start_synced=True)
            yield "makes void", _watch(_put(world, "runs", run, void), own, run, "absent")
        else:
            yield "is too late to make void", _watch(world, own, run, "keeps", record.start)
    elif now in ("crashed", "seen"):
        yield from _bury(world, own, run, now, scene, rules)


def _first(record: Run, rules: Rules) -> tuple:
    """What follows on the first look at a record."""
    return _by_start(record.start) if rules.keeps_is_asked_before_the_exit else ("start", record.exit)


def _by_start(start: tuple[int, int] | None) -> tuple:
    return ("absent",) if start is None or start == VOID else ("keeps", start)


def _bury(world: World, own: int, run: int, now: str, scene: Scene, rules: Rules) -> Iterator[Step]:
    """End the tree of a run that nobody keeps, in two looks, then finish it as crashed."""
    record = world.runs[run]
    if scene.foreign and own == 1 and rules.tree_first:
        # It sees none of the processes, but whether one of them has an output open.
        if not record.agent:
            yield "finishes as crashed", _watch(_finish(world, run, rules, ok=False), own, run)
        return
    looks = ["vfork", "runs"] if rules.looks_for_that_first else ["runs", "vfork"]
    looking = looks[0 if now == "crashed" else 1]
    blind = looking == "vfork" and not rules.looks_for_what_becomes_the_agent
    after = world
    if record.agent == looking and not blind and rules.tree_first:
        after = _change(world, "runs", run, agent="", line=None)
    if now == "crashed":
        yield f"ends what {looking} of", _watch(after, own, run, "seen")
    else:
        yield f"ends what {looking}, and finishes as crashed", _watch(_finish(after, run, rules, ok=False), own, run)


def _undo(world: World, run: int, rules: Rules) -> World:
    if rules.fenced and not is_live(world, run):
        return world
    if world.runs[run].begun:
        world = _wrong(world, f"run {run} is undone and had begun")
    task = world.tasks[run // world.attempts]
    status = QUEUED if task.attempt < world.attempts else GIVEN_UP
    return _change(world, "tasks", run // world.attempts, status=status)


def _finish(world: World, run: int, rules: Rules, *, ok: bool) -> World:
    if rules.fenced and not is_live(world, run):
        return world
    record = world.runs[run]
    task = world.tasks[run // world.attempts]
    if not is_live(world, run):
        world = _wrong(world, f"run {run} is finished after it had been")
    if ok and not record.ended:
        world = _wrong(world, f"an end of run {run} is invented")
    if not ok and record.over:
        world = _wrong(world, f"the end of run {run} is lost")
    if not ok and not record.bereft:
        world = _wrong(world, f"a crash of run {run} is invented")
    status = DONE if ok or task.attempt == world.attempts else QUEUED
    return _change(world, "tasks", run // world.attempts, status=status)


# The launcher


def _launch(world: World, own: int, launcher: Launcher, rules: Rules) -> Iterator[Step]:
    if not launcher.queue:
        if not any(each.launcher == own for each in world.supervisors):
            yield f"launcher {own} ends", _put(world, "launchers", own, ENDED)
        return
    sent, *rest = launcher.queue
    kept = () if rules.no_copy_of_a_line else (*launcher.kept, sent)
    given = _change(world, "launchers", own, queue=tuple(rest), kept=kept)
    for number, keeper in enumerate(world.keepers):
        if keeper.ready and keeper.launcher == own:
            if keeper.at in ("shut", "dead"):
                after = GONE if keeper.at == "dead" else keeper._replace(ready=False)
                yield f"launcher {own} misses keeper {number}", _put(world, "keepers", number, after)
            else:
                after = _change(given, "keepers", number, ready=False, inbox=sent)
                yield f"launcher {own} gives {sent.run} to keeper {number}", after
            return
    place = _free(world)
    yield f"launcher {own} forks keeper {place} for {sent.run}", _put(given, "keepers", place, Keeper(own, sent))


def _free(world: World) -> int:
    """The place of a keeper that is gone and that nobody has in mind; an identity is never used again."""
    named = {run.start[0] for run in world.runs if run.start is not None}
    named |= {watch[1][0] for each in world.supervisors for watch in each.watch if watch[:1] == ("keeps",)}
    named |= {world.killer[1][0]} if world.killer else set()
    free = (place for place, each in enumerate(world.keepers) if each == GONE and place not in named)
    return next(free, len(world.keepers))


# The keeper


def _keep(world: World, own: int, keeper: Keeper, scene: Scene, rules: Rules) -> Iterator[Step]:
    me = f"keeper {own}"

    def moved(at: str, base: World = world, **changes: object) -> World:
        return _change(base, "keepers", own, at=at, **changes)

    if keeper.at in ("idle", "shut"):
        if keeper.inbox is not None:
            serves = keeper.serves + 1
            name = serves if rules.named_before_the_start else keeper.name
            changes = {"serves": serves, "name": name, "line": keeper.inbox, "inbox": None}
            yield f"{me} receives {keeper.inbox.run}", moved("taking", **changes, last=keeper.at == "shut")
        elif keeper.at == "shut" or not world.launchers[keeper.launcher].alive:
            yield f"{me} ends", _dead(world, own)
        elif keeper.ready and world.idles:
            world = world._replace(idles=world.idles - 1)
            if rules.served_or_refused:
                yield f"{me} is idle for long", moved("shut", world)
            else:
                yield f"{me} is idle for long", moved("deaf", world)
        return
    if keeper.at == "deaf":  # It has looked, and ends whatever comes.
        yield f"{me} ends", _dead(world, own)
        return
    assert keeper.line is not None
    number = keeper.line.run
    run = world.runs[number]

    def recorded(at: str, label: str, *, mine: dict[str, object], **changes: object) -> Step:
        return f"{me} {label} {number}", moved(at, _change(world, "runs", number, **changes), **mine)

    if keeper.at == "taking":
        if run.start is None or not rules.first_start_wins:
            yield recorded("linked", "takes", mine={"locks": number}, start=(own, keeper.serves), start_synced=False)
        else:
            yield f"{me} is refused {number}", moved("served", name=0)
    elif keeper.at == "linked":
        synced = rules.start_is_durable_before_the_agent
        changes = {"start_synced": synced, "agent": "vfork", "line": keeper.line}
        yield recorded("waiting", "syncs start and spawns agent of", mine={"name": keeper.serves}, **changes)
    elif keeper.at == "waiting":
        if not rules.unlocked_after_the_exit and keeper.locks is not None and not run.agent:
            yield f"{me} unlocks {number}", moved("waiting", locks=None)
        elif not rules.unnamed_after_the_exit and keeper.name and not run.agent:
            yield recorded("waiting", "unnames itself for", mine={"name": 0}, over=True)
        elif not run.agent or not rules.tree_is_gone_before_the_exit:
            yield recorded("exited", "writes exit of", mine={}, exit=True)
    elif keeper.at == "exited":
        synced = rules.exit_is_durable_before_unnamed
        if scene.foreign:
            yield recorded("recorded", "syncs exit and unlocks", mine={"locks": None}, exit_synced=synced)
        else:
            changes = {"exit_synced": synced, "over": True}
            yield recorded("served", "syncs exit and unnames itself for", mine={"locks": None, "name": 0}, **changes)
    elif keeper.at == "recorded":
        yield recorded("served", "unnames itself for", mine={"name": 0}, over=True)
    elif keeper.at == "served":
        ready = not keeper.last and world.launchers[keeper.launcher].alive
        changes = {"line": None, "ready": ready}
        yield f"{me} is ready and closes the line of {number}", moved("shut" if keeper.last else "idle", **changes)


def _agent(world: World, number: int, run: Run) -> Iterator[Step]:
    if run.agent == "vfork":
        begun = _change(world, "runs", number, agent="runs", line=None, begun=run.begun + 1)
        yield f"the agent of {number} begins", begun
    else:
        own = run.start is not None and run.start != VOID and world.keepers[run.start[0]].alive
        yield f"the agent of {number} ends", _change(world, "runs", number, agent="", ended=run.ended or own)


# Whoever kills the first run


def _kill(world: World, rules: Rules) -> Iterator[Step]:
    if not world.killer:
        if world.killers and world.runs[0].start not in (None, VOID):
            after = world._replace(killers=world.killers - 1, killer=("asks", world.runs[0].start))
            yield "the killer reads start of 0", after
        return
    now, start = world.killer
    keeper = world.keepers[start[0]]
    keeps = keeper.alive and (keeper.name == start[1] if rules.numbered_names else keeper.name > 0)
    if now == "asks":
        then = ("stops" if rules.stopped_before_killed else "kills", start)
        yield "the killer asks who keeps 0", world._replace(killer=then if keeps else ())
    elif now == "stops":
        after = _change(world, "keepers", start[0], stopped=True) if keeper.alive else world
        yield f"the killer stops keeper {start[0]}", after._replace(killer=("looks", start))
    elif now == "looks" and keeps:
        yield "the killer sees 0 kept still", world._replace(killer=("kills", start))
    elif now == "looks":
        after = _change(world, "keepers", start[0], stopped=False)
        yield f"the killer lets keeper {start[0]} go on", after._replace(killer=())
    elif keeper.alive:
        if keeper.line is not None and keeper.line.run != 0:
            world = _wrong(world, f"keeper {start[0]} is killed for a run that it keeps no more")
        yield f"the killer kills keeper {start[0]}", _bereave(world, start[0])._replace(killer=())
    else:
        yield "the killer finds nobody", world._replace(killer=())


# What may happen to them


def _bereave(world: World, number: int) -> World:
    """The keeper is gone, and with it what it was about to read."""
    keeper = world.keepers[number]
    after = _dead(world, number)
    if keeper.line is not None:
        run = world.runs[keeper.line.run]
        # One that only tried to take it leaves nobody behind.
        if run.start == (number, keeper.serves) and not run.over:
            after = _change(after, "runs", keeper.line.run, bereft=True)
    return after


def _dead(world: World, number: int) -> World:
    """Without a keeper, and what it was about to read; its launcher may still believe it to be ready."""
    keeper = world.keepers[number]
    known = keeper.ready and world.launchers[keeper.launcher].alive
    return _put(
        world, "keepers", number, Keeper(keeper.launcher, alive=False, at="dead", ready=True) if known else GONE
    )


def _without_power(world: World) -> Iterator[World]:
    """All processes are gone, and of the names that were not synced any may be."""
    nothing = ((),) * len(world.runs)
    worlds = [
        world._replace(
            supervisors=(Supervisor(nothing, alive=False),) * len(world.supervisors),
            launchers=(ENDED,) * len(world.launchers),
            killer=(),
        )
    ]
    for number, keeper in enumerate(world.keepers):
        if keeper.alive:
            worlds = [_bereave(each, number) for each in worlds]
    for number, run in enumerate(world.runs):
        run = worlds[0].runs[number]._replace(agent="", line=None)
        starts = [run] if run.start is None or run.start_synced else [run, run._replace(start=None)]
        after = [
            each
            for start in starts
            for each in ([start] if not run.exit or run.exit_synced else [start, start._replace(exit=False)])
        ]
        worlds = [_put(each, "runs", number, then) for each in worlds for then in after]
    yield from worlds
