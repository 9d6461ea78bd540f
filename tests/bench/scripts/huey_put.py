"""huey's submit. argv: a command; `-` means the lines of stdin; `--future N` so many that are due in a year."""

import sys

from huey_tasks import execute

if sys.argv[1] == "-":
    import json

    for line in sys.stdin:
        execute(json.loads(line))
elif sys.argv[1] == "--future":
    from datetime import datetime, timedelta

    for _ in range(int(sys.argv[2])):
        execute.schedule((["true"],), eta=datetime.now() + timedelta(days=365))
else:
    execute(sys.argv[1:])
