"""`agentq land`: land the work of a task or a session by hand."""

from __future__ import annotations

import sys

from agentq_cli.agents import profile as profiles
from agentq_cli.base.dataclass import replace
from agentq_cli.base.defaults import CHECK_TIMEOUT_MS
from agentq_cli.base.errors import AgentqError, NotFound, Usage, WrongState
from agentq_cli.commands import tree_target
from agentq_cli.git.branches import require_name
from agentq_cli.git.runner import Git, require_git
from agentq_cli.model.actions import TargetResult
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import Status
from agentq_cli.model.trees import Asked, Came
from agentq_cli.options import values
from agentq_cli.options.table import row
from agentq_cli.policy import landed
from agentq_cli.show import notices
from agentq_cli.show.results import Result, Results
from agentq_cli.supervise import plan, variables
from agentq_cli.trees import asking, by_hand, register, shell
from agentq_cli.trees.diffs import last_run
from agentq_cli.trees.lines import git_of, is_there, line_of
from agentq_cli.trees.listing import find_uses
from agentq_cli.trees.place import trees_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agentq_cli.cli.context import Context
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.trees import Landing
    from agentq_cli.options.table import Given
    from agentq_cli.trees.records import TreeRecord

EXAMPLES = (
    ("agentq land 3", "Land what a task did on the branch that it began from."),
    ("agentq land docs/7 --into release --as squash", "Land it elsewhere, as one commit."),
    ("agentq land -s docs", "Land what a session did."),
)


def land(given: Given, at: Context) -> Result:
    """Land the work of a task or a session on a branch, as --land does once a task has completed.

    It is merged without a checkout; if the check has not passed on the merged files, it runs first, here. Where the
    work cannot land, nothing changes, and the exit code is 4.
    """
    how, target = given["as"], tree_target.target("land", given)
    if how is not None:
        values.parse_choice(how, row("land", "as"), "--as")
    require_git(at.environ)
    queue = at.open_queue()
    trees = trees_directory(at.config, queue.here.path)
    line = line_of(queue, trees, target.line, target.key)
    record = line.record
    git_of(record, at.environ)  # Says if the repository is away.
    if line.removed is not None or not is_there(record):
        raise WrongState(f"'{record.line}': its tree is gone; `agentq restore {record.words}` brings it back")
    run, task = _last(queue, record, target.line)
    asked = _asked(at, queue, record, run, task)
    if given["into"] is not None:
        require_name(Git(record.path, at.environ), given["into"], "--into")
    into = given["into"] or asked.land or record.onto or _began_from(record)
    asked = asked._replace(land=into, land_as=how or asked.land_as)
    with by_hand.alone(asked):
        if record.path in find_uses(queue, trees).running:
            raise WrongState(f"'{record.line}': a run works in its tree; wait for it, or cancel it")
        landing = by_hand.land(
            Git(record.path, at.environ),
            asked,
            record.start,
            _checked(queue, run, task),
            _check(at, queue, record, asked, run, task),
            notices.warn,
        )
        _refuse(record, landing)
        register.write(replace(register.read(record.path) or record, onto=into))
    assert landing is not None
    did = f"nothing to land on '{into}'" if landing.came == Came.NOTHING else landed.shown(landing)
    did += _completes(queue, run, task)
    return Results([TargetResult(record.line, True, 0, f"{record.line}: {did}", None)], {"landed": landing.shown})


def _completes(queue: Queue, run: RunId | None, task: Task | None) -> str:
    """How a task is completed that has failed because its work could not land."""
    if run is None or task is None or task.status is not Status.FAILED:
        return ""
    if not landed.lands_alone(queue.run(run).landing):
        return ""
    return f"; `agentq retry {task.address}` completes the task, without its agent"


def _refuse(record: TreeRecord, landing: Landing | None) -> None:
    """Raise what kept the work from landing."""
    if landing is None:
        raise AgentqError(f"'{record.line}': its landing did not come to an end; try again")
    if landing.came == Came.REFUSED:
        raise _NotPushed(f"'{record.line}': {landed.shown(landing)}")
    if landing.came not in (Came.LANDED, Came.NOTHING):
        raise WrongState(f"'{record.line}': {landed.shown(landing)}")


class _NotPushed(AgentqError):
    """The work has landed, and the remote refused it."""

    code = 1
    kind = "not_pushed"


def _began_from(record: TreeRecord) -> str:
    branch = record.base.removeprefix("refs/heads/")
    if branch == record.base:
        raise Usage(f"land: '{record.line}' began at '{record.base}', which is no branch; name one with --into")
    return branch


def _last(queue: Queue, record: TreeRecord, target: Address | str) -> tuple[RunId | None, Task | None]:
    """The last run in the tree and the task that it is of; None for what is not known any more."""
    run = last_run(queue, record)
    address = target if isinstance(target, Address) else None if run is None else run.address
    if address is None:
        return run, None
    task = queue.readable([address]).get(address)
    return (None if run is None or run.address != address else run), task


def _asked(at: Context, queue: Queue, record: TreeRecord, run: RunId | None, task: Task | None) -> Asked:
    if task is not None and task.work.launch.repository is not None:
        return asking.asked(at.config, queue.here.path, task, run or RunId(*task.address, 0), lands=True)
    return Asked(
        path=record.path,
        session=record.session,
        number=record.seq or (0 if run is None else run.seq),
        attempt=0,
        own=record.seq is not None,
        repository=record.repository,
        checkout=record.checkout,
        subdirectory="",
        branch=record.branch,
        base=record.base,
        title=f"Work of {record.line}",
        land=record.onto,
        lands=True,
        conversation=record.key,
    )


def _checked(queue: Queue, run: RunId | None, task: Task | None) -> str | None:
    """The tree that the check of a task has passed on; empty for none, None if it has no check."""
    if task is None or task.work.launch.check is None:
        return None
    try:
        check = None if run is None else queue.run(run).checked
    except NotFound:
        check = None
    return "" if check is None or not check.passed else check.tree or ""


def _check(
    at: Context, queue: Queue, record: TreeRecord, asked: Asked, run: RunId | None, task: Task | None
) -> Callable[[], int | None]:
    """Runs the check of a task in its tree, with the environment of its next run; what it prints goes to stderr."""

    def check() -> int | None:
        assert task is not None
        launch = task.work.launch
        profile = None if task.work.agent is None else profiles.profile(at.config, task.work.agent)
        stored = queue.environment(task)
        given = variables.given(task.work, task.session, stored, at.config, at.environ, profile)
        zone = launch.tz or plan.zone(at.config, at.environ, task.session)
        own = variables.of_run(task, run or RunId(*task.address, max(task.runs, 1)), queue.here, zone, asked)
        environ = variables.merged(given) | own | shell.variables(record)
        notices.note(f"{task.address}: runs its check: {launch.check}")
        seconds = (launch.check_timeout_ms or CHECK_TIMEOUT_MS) / 1000
        out = sys.stderr.fileno() if sys.stderr is not None else 2
        return shell.run(launch.check or "", asked.directory, environ, seconds=seconds, out=out)

    return check
