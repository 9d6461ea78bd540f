"""Where the trees of tasks lie on this machine."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.config.configuration import Config

NAME = "trees"
"""The directory of the trees in a state dir, unless the config names another."""


def trees_directory(config: Config, state_dir: str) -> str:
    """The directory of the trees, absolute and without symlinks; it may not be there yet."""
    return os.path.realpath(config.trees or os.path.join(state_dir, NAME))
