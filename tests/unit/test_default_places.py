"""Where things are kept by default: where the XDG base directory specification says."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentq_cli.base import environment


@pytest.mark.parametrize(
    ("base", "state", "config"),
    [
        (None, "/home/somebody/.local/state/agentq", "/home/somebody/.config/agentq/config.toml"),
        ("", "/home/somebody/.local/state/agentq", "/home/somebody/.config/agentq/config.toml"),
        (" ", "/home/somebody/.local/state/agentq", "/home/somebody/.config/agentq/config.toml"),
        ("/elsewhere", "/elsewhere/agentq", "/elsewhere/agentq/config.toml"),
    ],
)
def test_without_a_word_of_the_user_the_specification_says_where(
    monkeypatch: pytest.MonkeyPatch, base: str | None, state: str, config: str
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    environ = {} if base is None else {"XDG_STATE_HOME": base, "XDG_CONFIG_HOME": base}
    assert environment.state_directory(None, environ) == state
    assert environment.config_file(environ) == config


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        (None, {"AGENTQ_STATE_DIR": "/of/mine"}, "/of/mine"),
        (None, {"AGENTQ_STATE_DIR": "~/of-mine"}, "/home/somebody/of-mine"),
        (None, {"AGENTQ_STATE_DIR": "relative/../x"}, "x"),
        ("~/x", {"AGENTQ_STATE_DIR": "/of/mine"}, "/home/somebody/x"),
        ("", {"AGENTQ_STATE_DIR": "/of/mine"}, "/of/mine"),
        (None, {"XDG_STATE_HOME": "relative"}, None),
    ],
    ids=str,
)
def test_the_option_then_the_environment_say_where(
    monkeypatch: pytest.MonkeyPatch, given: str | None, environ: dict[str, str], expected: str | None
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    found = environment.state_directory(given, environ)
    assert found == (expected if expected is None or expected.startswith("/") else str(Path.cwd() / expected))
