"""The program of the stages: what a run needs of git, done by a process that its keeper keeps as it keeps the agent.

It is told in its one argument what to do, and answers with a record in the run's directory (`host.stage_records`). It
can be killed anywhere and started again.
"""

from __future__ import annotations

import json
import os
import sys

from agentq_cli.git.runner import Git
from agentq_cli.host import stage_records
from agentq_cli.model.trees import Asked
from agentq_cli.policy.landing_steps import Do
from agentq_cli.policy.stages import Stage


def main() -> None:
    """Carry out one stage."""
    told = json.loads(sys.argv[1])
    stage, run_dir, now_ms, about = (told.pop(name) for name in ("stage", "run_dir", "now_ms", "about"))
    asked = Asked(**told)
    git = Git(asked.path, os.environ)
    if stage == Stage.TREE:
        from agentq_cli.trees.making import make

        stage_records.write(run_dir, stage_records.TREE, make(git, asked, now_ms)._asdict())
    elif stage == stage_records.SET_UP:
        from agentq_cli.trees.making import note_set_up

        note_set_up(asked)
    elif stage == Stage.SNAPSHOT:
        from agentq_cli.trees.leaving import leave, tree_left

        made = stage_records.read_made(run_dir)
        left = leave(git, asked, now_ms, () if made is None else made.notes)
        stage_records.write(run_dir, stage_records.LEFT, left._asdict() | {"tree": tree_left(git, left)})
    elif stage == Stage.LAND:
        from agentq_cli.trees.landing import perform

        made = stage_records.read_made(run_dir)
        start = "" if made is None else made.start
        reply = perform(Do(about["step"]), git, asked, start, checked=about["checked"], onto=about["onto"])
        stage_records.write(run_dir, stage_records.REPLY, reply._asdict())
    else:
        raise ValueError(stage)
