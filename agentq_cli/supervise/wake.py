"""Starting one supervisor if none serves the queue."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence

from agentq_cli.base.errors import Busy, Refused
from agentq_cli.engines.door import Queue
from agentq_cli.host import process
from agentq_cli.host.place import Place, refuse_link
from agentq_cli.supervise.attended import is_served

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess

LOG_BYTES = 1 << 20
POLL_SECONDS = 0.005
SCOPE_SECONDS = 10
DUTY_SECONDS = 30
"""How long to wait for a supervisor that was started to go on duty; one that finds the index locked retries by
itself."""

LOCK_SECONDS = 60
"""How long a process that needs a supervisor waits for another process that is starting one."""

DRAINED = (0, 1, 75)
"""The exit codes of a drain that did what it could."""


def wanted(queue: Queue) -> bool:
    """Whether this process may start one: what an agent starts ends with its run, and only a person makes a machine a
    host of a fleet, which its lease shows."""
    return not _inside_a_run(queue.here) and (not queue.here.leased or os.path.exists(queue.here.lease))


def ensure_supervisor(queue: Queue, sessions: Sequence[str], environ: Mapping[str, str] = os.environ) -> int | None:
    """Start a detached `run --drain` unless a live supervisor serves these sessions; returns its pid, or None."""
    if not wanted(queue):
        return None
    from filelock import FileLock, Timeout

    refuse_link(queue.here.wake_lock)
    try:
        with FileLock(queue.here.wake_lock, LOCK_SECONDS, mode=0o600):
            if is_served(queue, sessions):
                return None
            return start_detached(queue, ["--drain"], environ)
    except Timeout:
        raise Busy(f"'{queue.here.wake_lock}': another process held it for too long; try again") from None


def _inside_a_run(here: Place) -> bool:
    """Whether this process belongs to a run of this state dir: everything that it starts ends with that run, agents
    included."""
    own = os.environ.get("AGENTQ_STATE_DIR")
    return "AGENTQ_RUN" in os.environ and own is not None and os.path.realpath(own) == here.path


def start_detached(queue: Queue, arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Start `agentq run` in its own process session and return its pid once it is on duty. Raises Refused.

    Under systemd it gets its own scope; otherwise it would be ended together with the unit that started it.
    """
    import subprocess

    here = queue.here
    network = ["--allow-network-fs"] if here.allow_network_fs else []
    command = [*self_command(), "run", "--state-dir", here.path, *network, *arguments]
    scope = _own_scope(environ) if environ.get("INVOCATION_ID") else []
    refuse_link(here.log)
    if os.path.exists(here.log) and os.stat(here.log).st_size > LOG_BYTES:
        os.unlink(here.log)
    with open(here.log, "ab") as trace:
        child = subprocess.Popen(
            [*scope, *command],
            stdin=subprocess.DEVNULL,
            stdout=trace,
            stderr=trace,
            cwd="/",
            env=_for_detached(environ),
            start_new_session=True,
        )
    _wait_until_on_duty(child, here)
    return child.pid


def _own_scope(environ: Mapping[str, str]) -> list[str]:
    """The words before a command that give it its own scope. Raises Refused if a scope cannot be created."""
    import subprocess

    words = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--"]
    try:
        # Tried with a command that does nothing, because a failure of the real one could not be told from this one.
        tried = subprocess.run(
            [*words, "true"], capture_output=True, text=True, timeout=SCOPE_SECONDS, env=dict(environ)
        )
        why = tried.stderr.strip().replace("\n", "; ") if tried.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if why is not None:
        raise Refused(
            f"systemd-run --user --scope: {why}; started from a systemd unit, a supervisor needs its own scope:"
            " run `agentq run` as a service, or give this user a manager (`loginctl enable-linger`, XDG_RUNTIME_DIR)"
        )
    return words


def _for_detached(environ: Mapping[str, str]) -> dict[str, str]:
    values = dict(environ)
    # It starts in the root directory, where a relative path would lead elsewhere.
    if values.get("AGENTQ_CONFIG"):
        values["AGENTQ_CONFIG"] = os.path.abspath(os.path.expanduser(values["AGENTQ_CONFIG"]))
    return values


def _wait_until_on_duty(child: subprocess.Popen[bytes], here: Place) -> None:
    """Return once its bell exists, or once it has finished with nothing to do, or after a while. Raises Refused if it
    has failed."""
    deadline = time.monotonic() + DUTY_SECONDS
    identity = process.identity_of(child.pid)
    bell = f"{here.bells}/{identity.name if identity else '.gone'}"
    while not os.path.exists(bell) and time.monotonic() < deadline:
        code = child.poll()
        if code is not None:
            if code in DRAINED:
                break
            raise Refused(f"agentq run: exited with {code}; see '{here.log}'")
        time.sleep(POLL_SECONDS)
    # It outlives this process, and init reaps it.
    child.returncode = 0


def self_command() -> list[str]:
    """The command that starts this very agentq again, wherever it is installed, without the cwd on its path."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    program = f"import sys; sys.path.insert(0, {root!r}); from agentq_cli.__main__ import program; program()"
    return [sys.executable, "-P", "-c", program]
