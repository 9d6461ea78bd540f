"""`agentq` alone: below its help, what to do next for the state that there is."""

from __future__ import annotations

import pytest
from driven import Driven, held

from agentq_cli.diagnose.next_steps import Seen, advice
from agentq_cli.model.statuses import Status
from agentq_cli.policy.waiting import Hold

NOW = 1_774_785_600_000


def said(aq: Driven) -> list[str]:
    """What stands below the help."""
    alone = aq(code=2)
    assert alone.stderr == ""
    help_, _, below = alone.stdout.rstrip("\n").rpartition("\n\n")
    assert "Usage: agentq" in help_
    return below.splitlines()


def test_it_knows_what_to_do_next(aq: Driven) -> None:
    empty = said(aq)
    assert empty[0] == "Nothing is stored yet."
    assert "agentq submit --agent demo" in empty[2]
    assert not aq.state_dir.exists()

    aq.exec("sh", "-c", "exit 3")
    text = "\n".join(said(aq))
    assert "Now: 1 queued." in text
    assert "agentq run --drain" in text
    assert "* * * * * agentq sweep" in text

    aq.drain(code=1)
    text = "\n".join(said(aq))
    assert "Now: no live tasks. In the last day: 1 failed." in text
    assert "agentq logs default/1" in text
    assert "agentq retry default/1" in text
    assert "run --drain" not in text

    aq("prune", "1", "--yes")
    aq.exec(*held("a"))
    aq.supervise()
    aq.started("a")
    assert said(aq) == ["Now: 1 running.", "Next:", "  agentq top", "      watch it live"]

    aq("pause", "--agent", "demo")
    aq("pause", "--all")
    text = "\n".join(said(aq))
    assert "  agentq resume --agent demo\n      demo is paused" in text
    assert "  agentq resume --all\n      the queue is paused" in text


def test_a_state_that_cannot_be_read_is_said(aq: Driven) -> None:
    aq.exec("true")
    (aq.state_dir / "agentq.db").write_bytes(b"no database at all" * 100)
    first, *_, step, _ = said(aq)
    assert first.startswith("State: ")
    assert step == "  agentq health"


def test_with_a_wrong_setting_the_help_is_all(aq: Driven) -> None:
    done = aq(code=2, env={"AGENTQ_NOW": "noon"})
    assert "Usage: agentq" in done.stdout
    assert "Next:" not in done.stdout


@pytest.mark.parametrize(
    ("hold", "words"),
    [
        (
            Hold("agent", "claude", "rate_limited", NOW + 60_000, None),
            ("--agent claude", "(rate_limited): this retries"),
        ),
        (Hold("agent", "claude", "auth", None, "no login"), ("--agent claude", "held (auth): fix its login")),
    ],
)
def test_a_held_agent_is_named_with_the_way_out(hold: Hold, words: tuple[str, ...]) -> None:
    text = "\n".join(advice(Seen(True, {Status.QUEUED: 1}, {}, False, None, [hold]), NOW))
    for word in words:
        assert word in text
