"""A worker for litequeue, which has none. argv: slots, and `stay` or `end` once the queue is empty.

What was taken by a worker before it that is gone is taken again: litequeue knows no more about it than that.
"""

import json
import os
import sys
import time

from litequeue import LiteQueue

queue = LiteQueue(os.environ["BENCH_FILE"])
for message in list(queue.list_locked(0)):
    queue.retry(message.message_id)
running = {}
while True:
    while len(running) < int(sys.argv[1]) and (message := queue.pop()):
        argv = json.loads(message.data)
        running[os.posix_spawnp(argv[0], argv, os.environ)] = message.message_id
    if not running and sys.argv[2] == "end":
        break
    # It has no way to be told of a new message, so it looks every 10 ms; a full house waits for an end.
    full = len(running) == int(sys.argv[1]) or sys.argv[2] == "end"
    pid, status = os.waitpid(-1, 0 if full else os.WNOHANG) if running else (0, 0)
    if pid:
        message_id = running.pop(pid)
        (queue.done if os.waitstatus_to_exitcode(status) == 0 else queue.mark_failed)(message_id)
    else:
        time.sleep(0.01)
