"""What this process has seen of other hosts' beats, and what the sweeps of this machine have seen before it."""

from __future__ import annotations

from agentq_cli.base import procfs
from agentq_cli.host import record_files
from agentq_cli.policy import observation
from agentq_cli.policy.observation import Beat, Sighting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentq_cli.host.place import Place

FILE = "hosts-seen"


class Observer:
    """One look after the other. Times are milliseconds since boot."""

    def __init__(self) -> None:
        self._seen: dict[int, Sighting] = {}
        self._beats: list[Beat] = []

    def look(self, beats: Iterable[Beat], now: int) -> None:
        """Take note of the beats that the database had; `now` is read after its answer."""
        self._beats = list(beats)
        self._seen = observation.seen(self._seen, self._beats, now)

    def lost(self, now: int) -> list[Beat]:
        """The hosts that are lost, by the last look."""
        return observation.lost(self._seen, self._beats, now)

    def next_loss(self, now: int) -> int | None:
        """When the next host will be lost, if none gives a sign; None if there is none that is not lost yet."""
        lost = self.lost(now)
        return observation.next_loss(self._seen, [each for each in self._beats if each not in lost])

    def load(self, place: Place) -> None:
        """Go on from what sweeps have seen since this boot."""
        document = record_files.load(f"{place.path}/{FILE}") or {}
        if document.get("boot") != procfs.boot_id():
            return
        try:
            self._seen = {
                int(host): Sighting(int(beat), int(since)) for host, (beat, since) in document["seen"].items()
            }
        except (AttributeError, KeyError, TypeError, ValueError):
            self._seen = {}

    def save(self, place: Place) -> None:
        """Leave it to the next sweep. Raises OSError."""
        seen = {str(host): list(each) for host, each in self._seen.items()}
        record_files.put(f"{place.path}/{FILE}", {"boot": procfs.boot_id(), "seen": seen})
