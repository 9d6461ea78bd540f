"""Candidates for a shell's completion: `agentq __complete KIND PREFIX [STATE_DIR]` prints them, one per line.

The completion files call it at every TAB. So it imports neither the parser nor the printer, runs only bounded queries
on the index, and changes nothing; if anything is wrong, it offers nothing. Its output goes into a person's command
line: names of sessions and agents, keys of conversations, addresses, and labels and names of refs made only of harmless
characters. It never prints text from a prompt or an agent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from agentq_cli.base import environment
from agentq_cli.base.database_url import is_url
from agentq_cli.base.names import LETTERS, LONGEST, is_name

COMMAND = "__complete"
"""The word in the place of a command's name."""

KINDS = ("sessions", "live", "series", "ended", "tasks", "labels", "keys", "agents", "refs", "branches", "remotes")

REFS = {"refs": ("refs/heads", "refs/tags", "refs/remotes"), "branches": ("refs/heads",), "remotes": ()}
"""Where the names of a kind are, of the repository that the person is in."""

MOST = 300
"""The most candidates at a time; typing more narrows them down."""

LABEL = LETTERS | set("._:@/+-")


def main(arguments: Sequence[str]) -> int:
    """Print the candidates; always 0."""
    try:
        kind, prefix, *more = arguments
        found = candidates(kind, prefix, more[0] if more else "", os.environ)
        # Not printed by the printer, which takes longer to load than all of this takes to run.
        sys.stdout.write("".join(f"{text}\n" for text in found))
        sys.stdout.flush()
    except BaseException:
        # A person who presses TAB does not want to read about errors; the command itself will report them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def candidates(kind: str, prefix: str, given: str, environ: Mapping[str, str]) -> list[str]:
    """The candidates of `kind` that begin with `prefix`, in the state dir or the URL `given` by an option, else the
    environment's."""
    if kind == "agents":
        return _chosen(_agents(environ), prefix, is_name)
    if kind in REFS:
        return _chosen(_refs(kind, environ), prefix, is_ref)
    directory = environment.state_directory(given, environ)
    if kind not in KINDS or directory is None:
        return []
    from agentq_cli.engines import door

    if environment.names_url(environ) or is_url(given):
        return []  # a database far away answers too late for a key
    return _chosen(door.suggest(directory, kind, prefix, MOST), prefix, HARMLESS.get(kind, str.isascii))


def _agents(environ: Mapping[str, str]) -> Iterable[str]:
    from agentq_cli.base.defaults import BUILT_IN

    if not environ.get("AGENTQ_CONFIG") and not os.path.exists(environment.config_file(environ) or ""):
        return BUILT_IN  # without a config there are no other agents
    from agentq_cli.base.errors import AgentqError
    from agentq_cli.config import configuration

    try:
        loaded = configuration.load(environ)
    except AgentqError:
        loaded = configuration.Config(path="")
    return configuration.agent_names(loaded)


def _refs(kind: str, environ: Mapping[str, str]) -> Iterable[str]:
    from agentq_cli.git.branches import short_names
    from agentq_cli.git.runner import Git

    git = Git(os.getcwd(), environ)
    return short_names(git, *REFS[kind]) if REFS[kind] else git.line("remote").splitlines()


def _chosen(found: Iterable[object], prefix: str, harmless: Callable[[str], bool]) -> list[str]:
    """The texts that begin with the prefix and are harmless, each once."""
    fitting = (text for text in found if isinstance(text, str) and text.startswith(prefix) and harmless(text))
    return list(islice(dict.fromkeys(fitting), MOST))


def is_label(text: str) -> bool:
    """Whether a label is harmless in any shell, and does not look like an option."""
    return text[:1] not in ("", "-") and len(text) <= LONGEST and LABEL.issuperset(text)


def is_ref(text: str) -> bool:
    """Whether the name of a ref is harmless in the same way."""
    return text[:1] not in ("", "-") and LABEL.issuperset(text)


HARMLESS = {"sessions": is_name, "keys": is_name, "labels": is_label}
"""Which texts of a kind may be offered; an address is made of a name and numbers."""
