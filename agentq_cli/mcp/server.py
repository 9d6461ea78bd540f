"""The server: speaks the protocol on stdin and stdout with the official SDK, until the client is gone.

Calls run in a few threads, so that a slow one does not keep the others waiting; `wait` takes none while it waits. Those
that change something are carried out one at a time, in the order in which they were asked. The server ends when stdin
ends or nobody reads stdout any more, whatever still runs: a change is on disk or it never was.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic

import mcp.types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from agentq_cli import __version__
from agentq_cli.base.defaults import INTERRUPTED, TERMINATED
from agentq_cli.base.errors import NotFound, nearest
from agentq_cli.mcp import calls, tools
from agentq_cli.mcp.calls import Outcome
from agentq_cli.mcp.limits import Limits
from agentq_cli.mcp.resources import Resources
from agentq_cli.mcp.wait import wait
from agentq_cli.mcp.waiting import Watch
from agentq_cli.mcp.wire import Answers, Lines, take_stdin
from agentq_cli.show import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from mcp.server.context import ServerRequestContext

    from agentq_cli.cli.context import Context

THREADS, SLOW_THREADS = 8, 2
"""How many calls are carried out at once: of the tools that only read and are quick, and of those that may take
minutes."""

ANSWERING_SECONDS, SETTLING_SECONDS, LEAVING_SECONDS = 10.0, 0.5, 0.4
"""Once the client writes nothing more: how long what it has asked may still take while somebody reads the answers; for
how long nothing may be carried out until whatever lacks an answer will have none, as it was cancelled; and how long the
calls may take that are being carried out when it leaves."""


class Tools:
    """The handlers of the protocol's requests."""

    def __init__(self, limits: Limits, at: Context, loop: asyncio.AbstractEventLoop) -> None:
        self.calls = 0
        """How many calls are being carried out, those of `wait` aside."""
        self._limits = limits
        self._at = at
        self.tools = {tool.name: tool for tool in tools.offered(limits)}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=CALL)
        self._changing = ThreadPoolExecutor(1, thread_name_prefix=CALL)
        self._slow = ThreadPoolExecutor(SLOW_THREADS, thread_name_prefix=CALL)
        self._loop = loop
        self._watch = Watch(at, loop)

    async def list_tools(self, ctx: ServerRequestContext, params: object) -> types.ListToolsResult:
        """Every tool with its schema and its hints."""
        return types.ListToolsResult(tools=[self._listed(tool) for tool in self.tools.values()])

    def _listed(self, tool: tools.Tool) -> types.Tool:
        return types.Tool(
            name=tool.name,
            description=tool.description,
            input_schema=tools.schema(tool, self._limits),
            annotations=types.ToolAnnotations(
                read_only_hint=tool.reads,
                destructive_hint=tool.destroys,
                idempotent_hint=tool.repeatable,
                open_world_hint=tool.opens,
            ),
        )

    async def call_tool(self, ctx: ServerRequestContext, params: types.CallToolRequestParams) -> types.CallToolResult:
        """Carry out a call; an error is a result as well."""
        outcome = await self._outcome(ctx, params.name, params.arguments or {})
        return types.CallToolResult(
            content=[types.TextContent(text=outcome.text)],
            structured_content=outcome.document,
            is_error=outcome.failed,
        )

    async def _outcome(self, ctx: ServerRequestContext, name: str, arguments: dict[str, Any]) -> Outcome:
        if name != "wait" or name not in self.tools:
            return await self.call(name, arguments)
        tool, report = self.tools[name], ctx.session.report_progress
        try:
            return await wait(
                tool, arguments, self._limits, self._at, watch=self._watch, in_thread=self._in_thread, report=report
            )
        except Exception as error:
            return calls.failure(error)

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        """Carry out a call of a tool, but not of `wait`; an error is a result as well."""
        tool = self.tools.get(name)
        if tool is None:
            near = nearest(name, self.tools) or f"; one of {', '.join(self.tools)}"
            return calls.failure(NotFound(f"tool '{name[:100]}': no such tool here{near}"))
        threads = self._slow if tool.slow else self._threads if tool.reads else self._changing
        call = partial(calls.call, tool, arguments, self._limits, self._at)
        self.calls += 1
        try:
            return await self._loop.run_in_executor(threads, call)
        finally:
            self.calls -= 1

    def close(self) -> None:
        """End what waits."""
        self._watch.close()

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return self._loop.run_in_executor(self._threads, partial(function, *arguments))


CALL = "call"
"""How the threads of calls are named."""


def serve(limits: Limits, at: Context) -> int:
    """Serve one client until it is gone; returns the exit code."""
    if sys.stdin is not None and sys.stdin.isatty():
        notices.hint("an agent CLI starts this and speaks to it; `agentq mcp --print claude` shows how it learns that")
    calls.listen()
    _leave_with(os.dup(1))
    try:
        asyncio.run(_serve(limits, at))
    except* BrokenPipeError:
        pass  # nobody reads any more
    _finish_calls()
    return 0


async def _serve(limits: Limits, at: Context) -> None:
    loop = asyncio.get_running_loop()
    for number, code in ((signal.SIGTERM, TERMINATED), (signal.SIGINT, INTERRUPTED)):
        loop.add_signal_handler(number, _leave, code)
    handlers = Tools(limits, at, loop)
    resources = Resources(limits, handlers)
    server: Server[Any] = Server(
        "agentq",
        version=__version__,
        instructions=_instructions(limits),
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=resources.listed,
        on_list_resource_templates=resources.templates,
        on_read_resource=resources.read,
    )

    async def ended() -> None:
        """Answer what was asked: nobody can cancel it any more."""
        handlers.close()
        end, busy = loop.time() + ANSWERING_SECONDS, loop.time()
        while answers.given < lines.asked and loop.time() < min(end, busy + SETTLING_SECONDS):
            await asyncio.sleep(SETTLING_SECONDS / 50)
            busy = loop.time() if handlers.calls else busy

    lines = Lines(take_stdin(), loop, over=_leave_soon, ended=ended)
    # What is iterated over is all that the SDK does with a file.
    file: Any = lines
    async with stdio_server(stdin=file) as (read, write):
        answers = Answers(write)
        await server.run(read, answers, server.create_initialization_options())


def _instructions(limits: Limits) -> str:
    sessions = ", ".join(limits.sessions)
    return (
        "agentq is a queue of coding agents and commands that run unattended. `submit` returns at once with the "
        "task's address, SESSION/N; `wait` waits for its end, `show` has its answer, `logs` what it printed. "
        f"Sessions of this server: {sessions}. Durations are written as 90s, 15m, 2h or 1d; times as RFC 3339."
    )


def _leave_with(stdout: int) -> None:
    """Leave once nobody reads stdout any more: a client that was killed may leave a stdin behind that others hold."""

    def watch() -> None:
        poll = select.poll()
        poll.register(stdout, 0)
        poll.poll()
        _leave(0)

    threading.Thread(target=watch, name="reader", daemon=True).start()


def _leave_soon() -> None:
    """Leave in a moment, even if the last answers cannot be written, because nobody reads them."""
    timer = threading.Timer(ANSWERING_SECONDS, _leave, [0])
    timer.daemon = True
    timer.start()


def _leave(code: int) -> NoReturn:
    _finish_calls()
    os._exit(code)


def _finish_calls() -> None:
    """Let the calls that are being carried out come to an end, for a moment."""
    end = monotonic() + LEAVING_SECONDS
    for thread in threading.enumerate():
        if thread.name.startswith(CALL) and thread is not threading.current_thread():
            thread.join(max(0.0, end - monotonic()))
