"""agentq(1): written by hand, except for the parts that come from the application itself."""

from __future__ import annotations

from agentq_cli import __version__
from agentq_cli.config import schema
from agentq_cli.manual import mdoc
from agentq_cli.manual.command_pages import entries
from agentq_cli.manual.surface import Command
from agentq_cli.manual.template import filled
from agentq_cli.model.statuses import RunStatus, Status
from agentq_cli.options.new_task import DEPTH_LIMIT
from agentq_cli.options.table import ALIASES, GROUPS, SHORT_EXEC
from agentq_cli.policy.retry import CHECK_RETRIES, FREE_HOLDS, RETRIES
from agentq_cli.policy.stages import MOST_INTERRUPTIONS

NAME = "agentq.1"


def render(own: Command, commands: tuple[Command, ...]) -> str:
    """The whole page."""
    there = {command.name: command for command in commands}
    listed: list[str] = []
    for title, names in GROUPS.items():
        found = [there[name] for name in names if name in there]
        if found:
            listed += [".Pp", f"{title}:"]
            listed += mdoc.tagged((f"Xr agentq-{each.name} 1", mdoc.prose(each.page.summary)) for each in found)
    return filled(
        NAME,
        HEAD=mdoc.head("agentq", 1, __version__),
        COMMANDS=listed[1:],
        SHORT_EXEC=SHORT_EXEC,
        ALIASES=_listed([f"{alias} ({name})" for alias, name in ALIASES.items()]),
        OPTIONS=list(entries([option.entry for option in own.options])),
        STATUSES=_words([status.value for status in Status]),
        RUN_STATUSES=_words([status.value for status in RunStatus]),
        CONFIG_VARIABLES=[
            f".It Ev {' , '.join(f'AGENTQ_{key.upper()}' for key in schema.TOP)}",
            "The keys of these names of",
            ".Xr agentq-config 5 .",
        ],
        RETRIES=str(RETRIES),
        CHECK_RETRIES=str(CHECK_RETRIES),
        INTERRUPTIONS=str(MOST_INTERRUPTIONS),
        FREE_HOLDS=str(FREE_HOLDS),
        DEPTH=str(DEPTH_LIMIT),
        SEE=mdoc.see_also(
            [
                *((f"agentq-{name}", 1) for name in there),
                ("agentq-config", 5),
                ("agentq-state", 5),
                ("crontab", 5),
                ("agentq-design", 7),
                ("agentq-fleet", 7),
                ("agentq-protocol", 7),
            ]
        ),
    )


def _words(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"
