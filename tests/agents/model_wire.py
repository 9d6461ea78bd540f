"""What a model API says besides Anthropic's: OpenAI's responses and chat completions, and Gemini's content streams.

Each function takes the mode of a request (see `model_api`) and gives status, body and headers of the reply. What it is
to ask for is a `Call`; `asked` finds the one for a request of any protocol.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ANSWER = "STUB: the task is done."
TOOL_OUTPUT = "made.txt"

Reply = tuple[int, bytes, dict[str, str]]
Named = tuple[str, Mapping[str, Any]]
"""The whole name of a tool that is to be called, and its arguments."""
SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}

AT_ONCE = {"retry-after-ms": "0"}
"""Asks for the next try at once: opencode tries eight times, which takes a minute and a half by its own delays."""

OPENAI_FAULTS: dict[str, tuple[int, str, str, dict[str, str]]] = {
    "400": (400, "invalid_request_error", "bad request", {}),
    "401": (401, "invalid_api_key", "Incorrect API key provided: FAKE-KEY.", {}),
    "403": (403, "forbidden", "forbidden", {}),
    "404": (404, "model_not_found", "The model `stub` does not exist or you do not have access to it.", {}),
    "429": (429, "rate_limit_exceeded", "Rate limit reached", {"retry-after": "1"}),
    "patience": (429, "rate_limit_exceeded", "Rate limit reached", {"retry-after": "3600"}),
    "500": (500, "server_error", "The server had an error", AT_ONCE),
    "503": (503, "server_is_overloaded", "The server is overloaded", AT_ONCE),
    "529": (529, "overloaded_error", "Overloaded", AT_ONCE),
    "billing": (429, "insufficient_quota", "You exceeded your current quota, please check your plan.", AT_ONCE),
    "context": (400, "context_length_exceeded", "Your input exceeds the context window of this model.", {}),
}
GEMINI_FAULTS: dict[str, tuple[int, str, str]] = {
    "400": (400, "INVALID_ARGUMENT", "bad request"),
    "401": (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    "403": (403, "PERMISSION_DENIED", "permission denied"),
    "404": (404, "NOT_FOUND", "models/stub is not found for API version v1beta"),
    "500": (500, "INTERNAL", "An internal error has occurred."),
    "billing": (403, "PERMISSION_DENIED", "This API method requires billing to be enabled."),
    "503": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "529": (529, "UNAVAILABLE", "Overloaded"),
    "context": (400, "INVALID_ARGUMENT", "The input token count (2000000) exceeds the maximum number of tokens."),
}


@dataclass(frozen=True)
class Call:
    """A tool to call: the end of its name, as each CLI puts something before it, and its arguments."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def asked(body: Mapping[str, Any], calls: Sequence[Call]) -> Named | None:
    """The whole name and the arguments of the next call, the one after those whose results a request has; None once
    all have been made, or for a request without tools."""
    said = next((body[key] for key in ("messages", "input", "contents") if key in body), [])
    results = sum(1 for each in _objects(said) if _is_result(each))
    names = [name for each in _objects(body.get("tools", [])) for name in [each.get("name")] if isinstance(name, str)]
    if not names or results >= len(calls):
        return None
    wanted = calls[results]
    (name,) = {name for name in names if name == wanted.tool or name.endswith(f"_{wanted.tool}")} or {wanted.tool}
    return name, wanted.arguments


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value that may declare a tool or be a result, outermost first; not in their schemas."""
    if isinstance(value, dict):
        yield value
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key not in ("input_schema", "parameters", "parametersJsonSchema"):
            yield from _objects(each)


def _is_result(said: Mapping[str, Any]) -> bool:
    kind = said.get("type")
    return kind in ("tool_result", "function_call_output") or said.get("role") == "tool" or "functionResponse" in said


def responses(mode: str, body: dict[str, Any], *, command: str, reset_at: int, call: Named | None) -> Reply:
    """OpenAI's `POST /v1/responses`, streamed; what Codex speaks."""
    if mode == "usage":
        # What ChatGPT's own backend says; `resets_at` is in seconds.
        error = {"type": "usage_limit_reached", "message": "limit", "plan_type": "plus", "resets_at": reset_at}
        return 429, json.dumps({"error": error}).encode(), JSON
    if mode in OPENAI_FAULTS:
        return _openai_fault(mode)
    item = _response_item(body, _shell_call(body, command) if mode == "tool" else call)
    response_id = _new_id("resp")
    usage = {
        "input_tokens": 120,
        "input_tokens_details": {"cached_tokens": 20},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 150,
    }
    response = {"id": response_id, "object": "response", "status": "completed", "output": [item], "usage": usage}
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    pieces = (
        ("response.output_item.added", {"output_index": 0, "item": {**item, "content": [], "status": "in_progress"}}),
        ("response.output_text.delta", {**place, "delta": ANSWER}),
    )
    return (
        200,
        b"".join(
            f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
            for kind, fields in (
                ("response.created", {"response": {"id": response_id}}),
                *(pieces if item["type"] == "message" else ()),
                ("response.output_item.done", {"output_index": 0, "item": item}),
                ("response.completed", {"response": response}),
            )
        ),
        SSE,
    )


def chat(mode: str, body: dict[str, Any], *, command: str, reset_at: int, call: Named | None) -> Reply:
    """OpenAI's `POST /v1/chat/completions`, streamed; what opencode is told to speak."""
    del reset_at
    if mode == "usage":
        # No word of when it ends, and no wait asked for: else opencode waits itself.
        status, kind, message, _ = OPENAI_FAULTS["429"]
        return status, json.dumps({"error": {"type": kind, "message": message}}).encode(), {**JSON, **AT_ONCE}
    if mode in OPENAI_FAULTS:
        return _openai_fault(mode)
    if mode == "tool" and body.get("tools") and '"role": "tool"' not in json.dumps(body.get("messages", [])[-1:]):
        call = ("bash", {"command": command, "description": "make a file"})
    delta: dict[str, Any] = {"role": "assistant", "content": ANSWER}
    if call is not None:
        function = {"name": call[0], "arguments": json.dumps(call[1])}
        item = {"index": 0, "id": _new_id("call"), "type": "function", "function": function}
        delta = {"role": "assistant", "content": None, "tool_calls": [item]}
    usage = {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150}
    base = {"id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 1, "model": "stub"}
    chunks = (
        {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if call else "stop"}]},
        {**base, "choices": [], "usage": usage},
    )
    return 200, b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n", SSE


def gemini(mode: str, body: dict[str, Any], *, command: str, reset_at: int, call: Named | None) -> Reply:
    """Gemini's `POST …:streamGenerateContent?alt=sse`."""
    if mode in ("usage", "429"):
        return _gemini_quota(reset_at if mode == "usage" else None)
    if mode in GEMINI_FAULTS:
        status, kind, message = GEMINI_FAULTS[mode]
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "BILLING_DISABLED"}
        error = {"code": status, "message": message, "status": kind, "details": [info] if mode == "billing" else []}
        return status, json.dumps({"error": error}).encode(), JSON
    part: dict[str, Any] = {"text": ANSWER}
    if mode == "tool" and "functionResponse" not in json.dumps(body.get("contents", [])[-1:]):
        call = ("run_shell_command", {"command": command, "description": "make a file"})
    if call is not None:
        part = {"functionCall": {"name": call[0], "args": call[1]}}
    usage = {
        "promptTokenCount": 120,
        "candidatesTokenCount": 30,
        "totalTokenCount": 150,
        "cachedContentTokenCount": 20,
    }
    candidate = {"content": {"role": "model", "parts": [part]}, "index": 0}
    ending = {"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP", "index": 0}
    chunks = (
        {"candidates": [candidate], "modelVersion": "stub"},
        {"candidates": [ending], "usageMetadata": usage, "modelVersion": "stub"},
    )
    return 200, b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), SSE


PROTOCOLS: dict[str, Callable[..., Reply]] = {
    "/responses": responses,
    "/chat/completions": chat,
    ":streamGenerateContent": gemini,
    ":generateContent": gemini,
}
"""What a path holds that asks in that protocol."""


def _new_id(kind: str) -> str:
    """An id as an API gives each thing its own; what has the same id, a CLI takes for the same thing."""
    return f"{kind}_{uuid.uuid4().hex}"


def _openai_fault(mode: str) -> Reply:
    status, kind, message, headers = OPENAI_FAULTS[mode]
    error = {"type": kind, "message": message, "code": kind}
    return status, json.dumps({"error": error}).encode(), {**JSON, **headers}


def _shell_call(body: dict[str, Any], command: str) -> Named | None:
    """What Codex is asked to run, until it has."""
    if "function_call_output" in json.dumps(body.get("input", [])[-1:]):
        return None
    names = {tool.get("name") for tool in body.get("tools", [])}
    name, key = ("exec_command", "cmd") if "exec_command" in names else ("shell_command", "command")
    return name, {key: command}


def _response_item(body: dict[str, Any], call: Named | None) -> dict[str, Any]:
    if call is None:
        content = [{"type": "output_text", "text": ANSWER, "annotations": []}]
        return {"id": _new_id("msg"), "type": "message", "role": "assistant", "status": "completed", "content": content}
    name, arguments = call
    # The tools of a server are declared below a name of their own.
    spaces = [tool for tool in body.get("tools", []) if name in {each.get("name") for each in tool.get("tools", ())}]
    below = {"namespace": spaces[0]["name"]} if spaces else {}
    return {
        "id": _new_id("fc"),
        "type": "function_call",
        "name": name,
        **below,
        "call_id": _new_id("call"),
        "arguments": json.dumps(arguments),
    }


def _gemini_quota(reset_at: int | None) -> Reply:
    """A minute's limit, or what Google's code assist says of a plan's: when it is lifted stands in the words alone."""
    message = "You exceeded your current quota, please check your plan and billing details."
    violations = [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}]
    details: list[dict[str, Any]] = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}]
    if reset_at is not None:
        message = f"Your quota will reset after {max(1, reset_at - int(time.time()))}s."
        info = {"reason": "QUOTA_EXHAUSTED", "domain": "cloudcode-pa.googleapis.com", "metadata": {}}
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info}]
    error = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}
    return 429, json.dumps({"error": error}).encode(), JSON
