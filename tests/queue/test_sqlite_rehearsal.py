"""`sweep --dry-run` is the sweep itself over copies: what it says is what a sweep then does, and it touches nothing."""

from __future__ import annotations

import contextlib
import os
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from queue_driver import OpenQueue
from sampling import WIDE, chance
from sweep_worlds import ACTS, CRASHES, HOUR

from agentq_cli.base.clock import Clock
from agentq_cli.base.errors import AgentqError
from agentq_cli.config.configuration import Config
from agentq_cli.engines.local.queue import LocalQueue as Queue
from agentq_cli.model.actions import SweepAction
from agentq_cli.supervise import wake
from agentq_cli.supervise.sweep import Sweep

NOW = 1_800_000_000_000


def told(actions: Iterable[SweepAction]) -> list[tuple[str, ...]]:
    """What is to be the same; only the deed knows the pid of a supervisor, and how and in which order hooks end."""
    found = [(each.action, each.session or "", each.task or "", each.run or "", each.detail) for each in actions]
    hooks = sorted((*each[:4], each[4].partition(":")[0]) for each in found if each[0] == "hook")
    others = [(*each[:4], "") if each[0] == "wake" else each for each in found if each[0] != "hook"]
    return others + hooks


def world(queue: Queue, draw: random.Random) -> None:
    """A state dir to which some things have happened."""
    acts = [*ACTS, *CRASHES]
    for act in draw.choices([act for _, act in acts], [often for often, _ in acts], k=draw.randint(2, 14)):
        with contextlib.suppress(AgentqError, OSError):
            act(queue, draw)


def files(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in directory.rglob("*")
    }


def test_what_a_plan_says_is_what_the_sweep_then_does(open_queue: OpenQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "ensure_supervisor", lambda queue, sessions, environ: 1)
    place = open_queue(Clock(NOW)).state.path  # type: ignore[arg-type]
    seen: Counter[str] = Counter()
    for seed in chance("rehearsal").sample(range(1 << 32), 15 * WIDE):
        draw = random.Random(seed)
        with Queue.open(f"{place}/of-{seed}", Clock(NOW - HOUR), create=True) as queue:
            world(queue, draw)
        config = Config(
            path=Path("none"),
            retention_ms=draw.choice([None, HOUR // 2]),
            hooks=draw.choice([{}, {"task.finished": ("true",), "session.drained": ("true",)}]),
        )
        with Queue.open(f"{place}/of-{seed}", Clock(NOW), create=True) as queue:
            session, reindex = draw.choice([None, None, "a"]), draw.random() < 0.2

            def sweep(queue: Queue = queue, config: Config = config, session=session, reindex=reindex) -> Sweep:
                return Sweep(queue, config, "here", dict(os.environ), session, reindex=reindex)

            before = files(Path(queue.state.path))
            planned = sweep()
            plan = told(planned.plan())
            assert files(Path(queue.state.path)) == before, seed
            done = sweep()
            assert plan == told(done.run()), seed
            assert planned.failed == done.failed, seed
            seen.update(action[0] for action in plan)
    wanted = {"settle", "recover", "undo", "expire", "arrive", "request", "depend", "batch", "forget", "wake", "hook"}
    if WIDE >= 4:  # few worlds hold little of everything
        assert wanted | {"trouble", "prune", "reindex"} <= set(seen), seen
