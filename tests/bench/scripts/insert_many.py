"""N rows in one transaction. argv: the file, N."""

import sqlite3
import sys

base = sqlite3.connect(sys.argv[1], isolation_level=None)
base.execute("PRAGMA synchronous=FULL")
base.execute("CREATE TABLE tasks (id INTEGER PRIMARY KEY, argv TEXT NOT NULL, status TEXT NOT NULL)")
base.execute("BEGIN IMMEDIATE")
rows = (('["true"]', "queued") for _ in range(int(sys.argv[2])))
base.executemany("INSERT INTO tasks (argv, status) VALUES (?, ?)", rows)
base.execute("COMMIT")
base.close()
