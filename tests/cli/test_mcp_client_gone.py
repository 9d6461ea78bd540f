"""A server of `agentq mcp` whose client dies, writes what no client should, or has no library for it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import termios
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from driven import DEADLINE, Driven, until
from mcp_client import serve

HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


class Raw:
    """A server, and a client that writes the lines of the protocol itself."""

    def __init__(self, aq: Driven, *arguments: str, prepare: str = "") -> None:
        self.process = serve(aq.agentq, *arguments, prepare=prepare)
        self._count = 0
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdin, self.stdout, self.stderr = self.process.stdin, self.process.stdout, self.process.stderr

    def send(self, method: str, params: dict[str, Any]) -> int:
        """Send a request; returns its id."""
        self._count += 1
        self.write({"jsonrpc": "2.0", "id": self._count, "method": method, "params": params})
        return self._count

    def write(self, message: dict[str, Any]) -> None:
        """Write a message."""
        self.stdin.write(json.dumps(message) + "\n")
        self.stdin.flush()

    def answers(self, numbers: Iterable[int]) -> dict[int, dict[str, Any]]:
        """The answers to the requests with these ids."""
        found: dict[int, dict[str, Any]] = {}
        wanted = set(numbers)
        while wanted - found.keys():
            line = self.stdout.readline()
            assert line, "the server is gone"
            message = json.loads(line)
            if message.get("id") in wanted:
                found[message["id"]] = message
        return found

    def open(self) -> None:
        """Say hello."""
        self.answers([self.send("initialize", HELLO)])
        self.write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, name: str, **arguments: Any) -> int:
        """Begin a call."""
        return self.send("tools/call", {"name": name, "arguments": arguments})

    def ended(self) -> tuple[int, str]:
        """The exit code and what was written to stderr."""
        said = self.stderr.read()
        code = self.process.wait(DEADLINE)
        for pipe in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return code, said


def test_a_client_that_is_gone_ends_the_server_whatever_waits(aq: Driven) -> None:
    address = aq.exec("true", given=("--in", "1h"))
    closing, told = waiting = [Raw(aq) for _ in range(2)]
    for server in waiting:
        server.open()
        # Its progress says that the wait has begun.
        waits = {"name": "wait", "arguments": {"ids": [address], "timeout": "1h"}, "_meta": {"progressToken": "p"}}
        server.send("tools/call", waits)
        assert json.loads(server.stdout.readline())["method"] == "notifications/progress"
    closing.stdin.close()
    told.process.send_signal(signal.SIGTERM)
    assert closing.ended() == (0, "")
    assert told.ended() == (143, "")


SLOW = """
import time
from agentq_cli.mcp import calls
quick = calls.call
calls.call = lambda *given: (time.sleep(1), quick(*given))[1]
"""
"""Calls that take longer than the server waits for one to begin."""


def test_a_client_that_writes_nothing_more_gets_its_answers(aq: Driven) -> None:
    address = aq.exec("true", given=("--in", "1h"))
    server = Raw(aq, "--allow", "exec", prepare=SLOW)
    server.open()
    # Written at once, and the end right behind them.
    calls = [
        {"name": "submit", "arguments": {"exec": ["true"]}},
        {"name": "wait", "arguments": {"ids": [address], "timeout": "1h"}},
        {"name": "list", "arguments": {}},
    ]
    numbers = range(10, 10 + len(calls))
    server.stdin.write(
        "".join(
            json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call}) + "\n"
            for number, call in zip(numbers, calls, strict=True)
        )
    )
    server.stdin.close()
    found = server.answers(numbers)
    assert [each["result"]["isError"] for each in found.values()] == [False] * 3
    assert found[11]["result"]["structuredContent"]["timed_out"]
    assert server.ended() == (0, "")


def test_a_client_that_does_not_read_does_not_keep_the_server(aq: Driven) -> None:
    short = "from agentq_cli.mcp import server; server.ANSWERING_SECONDS = 0.5"
    deaf, full, told = servers = [Raw(aq, prepare=each) for each in ("", short, "")]
    for server in servers:
        server.open()
    deaf.stdout.close()  # and its stdin stays open
    for server in (full, told):
        for _ in range(30):  # more than a pipe holds
            server.send("tools/list", {})
        until(lambda server=server: unread(server) > 50_000, what="a full pipe")
    full.stdin.close()
    told.process.send_signal(signal.SIGTERM)
    assert full.ended() == (0, "")
    assert told.ended() == (143, "")
    assert deaf.ended() == (0, "")


def unread(server: Raw) -> int:
    """How many bytes of what it said wait in the pipe."""
    return int.from_bytes(fcntl.ioctl(server.stdout, termios.FIONREAD, bytes(4)), "little")


def test_a_call_that_runs_when_the_client_goes_is_done_or_was_never(aq: Driven) -> None:
    server = Raw(aq, "--allow", "exec")
    server.open()
    calls = [server.call("submit", exec=["true"]) for _ in range(30)]
    server.answers(calls[:1])
    server.process.kill()
    server.ended()
    tasks = aq.tasks()
    assert sorted(task["seq"] for task in tasks.values()) == list(range(1, len(tasks) + 1))
    aq.drain()
    assert set(aq.statuses().values()) == {"completed"}


def test_what_a_client_writes_is_answered_and_stdout_has_nothing_else(aq: Driven) -> None:
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        aq.agentq.command("mcp", "--allow", "exec"), env=aq.agentq.environ, cwd=aq.home, stdin=theirs, stdout=theirs
    )
    theirs.close()
    with ours, ours.makefile("rwb") as wire:

        def ask(text: str, number: int) -> dict[str, Any]:
            wire.write(text.encode() + b"\n")
            wire.flush()
            for line in wire:
                message: dict[str, Any] = json.loads(line)
                if message.get("id") == number:
                    return message
            raise AssertionError("the server is gone")

        ask(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}), 1)
        wire.write(b"no JSON\n\xff\xfe\n")
        half = (
            r'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"submit","arguments":{"exec":["\ud83d"]}}}'
        )
        found = ask(half, 2)["result"]
        assert found["structuredContent"]["items"][0]["argv"] == ["?"]
        # Its stdin is the protocol: nothing of it is read as a prompt, nor as what a command is to read.
        call = {"name": "submit", "arguments": {"exec": ["cat"], "stdin": "-"}}
        ask(json.dumps({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": call}), 3)
        ask(json.dumps({"jsonrpc": "2.0", "id": 4, "method": "ping"}), 4)
    assert process.wait(DEADLINE) == 0
    aq.drain(code=1)
    assert aq.stdout(aq.runs()["default/2.1"]) == ""


def test_a_server_leaves_nothing_open_behind_its_calls(aq: Driven) -> None:
    server = Raw(aq, "--allow", "exec")
    server.open()
    address = aq.exec("true")
    calls = {
        "list": {},
        "show": {"run": address},
        "runs": {},
        "wait": {"ids": [address], "timeout": "1ms"},
        "pause": {"ids": [address]},
        "resume": {"ids": [address]},
        "logs": {"run": address},
    }

    def used() -> tuple[int, int]:
        own = Path(f"/proc/{server.process.pid}")
        return len(os.listdir(own / "fd")), len(os.listdir(own / "task"))

    def some() -> None:
        server.answers([server.call(name, **given) for _ in range(15) for name, given in calls.items()])

    some()  # every thread has had one
    before = used()
    some()
    assert used() == before
    server.stdin.close()
    assert server.ended() == (0, "")


def test_without_its_library_one_line_says_what_to_install(aq: Driven, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['mcp'] = None\n")
    env = {"PYTHONPATH": f"{tmp_path}:{aq.agentq.environ['PYTHONPATH']}"}
    assert "pip install 'agentq[mcp]'" in aq.refused("mcp", code=2, env=env)
    assert aq("mcp", "--print", "claude", env=env).stdout
