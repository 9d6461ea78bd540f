"""What a run wrote as a person reads it: the transcript of an agent, the output itself of anything else; and how the
run ended, in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.errors import NotFound
from agentq_cli.model.statuses import RunStatus
from agentq_cli.options import values
from agentq_cli.show import changes
from agentq_cli.show.costs import money
from agentq_cli.show.results import NOTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.agents.profile import Profile
    from agentq_cli.agents.transcript import Transcript
    from agentq_cli.agents.transcript_entries import Entry
    from agentq_cli.config.configuration import Config
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Run

RECORDED_MS = 3000
"""How long after its process a run may take to be recorded as ended."""


class Reading:
    """Turns the bytes of a run's stdout into those that are shown; without a transcript they are the same."""

    def __init__(self, of: Transcript | None, width: int | None) -> None:
        from agentq_cli.agents.transcript_lines import Page

        self.plain = of is None
        self._transcript = of
        self._page = Page(width)

    def feed(self, piece: bytes) -> bytes:
        """What the next bytes complete: whole lines, if there is a transcript."""
        return piece if self._transcript is None else self._shown(self._transcript.feed(piece))

    def end(self) -> bytes:
        """What is still to be shown once the run has ended."""
        return b"" if self._transcript is None else self._shown(self._transcript.end())

    def whole(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """All that is shown of the stdout of an ended run."""
        for piece in pieces:
            yield self.feed(piece)
        yield self.end()

    def _shown(self, entries: Iterable[Entry]) -> bytes:
        return "".join(f"{line}\n" for entry in entries for line in self._page.lines(entry)).encode()


def reading(
    queue: Queue, config: Callable[[], Config], run: RunId, width: int | None, *, middle: bool = False
) -> Reading:
    """The reading of a run on a terminal of this width, None for a pipe; with `middle` it may begin within a line."""
    from agentq_cli.agents.transcript import transcript

    agent = queue.run(run).agent
    return Reading(None if agent is None else transcript(profile_of(config(), agent), middle=middle), width)


def profile_of(config: Config, agent: str) -> Profile | None:
    """The profile of a run's agent; None if there is none any more."""
    from agentq_cli.agents import profile

    try:
        return profile.profile(config, agent)
    except NotFound:
        return None


def note_of_end(queue: Queue, run: RunId, wait: Callable[[], object]) -> Iterator[tuple[str, bytes]]:
    """A piece of output: the line that says how a run ended whose process has ended; `wait` lets some time pass. None
    if the claim of the run was undone."""
    began = monotonic_ms()
    try:
        while (found := queue.run(run)).status is RunStatus.RUNNING and monotonic_ms() - began < RECORDED_MS:
            wait()
    except NotFound:
        return
    over = found.status is not RunStatus.RUNNING
    yield NOTE, f"{run}: {how_it_ended(found) if over else 'its process has ended; nobody has recorded how'}".encode()


def how_it_ended(run: Run, *more: str) -> str:
    """Status, `more`, duration, exit code, reason and cost of a run, as far as they are known and say something."""
    parts = [run.status.value, *more]
    if run.duration_ms is not None:
        parts.append(values.format_duration(run.duration_ms))
    if run.exit_code:
        parts.append(f"exit {run.exit_code}")
    if run.error and run.error != f"exit code {run.exit_code}":
        parts.append(run.error)
    if run.left is not None:
        parts.append(changes.of_run(run.left))
    if run.landing is not None and run.landing.shown is not None and not run.error:
        parts.append(changes.landed(run.landing))
    if run.cost_usd is not None:
        parts.append(money(run.cost_usd, list_price=run.list_price))
    return ", ".join(parts)
