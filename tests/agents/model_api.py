"""A model API on loopback: no key, no network, no cost.

It speaks the streaming `POST /v1/messages` of Anthropic, and by the path what `model_wire` holds.

The first part of the path chooses what becomes of a request: `http://127.0.0.1:PORT/ok` answers, `/401`, `/429`,
`/usage`, `/billing`, `/context`, `/529` fail in that way, `/hang` never answers, `/cut` closes the connection after the
first piece of an answer, `/tool` asks for a shell command for each prompt first, `/calls` for calls of tools, one after
the other. Every request is kept, so that a test can look at what the agent really sent.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from model_wire import ANSWER, PROTOCOLS, Call, Named, asked

USAGE = {"input_tokens": 120, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 20, "output_tokens": 30}

# status, error type, message, headers
FAULTS: dict[str, tuple[int, str, str, dict[str, str]]] = {
    "400": (400, "invalid_request_error", "messages: bad", {}),
    "401": (401, "authentication_error", "invalid x-api-key", {}),
    "403": (403, "permission_error", "Your API key does not have permission to use the specified resource.", {}),
    "404": (404, "not_found_error", "model: stub", {}),
    "429": (429, "rate_limit_error", "This request would exceed your rate limit", {"retry-after": "3600"}),
    "500": (500, "api_error", "Internal server error", {}),
    "503": (503, "api_error", "Service unavailable", {}),
    "529": (529, "overloaded_error", "Overloaded", {}),
    "billing": (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", {}),
    "context": (400, "invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum", {}),
}


@dataclass(frozen=True)
class Request:
    """One request that the agent sent: the mode that it met, its decoded body, and when (monotonic seconds)."""

    mode: str
    body: dict[str, Any]
    at: float = field(default_factory=time.monotonic)

    @property
    def text(self) -> str:
        """Everything that it says, in one string, to look for a prompt in."""
        said = (self.body.get(key) for key in ("messages", "input", "contents"))
        return json.dumps(next((each for each in said if each is not None), None))


@dataclass
class ModelApi:
    """The server; a context manager. `requests` grows as the agent asks."""

    requests: list[Request] = field(default_factory=list)
    # What every request meets from now on; None: what its path says.
    now: str | None = None
    # When the limit of mode `usage` is lifted, seconds since the epoch.
    reset_at: int = 4102444800
    # What the requests of conversations wait for before they are answered.
    gathering: threading.Barrier | None = None
    # What mode `tool` asks to be run.
    command: str = "echo made-by-agent > made.txt"
    # What mode `calls` asks for.
    calls: Sequence[Call] = ()

    def __enter__(self) -> ModelApi:
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._stopping = threading.Event()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, mode: str = "ok") -> str:
        """The base address for an agent that is to meet `mode`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{mode}"

    def conversations(self) -> list[Request]:
        """The requests that carry a conversation, without probes for a title or a quota."""
        return [request for request in self.requests if request.body.get("tools")]

    def hang(self) -> None:
        """Hold a request until the server closes."""
        self._stopping.wait()


class _Handler(BaseHTTPRequestHandler):
    api: ModelApi
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Quiet: standard error belongs to the test."""

    def do_HEAD(self) -> None:
        self._send(200, b"", {})

    def do_GET(self) -> None:
        self._send(404, b"{}", {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        mode = self.api.now or self.path.split("/")[1]
        if mode == "usage" and time.time() >= self.api.reset_at:
            mode = "ok"
        if "count_tokens" in self.path:
            self._send(200, b'{"input_tokens": 1}', {})
            return
        self.api.requests.append(Request(mode, body))
        gathering = self.api.gathering
        if gathering is not None and body.get("tools"):
            gathering.wait(300)
        call = asked(body, self.api.calls) if mode == "calls" else None
        if mode == "hang":
            self.api.hang()
            self.close_connection = True
        elif (speak := next((PROTOCOLS[part] for part in PROTOCOLS if part in self.path), None)) is not None:
            told = {"command": self.api.command, "reset_at": self.api.reset_at, "call": call}
            self._send(*speak(mode, body, **told), cut=mode == "cut")
        elif mode == "usage":
            headers = {
                "anthropic-ratelimit-unified-status": "rejected",
                "anthropic-ratelimit-unified-reset": str(self.api.reset_at),
                "anthropic-ratelimit-unified-representative-claim": "five_hour",
                "retry-after": "3600",
            }
            self._fault(429, "rate_limit_error", "This request would exceed your account's rate limit.", headers)
        elif mode in FAULTS:
            self._fault(*FAULTS[mode])
        else:
            if mode == "tool" and "tool_result" not in json.dumps(body.get("messages", [])[-1:]):
                call = ("Bash", {"command": self.api.command, "description": "make a file"})
            self._answer(body, call, cut=mode == "cut")

    def _fault(self, status: int, kind: str, message: str, headers: dict[str, str]) -> None:
        document = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_stub"}
        self._send(status, json.dumps(document).encode(), {"content-type": "application/json", **headers})

    def _answer(self, body: dict[str, Any], call: Named | None, *, cut: bool) -> None:
        block: dict[str, Any] = {"type": "text", "text": ANSWER}
        if call is not None:
            block = {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex}", "name": call[0], "input": call[1]}
        model = body.get("model", "stub")
        if body.get("stream"):
            events = b"".join(_stream(model, block))
            self._send(200, events, {"content-type": "text/event-stream"}, cut=cut)
            return
        stop = "end_turn" if call is None else "tool_use"
        document = {**_message(model), "content": [block], "stop_reason": stop}
        self._send(200, json.dumps(document).encode(), {"content-type": "application/json"}, cut=cut)

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        """Send a reply, or promise all of it and close the connection where it begins to answer."""
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if cut:
            spoken = body.index(ANSWER.encode())
            event_end = body.find(b"\n\n", spoken)
            body = body[: spoken + 5 if event_end < 0 else event_end + 2]
            self.close_connection = True
        self.wfile.write(body)


def _message(model: str) -> dict[str, Any]:
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**USAGE, "output_tokens": 1},
    }


def _stream(model: str, block: dict[str, Any]) -> Iterator[bytes]:
    tool = block["type"] == "tool_use"
    empty = {**block, "input": {}} if tool else {"type": "text", "text": ""}
    delta = (
        {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        if tool
        else {"type": "text_delta", "text": block["text"]}
    )
    ending = {"stop_reason": "tool_use" if tool else "end_turn", "stop_sequence": None}
    yield _event("message_start", message=_message(model))
    yield _event("content_block_start", index=0, content_block=empty)
    yield _event("content_block_delta", index=0, delta=delta)
    yield _event("content_block_stop", index=0)
    yield _event("message_delta", delta=ending, usage={"output_tokens": USAGE["output_tokens"]})
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
