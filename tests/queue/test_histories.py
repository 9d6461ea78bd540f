"""Random histories of everything the queue can do, held against a plain model of it."""

from __future__ import annotations

from queue_model import Histories, histories

Histories.TestCase.settings = histories(10, 40)


class TestHistories(Histories.TestCase):  # type: ignore[misc,name-defined]
    """Statuses, picks, lanes, keys, events: after every step as the model has them."""
