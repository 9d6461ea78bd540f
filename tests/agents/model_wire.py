"""What a model API says besides Anthropic's: OpenAI's responses and chat completions, and Gemini's content streams.

Each function takes the mode of a request (see `model_api`) and gives status, body and headers of the reply.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

ANSWER = "STUB: the task is done."
TOOL_OUTPUT = "made.txt"

Reply = tuple[int, bytes, dict[str, str]]
SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}

OPENAI_FAULTS: dict[str, tuple[int, str, str, dict[str, str]]] = {
    "400": (400, "invalid_request_error", "bad request", {}),
    "401": (401, "invalid_api_key", "Incorrect API key provided: FAKE-KEY.", {}),
    "403": (403, "forbidden", "forbidden", {}),
    "404": (404, "model_not_found", "The model `stub` does not exist or you do not have access to it.", {}),
    "429": (429, "rate_limit_exceeded", "Rate limit reached", {"retry-after": "1"}),
    "500": (500, "server_error", "The server had an error", {}),
    "503": (503, "server_is_overloaded", "The server is overloaded", {}),
    "529": (529, "overloaded_error", "Overloaded", {}),
    "billing": (429, "insufficient_quota", "You exceeded your current quota, please check your plan.", {}),
    "context": (400, "context_length_exceeded", "Your input exceeds the context window of this model.", {}),
}
GEMINI_FAULTS: dict[str, tuple[int, str, str]] = {
    "400": (400, "INVALID_ARGUMENT", "bad request"),
    "401": (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    "403": (403, "PERMISSION_DENIED", "permission denied"),
    "404": (404, "NOT_FOUND", "models/stub is not found for API version v1beta"),
    "context": (400, "INVALID_ARGUMENT", "The input token count (2000000) exceeds the maximum number of tokens."),
}


def responses(mode: str, body: dict[str, Any], *, command: str, reset_at: int) -> Reply:
    """OpenAI's `POST /v1/responses`, streamed; what Codex speaks."""
    if mode == "usage":
        # What ChatGPT's own backend says; `resets_at` is in seconds.
        error = {"type": "usage_limit_reached", "message": "limit", "plan_type": "plus", "resets_at": reset_at}
        return 429, json.dumps({"error": error}).encode(), JSON
    if mode in OPENAI_FAULTS:
        return _openai_fault(mode)
    item = _response_item(body, command if mode == "tool" else None)
    usage = {
        "input_tokens": 120,
        "input_tokens_details": {"cached_tokens": 20},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 150,
    }
    response = {"id": "resp_stub", "object": "response", "status": "completed", "output": [item], "usage": usage}
    return (
        200,
        b"".join(
            f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
            for kind, fields in (
                ("response.created", {"response": {"id": "resp_stub"}}),
                ("response.output_item.done", {"output_index": 0, "item": item}),
                ("response.completed", {"response": response}),
            )
        ),
        SSE,
    )


def chat(mode: str, body: dict[str, Any], *, command: str, reset_at: int) -> Reply:
    """OpenAI's `POST /v1/chat/completions`, streamed; what opencode is told to speak."""
    del reset_at
    if mode in OPENAI_FAULTS:
        return _openai_fault(mode)
    asked = mode == "tool" and body.get("tools") and '"role": "tool"' not in json.dumps(body.get("messages"))
    delta: dict[str, Any] = {"role": "assistant", "content": ANSWER}
    if asked:
        arguments = json.dumps({"command": command, "description": "make a file"})
        call = {"index": 0, "id": "call_stub", "type": "function", "function": {"name": "bash", "arguments": arguments}}
        delta = {"role": "assistant", "content": None, "tool_calls": [call]}
    usage = {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150}
    base = {"id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 1, "model": "stub"}
    chunks = (
        {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if asked else "stop"}]},
        {**base, "choices": [], "usage": usage},
    )
    return 200, b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n", SSE


def gemini(mode: str, body: dict[str, Any], *, command: str, reset_at: int) -> Reply:
    """Gemini's `POST …:streamGenerateContent?alt=sse`."""
    del reset_at
    if mode in ("usage", "429"):
        return _gemini_quota(daily=mode == "usage")
    if mode in GEMINI_FAULTS:
        status, kind, message = GEMINI_FAULTS[mode]
        error = {"code": status, "message": message, "status": kind, "details": []}
        return status, json.dumps({"error": error}).encode(), JSON
    part: dict[str, Any] = {"text": ANSWER}
    if mode == "tool" and "functionResponse" not in json.dumps(body.get("contents")):
        arguments = {"command": command, "description": "make a file"}
        part = {"functionCall": {"name": "run_shell_command", "args": arguments}}
    usage = {
        "promptTokenCount": 120,
        "candidatesTokenCount": 30,
        "totalTokenCount": 150,
        "cachedContentTokenCount": 20,
    }
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    chunk = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "stub"}
    return 200, f"data: {json.dumps(chunk)}\n\n".encode(), SSE


PROTOCOLS: dict[str, Callable[..., Reply]] = {
    "/responses": responses,
    "/chat/completions": chat,
    ":streamGenerateContent": gemini,
    ":generateContent": gemini,
}
"""What a path holds that asks in that protocol."""


def _openai_fault(mode: str) -> Reply:
    status, kind, message, headers = OPENAI_FAULTS[mode]
    error = {"type": kind, "message": message, "code": kind}
    return status, json.dumps({"error": error}).encode(), {**JSON, **headers}


def _response_item(body: dict[str, Any], command: str | None) -> dict[str, Any]:
    if command is None or "function_call_output" in json.dumps(body.get("input")):
        content = [{"type": "output_text", "text": ANSWER, "annotations": []}]
        return {"id": "msg_stub", "type": "message", "role": "assistant", "status": "completed", "content": content}
    names = {tool.get("name") for tool in body.get("tools", [])}
    name, key = ("exec_command", "cmd") if "exec_command" in names else ("shell_command", "command")
    arguments = json.dumps({key: command})
    return {"id": "fc_stub", "type": "function_call", "name": name, "call_id": "call_stub", "arguments": arguments}


def _gemini_quota(*, daily: bool) -> Reply:
    quota = "GenerateRequestsPerDayPerProjectPerModel" if daily else "GenerateRequestsPerMinutePerProjectPerModel"
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3600s"},
    ]
    message = "You exceeded your current quota, please check your plan and billing details."
    error = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}
    return 429, json.dumps({"error": error}).encode(), JSON
