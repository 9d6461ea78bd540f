"""The default places are those that platformdirs names, without importing it."""

from __future__ import annotations

import sys
from pathlib import Path

import platformdirs
import pytest

from agentq_cli import environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the shortcut is taken on Linux only")


@pytest.mark.parametrize("base", [None, "", " ", "/elsewhere"])
def test_without_a_word_of_the_user_platformdirs_says_where(monkeypatch: pytest.MonkeyPatch, base: str | None) -> None:
    environ = {"HOME": "/home/somebody"}
    if base is not None:
        environ |= {"XDG_STATE_HOME": base, "XDG_CONFIG_HOME": base}
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    state = environment.state_directory(None, environ)
    config = environment.config_file(environ)
    assert state == str(platformdirs.user_state_path("agentq", appauthor=False))
    assert config == str(platformdirs.user_config_path("agentq", appauthor=False) / "config.toml")


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
