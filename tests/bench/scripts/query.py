"""One query in a process of its own. argv: the file, the statement."""

import sqlite3
import sys
import time

base = sqlite3.connect(f"file:{sys.argv[1]}?mode=rw", uri=True, isolation_level=None)
for row in base.execute(sys.argv[2], {"now": time.time_ns() // 1_000_000}).fetchall():
    print(row)
