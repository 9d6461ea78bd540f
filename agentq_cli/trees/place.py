"""Where the trees of tasks lie on this machine."""

from __future__ import annotations

import os

from agentq_cli.base.defaults import TREES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.config.configuration import Config


def trees_directory(config: Config, state_dir: str) -> str:
    """The directory of the trees, absolute and without symlinks; it may not be there yet."""
    return os.path.realpath(config.trees or os.path.join(state_dir, TREES))
