"""The options that several commands share, each declared once: spelling, metavar and help.

Values arrive as typed; commands read them with `values`, naming the option. `--json`, `--state-dir`, `--color` and
`--allow-network-fs` are not here: the application adds them to every command.
"""

from __future__ import annotations

from typing import Annotated

import typer

Id = Annotated[str, typer.Argument(metavar="ID", help="The task: SESSION/N, or N for default/N.")]
OptionalId = Annotated[str | None, typer.Argument(metavar="ID", help="Only this task.")]
RunOrTask = Annotated[str, typer.Argument(metavar="ID[.K]", help="The task, or one of its runs; the last if none.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Tasks: SESSION/N, or N for default/N.")]

Session = Annotated[str | None, typer.Option("--session", "-s", metavar="NAME", help="The session.")]
Sessions = Annotated[
    list[str] | None, typer.Option("--session", "-s", metavar="NAME", help="Only this session; repeatable.")
]
Agent = Annotated[str | None, typer.Option("--agent", "-a", metavar="NAME", help="The agent.")]
Cwd = Annotated[str | None, typer.Option("--cwd", "-C", metavar="DIR", help="Where it runs; default: here.")]
Env = Annotated[
    list[str] | None, typer.Option("--env", "-e", metavar="K=V", help="Added to its environment; repeatable.")
]
EnvFile = Annotated[
    list[str] | None, typer.Option("--env-file", metavar="PATH", help="The same from a file of K=V lines; repeatable.")
]
Priority = Annotated[int | None, typer.Option("--priority", "-p", metavar="INT", help="-100 to 100, higher first.")]
At = Annotated[str | None, typer.Option("--at", metavar="TIME", help="Not before this time.")]
In = Annotated[str | None, typer.Option("--in", metavar="DURATION", help="Not before so long from now.")]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="TIME|DURATION", help="If not started by then, it expires.")
]
Tz = Annotated[str | None, typer.Option("--tz", metavar="ZONE", help="The IANA zone of times without an offset.")]
After = Annotated[
    list[str] | None, typer.Option("--after", metavar="ID", help="Start once this one completed; repeatable.")
]
AfterAny = Annotated[
    list[str] | None, typer.Option("--after-any", metavar="ID", help="Start once this one ended; repeatable.")
]
AfterFailure = Annotated[
    list[str] | None, typer.Option("--after-failure", metavar="ID", help="Start once this one failed; repeatable.")
]
OnDepFailure = Annotated[
    str | None,
    typer.Option("--on-dep-failure", metavar="cancel|hold|run", help="When a dependency fails; default cancel."),
]
Key = Annotated[str | None, typer.Option("--key", metavar="KEY", help="At most one live task of this key a session.")]
Replace = Annotated[bool, typer.Option("--replace", help="With --key: change the waiting task of that key.")]
ContextKind = Annotated[
    str | None,
    typer.Option("--context", metavar="isolated|session", help="A fresh conversation, or the session's."),
]
Timeout = Annotated[str | None, typer.Option("--timeout", metavar="DURATION", help="Wall-clock limit of a run.")]
StallTimeout = Annotated[
    str | None, typer.Option("--stall-timeout", metavar="DURATION", help="Limit of a silence: no output, no heartbeat.")
]
Grace = Annotated[str | None, typer.Option("--grace", metavar="DURATION", help="From TERM to KILL; default 5s.")]
Memory = Annotated[str | None, typer.Option("--memory", metavar="SIZE", help="Memory of the whole process tree.")]
Retries = Annotated[int | None, typer.Option("--retries", metavar="N", help="Attempts after the first one.")]
Backoff = Annotated[str | None, typer.Option("--backoff", metavar="DURATION", help="Delay before the first retry.")]
MaxBackoff = Annotated[str | None, typer.Option("--max-backoff", metavar="DURATION", help="Longest delay of a retry.")]
OnCrash = Annotated[str | None, typer.Option("--on-crash", metavar="retry|fail", help="When its process vanishes.")]
Script = Annotated[
    str | None, typer.Option("--script", metavar="PATH", help="Runs first and decides whether to go on.")
]
Stdin = Annotated[str | None, typer.Option("--stdin", metavar="PATH", help="Given to a command on its stdin.")]
AgentArg = Annotated[
    list[str] | None,
    typer.Option("--agent-arg", metavar="ARG", help="Appended to the agent's command line; repeatable."),
]
MaxCost = Annotated[float | None, typer.Option("--max-cost", metavar="USD", help="Over all attempts of the task.")]
Cron = Annotated[str | None, typer.Option("--cron", metavar="EXPR", help="Five fields as in crontab(5), or @daily….")]
Every = Annotated[str | None, typer.Option("--every", metavar="DURATION", help="An interval; its grid never drifts.")]
FireAt = Annotated[str | None, typer.Option("--at", metavar="TIME", help="Once, at this time.")]
Start = Annotated[str | None, typer.Option("--start", metavar="TIME", help="The anchor of the grid; default: now.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Nothing fires after this time.")]
MaxRuns = Annotated[int | None, typer.Option("--max-runs", metavar="N", min=1, help="So many occurrences at most.")]
Missed = Annotated[
    str | None,
    typer.Option("--missed", metavar="latest|all|skip", help="Slots on which nothing was there; default latest."),
]
Overlap = Annotated[
    str | None,
    typer.Option("--overlap", metavar="skip|queue", help="Slots while the one before still runs; default skip."),
]
PauseAfter = Annotated[
    int | None, typer.Option("--pause-after", metavar="N", min=0, help="Pause after N failures in a row; default 8.")
]
Labels = Annotated[list[str] | None, typer.Option("--label", metavar="TEXT", help="A label; repeatable.")]
Label = Annotated[str | None, typer.Option("--label", metavar="TEXT", help="Only tasks with this label.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; shown by 'show' and 'sessions'.")]

Status = Annotated[list[str] | None, typer.Option("--status", metavar="STATUS", help="Only this status; repeatable.")]
Since = Annotated[str | None, typer.Option("--since", metavar="DURATION|TIME", help="Only from then on.")]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many.")]
OlderThan = Annotated[str | None, typer.Option("--older-than", metavar="DURATION", help="Ended longer ago than this.")]

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
All = Annotated[bool, typer.Option("--all", help="Everything.")]
Wait = Annotated[bool, typer.Option("--wait", help="Block until it ended, and exit with its code.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on as more comes, until it ends.")]
NoWake = Annotated[bool, typer.Option("--no-wake", help="Start no supervisor.")]
