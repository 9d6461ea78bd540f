"""The command of `--teardown`: what belongs to a tree and lies outside of it goes before the tree does. Best effort."""

from __future__ import annotations

import os

from agentq_cli.git.tree_state import is_away
from agentq_cli.trees import shell
from agentq_cli.trees.lines import is_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentq_cli.trees.records import TreeRecord

SECONDS = 600
TAIL = 400
"""How long it may take, and how much of its last output is told if it fails."""


def run(record: TreeRecord, environ: Mapping[str, str], inherit: tuple[int, ...] = ()) -> str:
    """Run the teardown of a tree in it, or in the repository if the tree is gone. Returns how it failed; empty if it
    did not. `inherit` are descriptors that it keeps open."""
    import tempfile

    there = os.path.isdir(record.path) if is_away(record.repository) else is_there(record)
    place = record.path if there else record.checkout
    with tempfile.TemporaryFile() as output:
        try:
            code = shell.run(
                record.teardown or ":",
                place,
                {**environ, **shell.variables(record)},
                seconds=SECONDS,
                out=output.fileno(),
                inherit=inherit,
            )
        except OSError as error:
            return f"cannot be started: '{error.filename}': {error.strerror}"
        if code == 0:
            return ""
        output.seek(max(0, output.seek(0, os.SEEK_END) - TAIL))
        said = " ".join(output.read().decode(errors="replace").split())
    how = f"is not done after {SECONDS} s" if code is None else f"failed with exit code {code}"
    return f"{how}: {said}" if said else how
