"""What the commands that make tasks ask a repository, if a task is to have a tree: loaded only then."""

from __future__ import annotations

from agentq_cli.show import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentq_cli.cli.context import Context
    from agentq_cli.options.tree_options import Admit, TreeAsked
    from agentq_cli.trees.admission import Admission


def admitting(here: Context, *, dry: bool = False) -> Admit:
    """The question for all tasks of one command; a `dry` run changes nothing."""
    made: list[Admission] = []

    def ask(asked: TreeAsked) -> Mapping[str, Any] | None:
        if not made:
            from agentq_cli.trees.admission import Admission

            made.append(
                Admission(here.environ, here.config, here.state_dir, here.open_queue, dry=dry, say=notices.note)
            )
        return made[0](asked)

    return ask
