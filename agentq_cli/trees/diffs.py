"""What a line of work, or one run of it, changed against its recorded base, uncommitted work included.

The live tree is looked at without writing to it; once it is gone, or others have worked in it, the snapshots of its
runs have it.
"""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import NotFound
from agentq_cli.git.advance import commit_at
from agentq_cli.git.branches import SNAPSHOTS, run_of, snapshot_ref
from agentq_cli.git.changes import changed_files, files_since
from agentq_cli.git.landing import work_below
from agentq_cli.git.live import announced
from agentq_cli.git.runner import Git, GitTalkative
from agentq_cli.git.status import find_status
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.branches import encoded
from agentq_cli.trees.lines import config_of, copied_into, git_of, is_there, line_of
from agentq_cli.trees.records import tree_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentq_cli.engines.door import Queue
    from agentq_cli.git.changes import ChangedFile
    from agentq_cli.model.runs import Run
    from agentq_cli.trees.records import TreeRecord

PLAIN = ("diff", "--no-color", "--no-ext-diff", "--no-textconv")


@dataclass(frozen=True, slots=True)
class Difference:
    """What is compared: from the commit `base` to the commit `last`, or if that is None to the live tree that `git`
    runs in. `run` is the run whose snapshot `last` is. `note` says what is missing."""

    record: TreeRecord
    git: Git
    base: str
    last: str | None
    run: RunId | None = None
    note: str = ""


def find(
    queue: Queue,
    trees: str,
    environ: Mapping[str, str],
    target: Address | str,
    attempt: int | None = None,
    *,
    key: str | None = None,
) -> Difference:
    """What a task, a session or with `attempt` one run of a task changed; with `key` the session's conversation of that
    key. Raises NotFound, WrongState, Usage, GitFailed, OSError, BadRecord."""
    if attempt is not None:
        assert isinstance(target, Address)
        return _of_run(queue, trees, environ, RunId(*target, attempt))
    line = line_of(queue, trees, target, key)
    record, git = line.record, git_of(line.record, environ)
    seq = None if isinstance(target, str) else target.seq
    last = last_run(queue, record)
    if seq is None or last is None or last.seq == seq:
        if line.removed is None and is_there(record):
            return _live(record, git.at(record.path), last)
        if line.removed is not None and (commit := commit_at(git, line.removed.ref)):
            return Difference(record, git, record.start, commit)
    else:
        last = newest_snapshot(git, record.session, seq)
    commit = "" if last is None else commit_at(git, snapshot_ref(*last))
    return _sound(Difference(record, git, record.start, commit or record.head, last if commit else None))


def _live(record: TreeRecord, git: Git, last: RunId | None) -> Difference:
    """What the live tree holds; if a landing has merged what others did into it, the work that it landed."""
    work = work_below(git)
    if work is None or find_status(git, config=config_of(git)).without(copied_into(record)).paths():
        return Difference(record, git, record.start, None)
    if not work and last is not None:  # as one commit
        work = commit_at(git, snapshot_ref(*last))
    return Difference(record, git, record.start, work or None)


@contextlib.contextmanager
def shown_by(difference: Difference) -> Iterator[tuple[Git, tuple[str, ...]]]:
    """git and the words to give to `git diff`. Raises GitFailed, OSError."""
    if difference.last is not None:
        yield difference.git, (difference.base, difference.last)
        return
    git = difference.git
    with announced(git, copied_into(difference.record), config_of(git)) as beside:
        yield beside, (difference.base,)


def files(difference: Difference) -> tuple[ChangedFile, ...]:
    """The files that differ, with their counts of lines. Raises GitFailed, OSError."""
    with shown_by(difference) as (git, commits):
        return files_since(git, commits[0]) if len(commits) == 1 else changed_files(git, *commits)


def text(difference: Difference, most: int) -> str:
    """The difference as `git diff` prints it, for a screen; beyond `most` bytes only how much each file differs.

    Raises GitFailed, OSError.
    """
    with shown_by(difference) as (git, commits):
        try:
            found = git.run(*PLAIN, *commits, "--", most=most)
        except GitTalkative:
            found = git.run(*PLAIN, "--stat", *commits, "--")
    return found.out.decode(errors="replace")


def _of_run(queue: Queue, trees: str, environ: Mapping[str, str], run: RunId) -> Difference:
    line = line_of(queue, trees, run.address)
    git = git_of(line.record, environ)
    try:
        found: Run | None = queue.run(run)
    except NotFound:
        found = None  # it was pruned; its snapshot may be there
    commit = commit_at(git, snapshot_ref(*run))
    if found is not None and found.finished_at is None and is_there(line.record):
        return Difference(line.record, Git(line.record.path, environ), line.record.start, None, run)
    left = None if found is None else found.left
    last = (left and left.snapshot) or commit or (left and left.head)
    if not last:
        raise NotFound(f"run '{run}': it left nothing in a tree")
    note = "" if left is None or left.snapshot or not left.why else f"what was uncommitted is not stored: {left.why}"
    return _sound(Difference(line.record, git, (left and left.base) or line.record.start, last, run, note))


def newest_snapshot(git: Git, session: str, seq: int) -> RunId | None:
    """The last run of a task that has a snapshot. Raises GitFailed."""
    refs = git.run("for-each-ref", "--format=%(refname)", f"{SNAPSHOTS}{encoded(session)}/").out
    runs = filter(None, map(run_of, refs.decode(errors="surrogateescape").splitlines()))
    # Run 0 is what a task began with.
    return max((RunId(*run) for run in runs if run[2] and seq == run[1]), default=None)


def last_run(queue: Queue, record: TreeRecord) -> RunId | None:
    """The run that works in a tree, or the last one that left something in it; None if there is none."""
    for worker in queue.workers():
        if worker.session == record.session and _is_in(queue, worker.id.address, record):
            return worker.id
    found = run_of(record.snapshot or "")
    return None if found is None else RunId(*found)


def _is_in(queue: Queue, address: Address, record: TreeRecord) -> bool:
    task = queue.readable([address]).get(address)
    if task is None or task.work.launch.repository is None:
        return False
    return tree_of(os.path.dirname(record.path), task.work, address, task.conversation_key) == record.path


def _sound(difference: Difference) -> Difference:
    """The same. Raises NotFound if its commits are gone."""
    for commit in (difference.base, difference.last):
        if not commit_at(difference.git, str(commit)):
            what = difference.run or difference.record.line
            raise NotFound(f"'{what}': its commit {commit} is not in the repository any more")
    return difference
