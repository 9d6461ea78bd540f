"""The options and arguments of all commands, each declared once: spelling, metavar, help, default, panel of the help.

A command names them in its annotations only, so that it runs without this module and the parser behind it.
Values arrive as typed; commands read them with `values`, naming the option. `--json`, `--state-dir`, `--color` and
`--allow-network-fs` are not here: the application adds them to every command. `show_default` says what holds where the
option is not given and the config says nothing; the manual tells it too, and a test compares it with the code.
"""

from __future__ import annotations

from typing import Annotated

import typer

WHAT, WHERE, WHEN, ORDER = "What", "Where", "When", "After other tasks"
LIMITS, FAILURE, WHICH, ENDING, HOW = "Limits", "Failure", "Which", "Ending", "How"
PANELS = (WHAT, WHICH, WHERE, WHEN, ORDER, LIMITS, FAILURE, ENDING, HOW)
"""The headings of the help under which options stand, in its order."""

Id = Annotated[str, typer.Argument(metavar="ID", help="The task: SESSION/N, or N for default/N.")]
OptionalId = Annotated[str | None, typer.Argument(metavar="ID", help="Only this task.")]
RunOrTask = Annotated[str, typer.Argument(metavar="ID[.K]", help="The task, or one of its runs; the last if none.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Tasks: SESSION/N, or N for default/N.")]

TaskSession = Annotated[
    str | None,
    typer.Option("--session", "-s", metavar="NAME", help="The session.", show_default="default", rich_help_panel=WHERE),
]
Session = Annotated[
    str | None, typer.Option("--session", "-s", metavar="NAME", help="Only this session.", rich_help_panel=WHICH)
]
Sessions = Annotated[
    list[str] | None,
    typer.Option("--session", "-s", metavar="NAME", help="Only this session; repeatable.", rich_help_panel=WHICH),
]
Agent = Annotated[
    str | None,
    typer.Option(
        "--agent",
        "-a",
        metavar="NAME",
        help="The agent.",
        show_default="the session's, the config's, or the one on PATH",
        rich_help_panel=WHERE,
    ),
]
OnlyAgent = Annotated[
    str | None, typer.Option("--agent", "-a", metavar="NAME", help="Every task of this agent.", rich_help_panel=WHICH)
]
Cwd = Annotated[
    str | None,
    typer.Option(
        "--cwd", "-C", metavar="DIR", help="Where it runs.", show_default="the current directory", rich_help_panel=WHERE
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="K=V", help="Added to its environment; repeatable.", rich_help_panel=WHERE),
]
EnvFile = Annotated[
    list[str] | None,
    typer.Option(
        "--env-file", metavar="PATH", help="The same from a file of K=V lines; repeatable.", rich_help_panel=WHERE
    ),
]
Priority = Annotated[
    int | None,
    typer.Option(
        "--priority",
        "-p",
        metavar="INT",
        help="-100 to 100, higher first.",
        show_default="0, or 10 for a schedule",
        rich_help_panel=WHEN,
    ),
]
At = Annotated[str | None, typer.Option("--at", metavar="TIME", help="Not before this time.", rich_help_panel=WHEN)]
In = Annotated[
    str | None, typer.Option("--in", metavar="DURATION", help="Not before so long from now.", rich_help_panel=WHEN)
]
Expires = Annotated[
    str | None,
    typer.Option(
        "--expires", metavar="TIME|DURATION", help="If not started by then, it expires.", rich_help_panel=WHEN
    ),
]
Tz = Annotated[
    str | None,
    typer.Option(
        "--tz",
        metavar="ZONE",
        help="The IANA zone of times without an offset.",
        show_default="the session's, AGENTQ_TZ, the config's, TZ",
        rich_help_panel=WHEN,
    ),
]
After = Annotated[
    list[str] | None,
    typer.Option("--after", metavar="ID", help="Start once this one completed; repeatable.", rich_help_panel=ORDER),
]
AfterAny = Annotated[
    list[str] | None,
    typer.Option("--after-any", metavar="ID", help="Start once this one ended; repeatable.", rich_help_panel=ORDER),
]
AfterFailure = Annotated[
    list[str] | None,
    typer.Option(
        "--after-failure", metavar="ID", help="Start once this one failed; repeatable.", rich_help_panel=ORDER
    ),
]
OnDepFailure = Annotated[
    str | None,
    typer.Option(
        "--on-dep-failure",
        metavar="cancel|hold|run",
        help="Where that can no longer happen: cancel it, hold it, or run it all the same.",
        show_default="cancel",
        rich_help_panel=ORDER,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="At most one live task of this key a session; a second submit prints the first one's address.",
        rich_help_panel=WHAT,
    ),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="With --key: change the waiting task of that key.", rich_help_panel=WHAT)
]
ContextKind = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="isolated|session",
        help="A fresh conversation, or the session's.",
        show_default="session; isolated in 'default' and for a schedule",
        rich_help_panel=WHERE,
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        "--timeout", metavar="DURATION", help="Wall-clock limit of a run.", show_default="none", rich_help_panel=LIMITS
    ),
]
StallTimeout = Annotated[
    str | None,
    typer.Option(
        "--stall-timeout",
        metavar="DURATION",
        help="Limit of a silence: no output, no heartbeat.",
        show_default="none",
        rich_help_panel=LIMITS,
    ),
]
Grace = Annotated[
    str | None,
    typer.Option("--grace", metavar="DURATION", help="From TERM to KILL.", show_default="5s", rich_help_panel=LIMITS),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Limit of the memory of its whole process tree.",
        show_default="none",
        rich_help_panel=LIMITS,
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries",
        metavar="N",
        help="Attempts after the first one.",
        show_default="5 where that may help, see agentq(1); else 0",
        rich_help_panel=FAILURE,
    ),
]
Backoff = Annotated[
    str | None,
    typer.Option(
        "--backoff",
        metavar="DURATION",
        help="Delay before the first retry; then it doubles.",
        show_default="5s",
        rich_help_panel=FAILURE,
    ),
]
MaxBackoff = Annotated[
    str | None,
    typer.Option(
        "--max-backoff",
        metavar="DURATION",
        help="Longest delay of a retry.",
        show_default="5m",
        rich_help_panel=FAILURE,
    ),
]
OnCrash = Annotated[
    str | None,
    typer.Option(
        "--on-crash",
        metavar="retry|fail",
        help="Whether to try again where its process vanished.",
        show_default="retry",
        rich_help_panel=FAILURE,
    ),
]
Script = Annotated[
    str | None,
    typer.Option("--script", metavar="PATH", help="Runs first and decides whether to go on.", rich_help_panel=WHAT),
]
Stdin = Annotated[
    str | None,
    typer.Option(
        "--stdin", metavar="PATH", help="Given to a command on its stdin.", show_default="empty", rich_help_panel=WHAT
    ),
]
AgentArg = Annotated[
    list[str] | None,
    typer.Option(
        "--agent-arg", metavar="ARG", help="Appended to the agent's command line; repeatable.", rich_help_panel=WHERE
    ),
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        help="Limit of the cost of all its attempts.",
        show_default="none",
        rich_help_panel=LIMITS,
    ),
]
Cron = Annotated[
    str | None,
    typer.Option("--cron", metavar="EXPR", help="Five fields as in crontab(5), or @daily….", rich_help_panel=WHEN),
]
Every = Annotated[
    str | None,
    typer.Option("--every", metavar="DURATION", help="An interval; its grid never drifts.", rich_help_panel=WHEN),
]
FireAt = Annotated[str | None, typer.Option("--at", metavar="TIME", help="Once, at this time.", rich_help_panel=WHEN)]
Start = Annotated[
    str | None,
    typer.Option("--start", metavar="TIME", help="The anchor of the grid.", show_default="now", rich_help_panel=WHEN),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Nothing fires after this time.", rich_help_panel=WHEN)
]
MaxRuns = Annotated[
    int | None,
    typer.Option("--max-runs", metavar="N", min=1, help="So many occurrences at most.", rich_help_panel=WHEN),
]
Missed = Annotated[
    str | None,
    typer.Option(
        "--missed",
        metavar="latest|all|skip",
        help="Slots when nothing was there to run: one late run, each of them, or none.",
        show_default="latest",
        rich_help_panel=WHEN,
    ),
]
Overlap = Annotated[
    str | None,
    typer.Option(
        "--overlap",
        metavar="skip|queue",
        help="Slots while the one before still runs: left out, or one of them queued.",
        show_default="skip",
        rich_help_panel=WHEN,
    ),
]
PauseAfter = Annotated[
    int | None,
    typer.Option(
        "--pause-after",
        metavar="N",
        min=0,
        help="Pause after N failures in a row.",
        show_default="8",
        rich_help_panel=FAILURE,
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="TEXT", help="A label to find it by; repeatable.", rich_help_panel=WHAT),
]
Label = Annotated[
    str | None, typer.Option("--label", metavar="TEXT", help="Only tasks with this label.", rich_help_panel=WHICH)
]
Reason = Annotated[
    str | None,
    typer.Option("--reason", metavar="TEXT", help="Why; shown by 'show' and 'sessions'.", rich_help_panel=HOW),
]

Status = Annotated[
    list[str] | None,
    typer.Option(
        "--status", metavar="STATUS", help="Only this status, such as running; repeatable.", rich_help_panel=WHICH
    ),
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DURATION|TIME", help="Only from then on.", rich_help_panel=WHICH)
]
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many.", rich_help_panel=WHICH)
]
OlderThan = Annotated[
    str | None,
    typer.Option("--older-than", metavar="DURATION", help="Ended longer ago than this.", rich_help_panel=WHICH),
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.", rich_help_panel=HOW)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", rich_help_panel=HOW)]
All = Annotated[bool, typer.Option("--all", help="Everything.", rich_help_panel=WHICH)]
Wait = Annotated[
    bool, typer.Option("--wait", help="Block until it ended, and exit with its code.", rich_help_panel=HOW)
]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on as more comes, until it ends.", rich_help_panel=HOW)
]
NoWake = Annotated[bool, typer.Option("--no-wake", help="Start no supervisor.", rich_help_panel=HOW)]

# Of one command each.

WaitUntilGone = Annotated[
    bool, typer.Option("--wait", help="Return once their processes are gone.", rich_help_panel=HOW)
]

Shell = Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="The shell.")]

ConfigAction = Annotated[str, typer.Argument(metavar="show|check|path", help="Default: show.")]

SessionsAction = Annotated[str | None, typer.Argument(metavar="reset", help="Give the conversation up.")]
SessionNames = Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="With reset: the sessions.")]
ConversationAgent = Annotated[
    str | None,
    typer.Option(
        "--agent", "-a", metavar="NAME", help="With reset: only this agent's conversation.", rich_help_panel=WHICH
    ),
]

NewPrompt = Annotated[
    str | None, typer.Option("--prompt", metavar="TEXT", help="The new prompt.", rich_help_panel=WHAT)
]
Once = Annotated[
    bool, typer.Option("--once", help="Drop the recurrence: this occurrence is the last.", rich_help_panel=WHEN)
]

EndedToo = Annotated[bool, typer.Option("--all", help="Also those that have ended.", rich_help_panel=WHICH)]

Tail = Annotated[
    int | None,
    typer.Option("--tail", "-n", metavar="N", min=0, help="Only the last N lines.", rich_help_panel=WHICH),
]
FromStderr = Annotated[bool, typer.Option("--stderr", help="What it wrote to stderr instead.", rich_help_panel=WHICH)]

Html = Annotated[
    str | None, typer.Option("--html", metavar="FILE", help="Write a page of HTML; '-' is standard output.")
]

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        max=10_000,
        help="Agents at once.",
        show_default="jobs of the config, 2",
        rich_help_panel=HOW,
    ),
]
Drain = Annotated[bool, typer.Option("--drain", help="End when nothing is running or due.", rich_help_panel=ENDING)]
IdleExit = Annotated[
    str | None,
    typer.Option("--idle-exit", metavar="DURATION", help="End after so long without work.", rich_help_panel=ENDING),
]
MaxTasks = Annotated[
    int | None,
    typer.Option("--max-tasks", metavar="N", min=1, help="End after so many tasks.", rich_help_panel=ENDING),
]
Detach = Annotated[
    bool,
    typer.Option("--detach", help="Run in the background; prints the supervisor's pid.", rich_help_panel=HOW),
]
OnStop = Annotated[
    str | None,
    typer.Option(
        "--on-stop",
        metavar="wait|leave|cancel",
        help="What the first signal does to what runs.",
        show_default="wait for SIGINT, leave for SIGTERM and SIGHUP",
        rich_help_panel=ENDING,
    ),
]

Next = Annotated[
    int | None,
    typer.Option(
        "--next",
        metavar="N",
        min=1,
        max=1000,
        help="Show the next N fire times; store nothing.",
        rich_help_panel=HOW,
    ),
]

ServiceAction = Annotated[str, typer.Argument(metavar="print", help="What to do.")]
ServiceKind = Annotated[str, typer.Argument(metavar="systemd|cron", help="For whom.")]
ServiceUnit = Annotated[str | None, typer.Argument(metavar="UNIT", help="Of systemd only this unit.")]

Prometheus = Annotated[
    bool, typer.Option("--prometheus", help="Print the text that Prometheus's textfile collector reads.")
]

Words = Annotated[list[str] | None, typer.Argument(metavar="PROMPT", help="The prompt; '-' reads it from stdin.")]
Exec = Annotated[
    bool,
    typer.Option("--exec", help="Run the words after '--' as a command, without a shell.", rich_help_panel=WHAT),
]
File = Annotated[
    str | None,
    typer.Option("--file", metavar="PATH", help="Read the prompt from a file.", rich_help_panel=WHAT),
]
Batch = Annotated[
    str | None,
    typer.Option("--batch", metavar="PATH", help="JSON Lines, one task each; '-' is stdin.", rich_help_panel=WHAT),
]
FollowOutput = Annotated[
    bool,
    typer.Option("--follow", "-f", help="The same, and print its output as it comes.", rich_help_panel=HOW),
]

Reindex = Annotated[
    bool,
    typer.Option("--reindex", help="Rebuild the index from the sessions' files first.", rich_help_panel=HOW),
]

WaitTimeout = Annotated[
    str | None,
    typer.Option(
        "--timeout", metavar="DURATION", help="Give up after so long, with exit code 124.", rich_help_panel=HOW
    ),
]
