"""Every option and argument of agentq, once: how it is written, what it takes, where it holds, what it fills.

From these rows come the quick reader, the parser, help, man pages and completions, the keys of a batch and of the
config, what `edit` changes and what an agent may ask for. A new option is a row here, the field that it fills, and the
use of that field. Every process reads this module, so that it imports nothing and is no dataclass.
"""

from __future__ import annotations

from _operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

Given: TypeAlias = "Mapping[str, Any]"
"""What was given, by the names of rows. A command finds all of its rows in it; None is what was not given."""

GROUPS = {
    "Hand in": ("submit", "schedule"),
    "Look": ("list", "show", "logs", "runs", "events", "messages", "sessions", "workers", "top"),
    "Change": ("edit", "pause", "resume", "cancel", "retry", "trigger", "prune"),
    "Run": ("run", "sweep", "wait"),
    "Watch over": ("health", "stats", "report", "doctor"),
    "Set up": ("agents", "config", "service", "completion"),
}
"""Every command by its purpose, in the order of the help."""

COMMANDS = tuple([name for names in GROUPS.values() for name in names])

WHAT, WHERE, WHEN, ORDER = "What", "Where", "When", "After other tasks"
LIMITS, FAILURE, WHICH, ENDING, HOW, EVERYWHERE = "Limits", "Failure", "Which", "Ending", "How", "Everywhere"
PANELS = (WHAT, WHICH, WHERE, WHEN, ORDER, LIMITS, FAILURE, ENDING, HOW)
"""The headings of the help under which options stand, in its order; EVERYWHERE comes last."""

NEW = ("submit", "schedule", "batch")
TASK = (*NEW, "edit")
DEFAULTS = (*TASK, "defaults")
SERIES = ("schedule", "edit")
"""Where options of a task hold: as those of a new one, of any, also by default, or of a series."""

EVERY = (*COMMANDS, "")
"""With the command line that names no command."""

METAVARS = {
    "duration": "DURATION",
    "size": "SIZE",
    "time": "TIME",
    "moment": "TIME|DURATION",
    "zone": "ZONE",
    "whole": "N",
    "money": "USD",
    "text": "TEXT",
    "texts": "TEXT",
    "name": "NAME",
    "names": "NAME",
    "directory": "DIR",
    "path": "PATH",
    "paths": "PATH",
    "pairs": "K=V",
    "words": "ARG",
    "tasks": "ID",
}
"""By reader, how its value is called where a row says nothing else. A `moment` is a time or a duration from now; of the
`words` for another program any may be empty."""

KINDS = {
    **dict.fromkeys(("flag", "command"), "flag"),
    "whole": "whole",
    "money": "number",
    **dict.fromkeys(("texts", "names", "paths", "pairs", "words", "tasks"), "texts"),
}
"""By reader, what a command line holds: `texts` may be given more than once, all others are one `text`. After the flag
of a `command` the words are one."""

ARGUMENTS = ("one", "optional", "many")
"""The readers of what is given without an option: text that must be there, text that may be, any number of them."""


class Row(tuple):  # type: ignore[type-arg]
    """One option or argument, as it holds in some places.

    `spellings` are separated by blanks, the long one first; an argument has its name there. `holds` are the commands,
    and `batch`, `defaults` (of the config) and `request` (an agent's), where `reader` reads it. `text` is what the help
    says of it. The rest is said only where there is something to say: `default` is what the help says of that, and
    holds where neither the command line nor the config says anything (a test compares it with the code); `field` is
    what it fills of a task, after a dot of its launch or schedule; a number is from `low` to `high`; `choices` are all
    words that it takes; `metavar` is how the help calls its value.
    """

    __slots__ = ()
    spellings = property(itemgetter(0))
    holds = property(itemgetter(1))
    reader = property(itemgetter(2))
    panel = property(itemgetter(3))
    text = property(itemgetter(4))
    rest = property(itemgetter(5))
    default = property(lambda self: self.rest.get("default", ""))
    field = property(lambda self: self.rest.get("field", ""))
    low = property(lambda self: self.rest.get("low"))
    high = property(lambda self: self.rest.get("high"))
    choices = property(lambda self: self.rest.get("choices", ()))

    @property
    def metavar(self) -> str:
        """How the help calls its value."""
        named: str = self.rest.get("metavar", "")
        return named or "|".join(self.choices) or METAVARS.get(self.reader, "")

    @property
    def name(self) -> str:
        """What its value is found under, also in a batch and in the config."""
        long: str = self.spellings.partition(" ")[0]
        return long.lstrip("-").replace("-", "_")

    @property
    def kind(self) -> str:
        """What a command line holds of it: one of `flag`, `whole`, `number`, `text`, `texts`."""
        return KINDS.get(self.reader, "text")

    def words(self, value: Any) -> list[str]:
        """How a value of this option is given on a command line."""
        spelling = self.spellings.partition(" ")[0]
        if value is None or self.kind == "flag":
            return [spelling] if value else []
        return [word for each in (value if self.kind == "texts" else [value]) for word in (spelling, str(each))]

    def bounds(self, number: int) -> bool:
        """Whether the number is one that it takes."""
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)


ROWS: tuple[Any, ...] = (
    # What is to be done, and which task that is.
    ("words", ("submit", "schedule"), "many", "", "The prompt; '-' reads it from stdin.", {"metavar": "PROMPT"}),
    ("--exec", NEW, "command", WHAT, "Run the words after '--' as a command, without a shell.", {}),
    ("--file", NEW, "path", WHAT, "Read the prompt from a file.", {}),
    ("--batch", ("submit",), "path", WHAT, "JSON Lines, one task each; '-' is stdin.", {}),
    ("ref", ("batch",), "text", "", "A name of the line, for what other lines wait for.", {}),
    ("--prompt", ("edit", "batch", "request"), "text", WHAT, "The new prompt.", {"field": "prompt"}),
    (
        "--key",
        TASK,
        "text",
        WHAT,
        "At most one live task of this key a session; a second submit prints the first one's address.",
        {"metavar": "KEY", "field": "key"},
    ),
    ("--replace", NEW, "flag", WHAT, "With --key: change the waiting task of that key.", {}),
    (
        "--stdin",
        DEFAULTS,
        "path",
        WHAT,
        "Given to a command on its stdin.",
        {"default": "empty", "field": "launch.stdin"},
    ),
    ("--script", DEFAULTS, "path", WHAT, "Runs first and decides whether to go on.", {"field": "launch.script"}),
    # When.
    ("--at", ("submit", "edit", "batch", "request"), "time", WHEN, "Not before this time.", {"field": "due_at"}),
    (
        "--in",
        ("submit", "edit", "batch", "request"),
        "duration",
        WHEN,
        "Not before so long from now.",
        {"field": "due_at"},
    ),
    (
        "--cron",
        (*SERIES, "request"),
        "text",
        WHEN,
        "Five fields as in crontab(5), or @daily….",
        {"metavar": "EXPR", "field": "schedule.expr"},
    ),
    (
        "--every",
        (*SERIES, "request"),
        "duration",
        WHEN,
        "An interval; its grid never drifts.",
        {"field": "schedule.every_ms"},
    ),
    ("--at", ("schedule",), "time", WHEN, "Once, at this time.", {"field": "schedule.start"}),
    (
        "--tz",
        (*DEFAULTS, "request"),
        "zone",
        WHEN,
        "The IANA zone of times without an offset.",
        {"default": "the session's, AGENTQ_TZ, the config's, TZ", "field": "launch.tz"},
    ),
    ("--start", SERIES, "time", WHEN, "The anchor of the grid.", {"default": "now", "field": "schedule.start"}),
    ("--until", SERIES, "time", WHEN, "Nothing fires after this time.", {"field": "schedule.until"}),
    (
        "--max-runs",
        (*SERIES, "defaults"),
        "whole",
        WHEN,
        "So many occurrences at most.",
        {"low": 1, "field": "schedule.max_runs"},
    ),
    (
        "--missed",
        (*SERIES, "defaults"),
        "choice",
        WHEN,
        "Slots when nothing was there to run: one late run, each of them, or none.",
        {"choices": ("latest", "all", "skip"), "default": "latest", "field": "schedule.missed"},
    ),
    (
        "--overlap",
        (*SERIES, "defaults"),
        "choice",
        WHEN,
        "Slots while the one before still runs: left out, or one of them queued.",
        {"choices": ("skip", "queue"), "default": "skip", "field": "schedule.overlap"},
    ),
    ("--once", ("edit",), "flag", WHEN, "Drop the recurrence: this occurrence is the last.", {}),
    (
        "--priority -p",
        (*DEFAULTS, "request"),
        "whole",
        WHEN,
        "-100 to 100, higher first.",
        {"metavar": "INT", "low": -100, "high": 100, "default": "0, or 10 for a schedule", "field": "priority"},
    ),
    ("--expires", DEFAULTS, "moment", WHEN, "If not started by then, it expires.", {"field": "expires_at"}),
    # Where, and as what.
    ("--session -s", (*NEW, "messages"), "name", WHERE, "The session.", {"default": "default"}),
    (
        "--agent -a",
        DEFAULTS,
        "name",
        WHERE,
        "The agent.",
        {"default": "the session's, the config's, or the one on PATH", "field": "agent"},
    ),
    ("--cwd -C", DEFAULTS, "directory", WHERE, "Where it runs.", {"default": "the current directory", "field": "cwd"}),
    ("--env -e", DEFAULTS, "pairs", WHERE, "Added to its environment; repeatable.", {"field": "launch.env"}),
    ("--env-file", DEFAULTS, "paths", WHERE, "The same from a file of K=V lines; repeatable.", {"field": "launch.env"}),
    (
        "--context",
        (*DEFAULTS, "request"),
        "choice",
        WHERE,
        "A fresh conversation, or the session's.",
        {
            "choices": ("isolated", "session"),
            "default": "session; isolated in 'default' and for a schedule",
            "field": "context",
        },
    ),
    (
        "--agent-arg",
        DEFAULTS,
        "words",
        WHERE,
        "Appended to the agent's command line; repeatable.",
        {"field": "launch.agent_args"},
    ),
    ("--label", (*DEFAULTS, "request"), "texts", WHAT, "A label to find it by; repeatable.", {"field": "labels"}),
    # After other tasks.
    ("--after", TASK, "tasks", ORDER, "Start once this one completed; repeatable.", {"field": "after"}),
    ("--after-any", TASK, "tasks", ORDER, "Start once this one ended; repeatable.", {"field": "after"}),
    ("--after-failure", TASK, "tasks", ORDER, "Start once this one failed; repeatable.", {"field": "after"}),
    (
        "--on-dep-failure",
        DEFAULTS,
        "choice",
        ORDER,
        "Where that can no longer happen: cancel it, hold it, or run it all the same.",
        {"choices": ("cancel", "hold", "run"), "default": "cancel", "field": "on_dep_failure"},
    ),
    # Limits, and what follows a failure.
    (
        "--timeout",
        DEFAULTS,
        "duration",
        LIMITS,
        "Wall-clock limit of a run.",
        {"default": "none", "field": "launch.timeout_ms"},
    ),
    ("--grace", DEFAULTS, "duration", LIMITS, "From TERM to KILL.", {"default": "5s", "field": "launch.grace_ms"}),
    (
        "--stall-timeout",
        DEFAULTS,
        "duration",
        LIMITS,
        "Limit of a silence: no output, no heartbeat.",
        {"default": "none", "field": "launch.stall_timeout_ms"},
    ),
    (
        "--memory",
        DEFAULTS,
        "size",
        LIMITS,
        "Limit of the memory of its whole process tree.",
        {"default": "none", "field": "launch.memory_bytes"},
    ),
    (
        "--max-cost",
        DEFAULTS,
        "money",
        LIMITS,
        "Limit of the cost of all its attempts.",
        {"default": "none", "field": "launch.max_cost_usd"},
    ),
    (
        "--pause-after",
        (*SERIES, "defaults"),
        "whole",
        FAILURE,
        "Pause after N failures in a row.",
        {"low": 0, "default": "8", "field": "schedule.pause_after"},
    ),
    (
        "--retries",
        DEFAULTS,
        "whole",
        FAILURE,
        "Attempts after the first one.",
        {"low": 0, "high": 1000, "default": "5 where that may help, see agentq(1); else 0", "field": "launch.retries"},
    ),
    (
        "--backoff",
        DEFAULTS,
        "duration",
        FAILURE,
        "Delay before the first retry; then it doubles.",
        {"default": "5s", "field": "launch.backoff_ms"},
    ),
    (
        "--max-backoff",
        DEFAULTS,
        "duration",
        FAILURE,
        "Longest delay of a retry.",
        {"default": "5m", "field": "launch.max_backoff_ms"},
    ),
    (
        "--on-crash",
        DEFAULTS,
        "choice",
        FAILURE,
        "Whether to try again where its process vanished.",
        {"choices": ("retry", "fail"), "default": "retry", "field": "launch.on_crash"},
    ),
    # What a command is about.
    ("id", ("show", "edit", "trigger"), "one", "", "The task: SESSION/N, or N for default/N.", {"metavar": "ID"}),
    ("run", ("logs",), "one", "", "The task, or one of its runs; the last if none.", {"metavar": "ID[.K]"}),
    ("task", ("runs", "events"), "optional", "", "Only this task.", {"metavar": "ID"}),
    (
        "ids",
        ("pause", "resume", "cancel", "retry", "prune", "wait"),
        "many",
        "",
        "Tasks: SESSION/N, or N for default/N.",
        {"metavar": "ID..."},
    ),
    ("shell", ("completion",), "one", "", "The shell.", {"choices": ("bash", "zsh", "fish")}),
    ("action", ("config",), "optional", "", "Default: show.", {"choices": ("show", "check", "path")}),
    ("action", ("sessions",), "optional", "", "Give the conversation up.", {"choices": ("reset",)}),
    ("names", ("sessions",), "many", "", "With reset: the sessions.", {"metavar": "NAME..."}),
    ("action", ("service",), "one", "", "What to do.", {"choices": ("print",)}),
    ("kind", ("service",), "one", "", "For whom.", {"choices": ("systemd", "cron")}),
    ("unit", ("service",), "optional", "", "Of systemd only this unit.", {"metavar": "UNIT"}),
    ("--html", ("report",), "path", "", "Write a page of HTML; '-' is standard output.", {"metavar": "FILE"}),
    ("--prometheus", ("stats",), "flag", "", "Print the text that Prometheus's textfile collector reads.", {}),
    # Which.
    ("--older-than", ("prune",), "duration", WHICH, "Ended longer ago than this.", {}),
    (
        "--session -s",
        ("list", "runs", "pause", "resume", "cancel", "prune", "sweep", "wait", "stats", "report"),
        "name",
        WHICH,
        "Only this session.",
        {},
    ),
    ("--session -s", ("run",), "names", WHICH, "Only this session; repeatable.", {}),
    ("--agent -a", ("pause", "resume"), "name", WHICH, "Every task of this agent.", {}),
    ("--agent -a", ("sessions",), "name", WHICH, "With reset: only this agent's conversation.", {}),
    (
        "--status",
        ("list", "runs"),
        "texts",
        WHICH,
        "Only this status, such as running; repeatable.",
        {"metavar": "STATUS"},
    ),
    ("--label", ("list",), "text", WHICH, "Only tasks with this label.", {}),
    (
        "--since",
        ("runs", "events", "messages", "stats", "report"),
        "moment",
        WHICH,
        "Only from then on.",
        {"metavar": "DURATION|TIME"},
    ),
    ("--all", ("list",), "flag", WHICH, "Also those that have ended.", {}),
    ("--all", ("pause", "resume", "cancel"), "flag", WHICH, "Everything.", {}),
    ("--stderr", ("logs",), "flag", WHICH, "What it wrote to stderr instead.", {}),
    ("--tail -n", ("logs",), "whole", WHICH, "Only the last N lines.", {"low": 0}),
    ("--limit", ("list", "runs", "events", "messages"), "whole", WHICH, "At most so many.", {"low": 1}),
    # How, and until when.
    ("--drain", ("run",), "flag", ENDING, "End when nothing is running or due.", {}),
    ("--idle-exit", ("run",), "duration", ENDING, "End after so long without work.", {}),
    ("--max-tasks", ("run",), "whole", ENDING, "End after so many tasks.", {"low": 1}),
    (
        "--on-stop",
        ("run",),
        "choice",
        ENDING,
        "What the first signal does to what runs.",
        {"choices": ("wait", "leave", "cancel"), "default": "wait for SIGINT, leave for SIGTERM and SIGHUP"},
    ),
    (
        "--jobs -j",
        ("run",),
        "whole",
        HOW,
        "Agents at once.",
        {"low": 1, "high": 10_000, "default": "jobs of the config, 2"},
    ),
    ("--detach", ("run",), "flag", HOW, "Run in the background; prints the supervisor's pid.", {}),
    ("--next", ("schedule",), "whole", HOW, "Show the next N fire times; store nothing.", {"low": 1, "high": 1000}),
    ("--reason", ("pause",), "text", HOW, "Why; shown by 'show' and 'sessions'.", {}),
    ("--timeout", ("wait",), "duration", HOW, "Give up after so long, with exit code 124.", {}),
    ("--wait", ("cancel",), "flag", HOW, "Return once their processes are gone.", {}),
    (
        "--dry-run",
        ("submit", "schedule", "cancel", "prune", "sweep"),
        "flag",
        HOW,
        "Show what would be done, and change nothing.",
        {},
    ),
    ("--yes -y", ("cancel", "prune"), "flag", HOW, "Do not ask.", {}),
    ("--wait", ("submit",), "flag", HOW, "Block until it ended, and exit with its code.", {}),
    ("--follow -f", ("submit",), "flag", HOW, "The same, and print its output as it comes.", {}),
    ("--follow -f", ("logs", "events", "messages"), "flag", HOW, "Go on as more comes, until it ends.", {}),
    ("--no-wake", ("submit", "sweep"), "flag", HOW, "Start no supervisor.", {}),
    ("--reindex", ("sweep",), "flag", HOW, "Rebuild the index from the sessions' files first.", {}),
    # Before or after the name of any command.
    ("--json", EVERY, "flag", EVERYWHERE, "Print one JSON document.", {}),
    (
        "--state-dir",
        EVERY,
        "directory",
        EVERYWHERE,
        "Where everything is kept.",
        {"default": "AGENTQ_STATE_DIR, else ~/.local/state/agentq"},
    ),
    (
        "--color",
        EVERY,
        "choice",
        EVERYWHERE,
        "Whether to colour.",
        {"choices": ("auto", "always", "never"), "default": "auto"},
    ),
    ("--allow-network-fs", EVERY, "flag", EVERYWHERE, "Accept a state dir whose file locks cannot be relied on.", {}),
    ("--version -V", ("",), "flag", EVERYWHERE, "Print the version.", {}),
)


_rows: dict[str, list[Row]] = {}


def rows(place: str) -> list[Row]:
    """What holds in a place: a command, `""` for none, `batch`, `defaults` or `request`."""
    if place not in _rows:
        _rows[place] = [Row(cells) for cells in ROWS if place in cells[1]]
    return _rows[place]


def row(place: str, name: str) -> Row:
    """The option or argument of that name there."""
    (found,) = (each for each in rows(place) if each.name == name)
    return found
