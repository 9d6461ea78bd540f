"""Modules that are imported once something of them is used: a command needs few of those that its door leads to."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Later:
    """Stands for a module of the package; the type checker is told of the module itself."""

    def __init__(self, name: str) -> None:
        self._name = f"agentq_cli.{name}"

    def __getattr__(self, attribute: str) -> Any:
        # Always: where another thread is still importing it, this waits for that.
        __import__(self._name)
        return getattr(sys.modules[self._name], attribute)
