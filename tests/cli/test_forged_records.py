"""An agent can write its run's directory. What it puts there in a record's place must not harm anybody else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driven import Driven, alive, held, until

from agentq_cli.host import record_files

RUN = "sessions/default/runs/1.1"


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this user that has nothing to do with agentq; any signal that it does not ignore ends it."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield process
        process.kill()


@pytest.fixture
def run(aq: Driven) -> Path:
    """The directory of a run that goes on, and that no supervisor watches any more."""
    aq.exec(*held("job"), given=["--retries", "0", "--grace", "200ms"])
    supervisor = aq.supervise("--drain")
    aq.started("job")
    aq.kill_hard(supervisor)
    return aq.state_dir / RUN


def forge(run: Path, name: str, **values: Any) -> None:
    """Put a record in the place of the one that is there, which keeps what is not named."""
    path = run / name
    record = record_files.load(str(path)) or {}
    forged = path.with_name("forged")
    forged.write_text(json.dumps(record | values))
    forged.rename(path)


def as_process(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return {"pid": process.pid, "start_time": int(stat[19])}


def kill_keeper(run: Path) -> None:
    pid = record_files.load(str(run / "start"))["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), what="the keeper is gone")


def outcome(aq: Driven) -> str:
    return str(aq.items("runs")[0]["status"])


@pytest.mark.parametrize("printing", [False, True])
def test_a_forged_agent_gets_no_stranger_killed(aq: Driven, run: Path, stranger, printing: bool) -> None:
    kill_keeper(run)
    forge(run, "start", agent=as_process(stranger))
    if printing:  # A link to what the stranger prints to is not the run's own file.
        (run / "stdout").unlink()
        (run / "stdout").symlink_to(os.readlink(f"/proc/{stranger.pid}/fd/1"))
    aq("sweep", "--no-wake")
    assert outcome(aq) == "crashed"
    assert stranger.poll() is None
    assert not alive(aq.started("job")), "the run's own processes are ended all the same"


def test_a_forged_keeper_is_neither_believed_nor_signalled(aq: Driven, run: Path, stranger) -> None:
    kill_keeper(run)
    forge(run, "start", **as_process(stranger))
    aq("cancel", "1", "--wait")
    assert aq.task("default/1")["status"] == "cancelled"
    assert stranger.poll() is None


def test_a_forged_keeper_elsewhere_does_not_live_for_ever(aq: Driven, run: Path, stranger) -> None:
    boot = record_files.load(str(run / "start"))["boot_id"]
    kill_keeper(run)
    forge(run, "start", **as_process(stranger), boot_id=f"{boot.partition('/')[0]}/4242", locked=True)
    # Its own processes hold their stdout: they are seen by their marker, and ended.
    aq("sweep", "--no-wake")
    assert outcome(aq) == "crashed"
    assert stranger.poll() is None


def test_a_forged_tmpdir_is_not_removed(aq: Driven, run: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="agentq-", dir="/tmp") as kept:
        (Path(kept) / "file").touch()
        kill_keeper(run)
        forge(run, "start", tmpdir=kept)
        aq("sweep", "--no-wake")
        assert outcome(aq) == "crashed"
        assert os.listdir(kept) == ["file"]


def test_a_forged_end_frees_no_slot_while_the_keeper_lives(aq: Driven, run: Path) -> None:
    forge(
        run,
        "exit",
        exit_code=0,
        signal=None,
        stopped=None,
        error=None,
        spawn_error=False,
        finished_at=1,
        duration_ms=1,
        peak_rss_bytes=None,
        stdout_bytes=0,
        stderr_bytes=0,
    )
    aq("sweep", "--no-wake")
    assert aq.task("default/1")["status"] == "running"
    aq.let_go("job")
    until(lambda: (aq("sweep", "--no-wake"), aq.task("default/1")["status"])[1] == "completed")
    assert len(aq.items("runs")) == 1


@pytest.mark.parametrize("record", ['{"void": true, "by": 1}', None])
def test_a_run_that_is_made_to_look_unstarted_is_not_started_again(aq: Driven, run: Path, record: str | None) -> None:
    (run / "start").unlink()
    if record is not None:
        (run / "start").write_text(record)
    aq("sweep", "--no-wake")
    assert aq.task("default/1")["status"] == "running"
    assert [worker["id"] for worker in aq.items("workers")] == ["default/1.1"]
    aq.let_go("job")


def test_a_forged_stop_harms_its_own_run_alone(aq: Driven, run: Path) -> None:
    kill_keeper(run)
    forge(run, "stop", reason=["no", "text"], at=-1)
    aq("sweep", "--no-wake")
    assert aq.task("default/1")["status"] == "failed"
