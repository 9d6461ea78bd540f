"""huey's side: a task that runs a command."""

import os
import subprocess

from huey import SqliteHuey

huey = SqliteHuey(filename=os.environ["BENCH_FILE"], fsync=True)


@huey.task()
def execute(argv):
    """The command's exit code, which huey stores."""
    return subprocess.call(argv)
