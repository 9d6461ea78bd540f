"""What keys change, done by agentq's own commands in processes of their own: they may have to wait, the screen not."""

from __future__ import annotations

import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence

from agentq_cli.supervise.wake import self_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context


def perform(at: Context, words: Sequence[str], told: Callable[[str, bool], None]) -> None:
    """Start a command. Once it has ended, `told` gets its last line and whether it succeeded, in another thread.

    It goes on if the screen is left meanwhile.
    """
    process = subprocess.Popen(
        _command(at, words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=dict(at.environ),
        start_new_session=True,
    )

    def wait() -> None:
        text, _ = process.communicate()
        line = text.strip().splitlines()[-1] if text.strip() else "done"
        told(line.removeprefix("agentq: error: "), process.returncode == 0)

    threading.Thread(target=wait, daemon=True).start()


def page(at: Context, words: Sequence[str]) -> str:
    """Show what a command prints in the person's pager; returns what went wrong."""
    try:
        pager = shlex.split(at.environ.get("PAGER", "")) or ["less"]
    except ValueError as error:
        return f"PAGER: {error}"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the pager's
    try:
        with subprocess.Popen(
            _command(at, words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=dict(at.environ)
        ) as told:
            try:
                subprocess.run(pager, stdin=told.stdout, env={"LESS": "-R", **at.environ}, check=False)
            finally:
                told.kill()
    except OSError as error:
        return f"PAGER: '{pager[0]}': {error.strerror}"
    finally:
        signal.signal(signal.SIGINT, before)
    return ""


def _command(at: Context, words: Sequence[str]) -> list[str]:
    network = ["--allow-network-fs"] if at.allow_network_fs else []
    return [*self_command(), *words, "--state-dir", at.state_dir, *network]
