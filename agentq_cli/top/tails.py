"""What changes while runs go on and no bell rings: ages, last lines, cost. Read from where the last look ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentq_cli.agents.reader import open_reader
from agentq_cli.base.clock import from_rfc3339
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError
from agentq_cli.commands.following import last_said
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.host.said import StreamFollower
from agentq_cli.model.addresses import RunId
from agentq_cli.options import values
from agentq_cli.show.documents import Item
from agentq_cli.supervise import settle
from agentq_cli.top.snapshot import LONGEST

STEPS = 32
"""How many pieces of 64 KiB a look reads of a run's stream, so that a long one does not hold up the screen."""


@dataclass(slots=True)
class Tail:
    """What is known of one run: how much it has printed, its last line, and the reader that knows its cost."""

    stream: StreamFollower | None
    sizes: tuple[int, ...] = ()
    last_line: str = ""
    cost_usd: float | None = None


class Tails:
    """The runs that go on, each read on from look to look."""

    def __init__(self, queue: Queue, config: Config) -> None:
        self._queue = queue
        self._config = config
        self._tails: dict[RunId, Tail] = {}

    def update(self, running: Sequence[Item]) -> list[Item]:
        """The items of a snapshot as they are now. What has printed nothing since the last look is not read."""
        runs = [_run_of(item) for item in running]
        for gone in self._tails.keys() - set(runs):
            self._close(self._tails.pop(gone))
        return [self._updated(run, item) for run, item in zip(runs, running, strict=True)]

    def close(self) -> None:
        """Close what is open."""
        for tail in self._tails.values():
            self._close(tail)
        self._tails.clear()

    def _updated(self, run: RunId, item: Item) -> Item:
        age = {"age_ms": max(0, self._queue.now - from_rfc3339(item["started_at"]))}
        try:
            tail = self._tails.get(run) or self._tails.setdefault(run, self._open(run))
            self._read(run, tail)
        except (AgentqError, OSError):
            return {**item, **age}  # its session is busy, or the agent did away with its files
        return {**item, **age, "last_line": tail.last_line, "cost_usd": tail.cost_usd}

    def _open(self, run: RunId) -> Tail:
        task = self._queue.task(run.address, background=True)
        reader = open_reader(settle.read_as(task, self._config)[0])
        return Tail(None if reader is None else StreamFollower(self._queue.output(run, "stdout"), reader))

    def _read(self, run: RunId, tail: Tail) -> None:
        sizes = tuple(_size(self._queue, run, stream) for stream in ("stdout", "stderr"))
        if sizes != tail.sizes:
            tail.sizes = sizes
            tail.last_line = last_said(self._queue, run)[:LONGEST]
        if tail.stream is not None and any(tail.stream.step() for _ in range(STEPS)):
            tail.cost_usd = tail.stream.reader.verdict().cost_usd

    @staticmethod
    def _close(tail: Tail) -> None:
        if tail.stream is not None:
            tail.stream.close()


def _size(queue: Queue, run: RunId, stream: str) -> int:
    with queue.output(run, stream) as output:
        return output.size()


def _run_of(item: Mapping[str, object]) -> RunId:
    address, attempt = values.parse_run(str(item["run"]))
    assert attempt is not None
    return RunId(*address, attempt)
