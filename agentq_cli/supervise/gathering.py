"""Ends that come together: what ends within the time of one commit is one commit.

As with PostgreSQL's `commit_delay`: of short runs that began together one ends first, and would have a commit of its
own while the others end.
"""

from __future__ import annotations

from agentq_cli.base.clock import monotonic_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select

    from agentq_cli.supervise.watch import Watched

LONGEST_MS = 100
"""The longest that an end waits for others, however long a commit takes."""


def see_ends(poll: select.poll, lines: dict[int, Watched], commit_ms: int) -> None:
    """See which of the runs have ended whose lines are polled, and wait for those that are about to.

    An end waits for no longer than a commit takes (`commit_ms`), and only for a run of its session that began less than
    that ago, if it was about as short itself.
    """
    now = monotonic_ms()
    longest = min(commit_ms, LONGEST_MS)
    short: set[str] = set()
    left = 0
    while True:
        for line, _ in poll.poll(left):
            poll.unregister(line)
            watched = lines.pop(line)
            watched.ended = True
            if now - watched.began <= 2 * commit_ms:  # it may have ended during a commit
                short.add(watched.worker.session)
        left = now + longest - monotonic_ms()
        if left <= 0 or not any(
            each.worker.session in short and now - each.began <= longest for each in lines.values()
        ):
            return
