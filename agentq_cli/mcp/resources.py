"""The resources: a task, its log and what it changed, each read as the tool of the same reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import mcp.types as types
from mcp.shared.exceptions import MCPError

from agentq_cli.base.dataclass import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from agentq_cli.mcp.calls import Outcome
    from agentq_cli.mcp.limits import Limits

    class Calls(Protocol):
        """Carries out calls of tools."""

        @property
        def tools(self) -> Mapping[str, Any]:
            """The tools that there are."""

        async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
            """Carry out a call; an error is a result as well."""


URI = re.compile(r"agentq://task/([^/]+/[0-9]+)(?:/(log|diff))?")
TASK = "agentq://task/{session}/{number}"

LAST_LINES = 500
"""With how many lines the log ends that is read as a resource."""


class Kind(NamedTuple):
    """What a resource is read with, and what it is."""

    tool: str
    key: str
    """The key of its text in the tool's document; empty for the document itself."""
    more: Mapping[str, Any]
    media_type: str
    title: str


KINDS = {
    "": Kind("show", "", {}, "application/json", "A task, as `agentq show --json` prints it"),
    "log": Kind("logs", "stdout", {"tail": LAST_LINES}, "text/plain", "The end of what its last run wrote"),
    "diff": Kind("diff", "patch", {}, "text/x-diff", "The beginning of what it changed in its tree"),
}


class Resources:
    """The handlers of the protocol's requests for resources."""

    def __init__(self, limits: Limits, calls: Calls) -> None:
        self._limits = limits
        self._calls = calls
        self._kinds = {name: kind for name, kind in KINDS.items() if kind.tool in calls.tools}

    async def listed(self, ctx: object, params: object) -> types.ListResourcesResult:
        """The live tasks of the server's sessions."""
        items: list[Mapping[str, Any]] = []
        if "" in self._kinds and "list" in self._calls.tools:
            for session in self._limits.sessions:
                outcome = await self._calls.call("list", {"session": session})
                items += outcome.document.get("items", ())
        return types.ListResourcesResult(
            resources=[
                types.Resource(
                    uri=f"agentq://task/{item['id']}",
                    name=item["id"],
                    description=item["title"],
                    mime_type=KINDS[""].media_type,
                )
                for item in items
            ]
        )

    async def templates(self, ctx: object, params: object) -> types.ListResourceTemplatesResult:
        """A task, its log, its difference."""
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(
                    uri_template=f"{TASK}/{name}" if name else TASK,
                    name=name or "task",
                    description=kind.title,
                    mime_type=kind.media_type,
                )
                for name, kind in self._kinds.items()
            ]
        )

    async def read(self, ctx: object, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        """The content of a resource. Raises MCPError."""
        found = URI.fullmatch(params.uri)
        kind = None if found is None else self._kinds.get(found[2] or "")
        if found is None or kind is None:
            raise MCPError(types.INVALID_PARAMS, f"'{params.uri[:200]}': no such resource")
        outcome = await self._calls.call(kind.tool, {"run": found[1], **kind.more})
        if outcome.failed:
            raise MCPError(types.INVALID_PARAMS, outcome.document["message"], outcome.document)
        text = outcome.document[kind.key] if kind.key else json.dumps(outcome.document, ensure_ascii=False)
        content = types.TextResourceContents(uri=params.uri, text=text, mime_type=kind.media_type)
        return types.ReadResourceResult(contents=[content])
