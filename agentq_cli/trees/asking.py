"""The tree that a task asks for: where it lies, and what its run is told to make and to leave."""

from __future__ import annotations

from agentq_cli.base.context import suppress
from agentq_cli.base.errors import NotFound
from agentq_cli.model.addresses import Address
from agentq_cli.model.branches import FIRST, branch_of, is_own
from agentq_cli.model.trees import Asked
from agentq_cli.options.tree_options import base_task
from agentq_cli.policy import waiting
from agentq_cli.show.documents import title
from agentq_cli.trees import register
from agentq_cli.trees.place import trees_directory
from agentq_cli.trees.records import tree_at, tree_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeGuard

    from agentq_cli.config.configuration import Config
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.workers import Worker
    from agentq_cli.policy.order import Head


def based(asked: Asked, find: Callable[[Address], Task]) -> Asked:
    """The same with the branch of the task that its base names (`@ID`). `find` raises NotFound if there is none any
    more, and then what its last run left is the base."""
    address = base_task(asked.base, str)
    if address is None:
        return asked
    branch = None
    with suppress(NotFound):
        task = find(address)
        branch = branch_of(task.work, address, task.conversation_key)
    return asked._replace(base_branch=branch, base_task=address)


def of_line(argv: Sequence[str] | None) -> TypeGuard[Sequence[str]]:
    """Whether a command is a line of shell, as `-c` makes it."""
    return argv is not None and len(argv) == 3 and tuple(argv[:2]) == ("sh", "-c")


DEFAULT_BASE = "HEAD"
"""Where a branch begins if nothing else is said."""


def tree_of_task(config: Config, state_dir: str, task: Task) -> str:
    """The path of the tree of a task, which has one."""
    return tree_of(trees_directory(config, state_dir), task.work, task.address, task.conversation_key)


def in_any_tree(task: Task) -> bool:
    """Whether a task runs in the tree of whichever conversation of its session is chosen for it."""
    return task.conversation_key is None and task.work.launch.branch is None and not is_own(task.work)


def taken_tree(config: Config, state_dir: str, task: Task, workers: Sequence[Worker]) -> str | None:
    """The path of a tree of a task's session in which a run works that is in none of its conversations: the task waits
    for that if it is the one that is chosen. None if there is none."""
    others = [each for each in workers if each.session != task.session or each.conversation_key is None]
    for record in register.records(trees_directory(config, state_dir)):
        if (record.session, record.seq) == (task.session, None) and waiting.editing(others, record.path):
            return record.path
    return None


def tree_of_head(config: Config, state_dir: str, head: Head) -> str:
    """The path of the tree of a waiting task, which has one."""
    address = Address(head.session, head.seq)
    return tree_at(trees_directory(config, state_dir), head.directory, address, head.conversation_key or None)


def asked(config: Config, state_dir: str, task: Task, run: RunId, *, lands: bool = False) -> Asked:
    """What a run of a task asks of the task's tree; `lands`: its agent has done its work, and it only lands."""
    work, launch = task.work, task.work.launch
    return Asked(
        lands=lands,
        path=tree_of_task(config, state_dir, task),
        session=task.session,
        number=task.seq,
        attempt=run.attempt,
        own=is_own(work),
        repository=launch.repository or "",
        checkout=launch.checkout or "",
        subdirectory=launch.subdirectory,
        branch=branch_of(work, task.address, task.conversation_key),
        base=launch.base or launch.land or DEFAULT_BASE,
        title=title(None, work.argv[2]) if of_line(work.argv) else title(work.argv, work.prompt),
        setup=launch.setup,
        teardown=launch.teardown,
        land=launch.land,
        land_as=launch.land_as,
        push=launch.push,
        conversation=None if is_own(work) else task.conversation_key or FIRST,
    )
