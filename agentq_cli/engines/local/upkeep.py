"""What this engine needs to stay in order, reported as it is done; in a rehearsal the same is done to copies.

A dead process leaves behind files in mid-commit, half-stored batches, rows of supervisors and runs' files moved aside.
An index can be lost, or restored from an older copy. Only this engine deals with any of this.
"""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base.errors import AgentqError, Busy, Refused
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import loads
from agentq_cli.engines.local import aside, condition, connection, holds, inspection, rehearsal, reindex, seen
from agentq_cli.engines.local.inspection import Inspection
from agentq_cli.engines.local.sessions import settle_aside
from agentq_cli.engines.local.turn import result_row
from agentq_cli.engines.nouns import Fault, Leftovers, Trouble
from agentq_cli.host.ring import held
from agentq_cli.model.actions import Actor, SweepAction
from agentq_cli.model.addresses import RunId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from agentq_cli.engines.local.queue import LocalQueue
    from agentq_cli.engines.local.rebuilding import FindRun

    Step: TypeAlias = "Iterator[SweepAction | Trouble]"

FORGOTTEN = "the index lacked tasks, or had an older state of them"
LOST = "permanently lost: hooks not yet called, counters of pruned runs, and events other than submits, runs and ends"
"""What only an index has: said after an index was lost."""


class Upkeep:
    """One pass; a sweep calls `begin`, `asking` and `end`, a supervisor `recall`."""

    def __init__(self, queue: LocalQueue) -> None:
        self._queue = queue
        self._unfit: set[str] = set()
        self._inspection: Inspection | None = None

    # A sweep

    def begin(
        self,
        find_run: FindRun,
        *,
        host: str,
        session: str | None = None,
        rebuild: bool = False,
        config: str | None = None,
    ) -> Step:
        if (restored := self.restore_holds()) is not None:
            yield SweepAction("reindex", None, None, None, restored)
        if rebuild:
            yield from self._rebuild_all(find_run, host, session)
        self._inspection = self.inspection(session)
        self.note_sweep(turn=session is None, config=config)
        yield from self._changed(self._inspection, find_run, host)
        yield from self._supervisors()
        yield from self._batches(session)

    def asking(self) -> list[str]:
        return [] if self._inspection is None else self._queue.voice.changed(self._inspection.sessions)

    def end(self, session: str | None = None) -> Step:
        self._queue.voice.record()
        for run in self.post_results():
            of = run.rpartition("/")[0]
            if session in (None, of):
                yield SweepAction("unposted", of, None, run, "its result could not be written to outbound.db")

    def _rebuild_all(self, find_run: FindRun, host: str, session: str | None) -> Step:
        sessions = [name for name in self.stored_sessions() if session in (None, name)]
        lost = bool(sessions) and not self._queue.session_names()
        yield from self._rebuilt(sessions, find_run, host, LOST if lost else None)

    def _rebuilt(self, sessions: Sequence[str], find_run: FindRun, host: str, more: str | None) -> Step:
        """Rebuild the index of sessions, and report for each what was repaired, and `more`."""
        from agentq_cli.engines.local import rebuilding

        for session, mended in rebuilding.rebuild(self._queue, self.reindex, find_run, sessions, host=host):
            if isinstance(mended, AgentqError):
                yield self._trouble(session, mended)
            else:
                detail = "; ".join([*mended, *([more] if more else [])])
                yield SweepAction("reindex", session, None, None, detail or "in order")

    def _changed(self, inspected: Inspection, find_run: FindRun, host: str) -> Step:
        """Clean up what dead writers left behind, and report the sessions whose files are corrupt or newer, whatever
        work the index has for them."""
        forgotten = []
        for session, fault in self.inspect(inspected, remember=True):
            if session in self._unfit:
                continue
            if fault.of_index:
                forgotten.append(session)
            else:
                yield self._trouble(session, fault.error, of_files=not fault.of_all, of_voice=fault.of_voice)
        if forgotten:
            yield from self._rebuilt(forgotten, find_run, host, FORGOTTEN)
        for session in inspected.changed:
            if session not in self._unfit:
                yield from self._each(session, self._pruned(session))

    def _pruned(self, session: str) -> Step:
        """Finish or undo a prune that was killed."""
        back, gone = self.settle_aside(session)
        self.remove_aside(session, gone)
        if gone or back:
            detail = f"interrupted prune: files of {len(gone)} runs removed, of {len(back)} restored"
            yield SweepAction("prune", session, None, None, detail)

    def _supervisors(self) -> Step:
        for dead in self._queue.clear_dead(actor=Actor.SWEEP):
            yield SweepAction("forget", None, None, None, f"supervisor {dead.identity.pid} is gone")

    def _batches(self, session: str | None) -> Step:
        for batch, committed, sessions, owner in self.batches():
            if not self._queue.lives(owner) and (session is None or session in sessions):
                # The message names the faulty file; none of the sessions is to be skipped because of it.
                yield from self._each("", self._batch(batch, committed, sessions))

    def _batch(self, batch: str, committed: bool, sessions: list[str]) -> Step:
        self.settle_batch(batch, committed=committed, sessions=sessions)
        what = "finished a batch" if committed else "dropped a batch that was not committed"
        yield SweepAction("batch", None, None, None, f"{what} over {len(sessions)} sessions")

    def _each(self, session: str, step: Step) -> Step:
        """Run a step in one session; a failure is reported, and the other sessions continue."""
        try:
            yield from step
        except AgentqError as error:
            yield self._trouble(session, error)
        except OSError as error:
            where = "the system" if error.filename is None else f"'{os.fsdecode(error.filename)}'"
            yield self._trouble(session, Refused(f"{where}: {error.strerror or error}"), of_files=True)

    def _trouble(self, session: str, error: AgentqError, *, of_files: bool = False, of_voice: bool = False) -> Trouble:
        if not of_files:
            self._unfit.add(session)
        return Trouble(session, error, of_files, of_voice)

    # A supervisor

    def recall(self, find_run: FindRun, *, host: str, wanted: Callable[[str], bool]) -> Iterator[str]:
        from agentq_cli.engines.local import rebuilding

        self.roll_back_dead_writers()
        if (restored := self.restore_holds()) is not None:
            yield restored
        forgotten = [session for session in self.forgotten() if wanted(session)]
        for session, mended in rebuilding.rebuild(self._queue, self.reindex, find_run, forgotten, host=host):
            more = [mended.message] if isinstance(mended, AgentqError) else mended
            yield "; ".join([f"{session}: the index lacked tasks, or had an older state of them", *more])

    def give_up(self, run: RunId) -> None:
        self._queue.tell("dispatch.delete_worker", run._asdict())
        self._queue.ring()

    # What is wrong

    def faults(self) -> Iterator[tuple[str, Fault]]:
        for session in self.stored_sessions():
            with contextlib.suppress(Busy):
                for fault in condition.faults(self._queue.state, session):
                    yield session, fault

    def leftovers(self) -> Leftovers:
        queue = self._queue
        try:
            names = os.listdir(queue.here.bells)
        except OSError:
            names = []
        files = [place(name) for name in self.stored_sessions() for place in (queue.here.inbound, queue.here.outbound)]
        return Leftovers(
            batches=sum(not queue.lives(owner) for *_, owner in self.batches()),
            supervisors=sum(not queue.lives(supervisor.identity) for supervisor in queue.supervisors()),
            bells=sum(not held(f"{queue.here.bells}/{name}") for name in names),
            commits=sum(os.path.exists(f"{file}-journal") for file in files),
        )

    # The steps

    def restore_holds(self) -> str | None:
        """Restore the holds that a lost index had; returns a message, or None if there was nothing to do."""
        return holds.restore(self._queue.index, self._queue.state)

    def note_sweep(self, *, turn: bool = False, config: str | None = None) -> None:
        """Record that a sweep runs; with `turn` the next one checks the sessions after those of this one.
        `config` is what is to be remembered of the configuration."""
        seen.note(self._queue.index, self._queue.now, turn=turn, config=config)
        self._queue.ring()

    def inspection(self, session: str | None = None) -> Inspection:
        """What a sweep checks now, or one of that session only; everything, unless there is very much."""
        return inspection.begin(self._queue.state, self._queue.index, session)

    def inspect(self, inspected: Inspection, *, remember: bool) -> Iterator[tuple[str, Fault]]:
        """Open the sessions that have changed and roll back what dead writers left behind; yields what is wrong with
        each. With `remember` the others are not opened again until they change."""
        return inspection.inspect(self._queue.state, self._queue.index, inspected, remember=remember)

    def roll_back_dead_writers(self) -> list[str]:
        """Roll back files that a dead process left in mid-commit; returns the sessions whose files they are."""
        return reindex.roll_back_dead_writers(self._queue.state, self._queue.state.session_names())

    def stored_sessions(self) -> list[str]:
        """The sessions that have a directory, whatever the index says."""
        return list(self._queue.state.session_names())

    def forgotten(self) -> list[str]:
        """The sessions of which the index lacks something that their files have: sessions that it does not know, and,
        of those that have changed since a sweep checked them, those of which it has an older state."""
        known = set(self._queue.session_names())
        unknown = (name for name in self.stored_sessions() if name not in known)
        return [name for name in dict.fromkeys([*unknown, *self.inspection(None).changed]) if self._lacks(name)]

    def _lacks(self, session: str) -> bool:
        try:
            return condition.lacking(self._queue.state, session)
        except AgentqError:
            return False  # it cannot be read, or not now: reported separately

    def reindex(self, session: str, *, host: str) -> list[str]:
        """Rebuild the index of one session from its file; returns what had to be repaired."""
        found = reindex.reindex(
            self._queue.state, session, now=self._queue.now, host=host, busy_ms=connection.BACKGROUND_BUSY_MS
        )
        mended = list(found)
        self._queue.ring()
        return mended

    def batches(self) -> list[tuple[str, bool, list[str], Identity]]:
        """Unfinished batches: id, whether committed, sessions, owner."""
        found = self._queue.reading.ask("batch.all")
        return [(row[0], bool(row[1]), loads(row[2]), Identity(*row[3:])) for row in found]

    def settle_batch(self, batch: str, *, committed: bool, sessions: Sequence[str]) -> None:
        """Finish a committed batch that its owner left behind, or undo one that was not committed."""
        from agentq_cli.engines.local import batch as batches

        settle = batches.release if committed else batches.drop
        settle(self._queue.state, batch, sessions, now=self._queue.now, actor=Actor.SWEEP)
        self._queue.ring()

    def post_results(self) -> Iterator[str]:
        """Append the result rows that could not be appended when their runs ended; yields the runs for which that still
        fails."""
        after = 0
        while found := self._queue.reading.ask("dispatch.unposted", {"after": after}):
            for session, seq, attempt, result, status, at, _ in found:
                run = RunId(session, seq, attempt)
                row = result_row(run, status, None if result is None else loads(result), at)
                if self._queue.post("post_again", session, [row]):
                    self._queue.tell("dispatch.posted", run._asdict())
                else:
                    yield str(run)
            after = found[-1][-1]

    def settle_aside(self, session: str) -> tuple[list[str], list[str]]:
        """Put back the files of runs that an uncommitted prune moved aside; returns the names of these runs, and of
        those whose files are to be removed."""
        return settle_aside(self._queue.state, session, busy_ms=connection.BACKGROUND_BUSY_MS)

    def remove_pruned(self, seqs: Iterable[tuple[str, int]]) -> None:
        """Remove the files of the runs of pruned tasks."""
        gone: dict[str, set[str]] = {}
        for session, seq in seqs:
            gone.setdefault(session, set()).add(str(seq))
        for session, numbers in gone.items():
            names = aside.names(self._queue.state.session(session))
            self.remove_aside(session, [name for name in names if name.partition(".")[0] in numbers])

    def remove_aside(self, session: str, names: Collection[str]) -> None:
        """Remove the files of runs that were moved aside."""
        if rehearsal.rehearsing():
            return
        from agentq_cli.host import tmpdir

        place = str(aside.place(self._queue.state.session(session)))
        for name in names:
            tmpdir.remove_below(place, name)
        if names:
            with contextlib.suppress(OSError):
                os.rmdir(place)
