"""The entry. It imports only what the command at hand needs: most of what a short command takes is loading code."""

from __future__ import annotations

import gc
import os
import sys

from agentq_cli.base.defaults import INTERRUPTED, TERMINATED

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn
else:
    import _signal as signal  # without its enums, which take as long to make as SQLite to load


FEW_COLLECTIONS = 100_000
"""Objects that are made before the garbage collector looks for cycles: loading the code of a command makes fewer.
Collecting while it is loaded, and freeing all of it at the exit, takes a quarter of a short command's instructions."""


class Terminated(BaseException):
    """SIGTERM came; what is open is closed on the way out."""


def program() -> NoReturn:
    """Runs the command line of this process, and ends it with its exit code."""
    gc.set_threshold(FEW_COLLECTIONS)
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass  # it has been told already
    os._exit(code)


def main() -> int:
    """Runs the command line of this process; returns its exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["__complete"]:
        # A shell waits for candidates while somebody types: the parser is not even imported.
        from agentq_cli.cli import candidates

        return candidates.main(arguments[1:])
    umask = os.umask(0o077)
    try:
        _prepare()
        return _run(arguments, umask)
    except KeyboardInterrupt as stop:
        if stop.args:  # what a command has to say to whoever stopped it
            from agentq_cli.cli import failures

            failures.advise(str(stop.args[0]))
        return INTERRUPTED
    except Terminated:
        return TERMINATED
    except SystemExit:
        raise
    except BaseException as error:
        from agentq_cli.cli import failures

        return failures.report(error, arguments)


def _run(arguments: Sequence[str], umask: int) -> int:
    from agentq_cli.cli import quick

    asked = quick.read(arguments)
    if asked is None:
        from agentq_cli.cli import words

        arguments = words.written_out(arguments)
        asked = quick.read(arguments)
    if asked is None:
        from agentq_cli.cli import app

        return app.run(arguments, umask)
    if asked[0] in ("submit", "sweep"):
        from agentq_cli.engines import door

        if door.submit_at_once(*asked[1:], umask) if asked[0] == "submit" else door.sweep_at_once(*asked[1:]):
            return 0
    from agentq_cli.cli import perform

    return perform.command(*asked, umask)


def _prepare() -> None:
    # A file that we open must not become descriptor 0, 1 or 2, where a child or a message would write into it.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            # Text in a locale that cannot say it is escaped, never an error.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated


if __name__ == "__main__":
    program()
