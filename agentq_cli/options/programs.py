"""Whether the program of a new task is there: a mistyped name is told at the submit, not at three in the morning."""

from __future__ import annotations

import os

from agentq_cli.base.environment import find_program
from agentq_cli.base.errors import Usage
from agentq_cli.show import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentq_cli.config.configuration import Config
    from agentq_cli.model.work import Launch


class Programs:
    """Looks for the programs of the tasks of one command, and warns once of each that is not there."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._checked: set[tuple[str, str]] = set()

    def check_command(self, argv: Sequence[str], cwd: str, path: str | None, what: str) -> None:
        """Look for the program of a command on `path`; None: the PATH of its runs is not known.

        Raises Usage if the program is a whole command line in one word.
        """
        program = argv[0]
        if (program, cwd) in self._checked:
            return
        if not find_program(program, path, cwd):
            if len(argv) == 1 and len(program.split()) > 1 and not os.path.lexists(os.path.join(cwd, program)):
                import shlex

                raise Usage(f"{what} '{program}': no such program; for a line of shell write -c {shlex.quote(program)}")
            _warn(program, path, f"{what} '{program}'")
        self._checked.add((program, cwd))

    def check_agent(self, agent: str, path: str | None, what: str) -> None:
        """Look for the program of an agent; its profile's own PATH wins over `path`."""
        if ("", agent) in self._checked:
            return
        self._checked.add(("", agent))
        from agentq_cli.agents.profile import program_of

        program = program_of(self._config, agent)
        path = self._config.agents.get(agent, {}).get("env", {}).get("PATH", path)
        if find_program(program, path) is None:
            _warn(program, path, f"{what} '{agent}'")


def path_of(launch: Launch, options: Mapping[str, Mapping[str, str]], captured: Mapping[str, str]) -> str | None:
    """The PATH of a task's runs, as far as it is known: the task's, its session's, or the submitting shell's."""
    found: Mapping[str, str | None]
    for found in (launch.env, options.get("env", {}), captured):
        if "PATH" in found:
            return found["PATH"]
    return None


def _warn(program: str, path: str | None, what: str) -> None:
    if path is not None:
        notices.warn(f"{what}: no such program {'there' if '/' in program else 'on the PATH of the task'}")
