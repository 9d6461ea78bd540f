"""`agentq submit`: submit a prompt, a command, or a batch of them."""

from __future__ import annotations

from agentq_cli.base.clock import rfc3339
from agentq_cli.base.errors import Usage
from agentq_cli.engines.door import Queue, done, store_one
from agentq_cli.model.addresses import Address
from agentq_cli.options import values
from agentq_cli.options.new_task import TaskMaker, content, spelled
from agentq_cli.show import notices
from agentq_cli.show.results import Document, Items, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from agentq_cli.cli.context import Context
    from agentq_cli.diagnose.next_environment import NextEnvironment
    from agentq_cli.model.tasks import NewTask
    from agentq_cli.options.table import Given
    from agentq_cli.options.tree_options import Admit
    from agentq_cli.show import documents
    from agentq_cli.show.results import Told

USAGES = (
    "[OPTIONS] PROMPT",
    "[OPTIONS] --exec -- ARGV...",
    "[OPTIONS] -c LINE",
    "[OPTIONS] --file PATH|-",
    "[OPTIONS] --batch PATH|-",
)
EXAMPLES = (
    ('agentq submit -a claude "Fix the failing test"', "A prompt for Claude Code, in this directory."),
    ('agentq submit -s docs "Now shorten it"', "The next prompt of a conversation."),
    (
        "agentq submit --wait --exec -- make test",
        "A command, with its exit code; `agentq x --wait make test` is short.",
    ),
    (
        "agentq submit --retries 3 --timeout 2h --exec -- ./upload.sh",
        "Up to three more attempts, each of two hours at most.",
    ),
)


def submit(given: Given, here: Context) -> Result:
    """Submit work: a prompt for an agent, or with --exec a command.

    Prints the task's address once the task is on disk; a later power loss does not lose it. Tasks of a named session
    run in order, in one conversation of its agent. Tasks of the session 'default' are independent.
    """
    admit = here.admission(dry=bool(given["dry_run"]))
    if given["batch"] is not None:
        tasks = _batch(here, given["batch"], given, admit)
    else:
        tasks = [TaskMaker(here, admit=admit).make(asked("submit", given), spelled)]
    if given["dry_run"]:
        return dry(plans(here, tasks), here)
    return store(here, tasks, given)


def asked(place: str, given: Given) -> dict[str, Any]:
    """The options of a task, from the options and the words of a command. Raises Usage."""
    if given["replace"] and given["key"] is None:
        raise Usage("--replace: only together with --key")
    return content(place, given) | _work(given)


def _work(given: Given) -> dict[str, Any]:
    """The prompt or the command, from the words of a command line. Raises Usage."""
    words, exec_, file, line = given["words"], given["exec"], given["file"], given["shell"]
    if exec_ or line is not None:
        how = "--exec" if exec_ else "-c"
        if file is not None:
            raise Usage(f"--file '{file}': not together with {how}; the stdin of a command is --stdin")
        if line is not None and (exec_ or words):
            raise Usage(f"-c '{line}': not together with {'--exec' if exec_ else 'a prompt'}; it is the whole command")
        if given["agent"] is not None:
            notices.warn(f"--agent '{given['agent']}': ignored, because a command has no agent")
        return {"exec": list(words or ())} if exec_ else {}
    if file is not None:
        if words:
            raise Usage(f"PROMPT '{words[0]}': not together with --file")
        return {"prompt": _text_of(file, "--file")}
    if words and len(words) > 1:
        raise Usage(
            f"PROMPT '{words[1]}': only one prompt; quote text that contains spaces, or write "
            f"`agentq x {' '.join(words)[:40]}` for a command"
        )
    if words == ["-"]:
        return {"prompt": _text_of("-", "PROMPT")}
    return {"prompt": words[0] if words else None}


def _text_of(file: str, what: str) -> str:
    from agentq_cli.options import batch

    return batch.read_text(file, what)


def _batch(here: Context, path: str, given: Given, admit: Admit) -> list[NewTask]:
    from agentq_cli.options import batch

    if given["words"] or given["exec"] or given["file"] is not None or given["shell"] is not None:
        raise Usage(f"--batch '{path}': the lines say what to do, so PROMPT, --exec, -c and --file must not be given")
    return batch.tasks(here, path, content("submit", given), admit)


MOST_KNOWN = 10
"""How many tasks that were there already are named."""

PLAN = (
    *("session", "agent", "argv", "env", "cwd", "due_at", "expires_at", "schedule", "environment"),
    *("worktree", "branch", "base", "setup", "teardown", "check", "land", "land_as", "push", "asks"),
)
"""The keys of an item of `agentq.plan/1`."""


def dry(items: Sequence[documents.Item], here: Context) -> Result:
    """What --dry-run prints: a document with items, or text that says what each task would start, where and when."""
    if here.as_json:
        return Items("plan", items)
    from agentq_cli.diagnose import next_environment
    from agentq_cli.show.documents import coming_time

    lines: list[str | tuple[str, str | Told]] = []
    for item in items:
        lines += [""] if lines else []
        for name in PLAN:
            if name == "env":
                lines += [(name, line) for line in next_environment.lines(item["environment"])]
            elif item[name] is not None and name not in ("schedule", "environment"):
                lines.append((name, _shown(item[name])))
        if item["schedule"] is not None:
            zone = item["schedule"]["tz"]
            for text in item["schedule"]["next"]:
                at = values.parse_time(text, zone="UTC", now_ms=0)
                lines.append(("next", coming_time(at, zone, here.now_ms())))
    return Document("plan", {"items": items}, lines)


def plans(here: Context, tasks: Sequence[NewTask], times: int = 0) -> list[documents.Item]:
    """What tasks would start, for --dry-run; a plan has the names of variables, never their values."""
    from agentq_cli.diagnose.next_environment import NextEnvironment

    environment = NextEnvironment(here.open_queue(), here.config, here.environ)
    return [_plan_of(here, task, environment, times) for task in tasks]


def _plan_of(here: Context, task: NewTask, environment: NextEnvironment, times: int) -> documents.Item:
    from agentq_cli.policy.schedule import fires
    from agentq_cli.show import documents
    from agentq_cli.supervise.plan import preview

    argv, variables = preview(task.work, here.config), environment.of_new(task)
    names = [each["name"] for each in variables]
    due = here.now_ms() if task.due_at is None else task.due_at
    schedule = task.schedule and documents.schedule_of(task.schedule, fires(task.schedule, due - 1, times))
    moments = rfc3339(due), None if task.work.expires_at is None else rfc3339(task.work.expires_at)
    place = task.session, task.work.agent, list(argv), names, task.work.cwd
    found = *place, *moments, schedule, variables
    return (
        dict.fromkeys(PLAN)
        | dict(zip(PLAN, found, strict=False))
        | {"check": task.work.launch.check}
        | _tree_of(here, task)
    )


def _tree_of(here: Context, task: NewTask) -> dict[str, str | None]:
    """The tree that a task would have, what is done in it besides its work, and what its agent asks there."""
    launch = task.work.launch
    if launch.repository is None:
        return {}
    from agentq_cli.agents import profile as profiles
    from agentq_cli.trees.planned import planned

    agent = task.work.agent
    asks = None if agent is None else profiles.profile(here.config, agent).question
    of_launch = {name: getattr(launch, name) for name in ("setup", "teardown", "land", "land_as", "push")}
    return planned(here.config, here.place(), task)._asdict() | of_launch | {"asks": asks}


def _shown(value: object) -> str:
    import shlex

    return shlex.join(map(str, value)) if isinstance(value, list) else str(value)


def store(here: Context, tasks: Sequence[NewTask], given: Given) -> Result:
    """Store tasks and wake the processes that wait for work; the result has the addresses, and waits for the tasks if
    that was requested."""
    if not tasks:
        return Items("tasks", (), line=lambda item: str(item["id"]))
    wait, follow, no_wake = (bool(given[name]) for name in ("wait", "follow", "no_wake"))
    if len(tasks) == 1 and not (wait or follow) and here.url is None:
        found = store_one(here.state_dir, tasks[0], now=here.now_ms(), max_queued=here.config.max_queued)
        if found is not None:
            seq, attended = found
            if not attended:
                from agentq_cli.commands import nobody_there

                nobody_there.hint(here)
            address = Address(tasks[0].session, seq)
            _keep_place(here, tasks)
            return told(here, here.open_queue(), [(address, True)]) if here.as_json else _addresses([address])
    queue, stored = put(here, tasks, attended=wait or follow or all(task.held for task in tasks))
    addresses = [address for address, _ in stored]
    if not (wait or follow):
        return told(here, queue, stored)
    from agentq_cli.commands import submit_waiting

    if follow and len(addresses) == 1 and not here.as_json:
        return submit_waiting.follow(here, queue, *stored[0], no_wake=no_wake)
    return submit_waiting.wait(here, queue, addresses, no_wake=no_wake)


def put(here: Context, tasks: Sequence[NewTask], *, attended: bool = False) -> tuple[Queue, list[tuple[Address, bool]]]:
    """Store tasks and wake the processes that wait for work; returns each address and whether the task is new. Says
    which tasks were found by their keys, and hints if no supervisor will run them, unless they are `attended`."""
    queue = here.open_queue(create=True)
    # A batch over several sessions belongs to this process until the batch is complete. A process in another PID
    # namespace can tell by the bell that this process is alive.
    bell = queue.bell() if len({task.session for task in tasks}) > 1 else None
    try:
        stored = queue.submit(tasks, max_queued=here.config.max_queued)
    finally:
        if bell is not None:
            bell.close()
    _keep_place(here, tasks)
    _say_known(tasks, stored)
    if not attended:
        from agentq_cli.commands import nobody_there

        nobody_there.check(here, queue, tasks)
    return queue, stored


def _keep_place(here: Context, tasks: Sequence[NewTask]) -> None:
    """Make the directory of the trees with the first task that wants one: later tasks of its session look for that
    (`Context.may_have_trees`)."""
    if any(task.work.launch.repository is not None for task in tasks):
        import contextlib
        import os

        from agentq_cli.trees.place import trees_directory

        with contextlib.suppress(OSError):  # the run says what is wrong there
            os.makedirs(trees_directory(here.config, here.place()), mode=0o700, exist_ok=True)


def _say_known(tasks: Sequence[NewTask], stored: Sequence[tuple[Address, bool]]) -> None:
    """Say which tasks were not submitted, because live ones have their keys."""
    known = [(address, task) for task, (address, is_new) in zip(tasks, stored, strict=True) if not is_new]
    for address, task in known[:MOST_KNOWN]:
        what = "it is now what was given" if task.replace else "nothing new was submitted"
        notices.note(f"{address} has the key '{task.work.key}' already; {what}")
    if len(known) > MOST_KNOWN:
        notices.note(f"{len(known) - MOST_KNOWN} more were there already")


def told(here: Context, queue: Queue, stored: Sequence[tuple[Address, bool]]) -> Result:
    """The addresses of tasks, or with --json the stored tasks, and which of them were there already."""
    addresses = [address for address, _ in stored]
    if not here.as_json:
        return _addresses(addresses)
    from agentq_cli.diagnose.why import Why
    from agentq_cli.show import documents

    why = Why(queue, here.config)
    found = (done(each) for each in queue.task_each(addresses))
    existing = [str(address) for address, is_new in stored if not is_new]
    return Items(
        "tasks",
        (documents.task(each, now=queue.now, waiting_for=why.of(each), host=why.host(each)) for each in found),
        extra={"existing": existing} if existing else {},
    )


def _addresses(addresses: Sequence[Address]) -> Result:
    return Items("tasks", ({"id": str(address)} for address in addresses), line=lambda item: str(item["id"]))
