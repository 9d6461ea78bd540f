"""The least that a durable submit in Python can be: one row, one commit, one process. argv: the file."""

import sqlite3
import sys

base = sqlite3.connect(sys.argv[1], isolation_level=None)
base.execute("PRAGMA synchronous=FULL")
base.execute("CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY, argv TEXT NOT NULL, status TEXT NOT NULL)")
base.execute("INSERT INTO tasks (argv, status) VALUES (?, 'queued')", ('["true"]',))
base.close()
