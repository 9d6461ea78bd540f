"""What is known of the tree of a task before the task is stored, for `--dry-run`."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.model.addresses import Address
from agentq_cli.model.branches import branch_of, conversation_branch, is_own, task_branch
from agentq_cli.policy import pool
from agentq_cli.trees.place import trees_directory
from agentq_cli.trees.records import tree_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.config.configuration import Config
    from agentq_cli.model.tasks import NewTask


class Planned(NamedTuple):
    """The path of a tree, its branch and the name that this begins at. The branch of an isolated task ends with N for
    the number that it will get, and that of a task for which one of several conversations will be chosen with KEY; the
    path depends on that, so there is none."""

    worktree: str | None
    branch: str
    base: str


def planned(config: Config, state_dir: str, new: NewTask) -> Planned:
    """The tree that a new task would have, which wants one."""
    launch, key = new.work.launch, new.work.launch.conversation_key
    base = launch.base or ""
    if is_own(new.work) and launch.branch is None:
        return Planned(None, task_branch(new.session, 0).removesuffix("0") + "N", base)
    if not is_own(new.work) and key is None and pool.size(config.sessions.get(new.session, {}).get("parallel")) > 1:
        return Planned(None, conversation_branch(new.session, "KEY"), base)
    address = Address(new.session, 0)
    path = tree_of(trees_directory(config, state_dir), new.work, address, key)
    return Planned(path, branch_of(new.work, address, key), base)
