"""A supervisor takes over a run only once it can watch it."""

from __future__ import annotations

import pytest
from queue_driver import SUPERVISOR, Clock, command, only_worker, start, submit

from agentq_cli.base.errors import Busy
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.host import process
from agentq_cli.supervise.duty import Duty, Settings
from agentq_cli.supervise.guard import Guard
from agentq_cli.supervise.watched_runs import WatchedRuns


def test_a_run_that_cannot_be_watched_yet_is_left_to_others(
    queue: Queue, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*given: object, **options: object) -> None:
        raise Busy("its session is locked")

    (address,) = submit(queue, command("a"))
    run = start(queue, address, supervisor=SUPERVISOR)
    duty = Duty(queue, Config(path=""), clock, Settings(), {}, process.current(), Guard())
    runs = WatchedRuns(duty, lambda session: None, lambda watched: None)
    with monkeypatch.context() as patch:
        patch.setattr(queue, "task", busy)
        assert list(runs.adopt()) == []
    assert only_worker(queue).supervisor == SUPERVISOR, "it is still nobody's"
    duty.guard.clear("a", f"adopt {run}")
    assert [each.event.event for each in runs.adopt()] == ["adopt"]
    assert only_worker(queue).supervisor == duty.identity
    assert list(runs.by_id) == [run]
    runs.close()
