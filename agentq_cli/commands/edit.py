"""`agentq edit`: change tasks that have not started."""

from __future__ import annotations

from collections.abc import Callable, Collection

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import Usage, WrongState
from agentq_cli.commands import targets, tree_words
from agentq_cli.diagnose.why import Why
from agentq_cli.engines.door import Queue
from agentq_cli.model.tasks import NewTask, Task
from agentq_cli.options.new_schedule import make_schedule, series
from agentq_cli.options.new_task import ABOUT_TREE, AFTER, TaskMaker, content, spelled
from agentq_cli.options.table import rows
from agentq_cli.options.tree_options import OF_TREE, PLACE, check_base, check_series
from agentq_cli.options.variables import environment
from agentq_cli.show import documents, notices
from agentq_cli.show.results import Items, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.cli.context import Context
    from agentq_cli.model.work import Work
    from agentq_cli.options.table import Given

FIELDS = {row.name: row.field for row in rows("edit") if "batch" in row.holds} | {"exec": "argv"}
"""The field of a task's work that an option changes: one of its launch after `launch.`; or `due_at`."""

SCHEDULE = {row.name for row in rows("edit") if row.field.startswith("schedule.")}
RECURRENCE = {"cron", "every", "at"}

PLACING = ABOUT_TREE | {"cwd", "context", "conversation"}
"""The options that a task's tree depends on."""

KEEPS = True
"""Options that are not given keep the task's values, so the options have no defaults here."""

EXAMPLES = (
    ("agentq edit 7", "Change it as TOML in $VISUAL or $EDITOR."),
    ("agentq edit 7 --priority 50", "Start it before the others."),
    ("agentq edit 5 --exec -- make -k test", "Change the words of a command."),
    ("agentq edit 12 --once", "Make the next occurrence the last."),
)


def edit(given: Given, here: Context) -> Result:
    """Change a waiting task, or the next occurrence of a running one.

    Without options, on a terminal, it opens $VISUAL or $EDITOR on the task as TOML. Options that are not given keep
    their values. -e and --env-file add to the environment. Any address of a series means its live occurrence.
    """
    changes, when, once = asked("edit", given), series("edit", given), bool(given["once"])
    address = targets.address(given["id"])
    if not changes and not when and not once:
        if not targets.on_terminal():
            raise Usage("edit: nothing to change; see 'agentq edit --help'")
        from agentq_cli.commands import by_hand

        queue = here.open_queue()
        before = queue.live(address)
        task = by_hand.edit(queue, address, here.environ, lambda *found: _typed(here, *found))
        return _shown(here, queue, before, task)
    queue = here.open_queue()
    before = queue.live(address)
    _recurs(before, changes, when, once)
    made = _made(here, before, whole(before, changes))
    return _shown(here, queue, before, queue.edit(address, change(here, changes, made, when, once)))


def _made(here: Context, before: Task, options: Given, what: Callable[[str], str] = spelled) -> NewTask:
    """The whole task, made again outside the lock, so that every value is checked as submit checks it. A duration of
    --expires counts from an occurrence's slot."""
    counted_from = before.scheduled_for if before.rearms else None
    maker = TaskMaker(here, counted_from=counted_from, admit=here.admission(), changed=before.address)
    made = maker.make(options, what)
    if before.rearms:
        check_series(made.work, what)
    return made


def _typed(here: Context, before: Task, changes: dict[str, Any], removed: set[str]) -> Callable[[Task], Task]:
    """The edit that a person typed as TOML. Raises Usage."""
    if "shell" in changes and "exec" not in removed:
        raise Usage("shell: not together with exec; it is the whole command")
    when = {name: changes.pop(name) for name in SCHEDULE & changes.keys()}
    _recurs(before, changes, when, once=False)
    kept = removed & SCHEDULE | ({"at"} & removed if before.rearms else set())
    replaced = RECURRENCE | {"start"} if RECURRENCE & when.keys() else set()
    if kept - replaced:
        raise Usage(f"{min(kept - replaced)}: a schedule keeps it; write another value")
    options = {name: value for name, value in whole(before, changes).items() if name not in removed}
    made = _made(here, before, options, str)
    return change(here, changes, made, when, removed=removed - kept, exact=True)


def _shown(here: Context, queue: Queue, before: Task, task: Task) -> Result:
    note = tree_words.left_behind(here, before, task)
    if note:
        notices.note(note)
    why = Why(queue, here.config)
    document = documents.task(task, now=queue.now, waiting_for=why.exactly(task), host=why.host(task))
    return Items("tasks", [document], line=lambda item: str(item["id"]))


def asked(place: str, given: Given) -> dict[str, Any]:
    """The given options of a command that change what a task is to do. Raises Usage."""
    found = content(place, given)
    if given["exec"] is not None:
        if "shell" in found:
            raise Usage(f"-c '{found['shell']}': not together with --exec; it is the whole command")
        found["exec"] = given["exec"]
    return found


def whole(task: Task, given: dict[str, Any]) -> dict[str, Any]:
    """The options that would submit the task as it is, with the changes applied; of one that runs, its next
    occurrence, as earlier edits have changed that."""
    work = task.work if task.successor is None else task.successor.work or task.work
    known: dict[str, Any] = {"session": task.session, "cwd": work.cwd, "priority": work.priority}
    known |= {"context": work.context, "label": list(work.labels), **_tree(work, given)}
    if work.kind == "exec":
        if "prompt" in given or "agent" in given:
            raise Usage(f"--{'prompt' if 'prompt' in given else 'agent'}: {task.address} is a command")
        return known | {"exec": list(work.argv or ())} | given
    for name in ("exec", "shell"):
        if name in given:
            raise Usage(f"--{name}: {task.address} is a prompt")
    # Checked again even if only the agent changes: the new one may not report its cost.
    return known | {"prompt": work.prompt, "agent": work.agent, "max_cost": work.launch.max_cost_usd} | given


def _tree(work: Work, given: dict[str, Any]) -> dict[str, Any]:
    """The options of the task's tree and its conversation, if what is given is about them: its repository may be away
    when another option is changed."""
    if given.keys().isdisjoint(PLACING):
        return {"worktree": False}
    launch = work.launch
    known = {name: getattr(launch, name) for name in ("branch", "land") if launch.repository is not None}
    if given.get("context") != "isolated":
        known["conversation"] = launch.conversation_key
    if "base" in given and given.keys().isdisjoint(AFTER):
        known |= {name: [str(each.address) for each in work.after if each.on is on] for name, on in AFTER.items()}
    return {"worktree": launch.repository is not None, **known}


def _recurs(before: Task, given: dict[str, Any], when: dict[str, Any], once: bool) -> None:
    """Move the times of a series from `given` to `when`, which its schedule is made of. Raises Usage if the task has
    no schedule."""
    if before.recurrence is None or before.extra:
        if when or once:
            name = next(iter(when), "once").replace("_", "-")
            raise Usage(f"--{name}: {before.address} has no schedule; `agentq schedule` makes one")
        return
    if once:
        if when:
            raise Usage(f"--once: not together with --{next(iter(when)).replace('_', '-')}")
        return
    if "at" in given:
        when["at"] = given.pop("at")
    if "tz" in given:
        when["tz"] = given["tz"]


def change(
    here: Context,
    given: dict[str, Any],
    made: NewTask,
    when: dict[str, Any],
    once: bool = False,
    *,
    removed: Collection[str] = (),
    exact: bool = False,
) -> Callable[[Task], Task]:
    """The edit as a function of the task under the lock; it takes over only what was given, or removed. `exact`: the
    environment is what was given, which otherwise is added."""
    changed = _work(here, given, removed, made.work, exact)

    def changed_task(task: Task) -> Task:
        if task.work.kind != made.work.kind:
            raise WrongState(f"task '{task.address}': changed in the meantime; try again")
        after = replace(task, work=changed(task.work))
        if made.due_at is not None and not given.keys().isdisjoint(("at", "in")):
            after = replace(after, due_at=made.due_at)
        elif "at" in removed:
            after = replace(after, due_at=here.now_ms())
        if once:
            return replace(after, recurrence=None)
        if not when:
            return after
        if task.recurrence is None:
            raise WrongState(f"task '{task.address}': its recurrence was dropped in the meantime")
        schedule = make_schedule(here, when, session=task.session, before=task.recurrence.schedule)
        return replace(after, recurrence=replace(task.recurrence, schedule=schedule))

    return changed_task


def _work(
    here: Context, given: dict[str, Any], removed: Collection[str], made: Work, exact: bool
) -> Callable[[Work], Work]:
    """What a task is to do, changed to what was `made` of the options, as far as they were given or removed."""
    fields = [FIELDS[name].rpartition(".") for name in (*given, *removed) if FIELDS[name] != "due_at"]
    values = {field: getattr(made, field) for place, _, field in fields if not place}
    launch = {field: getattr(made.launch, field) for place, _, field in fields if place}
    asked = {*given, *removed}
    if "worktree" in asked:
        launch |= {field: getattr(made.launch, field) for field in (*PLACE, *OF_TREE)}
    elif "cwd" in asked:
        launch |= {field: getattr(made.launch, field) for field in PLACE if field != "base"}
    # The config's additions to a new task's environment are already in this one's.
    added = environment(here, given, {}, spelled, private_tmp=made.kind == "prompt")

    def change(work: Work) -> Work:
        env = {"env": added if exact else {**work.launch.env, **added}} if "env" in launch else {}
        changed = replace(work, **values, launch=replace(work.launch, **(launch | env)))
        if not asked.isdisjoint(("base", *AFTER)):
            check_base(changed, spelled)
        return changed

    return change
