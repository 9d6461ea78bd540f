"""The command of `--teardown`: what belongs to a tree and lies outside of it goes before the tree does. Best effort."""

from __future__ import annotations

import os

from agentq_cli.git.runner import QUIET as QUIET_GIT
from agentq_cli.git.runner import environment
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
    import contextlib
    import signal
    import subprocess
    import tempfile

    given = {name: value for name, value in environment(environ).items() if name not in QUIET_GIT or name in environ}
    place = record.path if is_there(record) else record.checkout
    with tempfile.TemporaryFile() as output:
        try:
            child = subprocess.Popen(
                ["sh", "-c", record.teardown or ":"],
                cwd=place,
                env=given | variables(record) | {"PWD": place},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=inherit,
                start_new_session=True,
            )
        except OSError as error:
            return f"cannot be started: '{error.filename}': {error.strerror}"
        try:
            code: int | None = child.wait(SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # Before it is reaped nobody else has the number of its group; what it left running ends too.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if code == 0:
            return ""
        output.seek(max(0, output.seek(0, os.SEEK_END) - TAIL))
        said = " ".join(output.read().decode(errors="replace").split())
    how = f"is not done after {SECONDS} s" if code is None else f"failed with exit code {code}"
    return f"{how}: {said}" if said else how


def variables(record: TreeRecord) -> dict[str, str]:
    """What a task's processes are told of their tree."""
    return {
        "AGENTQ_WORKTREE": record.path,
        "AGENTQ_BRANCH": record.branch,
        "AGENTQ_BASE": record.start,
        "AGENTQ_REPOSITORY": record.checkout,
        "AGENTQ_TREE": str(record.number),
    }
