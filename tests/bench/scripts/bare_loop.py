"""The least that a durable queue in Python can be: spawn, and two commits a task. argv: the file, N, slots."""

import os
import shutil
import sqlite3
import sys

base = sqlite3.connect(sys.argv[1], isolation_level=None)
base.execute("PRAGMA synchronous=FULL")
base.execute("CREATE TABLE tasks (id INTEGER PRIMARY KEY, status TEXT NOT NULL, code INTEGER)")
base.execute("BEGIN IMMEDIATE")
base.executemany("INSERT INTO tasks (status) VALUES (?)", (("queued",) for _ in range(int(sys.argv[2]))))
base.execute("COMMIT")
program = shutil.which("true")
waiting = [number for (number,) in base.execute("SELECT id FROM tasks ORDER BY id DESC")]
running = {}
while waiting or running:
    while waiting and len(running) < int(sys.argv[3]):
        task = waiting.pop()
        base.execute("UPDATE tasks SET status = 'running' WHERE id = ?", (task,))
        running[os.posix_spawn(program, [program], os.environ)] = task
    pid, status = os.wait()
    ended = (os.waitstatus_to_exitcode(status), running.pop(pid))
    base.execute("UPDATE tasks SET status = 'completed', code = ? WHERE id = ?", ended)
