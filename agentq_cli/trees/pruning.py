"""Removes the trees whose work has landed, or in which none was done, once all of their tasks have ended long enough
ago; and later the snapshots of tasks that nobody knows any more."""

from __future__ import annotations

import contextlib
import itertools
import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.host.place import LOOK_MS
from agentq_cli.trees import listing, register, removal, removed
from agentq_cli.trees.diffs import last_run
from agentq_cli.trees.lines import git_of
from agentq_cli.trees.listing import State
from agentq_cli.trees.outlived import Outlived

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agentq_cli.engines.door import Queue
    from agentq_cli.trees.records import TreeRecord


MOST = 20
"""How many trees one sweep removes: each takes git some seconds at the worst, and other work waits for a sweep."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, or would be: the tree of a line of work, or with `snapshots` so many snapshots of it. `kept`
    says why the tree stays, `notes` what did not go as it should."""

    record: TreeRecord
    snapshots: int = 0
    kept: str = ""
    state: State = State.WAITING
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kept:
            return f"its tree stays: {self.kept}"
        if self.snapshots:
            return f"{self.snapshots} {'snapshot' if self.snapshots == 1 else 'snapshots'} of its tree"
        became = {State.LANDED: " (landed)", State.UNCHANGED: " (unchanged)"}.get(self.state, "")
        return "; ".join((f"its tree {self.record.number}{became}", *self.notes))


@dataclass(frozen=True, slots=True)
class Pruner:
    """Prunes the trees of one queue: those of which the last run ended before `before`. What was stored of one that was
    removed before `lasts` goes too (both milliseconds UTC). `going` are addresses of tasks that go at the same time;
    with `dry` nothing is removed."""

    queue: Queue
    trees: str
    environ: Mapping[str, str]
    caches: Collection[str]
    before: int
    lasts: int
    going: frozenset[str] = frozenset()
    dry: bool = False

    def is_due(self) -> bool:
        """Whether no sweep has looked at all trees for a while, and there are any. Raises OSError."""
        file = self.queue.here.trees_looked
        try:
            if 0 <= self.queue.now - os.stat(file).st_mtime_ns // 1_000_000 < LOOK_MS:
                return False
        except FileNotFoundError:
            pass
        known = any(True for _ in register.records(self.trees)) or any(True for _ in removed.all_removed(self.trees))
        if not known:
            self._note(looked=False)
        return known

    def sweep(self, session: str | None = None) -> Iterator[Pruned]:
        """What one sweep removes: what belongs to the tasks that go, and once in a while whatever may go; of all that
        at most `MOST`. Whoever is stopped early, or reaches that, leaves the rest to the next sweep. Raises OSError."""
        due = self.is_due()
        mine = [each for each in register.records(self.trees) if each.line in self.going] if self.going else []
        own = (each for each in self.of(iter(mine)) if not each.kept) if mine else iter(())
        for count, each in enumerate(itertools.chain(own, self.run(session) if due else ()), 1):
            yield each
            if count == MOST:
                self._note(looked=False)
                return
        if due:
            self._note(looked=True)

    def _note(self, *, looked: bool) -> None:
        """Note that all trees were looked at just now, or that this is to be done again."""
        file = self.queue.here.trees_looked
        if self.dry:
            return
        if looked:
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            os.utime(file, (self.queue.now / 1000,) * 2)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file)

    def run(self, session: str | None = None) -> Iterator[Pruned]:
        """Remove every tree that may go, or those of a session, and what has outlived its time. A tree that cannot be
        removed stops nothing. Raises OSError."""
        mine = [each for each in register.records(self.trees) if session in (None, each.session)]
        yield from (each for each in self.of(each for each in mine if each.line not in self.going) if not each.kept)
        yield from self._outlived(session)

    def of(self, records: Iterator[TreeRecord]) -> Iterator[Pruned]:
        """Remove those of these trees that may go, and say why the others stay."""
        uses = listing.find_uses(self.queue, self.trees)
        for record in list(records):
            try:
                yield self._remove(record, uses)
            except (AgentqError, OSError) as error:
                yield Pruned(record, kept=str(error))

    def _remove(self, record: TreeRecord, uses: listing.Uses) -> Pruned:
        if not self.dry and removal.complete(record, self.environ, lambda _: None):
            return Pruned(record)
        if record.path in uses.live:
            return Pruned(record, kept="a task is still to run in it")
        if record.line not in self.going and self._last_end(record) >= self.before:
            return Pruned(record, kept="it was used lately")
        tree = listing.look(record, uses, self.environ, self.caches)
        if not tree.removable:
            paths = f": {', '.join(tree.held_by)}" if tree.state is State.HOLDS else ""
            return Pruned(record, kept=f"{REASONS[tree.state]}{paths}" + (f" ({tree.note})" if tree.note else ""))
        notes: list[str] = []
        if not self.dry and not removal.remove(
            record, self.environ, now=self.queue.now, tell=notes.append, still=lambda: self._idle(record)
        ):
            return Pruned(record, kept="a task is still to run in it")
        return Pruned(record, state=tree.state, notes=tuple(notes))

    def _idle(self, record: TreeRecord) -> bool:
        return record.path not in listing.find_uses(self.queue, self.trees).live

    def _last_end(self, record: TreeRecord) -> int:
        """When the last run in a tree ended: milliseconds UTC."""
        run = last_run(self.queue, record)
        try:
            ended = None if run is None else self.queue.run(run).finished_at
        except NotFound:
            ended = None  # It was pruned.
        return record.made_at if ended is None else ended

    def _outlived(self, session: str | None) -> Iterator[Pruned]:
        """Remove the snapshots that have outlived their time."""
        snapshots = Outlived(self.queue, self.trees, self.lasts)
        lines: list[tuple[TreeRecord, removed.Removed | None]] = [
            (each.record, each) for each in list(removed.all_removed(self.trees)) if each.at < self.lasts
        ]
        # A session's tree stays while its tasks come and go.
        lines += [(each, None) for each in register.records(self.trees) if each.seq is None]
        for record, gone in lines:
            if session not in (None, record.session):
                continue
            try:
                git = git_of(record, self.environ)
                refs, more = snapshots.find(git, record, gone)
                if not self.dry:
                    for ref in refs:
                        git.run("update-ref", "-d", ref)
                    if gone is not None and not more:
                        removed.forget(gone)
            except AgentqError:
                continue  # The next time; a repository that is away may come back.
            if refs:
                yield Pruned(record, snapshots=len(refs))


REASONS = {
    State.USED: "a run works in it",
    State.WAITING: listing.NOT_LANDED,
    State.HOLDS: "it holds what no snapshot can hold",
    State.VANISHED: "it has vanished",
}
