"""Random histories of everything the queue can do, held against a plain model of it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from queue_model import Histories

Histories.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


@pytest.mark.timeout(600)  # what fails is made small first
class TestHistories(Histories.TestCase):  # type: ignore[misc,name-defined]
    """Statuses, picks, lanes, keys, events: after every step as the model has them."""
