"""Makes the tree of a run ready before anything else of the run begins: one that is new, or there, or has vanished.

The record of a tree is written before the tree is made, so that one whose making was interrupted is known as ours.
"""

from __future__ import annotations

import os

from agentq_cli.base.clock import awake_ms
from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError, Busy, NotFound, Usage
from agentq_cli.git import trees
from agentq_cli.git.branches import SNAPSHOTS, check_branch, find_branch, line_of, run_of, snapshot_ref
from agentq_cli.git.merge import LANDED, find_landed, is_ancestor
from agentq_cli.git.put_back import put_back, snapshot_head
from agentq_cli.git.refusals import BranchTaken, UnknownRef
from agentq_cli.git.registrations import is_made
from agentq_cli.git.repository import Repository, find_commit, refuse_inside
from agentq_cli.git.runner import require_git
from agentq_cli.git.snapshot import branch_in
from agentq_cli.git.tree_state import away, is_away
from agentq_cli.git.trees import Plan, SpoiledTree
from agentq_cli.git.visit import go_home
from agentq_cli.model.branches import encoded
from agentq_cli.model.statuses import FailureClass
from agentq_cli.model.trees import Made
from agentq_cli.trees import register
from agentq_cli.trees.records import TreeRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.git.runner import Git
    from agentq_cli.model.trees import Asked

PATIENCE_MS = 600_000
"""How long a tree is waited for that another process is making or removing."""


LOOKED_AT = 20
"""How many refs are looked at for the newest snapshot of a tree whose record is lost."""


def make(git: Git, asked: Asked, now_ms: int) -> Made:
    """Make the tree ready. What prevents that is in the answer."""
    deadline = awake_ms() + PATIENCE_MS
    while True:
        try:
            return _make(git, asked, now_ms)
        except Busy as busy:
            if awake_ms() >= deadline:
                return Made(failed=FailureClass.CRASHED, error=busy.message)
        except Usage as refused:
            return Made(failed=FailureClass.CONFIG, error=refused.message)
        except AgentqError as error:
            return Made(failed=FailureClass.ERROR, error=error.message)
        except OSError as error:
            where = asked.path if error.filename is None else os.fsdecode(error.filename)
            return Made(failed=FailureClass.ERROR, error=f"tree '{where}': {error.strerror}")


def note_set_up(asked: Asked) -> None:
    """Record that the setup command has succeeded in the tree. Raises BadRecord, OSError."""
    record = register.read(asked.path)
    if record is not None:
        register.write(replace(record, set_up=True))


def repository_of(asked: Asked) -> Repository:
    """The repository of the tree, as far as it is known without asking git."""
    return Repository(asked.checkout, asked.subdirectory, asked.repository, "", "")


def reason_of(record: TreeRecord) -> str:
    """What git says when it finds the tree locked: the task's name, and which tree that is."""
    return f"agentq: {record.line}, in {record.path}"


def _make(git: Git, asked: Asked, now_ms: int) -> Made:
    require_git(git.environ)
    repository = repository_of(asked)
    common = git.at(asked.repository)
    if is_away(asked.repository):
        raise NotFound(away(asked.repository))
    common.line("rev-parse", "--git-dir")  # What is wrong with the repository is said first, and alone.
    record = _known(asked)
    if record is None:
        record = _begin(common, repository, asked, now_ms)
    known = record
    if (known.session, known.seq) != _line(asked):
        raise BranchTaken(f"--branch '{asked.branch}': belongs to {known.line}")
    notes: list[str] = []
    start = known.start
    if find_branch(common, record.branch) is None:
        start = record.head if record.snapshot is None else snapshot_head(common, record.snapshot)
    plan = Plan(record.path, record.branch, start, reason_of(record))
    made = trees.make(git, repository, plan, lambda there: _restore(there, known, notes))
    there = git.at(record.path)
    held = go_home(there, trees.lfs_config(there))
    if held is not None:
        more = f": '{held.paths[0]}'" if held.paths else ""
        raise SpoiledTree(f"tree '{record.path}': {held.why}{more}")
    _enter(asked)
    if made.vanished:
        notes.insert(0, f"the tree had vanished; it was made anew at {made.head}")
    record = replace(record, start=_start_now(there, record, asked))
    if made.new and record.set_up:
        record = replace(record, set_up=False)
    register.write(replace(record, head=made.head, setup=asked.setup, teardown=asked.teardown, onto=asked.land))
    return Made(record.path, asked.directory, record.start, record.number, record.set_up, (*notes, *made.notes))


def _known(asked: Asked) -> TreeRecord | None:
    """The record of the tree; None if there is none, or if it is damaged and the repository knows the tree. Raises
    BadRecord, OSError."""
    try:
        return register.read(asked.path)
    except register.BadRecord:
        if is_made(asked.repository, asked.path):
            return None
        raise


def _start_now(there: Git, record: TreeRecord, asked: Asked) -> str:
    """The commit at which the work of a run begins: where the tree's branch began, or what has landed of it since."""
    if asked.land is None or asked.own or asked.lands:
        return record.start
    onto, head = find_branch(there, asked.land), find_branch(there, record.branch)
    if onto is None or head is None or find_landed(there, onto, head, record.start) != LANDED:
        return record.start
    return head


def _line(asked: Asked) -> tuple[str, int | None]:
    return asked.session, asked.number if asked.own else None


def _begin(common: Git, repository: Repository, asked: Asked, now_ms: int) -> TreeRecord:
    """The record of a new tree, with the commit that its base stands for now; or of one that was made, as its
    repository knows, and whose record is lost."""
    place = os.path.dirname(asked.path)
    refuse_inside(repository, place)
    lost = is_made(asked.repository, asked.path)
    check_branch(common, asked.branch, ours=asked.path if lost else None)
    # In the checkout, since HEAD and names like it are its own.
    there = common.at(asked.checkout) if os.path.isdir(asked.checkout) else common
    start = find_commit(there, asked.base) if asked.base_task is None else _start_of_task(common, asked)
    head = find_branch(common, asked.branch) if lost else None
    if head is not None:
        start = common.run("merge-base", start, head, ok=(0, 1)).line() or start
    session, seq = _line(asked)
    return register.add(
        place,
        lambda number: TreeRecord(
            number=number,
            path=asked.path,
            session=session,
            seq=seq,
            repository=asked.repository,
            checkout=asked.checkout,
            branch=asked.branch,
            base=asked.base,
            start=start,
            head=head or start,
            made_at=now_ms,
            onto=asked.land,
            setup=asked.setup,
            teardown=asked.teardown,
            snapshot=_newest_snapshot(common, asked, head) if lost else None,
            conversation=asked.conversation,
        ),
    )


def _newest_snapshot(common: Git, asked: Asked, head: str | None) -> str | None:
    """The ref of what the last run left in a tree whose record is lost, with the branch at `head` if there is one: the
    newest that was taken over a commit of that branch, and not in another conversation. Raises GitFailed."""
    below = f"{SNAPSHOTS}{encoded(asked.session)}/{f'{asked.number}.*' if asked.own else '*'}"
    said = "--format=%(refname) %(contents:subject)"
    told = common.run("for-each-ref", "--sort=-committerdate", f"--count={LOOKED_AT}", said, below)
    for each in told.out.decode(errors="replace").splitlines():
        ref, _, subject = each.partition(" ")
        on = branch_in(subject)
        if run_of(ref) is None or (not asked.own and on != asked.branch and line_of(on) is not None):
            continue
        if head is None or is_ancestor(common, snapshot_head(common, ref), head):
            return ref
    return None


def _start_of_task(common: Git, asked: Asked) -> str:
    """What the branch of the task holds that the base names; if that is gone, what it held when the last run of the
    task ended. Raises UnknownRef, GitFailed."""
    found = None if asked.base_branch is None else find_branch(common, asked.base_branch)
    if found is not None:
        return found
    session, number = asked.base_task or ("", 0)
    told = common.run("for-each-ref", "--format=%(refname)", f"{SNAPSHOTS}{encoded(str(session))}/{number}.*").out
    runs = [run_of(ref) for ref in told.decode(errors="replace").split()]
    last = max((run for run in runs if run is not None and run[:2] == (session, number)), default=None)
    if last is None:
        raise UnknownRef(f"--base '{asked.base}': neither the branch of that task is there nor what its runs left")
    return snapshot_head(common, snapshot_ref(*last))


def _restore(there: Git, record: TreeRecord, notes: list[str]) -> None:
    """Put back into a tree that is made anew what the newest snapshot holds."""
    if record.snapshot is None or not find_ref(there, record.snapshot):
        return
    odd = put_back(there, record.snapshot)
    notes.append(f"what was uncommitted is back from '{record.snapshot}'")
    if odd:
        notes.append(f"{len(odd)} paths could not be put back as they were, such as '{odd[0]}'")


def find_ref(git: Git, ref: str) -> bool:
    """Whether there is such a ref. Raises GitFailed."""
    return git.run("show-ref", "--verify", "--quiet", ref, ok=(0, 1, 128)).code == 0


def _enter(asked: Asked) -> None:
    """Make sure that the run works in its tree and nowhere else. Raises SpoiledTree, OSError."""
    if asked.subdirectory:
        os.makedirs(asked.directory, exist_ok=True)
    found = os.path.realpath(asked.directory)
    if found != asked.directory:
        raise SpoiledTree(f"tree '{asked.path}': '{asked.subdirectory}' leads to '{found}', out of the tree")
