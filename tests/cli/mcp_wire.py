"""A client of `agentq mcp` that speaks the protocol by hand, so that it can also say what no client should."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from driven import Driven

SECONDS = 20.0
"""How long an answer may take; none that comes takes a tenth of it."""

PROTOCOL = "2025-06-18"


class Client:
    """A server, and what it has said."""

    def __init__(self, process: Any) -> None:
        self.process = process
        self.notices: list[dict[str, Any]] = []
        self._answers: dict[Any, dict[str, Any]] = {}
        self._last = 0
        self._text = b""
        about = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        self.server = self.request("initialize", about)["result"]
        self.say("notifications/initialized")

    def write(self, line: str) -> None:
        """Send a line as it is."""
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def say(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send what is not answered."""
        self.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}))

    def ask(self, method: str, params: Any = None) -> int:
        """Send a request; its id."""
        self._last += 1
        given = {} if params is None else params
        self.write(json.dumps({"jsonrpc": "2.0", "id": self._last, "method": method, "params": given}))
        return self._last

    def answer(self, number: Any) -> dict[str, Any]:
        """The answer to the request of that id."""
        while number not in self._answers:
            self._read()
        return self._answers.pop(number)

    def request(self, method: str, params: Any = None) -> dict[str, Any]:
        """The answer to a request."""
        return self.answer(self.ask(method, params))

    def begin(self, tool: str, arguments: Any = None, **meta: Any) -> int:
        """Call a tool; the id of the call."""
        given = {"name": tool, "arguments": {} if arguments is None else arguments}
        return self.ask("tools/call", {**given, "_meta": meta} if meta else given)

    def ended(self, number: int) -> dict[str, Any]:
        """The result of a call."""
        result: dict[str, Any] = self.answer(number)["result"]
        assert result["structuredContent"]["schema"].startswith("agentq."), result
        (said,) = result["content"]
        assert said["type"] == "text" and said["text"], "the model is told the same in words"
        return result

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The document of a call that succeeds."""
        result = self.ended(self.begin(tool, arguments))
        assert not result["isError"], result
        document: dict[str, Any] = result["structuredContent"]
        return document

    def refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The error of a call that is refused."""
        result = self.ended(self.begin(tool, arguments))
        document: dict[str, Any] = result["structuredContent"]
        assert result["isError"] and document["schema"] == "agentq.error/1", result
        return document

    def tools(self) -> dict[str, dict[str, Any]]:
        """The tools by name."""
        return {tool["name"]: tool for tool in self.request("tools/list")["result"]["tools"]}

    def _read(self) -> None:
        """Take the next line."""
        end = time.monotonic() + SECONDS
        while b"\n" not in self._text:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no answer in {SECONDS} s"
            piece = os.read(self.process.stdout.fileno(), 1 << 20)
            assert piece, f"the server is gone: {self.process.stderr.read()}"
            self._text += piece
        line, _, self._text = self._text.partition(b"\n")
        said = json.loads(line)
        assert said["jsonrpc"] == "2.0", "nothing else is on stdout"
        if "method" in said:
            self.notices.append(said)
        else:
            self._answers[said["id"]] = said

    def close(self) -> int:
        """End it as a client does: by the end of stdin; its exit code."""
        self.process.stdin.close()
        code: int = self.process.wait(timeout=SECONDS)
        return code


@contextmanager
def serving(aq: Driven, *arguments: str, **options: Any) -> Iterator[Client]:
    """A server of these limits, and its client."""
    client = Client(aq.start("mcp", *arguments, stdin=subprocess.PIPE, **options))
    try:
        yield client
    finally:
        if client.process.poll() is None:
            client.process.kill()
        client.process.wait()
