"""Starting one supervisor where nobody looks after the queue."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence

from agentq_cli.base.errors import Busy, Refused
from agentq_cli.engines.door import Queue
from agentq_cli.host import process
from agentq_cli.host.place import Place, refuse_link
from agentq_cli.supervise.attended import looked_after as looked_after
from agentq_cli.supervise.attended import unattended as unattended

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess

LOG_BYTES = 1 << 20
LOOK_SECONDS = 0.005
SCOPE_SECONDS = 10
DUTY_SECONDS = 30
"""How long a supervisor that was started is waited for; one that finds the index locked goes on trying by itself."""

LOCK_SECONDS = 60
"""How long whoever wants a supervisor waits for somebody else who is starting one."""

DRAINED = (0, 1, 75)
"""The exit codes of a drain that did what there was to do."""


def wanted(queue: Queue) -> bool:
    """Whether this process may start one: what an agent starts ends with its run."""
    return not _inside_a_run(queue.here)


def ensure_supervisor(queue: Queue, sessions: Sequence[str]) -> int | None:
    """Start a detached `run --drain` unless one lives that serves these sessions; its pid, or None."""
    if not wanted(queue):
        return None
    from filelock import FileLock, Timeout

    refuse_link(queue.here.wake_lock)
    try:
        with FileLock(queue.here.wake_lock, LOCK_SECONDS, mode=0o600):
            if looked_after(queue, sessions):
                return None
            return start_detached(queue, ["--drain"])
    except Timeout:
        raise Busy(f"'{queue.here.wake_lock}': another process held it for too long; try again") from None


def _inside_a_run(here: Place) -> bool:
    """Whether this process belongs to a run of this state dir: what it starts ends with that run, agents and all."""
    own = os.environ.get("AGENTQ_STATE_DIR")
    return "AGENTQ_RUN" in os.environ and own is not None and os.path.realpath(own) == here.path


def start_detached(queue: Queue, arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Start `agentq run` in a session of its own and return its pid once it is on duty. Raises Refused.

    Under systemd it gets a scope of its own, or it would be ended together with the unit that started it.
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
    """The words before a command that give it a scope of its own. Raises Refused where that cannot be had."""
    import subprocess

    words = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--"]
    try:
        # Tried with a command that does nothing: of a failure of the real one it could not be told apart.
        tried = subprocess.run(
            [*words, "true"], capture_output=True, text=True, timeout=SCOPE_SECONDS, env=dict(environ)
        )
        why = tried.stderr.strip().replace("\n", "; ") if tried.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if why is not None:
        raise Refused(
            f"systemd-run --user --scope: {why}; started from a systemd unit, a supervisor needs a scope of its own:"
            " run `agentq run` as a service, or give this user a manager (`loginctl enable-linger`, XDG_RUNTIME_DIR)"
        )
    return words


def _for_detached(environ: Mapping[str, str]) -> dict[str, str]:
    values = dict(environ)
    # It starts in the root directory, from where a relative path would lead elsewhere.
    if values.get("AGENTQ_CONFIG"):
        values["AGENTQ_CONFIG"] = os.path.abspath(os.path.expanduser(values["AGENTQ_CONFIG"]))
    return values


def _wait_until_on_duty(child: subprocess.Popen[bytes], here: Place) -> None:
    """Return once its bell is there, or once it has come and gone with nothing to do, or after a while. Raises
    Refused where it has failed."""
    deadline = time.monotonic() + DUTY_SECONDS
    identity = process.identity_of(child.pid)
    bell = f"{here.bells}/{identity.name if identity else '.gone'}"
    while not os.path.exists(bell) and time.monotonic() < deadline:
        code = child.poll()
        if code is not None:
            if code in DRAINED:
                break
            raise Refused(f"agentq run: it ended with {code}, see '{here.log}'")
        time.sleep(LOOK_SECONDS)
    # It outlives this process, and init reaps it.
    child.returncode = 0


def self_command() -> list[str]:
    """How this very agentq is started again, from wherever it was installed and with nothing of the cwd on its path."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    program = f"import sys; sys.path.insert(0, {root!r}); from agentq_cli.__main__ import program; program()"
    return [sys.executable, "-P", "-c", program]
