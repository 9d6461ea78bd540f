"""Candidates for a shell's completion: `agentq __complete KIND PREFIX [STATE_DIR]` prints them, one per line.

The completion files call it at every TAB. So it imports neither the parser nor the printer, runs only bounded queries
on the index, and changes nothing; if anything is wrong, it offers nothing. Its output goes into a person's command
line: names of sessions and agents, addresses, and labels made only of harmless characters. It never prints text from a
prompt or an agent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from agentq_cli.base import environment
from agentq_cli.base.names import LETTERS, LONGEST, is_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

COMMAND = "__complete"
"""The word in the place of a command's name."""

KINDS = ("sessions", "live", "series", "ended", "tasks", "labels", "agents")

MOST = 300
"""The most candidates at a time; typing more narrows them down."""

LOOKED_AT = 2000
"""How many live tasks, and how many ended tasks, labels are collected from."""

MOST_STEPS = 30_000_000
"""Steps of SQLite's virtual machine, about a second; a longer query is given up."""

BUSY_SECONDS = 0.2

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
    """The candidates of `kind` that begin with `prefix`, in the state dir `given` by an option, else the
    environment's."""
    if kind == "agents":
        return _chosen(_agents(environ), prefix, is_name)
    directory = environment.state_directory(given, environ)
    index = os.path.join(directory or "", "agentq.db")
    if kind not in KINDS or directory is None or not os.path.isfile(index):
        return []
    import sqlite3
    from urllib.parse import quote

    # Read-only, because completion must not roll back what a dead writer left behind; commands do that.
    connection = sqlite3.connect(f"file:{quote(index)}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    try:
        connection.set_progress_handler(lambda: 1, MOST_STEPS)
        return list(islice(_of_index(connection, kind, prefix), MOST))
    finally:
        connection.close()


def _of_index(connection: sqlite3.Connection, kind: str, prefix: str) -> Iterable[str]:
    if kind == "labels":
        return _chosen(_labels(connection), prefix, is_label)
    if kind == "sessions":
        return _chosen((name for (name,) in _rows(connection, "sessions", prefix=prefix)), prefix, is_name)
    address, dot, _ = prefix.rpartition(".")
    session, slash, seq = address.rpartition("/")
    if dot and slash and seq.isdecimal() and kind in ("live", "tasks"):
        rows = _rows(connection, "attempts", session=session, seq=int(seq))
        return _chosen((f"{address}.{attempt}" for (attempt,) in rows if is_name(session)), prefix, str.isascii)
    return dict.fromkeys(_addresses(connection, kind, prefix))


def _addresses(connection: sqlite3.Connection, kind: str, prefix: str) -> Iterator[str]:
    for query in ("live", "ended") if kind == "tasks" else (kind,):
        if prefix.isdecimal():
            # A bare number means a task of the session `default`.
            for session, seq in _rows(connection, query, prefix=f"default/{prefix}"):
                if session == "default" and isinstance(seq, int):
                    yield str(seq)
        for session, seq in _rows(connection, query, prefix=prefix):
            if isinstance(session, str) and is_name(session) and isinstance(seq, int):
                yield f"{session}/{seq}"


def _labels(connection: sqlite3.Connection) -> Iterator[object]:
    import json

    for query in ("labels_live", "labels_ended"):
        for (text,) in _rows(connection, query, looked=LOOKED_AT):
            if isinstance(text, str) and text != "[]":
                yield from json.loads(text)


def _rows(connection: sqlite3.Connection, query: str, **parameters: object) -> Iterator[tuple[object, ...]]:
    from agentq_cli.engines.local.queries import statements

    yield from connection.execute(statements("complete")[query], {"limit": MOST, **parameters})


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


def _chosen(found: Iterable[object], prefix: str, harmless: Callable[[str], bool]) -> list[str]:
    """The texts that begin with the prefix and are harmless, each once."""
    fitting = (text for text in found if isinstance(text, str) and text.startswith(prefix) and harmless(text))
    return list(islice(dict.fromkeys(fitting), MOST))


def is_label(text: str) -> bool:
    """Whether a label is harmless in any shell, and does not look like an option."""
    return text[:1] not in ("", "-") and len(text) <= LONGEST and LABEL.issuperset(text)
