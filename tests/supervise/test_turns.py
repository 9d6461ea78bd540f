"""How often a supervisor asks what to start next: once a task, whichever sessions the tasks are in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentq_cli.base.clock import Clock
from agentq_cli.config import configuration
from agentq_cli.engines import door
from agentq_cli.host.launch import Launcher
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import NewTask
from agentq_cli.model.work import Work
from agentq_cli.supervise.duty import Settings
from agentq_cli.supervise.starting import Starter
from agentq_cli.supervise.supervisor import Supervision


@pytest.mark.parametrize(("sessions", "jobs"), [(["only"] * 6, 2), ([*"abcdef"], 1), ([*"ababab"], 1)])
def test_a_pick_for_each_task(
    tmp_path: Path, launcher: Launcher, monkeypatch: pytest.MonkeyPatch, sessions: Sequence[str], jobs: int
) -> None:
    picked = []

    def pick(starter: Starter, *arguments: object) -> object:
        found = real(starter, *arguments)
        picked.append(found and f"{found.session}/{found.seq}")
        return found

    real = Starter.pick
    monkeypatch.setattr(Starter, "pick", pick)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AGENTQ_STATE_DIR": str(tmp_path / "state")}
    clock = Clock(None)
    queue = door.open_queue(str(tmp_path / "state"), clock, create=True)
    work = Work("exec", str(tmp_path), argv=("true",))
    addresses = [address for address, _ in queue.submit([NewTask(name, work) for name in sessions], max_queued=9)]
    settings = Settings(jobs, (), True, None, None, None)
    config = configuration.load(environ)
    for _ in Supervision(queue, launcher, config=config, clock=clock, settings=settings, environ=environ).run():
        pass
    assert [queue.task(address).status for address in addresses] == [Status.COMPLETED] * 6
    # Once more where nothing is left, and perhaps after a round that had something else to do.
    assert len(picked) <= len(sessions) + 3
    queue.close()
