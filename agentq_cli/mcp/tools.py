"""The tools: which commands they are, which of their options they take, and their schemas, made from the table."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.cli import perform
from agentq_cli.commands.logs import FILES
from agentq_cli.mcp.limits import LAND, SESSIONS, Limits
from agentq_cli.options.table import EVERYWHERE, Row, rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NEW = ("submit", "schedule")
"""The tools that make tasks; what is to be done they take as a line of a batch does."""

LISTS = {"list": "tasks", "runs": "runs"}
"""The tools that list every session of those that are allowed, unless they are told otherwise, and what they list."""

OWN = (*NEW, "wait")
"""The tools that are about the server's own session, unless they are told otherwise."""

TYPED = ("words", "file", "batch", "wait", "follow", "no_wake", "yes")
"""Options that only a person at a command line has a use for, or that are taken in another way."""

LONGEST_PAGE = 64 << 10
"""How many bytes of a log or a difference a call returns at most."""

LARGEST_OFFSET = 1 << 60

MOST_ITEMS = 1000
NEWEST = 100
"""How many items a list has at most, and unless a limit is given."""

DEFAULT_WAIT, LONGEST_WAIT = "60s", "1h"
"""How long `wait` waits unless a time-out is given, and at most."""


class Tool(NamedTuple):
    """A command as a tool. The hints are those of the protocol: whether it only reads, whether it may end or overwrite
    something, whether calling it again changes nothing more, and whether it starts what acts outside of the queue."""

    name: str
    reads: bool = True
    destroys: bool = False
    repeatable: bool = True
    opens: bool = False
    more: str = ""
    """What its description says in addition to the command's help."""
    required: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    """What it does not take of the command's options."""
    aside: tuple[str, ...] = ()
    """If it takes options of a task, those that are none."""
    beyond: tuple[str, ...] = ()
    """Of a tool that must be told what it is about: the options for more than tasks of the server's sessions. A whole
    session, say, was paused by a person, and no agent can resume it by its outbound.db."""
    slow: bool = False
    """Whether a call may take minutes."""
    own: tuple[Row, ...] = ()
    """What only the tool takes; a row here stands before the command's own of that name."""

    @property
    def rows(self) -> dict[str, Row]:
        """What it takes, by name."""
        own = {each.name: each for each in self.own}
        left_out = (*TYPED, *self.without)
        found = {each.name: each for each in rows(self.name) if each.panel != EVERYWHERE and each.name not in left_out}
        return own | found | own

    @property
    def description(self) -> str:
        """What the client is told of it."""
        import inspect

        text = inspect.getdoc(perform.function(self.name)) or ""
        return f"{text}\n\n{self.more}" if self.more else text


LIMIT = Row(
    ("--limit", ("mcp",), "whole", "", "At most this many.", {"low": 1, "high": MOST_ITEMS, "default": str(NEWEST)})
)
TIMEOUT = Row(
    (
        "--timeout",
        ("mcp",),
        "duration",
        "",
        f"Return what is known after this long, at most {LONGEST_WAIT}.",
        {"default": DEFAULT_WAIT},
    )
)
OFFSET = Row(
    (
        "--offset",
        ("mcp",),
        "whole",
        "",
        f"Go on from this byte, the next_offset of the call before; a call returns at most {LONGEST_PAGE >> 10} KiB.",
        {"low": 0, "high": LARGEST_OFFSET, "default": "0"},
    )
)
STREAM = Row(
    (
        "--stream",
        ("mcp",),
        "choice",
        "",
        "Which of its outputs to read.",
        {"choices": tuple(name for files in FILES.values() for name in files), "default": "stdout"},
    )
)
PROMPT = Row(("--prompt", ("mcp",), "text", "", "What the agent is to do.", {}))
EXEC = Row(
    ("--exec", ("mcp",), "command", "", "A command to run without a shell, in place of a prompt: its words.", {})
)

TOOLS = (
    Tool("submit", own=(PROMPT, EXEC), aside=("session", "dry_run"), reads=False, repeatable=False, opens=True),
    Tool(
        "schedule",
        own=(PROMPT, EXEC),
        aside=("session", "dry_run", "next", "cron", "every", "at"),
        reads=False,
        repeatable=False,
        opens=True,
    ),
    Tool("list", own=(LIMIT,)),
    Tool("show", required=("run",)),
    Tool("logs", required=("run",), own=(STREAM, OFFSET), without=(*FILES, "follow")),
    Tool("runs", own=(LIMIT,)),
    Tool(
        "wait",
        more="If they have not ended in time, it says how they stand and can be called again. It reports progress.",
        own=(TIMEOUT,),
        beyond=("all",),
    ),
    Tool("cancel", reads=False, destroys=True, beyond=("all",)),
    Tool("pause", reads=False, beyond=("all", "agent", "session")),
    Tool("resume", reads=False, opens=True, beyond=("all", "agent", "session")),
    Tool(
        "retry",
        aside=("ids", "failed", "session", "label", "since"),
        reads=False,
        destroys=True,
        repeatable=False,
        opens=True,
    ),
    Tool("diff", own=(OFFSET,), slow=True),
    Tool("land", reads=False, destroys=True, opens=True, slow=True),
)


def offered(limits: Limits) -> list[Tool]:
    """The tools that a server has."""
    return [
        tool
        for tool in TOOLS
        if (tool.reads or not limits.read_only)
        and (not limits.tools or tool.name in limits.tools)
        and (tool.name != "land" or limits.allows(LAND))
    ]


def schema(tool: Tool, limits: Limits) -> dict[str, Any]:
    """The JSON schema of a tool's arguments; an option that is not allowed is not in it."""
    found: dict[str, Any] = {
        "type": "object",
        "properties": {
            name: _property(tool, each, limits) for name, each in tool.rows.items() if _is_open(tool, name, limits)
        },
        "additionalProperties": False,
    }
    if tool.required:
        found["required"] = list(tool.required)
    return found


def _is_open(tool: Tool, name: str, limits: Limits) -> bool:
    """Whether an option is of use within these limits."""
    if tool.aside and name not in tool.aside:
        return limits.opens(name)
    if name in tool.beyond:
        return limits.allows(SESSIONS)
    return True


_TEXT = {"type": "string"}

FORMATS = {
    "duration": " A duration, as 90s, 15m, 2h or 1d.",
    "time": " A time, as 2026-03-29T09:00 or with an offset.",
    "moment": " A duration, as 90s, 15m, 2h or 1d, or a time, as 2026-03-29T09:00.",
    "size": " As 512MiB or 2GiB.",
    "pairs": " Names with their values; true takes the value from the host that runs it.",
}
"""How a value is written, by its reader."""


def _property(tool: Tool, option: Row, limits: Limits) -> dict[str, Any]:
    """The schema of one option, as `options.batch.check` and the command's own reader take its value."""
    kind: dict[str, Any]
    if option.reader == "pairs":
        kind = {"type": "object", "additionalProperties": {"type": ["string", "boolean"]}}
    elif option.reader == "command" or option.kind == "texts" or option.reader == "many":
        kind = {"type": "array", "items": _TEXT}
    elif option.kind == "flag":
        kind = {"type": "boolean"}
    elif option.kind == "whole":
        kind = {"type": "integer"}
        kind |= {key: bound for key, bound in (("minimum", option.low), ("maximum", option.high)) if bound is not None}
    elif option.kind == "number":
        kind = {"type": "number", "exclusiveMinimum": 0}
    else:
        kind = dict(_TEXT)
        if option.choices:
            kind["enum"] = list(option.choices)
    text = option.text + FORMATS.get(option.reader, "")
    default = option.default
    if option.name == "session":
        default = limits.own if tool.name in OWN or (tool.name in LISTS and not limits.allows(SESSIONS)) else ""
        if not limits.allows(SESSIONS):
            kind["enum"] = list(limits.sessions)
    if default:
        text += f" Default: {default}."
    return kind | {"description": text}
