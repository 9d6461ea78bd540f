"""Random histories of everything the queue can do, held against a plain model of it."""

from __future__ import annotations

from hypothesis.stateful import run_state_machine_as_test
from queue_driver import Engine
from queue_model import Histories, histories


def test_statuses_picks_lanes_keys_and_events_are_after_every_step_as_the_model_has_them(engine: Engine) -> None:
    run_state_machine_as_test(lambda: Histories(type(engine)), settings=histories(10, 40))
