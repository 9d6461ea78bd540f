"""What keys change, after a question if it ends or begins something; agentq's own commands do it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.model.statuses import Status
from agentq_cli.top import actions
from agentq_cli.top.questions import Line, Question

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.top.app import Top

OVER = "ended"
"""The status of a target of which only a run that has ended is known."""


class Target(NamedTuple):
    """The chosen task: its address, the run of it that was chosen, if one was, its status, and whether it is the live
    occurrence of a series."""

    address: str
    run: str | None
    status: str
    series: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether only `retry` can change it."""
        return self.status == OVER or Status(self.status).ended


class Changes:
    """What is done to a target, and said about it on the screen."""

    def __init__(self, screen: Top, at: Context) -> None:
        self._screen = screen
        self._at = at

    def cancel(self, target: Target) -> None:
        """Cancel the task, after a question."""
        if target.has_ended:
            self._screen.say(f"{target.address} has already ended", wrong=True)
            return
        series = " and end its series" if target.series else ""
        self._ask(f"Cancel {target.address}{series}?", ["cancel", target.address], "nothing was cancelled")

    def retry(self, target: Target) -> None:
        """Run an ended task again, after a question."""
        if not target.has_ended:
            self._screen.say(f"{target.address} has not ended: it is {target.status}", wrong=True)
            return
        self._ask(f"Run {target.address} again?", ["retry", target.address], "nothing was started")

    def pause(self, target: Target) -> None:
        """Pause the task, or resume it if it is paused."""
        if target.has_ended:
            self._screen.say(f"{target.address} has already ended", wrong=True)
            return
        self._perform(["resume" if target.status == Status.PAUSED else "pause", target.address])

    def priority(self, target: Target) -> None:
        """Change the priority of a task that waits."""
        if target.has_ended or target.status == Status.RUNNING:
            self._screen.say(f"{target.address} does not wait: its priority is past", wrong=True)
            return

        def answered(text: str | None) -> None:
            if text is not None and text.strip():
                self._perform(["edit", target.address, f"--priority={text.strip()}"])

        self._screen.push_screen(Line(f"priority of {target.address}, -100 to 100", ""), answered)

    def _ask(self, question: str, words: Sequence[str], otherwise: str) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._perform(words)
            else:
                self._screen.say(otherwise)

        self._screen.push_screen(Question(question), answered)

    def _perform(self, words: Sequence[str]) -> None:
        self._screen.say(f"{' '.join(words[:2])}: in progress")

        def told(line: str, good: bool) -> None:
            with contextlib.suppress(RuntimeError):  # the screen has been left
                self._screen.call_later(self._screen.say, line, wrong=not good)

        actions.perform(self._at, words, told)
