"""The records of a run in a tree: of its tree, of what it left there, of its check and its landing.

Each appears complete and durable, so that one that is missing means that the stage was interrupted. The agent can write
to their directory, so each is checked when it is read.
"""

from __future__ import annotations

import os

from agentq_cli.base.context import suppress
from agentq_cli.host import record_files as files
from agentq_cli.host import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentq_cli.model.runs import Check
    from agentq_cli.model.trees import Made
    from agentq_cli.policy.landing_steps import Reply

TREE, LEFT, CHECKED, REPLY, LANDING = "tree", "left", "checked", "reply", "landing"
"""The names of the records."""


SET_UP = "set_up"
"""What the program is told, in place of a stage, when the setup command has succeeded: the record of the tree says
so."""


def write(run_dir: str, name: str, document: Mapping[str, Any]) -> None:
    """Put a record in place, in that of an earlier one. Raises OSError."""
    files.put(f"{run_dir}/{name}", document, synced=True)
    files.sync_directory(run_dir)


def write_checked(run_dir: str, check: Check) -> None:
    """Record that the check has passed on a tree, so that no later shim needs to run it there again. Raises OSError."""
    write(run_dir, CHECKED, records.check_document(check))


def remove(run_dir: str, name: str) -> None:
    """Remove a record that an earlier start of its stage has left. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(f"{run_dir}/{name}")


def read_made(run_dir: str) -> Made | None:
    """The run's tree; None if making it was interrupted, or has not begun. Raises OSError."""
    document = files.load(f"{run_dir}/{TREE}")
    return None if document is None else records.read_made(document)


def read_tree_left(run_dir: str) -> str | None:
    """The tree that holds exactly what the run left; None if that is not known. Raises OSError."""
    document = files.load(f"{run_dir}/{LEFT}")
    return None if document is None else records.read_tree_left(document)


def read_reply(run_dir: str) -> Reply | None:
    """What came of a step of the landing; None if that was interrupted. Raises OSError."""
    document = files.load(f"{run_dir}/{REPLY}")
    return None if document is None else records.read_reply(document)
