"""litequeue's submit. argv: a command; `-` means the lines of stdin, in one transaction."""

import json
import os
import sys

from litequeue import LiteQueue

queue = LiteQueue(os.environ["BENCH_FILE"])
if sys.argv[1:] == ["-"]:
    with queue.transaction():
        for line in sys.stdin:
            queue.put(line)
else:
    queue.put(json.dumps(sys.argv[1:]))
