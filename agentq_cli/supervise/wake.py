"""Whether somebody looks after the queue, and starting one supervisor where nobody does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from agentq_cli.clock import monotonic_ms
from agentq_cli.errors import Refused
from agentq_cli.model import Identity, Supervisor
from agentq_cli.queue import Queue
from agentq_cli.supervise import process

LEASE_MS = 30_000
"""A supervisor that watches runs and has not renewed its row for so long is treated as gone."""

SWEEP_RECENT_MS = 5 * 60_000
LOG_BYTES = 1 << 20


def living(queue: Queue) -> list[Supervisor]:
    """The supervisors whose process exists."""
    return [supervisor for supervisor in queue.supervisors() if process.alive(supervisor.identity)]


def looked_after(queue: Queue, sessions: Iterable[str]) -> bool:
    """Whether supervisors that live serve all of these sessions."""
    serving = living(queue)
    if any(not supervisor.sessions for supervisor in serving):
        return True
    served = {name for supervisor in serving for name in supervisor.sessions}
    return bool(serving) and set(sessions) <= served


def unattended(queue: Queue, sessions: Iterable[str]) -> bool:
    """Whether nobody will start these sessions' tasks: no supervisor lives and nobody swept in the last 5 minutes."""
    if looked_after(queue, sessions):
        return False
    swept = queue.last_sweep()
    return swept is None or queue.now - swept > SWEEP_RECENT_MS


def watched(supervisor: Identity | None, known: Mapping[Identity, Supervisor]) -> bool:
    """Whether a run's supervisor is there to settle it: alive, and not stopped for longer than its lease."""
    if supervisor is None or not process.alive(supervisor):
        return False
    row = known.get(supervisor)
    return row is not None and monotonic_ms() - row.renewed_at <= LEASE_MS


def ensure_supervisor(queue: Queue, sessions: Sequence[str]) -> int | None:
    """Start a detached `run --drain` unless one lives that serves these sessions; its pid, or None."""
    from filelock import FileLock

    with FileLock(queue.state.wake_lock, mode=0o600):
        if looked_after(queue, sessions):
            return None
        return start_detached(queue.state.path, ["--drain"])


def start_detached(state_dir: Path, arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Start `agentq run` in a session of its own and return its pid once it is on duty. Raises Refused."""
    import subprocess

    log = state_dir / "supervisor.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.unlink()
    with log.open("ab") as trace:
        child = subprocess.Popen(
            [*self_command(), "run", "--state-dir", str(state_dir), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=trace,
            stderr=trace,
            cwd="/",
            env=dict(os.environ if environ is None else environ),
            start_new_session=True,
        )
    _wait_until_on_duty(child, state_dir)
    return child.pid


def _wait_until_on_duty(child: object, state_dir: Path) -> None:
    import subprocess
    import time

    assert isinstance(child, subprocess.Popen)
    identity = process.identity_of(child.pid)
    bell = state_dir / "bells" / f"{child.pid}-{identity.start_time if identity else 0}"
    while not bell.exists():
        # A drain that found nothing to do may have come and gone between two looks.
        if child.poll() is not None:
            if child.returncode in (0, 1, 75):
                break
            raise Refused(f"agentq run: it ended with {child.returncode}; see '{state_dir}/supervisor.log'")
        time.sleep(0.005)
    # Its parent is gone before it ends; init reaps it.
    child.returncode = 0


def self_command() -> list[str]:
    """How this very agentq is started again, from wherever it was installed and with nothing of the cwd on its path."""
    root = str(Path(__file__).resolve().parents[2])
    program = f"import sys; sys.path.insert(0, {root!r}); from agentq_cli.__main__ import main; sys.exit(main())"
    return [sys.executable, "-P", "-c", program]
