"""What is interrupted: a state to begin with, the processes that act on it, and what may come of it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crash_repository import make_repository, make_trunk
from crash_world import CHECK, DEADLINE, EFFECT, GATED, GATED_CHECK, QUICK, Done, Started, World, until
from invariants import ENDED, Expected, reading, rows

Crash = Mapping[str, Any]
HARMED = frozenset({"completed", "failed"})


@dataclass(frozen=True)
class Scenario:
    """`act` does what is to be interrupted, with the hook told `crash`, and returns how the command ended.

    `expected` says what may have come of it, given the role that was killed and how the command ended. `after` goes
    before the recovery that is the same for all.
    """

    name: str
    roles: tuple[str, ...]
    prepare: Callable[[World], None]
    act: Callable[[World, Crash], Done]
    expected: Callable[[str, Done], Expected] = lambda role, done: Expected()
    after: Callable[[World], None] = lambda world: None


def harm(role: str, done: Done) -> Expected:
    """Killing a keeper may fail its run; nothing else may."""
    if role == "shim":
        return Expected(HARMED, strict=False)
    return Expected()


def recover(world: World, variant: int, *, strict: bool, seconds: float = DEADLINE) -> list[str]:
    """Sweep and run in either order, until all is done; what went wrong, a step of more than `seconds` included."""
    world.open_gate()
    steps: list[tuple[str, ...]] = [("sweep", "--no-wake"), ("run", "--drain", "-j", "2")]
    trouble = []
    for step in steps if variant % 2 else [*reversed(steps)]:
        trouble += _step(world, step, strict, seconds)
    while not trouble and world.state.exists() and live(world):
        before = live(world)
        trouble += _step(world, steps[1], strict, seconds) + _step(world, steps[0], strict, seconds)
        if live(world) >= before:
            trouble.append(f"{before} tasks are still live")
    try:
        world.settled()
    except TimeoutError as error:
        trouble.append(str(error))
    return trouble


def _step(world: World, argv: tuple[str, ...], strict: bool, seconds: float) -> list[str]:
    try:
        done = world.agentq(*argv, seconds=seconds)
    except TimeoutError:
        return [f"{' '.join(argv)} hangs"]
    fine = (0,) if strict or argv[0] == "sweep" else (0, 1)
    return [] if done.code in fine else [f"{' '.join(argv)} ended with {done.code}: {done.err} {done.out}"]


def live(world: World) -> int:
    """How many tasks are due and have not ended."""
    index = world.state / "agentq.db"
    query = f"SELECT count(*) AS live FROM tasks WHERE ended_at IS NULL AND due_at <= {time.time_ns() // 1_000_000}"
    found = rows(index, query) if index.exists() else []
    return int(found[0]["live"]) if found else 0


def nothing(world: World) -> None:
    """No state dir yet."""


def completed_task(world: World) -> None:
    world.submit("-s", "s")
    world.ok("run", "--drain")


def queued_task(world: World) -> None:
    completed_task(world)
    world.submit("-s", "s")


# Commands


def submit(*options: str) -> Callable[[World, Crash], Done]:
    def act(world: World, crash: Crash) -> Done:
        argv = ("submit", "-C", "/", *options, "--exec", "--", "sh", "-c", QUICK)
        return world.agentq(*argv, crash=dict(crash))

    return act


def printed(role: str, done: Done) -> Expected:
    """Whole or absent, and not absent once the address is out."""
    return Expected(printed=done.addresses)


BATCH = ("a", "b", "c", "a", "b")


def submit_batch(world: World, crash: Crash) -> Done:
    lines = [{"session": name, "cwd": "/", "exec": ["sh", "-c", QUICK]} for name in BATCH]
    lines[0] |= {"after": ["@last"]}
    lines[-1] |= {"ref": "last"}
    path = world.root / "batch.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return world.agentq("submit", "--batch", str(path), crash=dict(crash))


def command(*argv: str) -> Callable[[World, Crash], Done]:
    return lambda world, crash: world.agentq(*argv, crash=dict(crash))


def printed_batch(role: str, done: Done) -> Expected:
    """All of it or nothing."""
    names = done.addresses
    return Expected(printed=names, counts=frozenset({len(BATCH)} if names else {0, len(BATCH)}))


def cancelled_or_done(role: str, done: Done) -> Expected:
    """Cancelled where the command said so; otherwise it may also have run."""
    return Expected(of={"s/2": frozenset({"cancelled"} if done.code == 0 else {"cancelled", "completed"})})


def two_queued(world: World) -> None:
    """Two tasks that wait in one session, and one in another."""
    queued_task(world)
    world.submit("-s", "s")
    world.submit("-s", "t")


def all_cancelled_or_done(role: str, done: Done) -> Expected:
    """The same of each."""
    ends = frozenset({"cancelled"} if done.code == 0 else {"cancelled", "completed"})
    return Expected(of=dict.fromkeys(("s/2", "s/3", "t/1"), ends))


def ended_task(world: World) -> None:
    completed_task(world)
    world.submit("-s", "s", script="exit 3")
    assert world.agentq("run", "--drain").code == 1


# Supervision


def three_tasks(world: World) -> None:
    for options in (("-s", "s"), ("-s", "s"), ()):
        world.submit(*options)


HOOK = """
[hooks]
task.finished = ["sh", "-c", 'told=$(cat); printf "%s\\n" "$told" >> "$AGENTQ_STATE_DIR/../told"']
"""


def hooked(world: World) -> None:
    """A task that is cancelled and a hook that is still to be told of that, and one to run.

    Hooks have been looked for before: else a copy of their configuration, which is younger, would call none.
    """
    config = world.root / "home" / ".config" / "agentq" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(HOOK)
    world.submit("-s", "s")
    world.ok("sweep", "--no-wake")
    world.ok("cancel", "s/1")
    world.submit("-s", "s")


def told(role: str, done: Done) -> Expected:
    return Expected(of={"s/1": frozenset({"cancelled"})})


def drain(world: World, crash: Crash) -> Done:
    return world.agentq("run", "--drain", "-j", "2", crash=dict(crash))


def drain_in_turn(world: World, crash: Crash) -> Done:
    """One task after the other, all with the same keeper if nobody is killed."""
    return world.agentq("run", "--drain", "-j", "1", crash=dict(crash))


def prompts(world: World) -> None:
    for words in ("say 3 lines", "recall"):
        world.ok("submit", "-C", "/", "-s", "talk", "--retries", "0", "--agent", "demo", words)


def pool(world: World) -> None:
    """Tasks of a session that keeps two conversations: in any, in a named one, in that of another task."""
    config = world.root / "home" / ".config" / "agentq" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[sessions.pool]\nparallel = 2\n")
    for options in ((), ("--conversation", "a"), ("--after-any", "pool/1"), ()):
        world.ok("submit", "-C", "/", "-s", "pool", "--retries", "0", "--agent", "demo", *options, "say 1 lines")


def scripted(world: World) -> None:
    """A task with a pre-task script, which notes its own work."""
    script = world.root / "script"
    script.write_text('echo "begin script" >>"$AGENTQ_STATE_DIR/../scripts"; echo \'{"wakeAgent": true}\'\n')
    world.submit("-s", "s", "--script", str(script))


def checked(world: World) -> None:
    """A task whose check notes its own work."""
    world.submit("-s", "s", "--check", CHECK)


def check_unwatched(world: World) -> None:
    """A run whose supervisor and keeper were killed during its check, which waits at the gate."""
    world.submit("-s", "s", "--check", GATED_CHECK)
    supervisor = world.start("run", "--drain")
    until(lambda: "check s/1.1" in world.checks(), "the check of s/1.1")
    supervisor.kill()
    world.kill_run("s/1.1")
    world.settled()


def check_again(world: World, crash: Crash) -> Done:
    """A sweep, and what it started: the check waits at the gate again, or nothing is left."""
    done = world.agentq("sweep", "--no-wake", crash=dict(crash))
    until(lambda: len(world.checks()) > 1 or not list(world.processes()), "the second check of s/1.1, or its end")
    return done


def in_tree(*options: str, wait: str = "") -> Callable[[World], None]:
    """A task in a tree of a repository of its own, which leaves a file there that is not committed. What it is told
    has paths in it, so it is submitted where it runs and not in the template of a scenario."""

    def submit(world: World) -> None:
        make_repository(world)
        script = f'echo "$AGENTQ_RUN" >>work && {EFFECT.format(wait=wait)}'
        setup = 'cd "$AGENTQ_STATE_DIR/.." && echo "$AGENTQ_RUN" >>setups'
        given = ("-s", "s", "-C", str(world.root / "repository"), "--worktree", "--setup", setup)
        world.submit(*given, *options, script=script)

    return submit


def drain_tree(world: World, crash: Crash) -> Done:
    in_tree("--check", f'grep -qx "$AGENTQ_RUN" work && {CHECK}')(world)
    return drain(world, crash)


def land_tree(world: World, crash: Crash) -> Done:
    """A run that lands on a branch that has moved since it began, so that it is checked again on the way."""
    make_repository(world)
    make_trunk(world)
    work = 'echo "$AGENTQ_RUN" >>work && git add work && git commit -qm "$AGENTQ_RUN"'
    passed = 'git rev-parse "HEAD^{tree}" >>"$AGENTQ_STATE_DIR/../passed"'
    given = ("-s", "s", "-C", str(world.root / "repository"), "--worktree", "--base", "HEAD", "--land", "trunk")
    world.submit(
        *given, "--check", f"test -e work && {passed} && {CHECK}", script=f"{work} && {EFFECT.format(wait='')}"
    )
    return drain(world, crash)


def close_tree(world: World, crash: Crash) -> Done:
    """A sweep, and what it started, after supervisor, keeper and agent of a run in a tree were killed."""
    in_tree(wait="{ [ -e opened ] || read line <gate; } &&")(world)
    gated_run(world).kill()
    world.kill_run("s/1.1")
    world.settled()
    done = world.agentq("sweep", "--no-wake", crash=dict(crash))
    world.settled()
    return done


def series(world: World) -> None:
    """A schedule whose first occurrence has been due for half an hour."""
    earlier = datetime.now(UTC) - timedelta(minutes=90)
    argv = ("schedule", "-C", "/", "-s", "s", "--every", "1h", "--exec", "--", "sh", "-c", QUICK)
    done = world.start(*argv, env={"AGENTQ_NOW": earlier.isoformat()}).wait()
    assert done.code == 0, done


def rearmed(role: str, done: Done) -> Expected:
    """One occurrence is done and exactly one waits for its time."""
    return Expected(frozenset({"queued"}), of={"s/1": frozenset({"completed"})}, counts=frozenset({2}))


def asking(world: World) -> None:
    """An agent that has asked for two tasks and for a pause that is refused, as there is no such task."""
    world.ok("submit", "-C", "/", "-s", "talk", "--agent", "demo", "say 1 lines")
    world.ok("run", "--drain")
    with reading(world.state / "sessions/talk/outbound.db") as outbound:
        for name, asked in (
            ("first", {"action": "schedule_task", "prompt": "say 2 lines"}),
            ("second", {"action": "schedule_task", "prompt": "recall"}),
            ("third", {"action": "pause_task", "task": "talk/9"}),
        ):
            row = (name, "system", json.dumps(asked), 0)
            outbound.execute("INSERT INTO messages_out VALUES (?, ?, ?, ?)", row)
        outbound.commit()


FAILS_ONCE = QUICK + "; [ -e again ] || { : >again; exit 1; }"
FAILS = QUICK + "; [ -e mended ]"


def retried(world: World) -> None:
    """A task whose first attempt fails and whose second is due at once."""
    world.submit("-s", "s", "--retries", "1", "--backoff", "1ms", script=FAILS_ONCE)
    world.submit("-s", "s")


def depending(world: World) -> None:
    """A task that fails, and what waits for it: in its session and in others, directly and not."""
    world.submit("-s", "s", script=FAILS)
    world.submit("-s", "s", "--after", "s/1")
    world.submit("-s", "t", "--after", "s/1")
    world.submit("-s", "u", "--after", "t/1")
    world.submit("-s", "u", "--after-failure", "s/1")
    world.submit("-s", "t", "--after-any", "u/1", "--after", "u/2")


DEPENDED = {
    **dict.fromkeys(("s/2", "t/1", "u/1"), frozenset({"cancelled"})),
    **dict.fromkeys(("u/2", "t/2"), frozenset({"completed"})),
    "s/1": frozenset({"failed"}),
}


def depended(role: str, done: Done) -> Expected:
    """The same end whoever was killed; a keeper that was may also have failed what was to complete."""
    if role == "shim":
        return Expected(frozenset({"completed", "failed", "cancelled"}), strict=False)
    return Expected(of=DEPENDED, counts=frozenset({6}), strict=False)


def failed_with_dependents(world: World) -> None:
    """The same after it all: a retry of the first reopens what it had cancelled."""
    depending(world)
    assert world.agentq("run", "--drain").code == 1
    # From now on it succeeds.
    (world.root / "mended").touch()


def half_told(world: World) -> None:
    """A failure that was recorded, and the process killed before it told the other sessions."""
    depending(world)
    rule = {
        "role": "supervisor",
        "after": "INSERT OR IGNORE INTO unsettled",
        "match": "connect inbound.db",
        "action": "kill",
    }
    assert world.agentq("run", "--drain", crash={"rules": [rule]}).killed
    world.forget()


def gated_run(world: World, crash: Crash | None = None, *options: str) -> Started:
    """A supervisor whose one task has begun and waits at the gate."""
    supervisor = world.start("run", "--drain", *options, crash=None if crash is None else dict(crash))
    until(lambda: world.began("s/1.1"), "the agent of s/1.1")
    return supervisor


def gated_task(world: World) -> None:
    world.submit("-s", "s", "--grace", "2s", script=GATED)


def cancel_watched(world: World, crash: Crash) -> Done:
    """Cancel while a supervisor watches; what is counted begins with the cancel.

    Whoever is killed: a stop that is on record as wanted is carried out, with the agent waiting at a gate that stays
    shut. Raises TimeoutError where nobody does.
    """
    crash = dict(crash) | {"when": str(world.root / "cancelling")}
    supervisor = gated_run(world, crash)
    (world.root / "cancelling").touch()
    done = world.agentq("cancel", "s/1", crash=crash)
    if stop_is_wanted(world):
        world.ok("sweep", "--no-wake")
    else:
        world.open_gate()
    supervisor.wait()
    return done


def stop_is_wanted(world: World) -> bool:
    (task,) = rows(world.state / "sessions/s/inbound.db", "SELECT cancel_requested, status FROM messages_in")
    return bool(task["cancel_requested"]) or task["status"] in ENDED


def cancel_unwatched(world: World, crash: Crash) -> Done:
    """Cancel after the supervisor was killed: the command does it all."""
    gated_run(world).kill()
    return world.agentq("cancel", "s/1", crash=dict(crash))


def cancelled_run(role: str, done: Done) -> Expected:
    cancelled = role != "command" or done.code == 0
    return Expected(frozenset({"cancelled"} if cancelled else {"cancelled", "completed"}), strict=False)


# Sweep


def limited_task(world: World) -> None:
    """One that takes more memory than it may as soon as it runs, and is not tried again."""
    config = world.root / "home/.config/agentq/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[defaults]\nretries = 0\n")
    world.submit("-s", "s", "--grace", "2s", "--memory", "1KiB", script=GATED)


def limit_unwatched(world: World, crash: Crash) -> Done:
    """A sweep after the supervisor was killed finds the limit reached.

    A stop that is on record is carried out, with the agent waiting at a gate that stays shut. Raises TimeoutError
    where nobody does.
    """
    gated_run(world).kill()
    done = world.agentq("sweep", "--no-wake", crash=dict(crash))
    index = rows(world.state / "agentq.db", "SELECT stop FROM workers")
    if world.record("s/1.1", "stop") is not None or any(worker["stop"] for worker in index):
        world.ok("sweep", "--no-wake")
        until(lambda: world.record("s/1.1", "exit"), "the exit record")
    return done


def limited_run(role: str, done: Done) -> Expected:
    return Expected(frozenset({"failed"} if done.code == 0 else {"failed", "completed"}), strict=False)


def ended_unwatched(world: World) -> None:
    """A run that ended after its supervisor was killed."""
    gated_task(world)
    gated_run(world).kill()
    world.open_gate()
    until(lambda: world.record("s/1.1", "exit"), "the exit record")
    world.settled()


def crashed_unwatched(world: World) -> None:
    """A run whose supervisor and keeper were killed; its agent lives on until somebody ends it."""
    gated_task(world)
    gated_run(world).kill()
    world.kill_run("s/1.1")
    world.settled()


def never_started(world: World) -> None:
    """A claim whose supervisor and keeper were killed before the keeper could take the run."""
    world.submit("-s", "s")
    crash = {"rules": [{"role": "shim", "match": "born", "action": "stop"}]}
    supervisor = world.start("run", "--drain", crash=crash)
    shim = int(until(world.fired, "the frozen keeper").split()[0])
    supervisor.kill()
    os.kill(shim, signal.SIGKILL)
    world.settled()
    world.forget()


def too_late(world: World) -> None:
    """Tasks that were not started in time."""
    world.submit("-s", "s", "--expires", "1ms")
    world.submit("--expires", "1ms")


def committed_batch(world: World) -> None:
    """A batch whose submitter was killed right after its commit."""
    rule = {"role": "command", "after": "UPDATE batches SET committed", "match": "sql BEGIN"}
    assert submit_batch(world, {"rules": [rule]}).killed
    world.forget()


def open_batch(world: World) -> None:
    """A batch whose submitter was killed right before its commit."""
    rule = {"role": "command", "after": "UPDATE batches SET committed", "match": "sql"}
    assert submit_batch(world, {"rules": [rule]}).killed
    world.forget()


# Adoption


def adopt(world: World, crash: Crash) -> Done:
    """A new supervisor takes over one run that has ended and one that goes on until it has been adopted."""
    world.submit("-s", "s", script=GATED)
    world.submit("-s", "t")
    first = world.start("run", "-j", "2")
    until(lambda: world.began("s/1.1") and world.record("t/1.1", "exit"), "both runs")
    first.kill()
    second = world.start("run", "--drain", "-j", "2", crash=dict(crash))
    until(lambda: second.gone() or "adopt s/1.1" in second.out.read_text(), "the adoption")
    world.open_gate()
    return second.wait()


def only(*statuses: str, strict: bool = True, counts: int | None = None) -> Callable[[str, Done], Expected]:
    """The same whatever was killed."""
    found = None if counts is None else frozenset({counts})
    return lambda role, done: Expected(frozenset(statuses), strict=strict, counts=found)


def resume(world: World) -> None:
    """Undo a pause that may have come about."""
    assert world.agentq("resume", "s/2").code in (0, 4)


def pruned(role: str, done: Done) -> Expected:
    """Gone where the command said so."""
    return Expected(counts=frozenset({1} if done.code == 0 else {1, 2}), gone=frozenset({"s/1"}))


def old_tasks(world: World) -> None:
    """Two tasks that are done, and a config by which that is long ago."""
    two_completed(world)
    config = world.root / "home/.config/agentq/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('retention = "1ms"\n')


def all_pruned_at_last(role: str, done: Done) -> Expected:
    """The next sweep prunes what this one left."""
    return Expected(counts=frozenset({0}), gone=frozenset({"s/1", "s/2"}))


def all_pruned(role: str, done: Done) -> Expected:
    """Both or none: they are one commit."""
    return Expected(counts=frozenset({0} if done.code == 0 else {0, 2}), gone=frozenset({"s/1", "s/2"}))


def two_completed(world: World) -> None:
    """Two tasks that are done."""
    completed_task(world)
    completed_task(world)


COMMAND = ("command",)
SWEEP = ("sweep",)
SCENARIOS = (
    Scenario("submit-first", COMMAND, nothing, submit("-s", "s"), printed),
    Scenario("submit-another", COMMAND, completed_task, submit("-s", "s"), printed),
    Scenario("submit-batch", COMMAND, nothing, submit_batch, printed_batch),
    Scenario("claim-start-finish", ("supervisor", "launcher", "shim"), three_tasks, drain, harm),
    Scenario("keeper-serves-again", ("supervisor", "launcher", "shim"), three_tasks, drain_in_turn, harm),
    Scenario("conversation", ("supervisor", "shim"), prompts, drain, harm),
    Scenario("pool", ("supervisor", "shim"), pool, drain, harm),
    Scenario("retrying", ("supervisor",), retried, drain, only("completed", strict=False)),
    Scenario("dependencies", ("supervisor", "shim"), depending, drain, depended),
    Scenario("sweep-tells-dependents", SWEEP, half_told, command("sweep", "--no-wake"), depended),
    Scenario(
        "retry-reopens", COMMAND, failed_with_dependents, command("retry", "s/1"), only(*ENDED, strict=False, counts=6)
    ),
    Scenario("hooks", ("supervisor",), hooked, drain, told),
    Scenario("sweep-calls-hooks", SWEEP, hooked, command("sweep", "--no-wake"), told),
    Scenario("pre-task-script", ("shim",), scripted, drain, harm),
    Scenario("check", ("supervisor", "launcher", "shim"), checked, drain, harm),
    Scenario(
        "sweep-checks-again",
        ("sweep", "launcher", "shim"),
        check_unwatched,
        check_again,
        only("completed"),
    ),
    Scenario("tree", ("shim",), nothing, drain_tree, harm),
    Scenario("lands", ("shim",), nothing, land_tree, harm),
    Scenario("sweep-closes-tree", ("sweep",), nothing, close_tree, only("failed", strict=False)),
    Scenario("series", ("supervisor",), series, drain, rearmed),
    Scenario("requests", SWEEP, asking, command("sweep", "--no-wake"), only("completed", counts=3)),
    Scenario("cancel-waiting", COMMAND, queued_task, command("cancel", "s/2"), cancelled_or_done),
    Scenario("cancel-many", COMMAND, two_queued, command("cancel", "s/2", "t/1", "s/3"), all_cancelled_or_done),
    Scenario("cancel-watched", ("command", "supervisor", "shim"), gated_task, cancel_watched, cancelled_run),
    Scenario("cancel-unwatched", COMMAND, gated_task, cancel_unwatched, cancelled_run),
    Scenario("sweep-settles", SWEEP, ended_unwatched, command("sweep", "--no-wake"), only("completed")),
    Scenario("sweep-recovers", SWEEP, crashed_unwatched, command("sweep", "--no-wake"), only("failed", strict=False)),
    Scenario("sweep-undoes", SWEEP, never_started, command("sweep", "--no-wake"), only("completed")),
    Scenario("sweep-expires", SWEEP, too_late, command("sweep", "--no-wake"), only("expired")),
    Scenario(
        "sweep-releases-batch", SWEEP, committed_batch, command("sweep", "--no-wake"), only("completed", counts=5)
    ),
    Scenario("sweep-drops-batch", SWEEP, open_batch, command("sweep", "--no-wake"), only(counts=0)),
    Scenario("sweep-stops", SWEEP, limited_task, limit_unwatched, limited_run),
    Scenario("sweep-wakes", SWEEP, queued_task, command("sweep"), only("completed")),
    Scenario("sweep-reindexes", SWEEP, ended_unwatched, command("sweep", "--no-wake", "--reindex"), only("completed")),
    Scenario("adopt", ("supervisor",), nothing, adopt, only("completed")),
    Scenario("retry", COMMAND, ended_task, command("retry", "s/2"), only("completed", "failed", strict=False)),
    Scenario("edit", COMMAND, queued_task, command("edit", "s/2", "--priority", "5"), only("completed")),
    Scenario("pause", COMMAND, queued_task, command("pause", "s/2"), only("completed"), resume),
    Scenario("sweep-prunes", SWEEP, old_tasks, command("sweep", "--no-wake"), all_pruned_at_last),
    Scenario("prune", COMMAND, two_completed, command("prune", "s/1", "--yes"), pruned),
    Scenario("prune-many", COMMAND, two_completed, command("prune", "s/1", "s/2", "--yes"), all_pruned),
)
