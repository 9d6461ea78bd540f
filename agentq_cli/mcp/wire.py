"""The lines that a client writes, read in a thread of their own until there are no more.

The SDK's own reading drops a line that it cannot decode, and with it a request that is never answered: a text that was
cut in the middle of a character has such a half, as JavaScript writes it.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError

from agentq_cli.mcp.calls import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

MOST_WAITING = 100
"""How many lines are read before they are handled."""


def take_stdin() -> int:
    """A descriptor of stdin that nobody else has: other code that reads stdin, and every child, finds it empty."""
    private = os.dup(0)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    return private


class Lines:
    """The lines of a descriptor, as the SDK iterates over those of a file. `over` is called when the last one was read,
    in another thread. The SDK hears of the end once `ended` has returned: it then answers nothing more."""

    def __init__(
        self,
        descriptor: int,
        loop: asyncio.AbstractEventLoop,
        *,
        over: Callable[[], object],
        ended: Callable[[], Awaitable[None]],
    ) -> None:
        self.asked = 0
        """How many requests there were."""
        self._descriptor = descriptor
        self._loop = loop
        self._over = over
        self._ended = ended
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(MOST_WAITING)
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        line = await self._lines.get()
        if line is None:
            await self._ended()
            raise StopAsyncIteration
        self.asked += '"id"' in line and '"method"' in line
        return line

    def _read(self) -> None:
        try:
            with open(self._descriptor, encoding="utf-8", errors="replace", newline="\n", closefd=False) as file:
                for line in file:
                    self._put(whole(line))
            self._over()
            self._put(None)
        except (CancelledError, OSError, RuntimeError):
            pass  # the server ends

    def _put(self, line: str | None) -> None:
        asyncio.run_coroutine_threadsafe(self._lines.put(line), self._loop).result()


class Answers:
    """A stream of what the server says, as the SDK writes to it, which counts the answers."""

    def __init__(self, stream: Any) -> None:
        self.given = 0
        self._stream = stream

    async def send(self, message: Any) -> None:
        """Say this; it is about to be written when this returns."""
        await self._stream.send(message)
        self.given += not hasattr(message.message, "method")

    async def aclose(self) -> None:
        """Say nothing more."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


def whole(line: str) -> str:
    """A line without halves of characters."""
    if "\\ud" not in line and "\\uD" not in line:
        return line
    try:
        return json.dumps(clean(json.loads(line)))
    except (ValueError, RecursionError):
        return line
