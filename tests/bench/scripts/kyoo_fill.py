"""Jobs for kyoo in one transaction, before its daemon runs. argv: the lock that they want; stdin: commands.

The lock's capacity, 0 for now, is kyoo's only way to say how many may run at once.
"""

import sys

from kyoo import db, paths

base = db.connect(paths.db_path())
db.set_lock_capacity(base, sys.argv[1], 0)
base.execute("BEGIN IMMEDIATE")
for line in sys.stdin:
    db.insert_job(base, command=line.rstrip("\n"), cwd="/", locks=[sys.argv[1]], after=[])
base.execute("COMMIT")
