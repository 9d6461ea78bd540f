"""What `/` leaves on the screen: `session:docs agent:claude label:night` and words, all of which must fit. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAMED = ("session", "agent", "label")
TEXTS = ("id", "run", "task", "work", "status", "state", "agent", "session", "last_line", "error", "times")
"""The keys of an item in which a word is looked for."""


class Filter:
    """Which items are shown. A `NAME:VALUE` must be the item's session, agent or one of its labels, or begin it; any
    other word must be somewhere in its texts, in upper or lower case."""

    def __init__(self, text: str = "") -> None:
        self.text = text.strip()
        parts = [word.partition(":") for word in self.text.casefold().split()]
        self._named = [(name, value) for name, colon, value in parts if colon and name in NAMED]
        self._words = [name + colon + value for name, colon, value in parts if not (colon and name in NAMED)]

    def __bool__(self) -> bool:
        return bool(self.text)

    def keeps(self, item: Mapping[str, Any]) -> bool:
        """Whether the item is shown."""
        return all(_has(item, name, value) for name, value in self._named) and self._says(item)

    def of(self, items: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """The items that are shown."""
        return [item for item in items if self.keeps(item)] if self else items

    def _says(self, item: Mapping[str, Any]) -> bool:
        if not self._words:
            return True
        texts = [str(item.get(key) or "") for key in TEXTS]
        text = "\n".join((*texts, *item.get("labels", ()))).casefold()
        return all(word in text for word in self._words)


def _has(item: Mapping[str, Any], name: str, value: str) -> bool:
    known = item.get("labels", ()) if name == "label" else (item.get(name) or "",)
    return any(each.casefold().startswith(value) for each in known)
