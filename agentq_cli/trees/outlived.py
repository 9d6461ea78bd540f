"""Which snapshots may go: those of tasks that nobody knows any more, once no tree is there to which they belong and the
removal of the last one is long ago."""

from __future__ import annotations

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import NotFound
from agentq_cli.git.advance import commit_at
from agentq_cli.git.branches import SNAPSHOTS, carried_ref, run_of
from agentq_cli.model.actions import Undone
from agentq_cli.model.addresses import Address
from agentq_cli.model.branches import encoded
from agentq_cli.trees import register
from agentq_cli.trees.removed import all_removed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.door import Queue
    from agentq_cli.git.runner import Git
    from agentq_cli.trees.records import TreeRecord
    from agentq_cli.trees.removed import Removed


@dataclass(frozen=True, slots=True)
class Outlived:
    """Finds them. What was stored of a tree that was removed at `lasts` (milliseconds UTC) or later stays."""

    queue: Queue
    trees: str
    lasts: int

    def find(self, git: Git, record: TreeRecord, gone: Removed | None) -> tuple[list[str], bool]:
        """The refs of a line of work that may go, and whether others of it stay; `gone` is the removal of its tree,
        None if that is there. Raises GitFailed, OSError."""
        live = list(register.records(self.trees))
        own = [] if gone is None else [gone.ref, gone.branch_ref, *self._carried(record, live)]
        refs, more = self._of_runs(git, record, live)
        return [each for each in own if commit_at(git, each)] + refs, more

    def _of_runs(self, git: Git, record: TreeRecord, live: list[TreeRecord]) -> tuple[list[str], bool]:
        """The refs of runs whose tasks are gone, and whether there are others."""
        late = [each.record for each in all_removed(self.trees) if each.at >= self.lasts]
        mine = [each for each in late if each.session == record.session]
        if any(each.seq in (None, record.seq) for each in mine):
            return [], True
        kept = {Address(each.session, each.seq) for each in (*live, *late) if each.seq is not None}
        newest = {each.snapshot for each in live}
        told = git.run("for-each-ref", "--format=%(refname)", f"{SNAPSHOTS}{encoded(record.session)}/").out
        found: dict[Address, list[str]] = {}
        for ref in told.decode(errors="surrogateescape").splitlines():
            run = run_of(ref)
            if run is not None and record.seq in (None, run[1]):
                found.setdefault(Address(run[0], run[1]), []).append(ref)
        addresses = [each for each in found if each not in kept]
        tasks = zip(addresses, self.queue.task_each(addresses), strict=True)
        # One whose session cannot be read now is not gone.
        pruned = [each for each, task in tasks if isinstance(task, Undone) and isinstance(task.error, NotFound)]
        refs = [ref for each in pruned for ref in found[each] if ref not in newest]
        return refs, len(refs) < sum(map(len, found.values()))

    def _carried(self, record: TreeRecord, live: list[TreeRecord]) -> list[str]:
        """The ref of what was taken along for the tree (`--base .`), unless another one begins there too."""
        bases = {each.base for each in live} | {task.work.launch.base for task in self.queue.tasks()}
        return [] if record.base != record.start or record.base in bases else [carried_ref(record.base)]
