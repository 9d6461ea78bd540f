"""Servers of `agentq mcp`, and the SDK's own client for tests that are not asynchronous themselves.

To load the SDK takes seconds, so servers are forked from a process that has, and it is loaded here by the first client:
every worker of a test run imports this module.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from agentq_process import ROOT, Agentq
from forked import Forked, Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mcp import Client, types

Thing = TypeVar("Thing")

DEADLINE = 60.0
"""Seconds; what loads the SDK on a busy machine needs some."""
PIPE = -1


@functools.cache
def loaded() -> Server:
    """The process that has loaded what a server needs."""
    started = Server({"LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}, also=["agentq_cli.mcp.server"])
    atexit.register(started.close)
    return started


def serve(agentq: Agentq, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> Forked:
    """A server whose streams are pipes, unless the options say otherwise."""
    command = agentq.command("mcp", *arguments)
    where = {"env": agentq.environ | dict(env or {}), "cwd": agentq.home}
    streams = {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE}
    return Forked(loaded(), command, ("mcp", *arguments), **(where | streams | options))


class Answered(NamedTuple):
    """What a call returned."""

    document: dict[str, Any]
    text: str
    failed: bool


class McpClient:
    """A server and its client; the client's loop runs in a thread of its own."""

    def __init__(self, agentq: Agentq, *arguments: str, **options: Any) -> None:
        # A file, so that nothing that the server says can block it.
        self._told = agentq.home / f"mcp-{id(self)}"
        with self._told.open("w") as errors:
            self.process = serve(agentq, *arguments, **{"stderr": errors, **options})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._closing = asyncio.Event()
        self.client: Client
        self._ready: Future[None] = Future()
        self._session = self.do(self._serve())
        self._ready.result(DEADLINE)

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        import anyio
        from mcp.server.stdio import stdio_server

        # What a server does with its stdin and stdout is what a client does with the other ends.
        ends: dict[str, Any] = {
            "stdin": anyio.wrap_file(self.process.stdout),  # type: ignore[arg-type]
            "stdout": anyio.wrap_file(self.process.stdin),  # type: ignore[arg-type]
        }
        async with stdio_server(**ends) as streams:
            yield streams

    async def _serve(self) -> None:
        """Open and close the client in one task, as its scopes demand."""
        from mcp import Client

        try:
            async with Client(self._transport()) as self.client:
                self._ready.set_result(None)
                await self._closing.wait()
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            raise

    def do(self, made: Coroutine[Any, Any, Thing]) -> Future[Thing]:
        """Begin something in the client's loop."""
        return asyncio.run_coroutine_threadsafe(made, self._loop)

    def begin(self, tool: str, told: Callable[[str], object] | None = None, /, **arguments: Any) -> Future[Answered]:
        """Begin a call; `told` gets what its progress says."""

        async def progress(passed: float, total: float | None, message: str | None) -> None:
            if told is not None:
                told(message or "")

        async def call() -> Answered:
            found = await self.client.call_tool(tool, arguments, progress_callback=progress)
            (content,) = found.content
            assert content.type == "text"
            assert isinstance(found.structured_content, dict)
            return Answered(found.structured_content, content.text, bool(found.is_error))

        return self.do(call())

    def __call__(self, tool: str, /, **arguments: Any) -> Answered:
        """Call a tool."""
        return self.begin(tool, **arguments).result(DEADLINE)

    def document(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """The document of a call that must succeed."""
        found = self(tool, **arguments)
        assert not found.failed, found.text
        return found.document

    def tools(self) -> dict[str, types.Tool]:
        """What is offered."""
        return {tool.name: tool for tool in self.do(self.client.list_tools()).result(DEADLINE).tools}

    def read(self, uri: str) -> str:
        """A resource's text."""
        (content,) = self.do(self.client.read_resource(uri)).result(DEADLINE).contents
        text: str = getattr(content, "text")  # noqa: B009
        return text

    def unreadable(self, uri: str) -> str:
        """Why there is no such resource."""
        from mcp.shared.exceptions import MCPError

        try:
            self.read(uri)
        except MCPError as error:
            return error.message
        raise AssertionError(f"{uri} was read")

    def close(self) -> None:
        """End the client, and with it the server, which must have said nothing on stderr."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(DEADLINE)
        self._loop.call_soon_threadsafe(self._closing.set)
        self._session.result(DEADLINE)
        self.process.stdout.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        assert (code, Path(self._told).read_text()) == (0, "")
