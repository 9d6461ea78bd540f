"""Every option and argument of agentq, once: its spelling, its kind of value, where it is valid, and its field.

The quick reader, the parser, help, man pages, completions, the keys of a batch and of the config, the changes of `edit`
and the requests of agents are all derived from these rows. To add an option, add a row here, the field that it fills,
and the use of that field. Every process loads this module, so it imports nothing and uses no dataclass.
It is long because it is one table: what is known of an option stands in its row and nowhere else.
"""

from __future__ import annotations

from _operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

Given: TypeAlias = "Mapping[str, Any]"
"""The given values by the names of rows. For a command all of its rows are present; None means not given."""

GROUPS = {
    "Submit": ("submit", "schedule"),
    "Inspect": (
        "status",
        "list",
        "show",
        "logs",
        "runs",
        "schedules",
        "events",
        "messages",
        "sessions",
        "workers",
        "hosts",
        "top",
    ),
    "Change": ("edit", "pause", "resume", "cancel", "retry", "reply", "trigger", "prune"),
    "Trees": ("diff", "land", "trees", "discard", "restore"),
    "Run": ("run", "jobs", "stop", "sweep", "wait"),
    "Monitor": ("health", "stats", "report", "doctor"),
    "Set up": ("agents", "mcp", "config", "service", "fleet", "migrate", "completion"),
}
"""Every command by purpose, in the order of the help."""

COMMANDS = tuple([name for names in GROUPS.values() for name in names])

SHORT_EXEC = "x"
"""Short for `submit --exec --`: the first word that is no option begins the command line."""

ALIASES = {"add": "submit", "ls": "list", "rm": "cancel", "log": "logs"}
"""Other names of commands, which other programs have taught."""

WHAT, WHERE, WHEN, ORDER, TREE = "What", "Where", "When", "After other tasks", "In a git worktree"
LIMITS, FAILURE, WHICH, ENDING, HOW, EVERYWHERE = "Limits", "Failure", "Which", "Ending", "How", "Everywhere"
PANELS = (WHAT, WHICH, WHERE, TREE, WHEN, ORDER, LIMITS, FAILURE, ENDING, HOW)
"""The help's headings for options, in order; EVERYWHERE comes last."""

NEW = ("submit", "schedule", "batch")
CHANGES = ("edit", "retry")
TASK = (*NEW, *CHANGES)
DEFAULTS = (*TASK, "defaults")
SERIES = ("schedule", "edit")
"""Where a task's options are valid: for a new task, for any task, also as defaults, or for a series."""

EVERY = (*COMMANDS, "")
"""All commands, and the command line that names none."""

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
"""The name of a value by its reader, unless the row gives another. A `moment` is a time or a duration from now; `words`
are passed to another program, so any of them may be empty."""

KINDS = {
    **dict.fromkeys(("flag", "command"), "flag"),
    "whole": "whole",
    "money": "number",
    **dict.fromkeys(("texts", "names", "paths", "pairs", "words", "tasks"), "texts"),
}
"""The kind of value on a command line by its reader: `texts` may be given more than once, all readers not listed take
one `text`. The words after the flag of a `command` are a command line."""

MOST = 1_000_000_000
"""The bound of numbers for which nothing else is one."""

ARGUMENTS = ("one", "optional", "many")
"""The readers of arguments: a required text, an optional text, any number of texts."""


class Row(tuple):  # type: ignore[type-arg]
    """One option or argument, as it is valid in some places.

    `spellings` are separated by spaces, the long one first; for an argument this is its name. `holds` lists the places
    where the row is valid: commands, `batch`, `defaults` (of the config) and `request` (an agent's). `reader` is what
    reads the value, `text` its description in the help.

    The rest is optional. `default` describes the default in the help, which applies if neither the command line nor the
    config gives a value (a test compares it with the code). `field` is the field of the task that it fills, with a
    prefix for one of its launch or schedule. A number is from `low` to `high`; `choices` are all accepted words;
    `metavar` is the value's name in the help.
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
        """The name of its value in the help."""
        named: str = self.rest.get("metavar", "")
        return named or "|".join(self.choices) or METAVARS.get(self.reader, "")

    @property
    def name(self) -> str:
        """The name of its value in `Given`, a batch and the config."""
        long: str = self.spellings.partition(" ")[0]
        return long.lstrip("-").replace("-", "_")

    @property
    def kind(self) -> str:
        """Its kind of value on a command line: one of `flag`, `whole`, `number`, `text`, `texts`."""
        return KINDS.get(self.reader, "text")

    def words(self, value: Any) -> list[str]:
        """The words that give this option a value on a command line."""
        spelling = self.spellings.partition(" ")[0]
        if value is None or self.kind == "flag":
            return [spelling] if value else []
        return [word for each in (value if self.kind == "texts" else [value]) for word in (spelling, str(each))]

    def bounds(self, number: int) -> bool:
        """Whether the number is within its bounds."""
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)


ALLOWED = ("sessions", "agent", "exec", "directory", "environment", "options", "land", "all")
"""What `agentq mcp --allow` lets a client do besides what an agent may request by its outbound.db."""

SERVED = (
    *("submit", "schedule", "list", "show", "logs", "runs", "wait", "cancel", "pause", "resume", "retry", "diff"),
    "land",
)
"""The commands that `agentq mcp` offers as tools."""


ROWS: tuple[Any, ...] = (
    # What to do, and which task that is.
    ("words", ("submit", "schedule"), "many", "", "The prompt; '-' reads it from stdin.", {"metavar": "PROMPT"}),
    ("--exec", NEW, "command", WHAT, "Run the words after '--' as a command, without a shell.", {}),
    # The words after its `--` are written out as one `--exec=ARG` each (`cli.words`).
    ("--exec", CHANGES, "words", WHAT, "Change a command to the words after '--'.", {"metavar": "-- ARG..."}),
    (
        "--shell -c",
        (*NEW, *CHANGES),
        "text",
        WHAT,
        "Run a line of shell, as `sh -c` does.",
        {"metavar": "LINE", "field": "argv"},
    ),
    ("--file", NEW, "path", WHAT, "Read the prompt from a file.", {}),
    ("--batch", ("submit",), "path", WHAT, "JSON Lines, one task each; '-' is stdin.", {}),
    ("ref", ("batch",), "text", "", "A name for this line, which other lines can wait for.", {}),
    ("--prompt", (*CHANGES, "batch", "request"), "text", WHAT, "The new prompt.", {"field": "prompt"}),
    (
        "--key",
        TASK,
        "text",
        WHAT,
        "Allow one live task with this key per session; a second submit prints the first one's address, and says so.",
        {"metavar": "KEY", "field": "key"},
    ),
    ("--replace", NEW, "flag", WHAT, "With --key: change the waiting task that has this key.", {}),
    (
        "--stdin",
        DEFAULTS,
        "path",
        WHAT,
        "A file that a command reads as its stdin; '-' keeps what is read here, at most 1 MiB.",
        {"default": "empty", "field": "launch.stdin"},
    ),
    (
        "--script",
        DEFAULTS,
        "path",
        WHAT,
        "A script that runs first and decides whether to continue.",
        {"field": "launch.script"},
    ),
    (
        "--check",
        DEFAULTS,
        "text",
        WHAT,
        "A line of shell that must succeed before the task counts as completed.",
        {"metavar": "CMD", "field": "launch.check"},
    ),
    # When.
    ("--at", ("submit", *CHANGES, "batch", "request"), "time", WHEN, "Not before this time.", {"field": "due_at"}),
    (
        "--in",
        ("submit", *CHANGES, "batch", "request"),
        "duration",
        WHEN,
        "Not before this much time has passed.",
        {"field": "due_at"},
    ),
    (
        "--cron",
        (*SERIES, "request"),
        "text",
        WHEN,
        "Five fields as in crontab(5), or @daily etc.",
        {"metavar": "EXPR", "field": "schedule.expr"},
    ),
    (
        "--every",
        (*SERIES, "request"),
        "duration",
        WHEN,
        "An interval, counted from --start; it never drifts.",
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
    (
        "--start",
        SERIES,
        "time",
        WHEN,
        "The time from which --every counts; --cron fires from then on.",
        {"default": "now", "field": "schedule.start"},
    ),
    ("--until", SERIES, "time", WHEN, "Nothing fires after this time.", {"field": "schedule.until"}),
    (
        "--max-runs",
        (*SERIES, "defaults"),
        "whole",
        WHEN,
        "At most this many occurrences.",
        {"low": 1, "high": MOST, "field": "schedule.max_runs"},
    ),
    (
        "--missed",
        (*SERIES, "defaults"),
        "choice",
        WHEN,
        "For times that passed when nothing could run them: one late run, a run each, or none.",
        {"choices": ("latest", "all", "skip"), "default": "latest", "field": "schedule.missed"},
    ),
    (
        "--overlap",
        (*SERIES, "defaults"),
        "choice",
        WHEN,
        "For slots that fall while the last one still runs: skip them, or queue one.",
        {"choices": ("skip", "queue"), "default": "skip", "field": "schedule.overlap"},
    ),
    ("--hold", ("submit", "schedule", "batch"), "flag", WHEN, "Store it paused; 'agentq resume' lets it start.", {}),
    ("--once", ("edit",), "flag", WHEN, "Drop the recurrence: this occurrence is the last.", {}),
    (
        "--priority -p",
        (*DEFAULTS, "request"),
        "whole",
        WHEN,
        "-100 to 100, higher first.",
        {"metavar": "INT", "low": -100, "high": 100, "default": "0, or 10 for a schedule", "field": "priority"},
    ),
    ("--expires", DEFAULTS, "moment", WHEN, "Expire if not started by then.", {"field": "expires_at"}),
    # Where, and with which agent.
    ("--session -s", (*NEW, "messages"), "name", WHERE, "The session.", {"default": "default"}),
    (
        "--agent -a",
        DEFAULTS,
        "name",
        WHERE,
        "The agent.",
        {"default": "the session's, the config's, or the one on PATH", "field": "agent"},
    ),
    (
        "--cwd -C",
        DEFAULTS,
        "directory",
        WHERE,
        "The directory to run in.",
        {"default": "the current directory", "field": "cwd"},
    ),
    (
        "--on",
        DEFAULTS,
        "texts",
        WHERE,
        "Run on this host only, or on hosts with this label; repeatable, all must hold.",
        {"metavar": "HOST|LABEL", "default": "any host", "field": "launch.on"},
    ),
    (
        "--shared",
        DEFAULTS,
        "flag",
        WHERE,
        "Let its agent edit while another agent edits in the same directory, or in one inside or around it.",
        {"field": "shared"},
    ),
    (
        "--env -e",
        DEFAULTS,
        "pairs",
        WHERE,
        "A variable for its environment; K alone takes it from the host that runs it; repeatable.",
        {"metavar": "K[=V]", "field": "launch.env"},
    ),
    (
        "--env-file",
        DEFAULTS,
        "paths",
        WHERE,
        "A file of K=V lines with variables; repeatable.",
        {"field": "launch.env"},
    ),
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
        "--conversation",
        TASK,
        "name",
        WHERE,
        "Which of the session's conversations to continue, or to begin under this key.",
        {
            "metavar": "KEY",
            "default": "that of the first task of --after in the session; else the idle one used last, or a new one",
            "field": "launch.conversation_key",
        },
    ),
    (
        "--agent-arg",
        DEFAULTS,
        "words",
        WHERE,
        "A word to append to the agent's command line; repeatable.",
        {"field": "launch.agent_args"},
    ),
    (
        "--label",
        (*NEW, "edit", "defaults", "request"),
        "texts",
        WHAT,
        "A label to find it by; repeatable.",
        {"field": "labels"},
    ),
    # In a tree of its own.
    (
        "--worktree",
        DEFAULTS,
        "flag",
        TREE,
        "Run in a git worktree of its own of the repository around the directory.",
        {"field": "launch.repository"},
    ),
    (
        "--branch",
        DEFAULTS,
        "text",
        TREE,
        "The branch of that tree, a new one.",
        {
            "metavar": "NAME",
            "default": "agentq/s/SESSION, agentq/c/SESSION/KEY with a KEY but 1, agentq/t/SESSION/N if isolated",
            "field": "launch.branch",
        },
    ),
    (
        "--base",
        DEFAULTS,
        "text",
        TREE,
        "Where its branch begins: a ref; @ID for what that task's branch holds; '.' for this checkout as it is.",
        {"metavar": "REF", "default": "the branch of --land, else the branch that HEAD is on", "field": "launch.base"},
    ),
    (
        "--setup",
        DEFAULTS,
        "text",
        TREE,
        "A line of shell to run once in the new tree, at most 10 minutes.",
        {"metavar": "CMD", "field": "launch.setup"},
    ),
    (
        "--teardown",
        DEFAULTS,
        "text",
        TREE,
        "A line of shell to run before the tree is removed.",
        {"metavar": "CMD", "field": "launch.teardown"},
    ),
    (
        "--land",
        DEFAULTS,
        "text",
        TREE,
        "Merge what it did into this branch once it is checked.",
        {"metavar": "BRANCH", "field": "launch.land"},
    ),
    (
        "--land-as",
        DEFAULTS,
        "choice",
        TREE,
        "How to merge it.",
        {"choices": ("merge", "squash", "ff"), "default": "merge", "field": "launch.land_as"},
    ),
    (
        "--push",
        DEFAULTS,
        "text",
        TREE,
        "Push that branch to this remote after landing.",
        {"metavar": "REMOTE", "field": "launch.push"},
    ),
    # After other tasks.
    (
        "--after",
        TASK,
        "tasks",
        ORDER,
        "Start once this task has completed; repeatable, as 3-5 or docs/3,7.",
        {"field": "after"},
    ),
    ("--after-any", TASK, "tasks", ORDER, "Start once this task has ended; repeatable.", {"field": "after"}),
    ("--after-failure", TASK, "tasks", ORDER, "Start once this task has failed; repeatable.", {"field": "after"}),
    (
        "--on-dep-failure",
        DEFAULTS,
        "choice",
        ORDER,
        "If that can no longer happen: cancel the waiting task, hold it, or run it anyway.",
        {"choices": ("cancel", "hold", "run"), "default": "cancel", "field": "on_dep_failure"},
    ),
    # Limits, and what to do after a failure.
    (
        "--timeout",
        DEFAULTS,
        "duration",
        LIMITS,
        "Limit on a run's wall-clock time.",
        {"default": "none", "field": "launch.timeout_ms"},
    ),
    ("--grace", DEFAULTS, "duration", LIMITS, "Time from TERM to KILL.", {"default": "5s", "field": "launch.grace_ms"}),
    (
        "--stall-timeout",
        DEFAULTS,
        "duration",
        LIMITS,
        "Limit on silence: no output and no heartbeat.",
        {"default": "none", "field": "launch.stall_timeout_ms"},
    ),
    (
        "--check-timeout",
        DEFAULTS,
        "duration",
        LIMITS,
        "Limit on the time of a check.",
        {"default": "10m", "field": "launch.check_timeout_ms"},
    ),
    (
        "--memory",
        DEFAULTS,
        "size",
        LIMITS,
        "Limit on the memory of its whole process tree.",
        {"default": "none", "field": "launch.memory_bytes"},
    ),
    (
        "--max-cost",
        DEFAULTS,
        "money",
        LIMITS,
        "Limit on the cost of all its attempts.",
        {"default": "none", "field": "launch.max_cost_usd"},
    ),
    (
        "--pause-after",
        (*SERIES, "defaults"),
        "whole",
        FAILURE,
        "Pause the schedule after N failures in a row.",
        {"low": 0, "high": MOST, "default": "8", "field": "schedule.pause_after"},
    ),
    (
        "--retries",
        DEFAULTS,
        "whole",
        FAILURE,
        "Further attempts after the first one failed.",
        {
            "low": 0,
            "high": 1000,
            "default": "5 for failures that pass, see agentq(1); 3 after a failed check; else 0",
            "field": "launch.retries",
        },
    ),
    (
        "--backoff",
        DEFAULTS,
        "duration",
        FAILURE,
        "Delay before the first retry; doubles with each further one.",
        {"default": "5s", "field": "launch.backoff_ms"},
    ),
    (
        "--max-backoff",
        DEFAULTS,
        "duration",
        FAILURE,
        "Longest delay before a retry.",
        {"default": "5m", "field": "launch.max_backoff_ms"},
    ),
    (
        "--on-crash",
        DEFAULTS,
        "choice",
        FAILURE,
        "What to do if its process vanished.",
        {"choices": ("retry", "fail"), "default": "retry", "field": "launch.on_crash"},
    ),
    # The target of a command.
    (
        "id",
        ("edit", "reply", "trigger"),
        "one",
        "",
        "The task: SESSION/N, or N for default/N.",
        {"metavar": "ID"},
    ),
    ("count", ("jobs",), "optional", "", "How many tasks may run at once from now on.", {"metavar": "N"}),
    ("--reset", ("jobs",), "flag", HOW, "Follow the config again.", {}),
    ("pid", ("stop",), "optional", "", "Only the supervisor with this pid.", {"metavar": "PID"}),
    ("text", ("reply",), "one", "", "What to say; '-' reads it from stdin.", {"metavar": "TEXT"}),
    (
        "run",
        ("show", "logs"),
        "optional",
        "",
        "The task, or one of its runs; without it the newest run.",
        {"metavar": "ID[.K]"},
    ),
    ("task", ("list", "runs", "events", "messages"), "optional", "", "Only this task.", {"metavar": "ID"}),
    (
        "ids",
        ("pause", "resume", "cancel", "retry", "prune", "wait"),
        "many",
        "",
        "Tasks: SESSION/N, or N for default/N; 3-5 and docs/3,7 are several.",
        {"metavar": "ID..."},
    ),
    # The commands of trees.
    ("run", ("diff", "restore"), "optional", "", "The task, or one of its runs.", {"metavar": "ID[.K]"}),
    ("id", ("land", "discard"), "optional", "", "The task: SESSION/N, or N for default/N.", {"metavar": "ID"}),
    ("--session -s", ("diff", "land", "discard", "restore"), "name", WHICH, "The tree of this session.", {}),
    ("--session -s", ("trees",), "name", WHICH, "Only the trees of this session and its tasks.", {}),
    (
        "--conversation",
        ("diff", "land", "discard", "restore", "trees"),
        "name",
        WHICH,
        "Only that of the session's conversation of this key.",
        {"metavar": "KEY"},
    ),
    ("--stat", ("diff",), "flag", HOW, "Only how many lines of each file were changed.", {}),
    ("--name-only", ("diff",), "flag", HOW, "Only the names of the files.", {}),
    (
        "--into",
        ("land",),
        "text",
        HOW,
        "The branch to land on.",
        {"metavar": "BRANCH", "default": "that of --land, else the one it began from"},
    ),
    (
        "--as",
        ("land",),
        "choice",
        HOW,
        "As a merge commit, as one commit, or only where nothing is to be merged.",
        {"choices": ("merge", "squash", "ff"), "default": "that of --land-as, else merge"},
    ),
    ("shell", ("completion",), "one", "", "The shell.", {"choices": ("bash", "zsh", "fish")}),
    ("action", ("config",), "optional", "", "What to do; show if not given.", {"choices": ("show", "check", "path")}),
    (
        "action",
        ("sessions",),
        "optional",
        "",
        "End the conversations; without it, list the sessions.",
        {"choices": ("reset",)},
    ),
    ("names", ("sessions",), "many", "", "The sessions to reset.", {"metavar": "NAME..."}),
    ("action", ("fleet",), "one", "", "What to do.", {"choices": ("init", "upgrade")}),
    (
        "owner",
        ("fleet",),
        "optional",
        "",
        "The database, as a role that may create a schema; without it that of --url.",
        {"metavar": "URL"},
    ),
    (
        "source",
        ("migrate",),
        "one",
        "",
        "Where the sessions are: a state dir, or the URL of a fleet.",
        {"metavar": "FROM"},
    ),
    ("destination", ("migrate",), "one", "", "Where they go: the same.", {"metavar": "TO"}),
    ("--logs", ("migrate",), "flag", HOW, "Also copy what runs have printed.", {}),
    (
        "--role",
        ("fleet",),
        "text",
        HOW,
        "The role that hosts log in with.",
        {"metavar": "ROLE", "default": "that of the URL in use; agentq if URL alone is given"},
    ),
    ("action", ("service",), "one", "", "What to do.", {"choices": ("install", "uninstall", "status", "print")}),
    ("kind", ("service",), "optional", "", "By what the queue is run.", {"choices": ("systemd", "cron")}),
    ("unit", ("service",), "optional", "", "Only this systemd unit.", {"metavar": "UNIT"}),
    ("--html", ("report",), "path", HOW, "Write an HTML page; '-' is standard output.", {"metavar": "FILE"}),
    ("--prometheus", ("stats",), "flag", HOW, "Print the text that Prometheus's textfile collector reads.", {}),
    # Which.
    ("--older-than", ("prune",), "duration", WHICH, "Only tasks that ended longer ago than this.", {}),
    (
        "--session -s",
        (
            *("list", "runs", "schedules", "events", "stats", "report"),
            *("pause", "resume", "cancel", "retry", "prune", "sweep", "wait"),
        ),
        "name",
        WHICH,
        "Only this session.",
        {},
    ),
    ("--session -s", ("run", "migrate"), "names", WHICH, "Only this session; repeatable.", {}),
    ("--agent -a", ("pause", "resume"), "name", WHICH, "Every task of this agent.", {}),
    ("--agent -a", ("list", "runs", "schedules", "events", "stats", "report"), "name", WHICH, "Only this agent.", {}),
    (
        "--series",
        ("list", "runs", "schedules", "events", "stats", "report"),
        "text",
        WHICH,
        "Only this schedule, by any of its addresses.",
        {"metavar": "ID"},
    ),
    ("--agent -a", ("sessions",), "name", WHICH, "With reset: only this agent's conversations.", {}),
    (
        "--conversation",
        ("sessions",),
        "name",
        WHICH,
        "With reset: only the conversation of this key.",
        {"metavar": "KEY"},
    ),
    ("--verbose -v", ("sessions",), "flag", HOW, "Also list each session's conversations.", {}),
    (
        "--status",
        ("list", "runs", "events", "stats", "report"),
        "texts",
        WHICH,
        "Only this status, such as running; repeatable.",
        {"metavar": "STATUS"},
    ),
    ("--failed", ("retry",), "flag", WHICH, "Every task that has failed.", {}),
    (
        "--label",
        ("list", "runs", "schedules", "events", "stats", "report", "retry"),
        "text",
        WHICH,
        "Only tasks with this label.",
        {},
    ),
    (
        "--since",
        ("list", "retry", "runs", "events", "messages", "stats", "report"),
        "moment",
        WHICH,
        "Only from this time on.",
        {"metavar": "DURATION|TIME"},
    ),
    (
        "--status",
        ("wait",),
        "texts",
        WHICH,
        "End with the first task that gets this status, such as failed; repeatable.",
        {"metavar": "STATUS"},
    ),
    (
        "--until",
        ("list", "runs", "events", "messages", "stats", "report"),
        "moment",
        WHICH,
        "Only up to this time.",
        {"metavar": "DURATION|TIME"},
    ),
    ("--all", ("list",), "flag", WHICH, "Also tasks that have ended.", {}),
    ("--all", ("pause", "resume", "cancel", "wait"), "flag", WHICH, "Everything.", {}),
    ("--stdout", ("logs",), "flag", WHICH, "Only what it wrote on stdout.", {}),
    ("--stderr", ("logs",), "flag", WHICH, "Only what it wrote on stderr, on stdout.", {}),
    ("--script", ("logs",), "flag", WHICH, "Only what its script wrote, on stdout.", {}),
    ("--check", ("logs",), "flag", WHICH, "Only what its check wrote, on stdout.", {}),
    ("--setup", ("logs",), "flag", WHICH, "Only what the setup command of its tree wrote, on stdout.", {}),
    ("--tail -n", ("logs",), "whole", WHICH, "Only the last N lines.", {"low": 0, "high": MOST}),
    ("--raw", ("logs",), "flag", HOW, "Print an agent's own events; the bytes as they are, but to a terminal.", {}),
    (
        "--limit",
        ("list", "runs", "events", "messages", "report"),
        "whole",
        WHICH,
        "At most this many.",
        {"low": 1, "high": MOST},
    ),
    # How, and until when.
    ("--drain", ("run",), "flag", ENDING, "Exit when nothing is running or due.", {}),
    ("--idle-exit", ("run",), "duration", ENDING, "Exit after this long without work.", {}),
    ("--max-tasks", ("run",), "whole", ENDING, "Exit after this many tasks.", {"low": 1, "high": MOST}),
    (
        "--on-stop",
        ("run",),
        "choice",
        ENDING,
        "What to do with running tasks at the first signal.",
        {"choices": ("wait", "leave", "cancel"), "default": "wait for SIGINT, leave for SIGTERM and SIGHUP"},
    ),
    (
        "--jobs -j",
        ("run",),
        "whole",
        HOW,
        "How many agents run at once.",
        {"low": 1, "high": 10_000, "default": "AGENTQ_JOBS, 'agentq jobs', jobs of the config, 2"},
    ),
    ("--detach", ("run",), "flag", HOW, "Run in the background; prints the supervisor's pid.", {}),
    ("--next", ("schedule",), "whole", HOW, "Show the next N fire times, and store nothing.", {"low": 1, "high": 1000}),
    ("--read-only", ("top",), "flag", HOW, "Only look: no key changes anything.", {}),
    # What a client of the MCP server may reach.
    (
        "--session -s",
        ("mcp",),
        "names",
        LIMITS,
        "A session that the client works in; repeatable.",
        {"default": "AGENTQ_SESSION, else default"},
    ),
    ("--read-only", ("mcp",), "flag", LIMITS, "Only the tools that change nothing.", {}),
    (
        "--tools",
        ("mcp",),
        "texts",
        LIMITS,
        "Only this tool; repeatable.",
        {"choices": SERVED, "default": "all; land only with --allow land"},
    ),
    (
        "--allow",
        ("mcp",),
        "texts",
        LIMITS,
        "What else the client may do; repeatable.",
        {"default": "nothing", "choices": ALLOWED},
    ),
    (
        "--print",
        ("mcp",),
        "name",
        HOW,
        "Print what registers the server with this agent CLI, and serve nothing.",
        {"metavar": "AGENT"},
    ),
    ("--reason", ("pause",), "text", HOW, "The reason, shown by 'show' and 'sessions'.", {}),
    ("--timeout", ("wait",), "duration", HOW, "Give up after this long, with exit code 124.", {}),
    ("--another", ("run",), "flag", HOW, "With --detach: start one even if one serves these sessions.", {}),
    ("--wait", ("stop",), "flag", ENDING, "Let what runs end first; this is the default.", {}),
    ("--leave", ("stop",), "flag", ENDING, "Leave what runs to the next supervisor.", {}),
    ("--cancel", ("stop",), "flag", ENDING, "Cancel what runs.", {}),
    ("--wait", ("cancel",), "flag", HOW, "Return once their processes are gone.", {}),
    (
        "--dry-run",
        ("submit", "schedule", "cancel", "prune", "sweep", "service", "migrate"),
        "flag",
        HOW,
        "Show what would be done, and change nothing.",
        {},
    ),
    ("--yes -y", ("cancel", "retry", "prune", "discard"), "flag", HOW, "Do not ask.", {}),
    ("--wait", ("submit",), "flag", HOW, "Wait until it has ended, and exit with its exit code.", {}),
    ("--follow -f", ("submit",), "flag", HOW, "Like --wait, and print its output as it comes.", {}),
    ("--follow -f", ("logs", "events", "messages"), "flag", HOW, "Keep printing new data as it comes.", {}),
    ("--no-wake", ("submit", "sweep"), "flag", HOW, "Do not start a supervisor.", {}),
    ("--reindex", ("sweep",), "flag", HOW, "Rebuild the index from the sessions' files first.", {}),
    # Before or after the name of any command.
    ("--json", EVERY, "flag", EVERYWHERE, "Print one JSON document.", {}),
    (
        "--state-dir",
        EVERY,
        "directory",
        EVERYWHERE,
        "The directory that holds all state.",
        {"default": "AGENTQ_STATE_DIR, else ~/.local/state/agentq"},
    ),
    (
        "--color",
        EVERY,
        "choice",
        EVERYWHERE,
        "Whether to use colours.",
        {"choices": ("auto", "always", "never"), "default": "auto"},
    ),
    (
        "--url",
        EVERY,
        "text",
        EVERYWHERE,
        "The database of the fleet.",
        {"metavar": "URL", "default": "AGENTQ_URL, else url of the config; none: the queue is in the state dir"},
    ),
    ("--utc", EVERY, "flag", EVERYWHERE, "Show times on a terminal in UTC.", {}),
    ("--allow-network-fs", EVERY, "flag", EVERYWHERE, "Accept a state dir whose file locks may be unreliable.", {}),
    ("--version -V", ("",), "flag", EVERYWHERE, "Print the version.", {}),
)


_rows: dict[str, list[Row]] = {}


def rows(place: str) -> list[Row]:
    """The rows that are valid in a place: a command, `""` for none, `batch`, `defaults` or `request`."""
    if place not in _rows:
        _rows[place] = [Row(cells) for cells in ROWS if place in cells[1]]
    return _rows[place]


def row(place: str, name: str) -> Row:
    """The option or argument of that name in a place."""
    (found,) = (each for each in rows(place) if each.name == name)
    return found
