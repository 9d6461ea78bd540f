"""The loop of `top` on a terminal. Imported only there: `dashboard` draws with rich."""

from __future__ import annotations

import sys
from collections.abc import Callable

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError
from agentq_cli.commands import overview
from agentq_cli.show import dashboard
from agentq_cli.show.dashboard import Log, View
from agentq_cli.show.drawing import Canvas
from agentq_cli.show.terminal import Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess

    from agentq_cli.cli.context import Context

SNAPSHOT_MS = 1000
LOG_MS = 250
"""How old the shown data may be: the snapshot, and a log that is followed."""


class Dashboard:
    """The loop: read, draw, wait for a key or a second. Actions requested by keys are done by agentq's own commands."""

    def __init__(self, at: Context) -> None:
        self._at = at
        self._queue = at.open_queue()
        self._view = View()
        self._existed = self._queue.exists
        self._snapshot = overview.snapshot(at, self._queue)
        self._view = dashboard.settled(self._view, self._snapshot)
        self._read_at = monotonic_ms()
        self._log: Log | None = None
        self._busy: subprocess.Popen[str] | None = None

    def run(self, put: Callable[[str], None], canvas: Canvas) -> int:
        """Run until the person quits; returns the exit code."""
        with Terminal(sys.stdin.fileno(), sys.stdout.fileno(), put) as terminal:
            while True:
                self._refresh()
                width, height = terminal.size()
                self._read_log(height)
                size = {"width": max(width, 1), "height": max(height, 2)}
                terminal.draw(dashboard.frame(self._view, self._snapshot, self._log, canvas, **size))
                try:
                    keys = terminal.keys(self._patience())
                except EOFError:
                    return 0
                for key in keys:
                    self._view, action = dashboard.pressed(self._view, key, self._snapshot)
                    if action is not None and action.verb == "quit":
                        return 0
                    if action is not None:
                        self._start(action.verb, action.task)

    def _patience(self) -> float:
        """Seconds until there is something to do besides keys."""
        quick = self._view.page == "log" or self._busy is not None
        left = self._read_at + SNAPSHOT_MS - monotonic_ms()
        return max(0, min(left, LOG_MS) if quick else left) / 1000

    def _refresh(self) -> None:
        if not self._finished() and monotonic_ms() - self._read_at < SNAPSHOT_MS:
            return
        self._read_at = monotonic_ms()
        try:
            if not self._existed and self._queue.exists:
                self._existed = True
                self._queue = self._at.open_queue()
            self._snapshot = overview.snapshot(self._at, self._queue)
        except AgentqError as error:
            # A lock is held, or a file is being restored: keep the last snapshot.
            self._view = replace(self._view, said=(error.message, True))
            return
        self._view = dashboard.settled(self._view, self._snapshot)

    def _read_log(self, height: int) -> None:
        if self._view.page != "log" or self._view.chosen is None:
            self._log = None
            return
        _, name = self._view.chosen
        try:
            self._log = Log(*overview.log_tail(self._queue, name, self._view.stream, height))
        except (AgentqError, OSError) as error:
            self._log = Log(name, (), str(error))

    def _start(self, verb: str, task: str) -> None:
        """Begin the action of a key in a separate process: it may have to wait, and this screen must not."""
        import subprocess

        from agentq_cli.supervise import wake

        if self._busy is not None:
            self._view = replace(self._view, said=("the previous action is still in progress", True))
            return
        network = ["--allow-network-fs"] if self._at.allow_network_fs else []
        command = [*wake.self_command(), verb, task, "--state-dir", self._at.state_dir, *network]
        self._busy = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=dict(self._at.environ),
            start_new_session=True,
        )
        self._view = replace(self._view, said=(f"{verb} {task}: in progress", False))

    def _finished(self) -> bool:
        """Whether the action of a key has just ended; puts its result into the view."""
        if self._busy is None or self._busy.poll() is None:
            return False
        text, _ = self._busy.communicate()
        line = text.strip().splitlines()[-1] if text.strip() else "done"
        self._view = replace(self._view, said=(line.removeprefix("agentq: error: "), self._busy.returncode != 0))
        self._busy = None
        return True
