"""Removes the trees whose work has landed, or in which none was done, once all of their tasks have ended long enough
ago; and later the snapshots of tasks that nobody knows any more."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.git.advance import commit_at
from agentq_cli.git.branches import SNAPSHOTS, run_of
from agentq_cli.model.addresses import Address
from agentq_cli.model.branches import encoded
from agentq_cli.trees import listing, register, removal, removed
from agentq_cli.trees.diffs import last_run
from agentq_cli.trees.lines import git_of
from agentq_cli.trees.listing import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agentq_cli.engines.door import Queue
    from agentq_cli.git.runner import Git
    from agentq_cli.trees.records import TreeRecord

EVERY_MS = 3_600_000
"""How often sweeps look for trees to remove: each of them takes git some processes."""

LOOKED = ".pruned.lock"
"""The file in the directory of the trees whose time says when a sweep did so last."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, or would be: the tree of a line of work, or with `snapshots` so many snapshots of it. `kept`
    says why the tree stays."""

    record: TreeRecord
    snapshots: int = 0
    kept: str = ""
    state: State = State.WAITING

    def __str__(self) -> str:
        if self.kept:
            return f"its tree stays: {self.kept}"
        if self.snapshots:
            return f"{self.snapshots} {'snapshot' if self.snapshots == 1 else 'snapshots'} of its tree"
        return f"its tree {self.record.number}, {'which has landed' if self.state == State.LANDED else 'unchanged'}"


@dataclass(frozen=True, slots=True)
class Pruner:
    """Prunes the trees of one queue. Lines of work whose last run ended before `before` (milliseconds UTC) are old
    enough; with `dry` nothing is removed."""

    queue: Queue
    trees: str
    environ: Mapping[str, str]
    caches: Collection[str]
    before: int
    dry: bool = False

    def is_due(self) -> bool:
        """Whether no sweep has looked for a while; notes that one does now. Raises OSError."""
        if not os.path.isdir(self.trees):
            return False
        file = os.path.join(self.trees, LOOKED)
        try:
            if 0 <= self.queue.now - os.stat(file).st_mtime_ns // 1_000_000 < EVERY_MS:
                return False
        except FileNotFoundError:
            pass
        if not self.dry:
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            os.utime(file, (self.queue.now / 1000,) * 2)
        return True

    def run(self, session: str | None = None) -> Iterator[Pruned]:
        """Remove every tree that may go, or those of a session, and what has outlived its time. A tree that cannot be
        removed is told, and stops nothing. Raises OSError."""
        yield from self.of(each for each in register.records(self.trees) if session in (None, each.session))
        for gone in list(removed.all_removed(self.trees)):
            if session in (None, gone.record.session) and gone.at < self.before:
                yield from self._expired(gone)

    def of(self, records: Iterator[TreeRecord], *, tell: bool = False) -> Iterator[Pruned]:
        """Remove those of these trees that may go. With `tell`, say too why the others stay."""
        uses = listing.find_uses(self.queue, self.trees)
        for record in list(records):
            try:
                found = self._remove(record, uses)
            except (AgentqError, OSError) as error:
                found = Pruned(record, kept=str(error))
            if found is not None and (tell or not found.kept):
                yield found

    def _remove(self, record: TreeRecord, uses: listing.Uses) -> Pruned | None:
        if not self.dry and removal.complete(record, self.environ, lambda _: None):
            return Pruned(record)
        if record.path in uses.live or self._last_end(record) >= self.before:
            return Pruned(record, kept="it is in use")
        tree = listing.look(record, uses, self.environ, self.caches)
        if not tree.removable:
            return Pruned(record, kept=REASONS[tree.state] + (f" ({tree.note})" if tree.note else ""))
        notes: list[str] = []
        if not self.dry:
            removal.remove(
                record, self.environ, now=self.queue.now, tell=notes.append, still=lambda: self._idle(record)
            )
        return Pruned(record, state=tree.state)

    def _idle(self, record: TreeRecord) -> bool:
        return record.path not in listing.find_uses(self.queue, self.trees).live

    def _last_end(self, record: TreeRecord) -> int:
        """When the last run in a tree ended: milliseconds UTC."""
        run = last_run(self.queue, record)
        if run is None:
            return record.made_at
        ended = self.queue.run(run).finished_at
        return self.queue.now if ended is None else ended

    # Snapshots

    def _expired(self, gone: removed.Removed) -> Iterator[Pruned]:
        """Remove the snapshots of a tree that was removed long ago, as far as no task is there to which they belong."""
        record = gone.record
        try:
            git = git_of(record, self.environ)
        except NotFound:
            return  # The repository may come back.
        try:
            old = [each for each in (gone.ref, gone.branch_ref) if commit_at(git, each)]
            refs, known = self._of_runs(git, record)
            if not self.dry:
                for ref in (*old, *refs):
                    git.run("update-ref", "-d", ref)
                if not known:
                    removed.forget(gone)
        except AgentqError:
            return  # The next time.
        if old or refs:
            yield Pruned(record, snapshots=len(old) + len(refs))

    def _of_runs(self, git: Git, record: TreeRecord) -> tuple[list[str], bool]:
        """The refs of the runs of a line of work whose tasks are gone, and whether there are others."""
        if any((each.session, each.seq) == (record.session, record.seq) for each in register.records(self.trees)):
            return [], False  # It has a tree again.
        told = git.run("for-each-ref", "--format=%(refname)", f"{SNAPSHOTS}{encoded(record.session)}/").out
        found: dict[Address, list[str]] = {}
        for ref in told.decode(errors="surrogateescape").splitlines():
            run = run_of(ref)
            if run is not None and record.seq in (None, run[1]):
                found.setdefault(Address(run[0], run[1]), []).append(ref)
        others = {Address(each.session, each.seq) for each in register.records(self.trees) if each.seq is not None}
        there = self.queue.readable(found.keys())
        gone = found.keys() - there.keys() - others
        return [ref for each in gone for ref in found[each]], bool(there)


REASONS = {
    State.USED: "a run works in it",
    State.WAITING: "its work has not landed",
    State.HOLDS: "it holds what no snapshot can hold",
    State.VANISHED: "it has vanished",
}
