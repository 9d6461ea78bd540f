"""What the store writes of a task's launch is what it reads."""

from __future__ import annotations

from dataclasses import fields

from agentq_cli.model import Launch
from agentq_cli.store import rows


def test_every_field_of_a_launch_comes_back() -> None:
    launch = Launch(
        env={"A": "1"},
        captured={"PATH": "/bin"},
        agent_args=("--model", "m"),
        stdin="/in",
        umask=0o077,
        timeout_ms=1,
        grace_ms=2,
        stall_timeout_ms=3,
        memory_bytes=4,
        depth=5,
        tz="Europe/Berlin",
        script="/script",
        retries=0,
        backoff_ms=6,
        max_backoff_ms=7,
        on_crash="fail",
        max_cost_usd=0.5,
        earlier_runs=3,
    )
    assert rows.launch(rows.launch_text(launch)) == launch
    assert rows.launch(rows.launch_text(Launch())) == Launch()
    untouched = [each.name for each in fields(Launch) if getattr(launch, each.name) == getattr(Launch(), each.name)]
    assert untouched == [], "each field is at another value than its default"
