"""The zone order: flag, session, AGENTQ_TZ, config, TZ, system, UTC."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentq_cli.base.errors import Usage
from agentq_cli.config import zones
from agentq_cli.config.configuration import load

CONFIG = "tz = 'Asia/Tokyo'\n[sessions.docs]\ntz = 'America/New_York'\n"


@pytest.fixture(autouse=True)
def no_system_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no zone is set."""
    monkeypatch.setattr(zones, "LOCALTIME", tmp_path / "localtime")
    monkeypatch.setattr(zones, "TIMEZONE", tmp_path / "timezone")


def resolve(
    tmp_path: Path, text: str = "", typed: str | None = None, session: str = "default", **environ: str
) -> zones.Zone:
    file = tmp_path / "config.toml"
    file.write_text(text)
    environ = {"AGENTQ_CONFIG": str(file), **environ}
    return zones.resolve(load(environ), environ, session=session, typed=typed)


def test_each_source_beats_those_after_it(tmp_path: Path) -> None:
    everything = {"AGENTQ_TZ": "Europe/Paris", "TZ": "Europe/Rome"}
    assert resolve(tmp_path, CONFIG, typed="Asia/Kolkata", session="docs", **everything).name == "Asia/Kolkata"
    assert resolve(tmp_path, CONFIG, session="docs", **everything).name == "America/New_York"
    found = resolve(tmp_path, CONFIG, **everything)
    assert (found.name, found.source) == ("Europe/Paris", "environment AGENTQ_TZ")
    assert resolve(tmp_path, CONFIG, TZ="Europe/Rome").name == "Asia/Tokyo"
    assert resolve(tmp_path, "[defaults]\ntz = 'Asia/Seoul'", TZ="Europe/Rome").name == "Asia/Seoul"
    found = resolve(tmp_path, TZ=":Europe/Rome")
    assert (found.name, found.source) == ("Europe/Rome", "environment TZ")
    (tmp_path / "timezone").write_text("Europe/Oslo\n")
    assert resolve(tmp_path).name == "Europe/Oslo"
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Vienna")
    assert resolve(tmp_path).name == "Europe/Vienna"


def test_without_any_it_is_utc(tmp_path: Path) -> None:
    found = resolve(tmp_path)
    assert (found.name, found.source, found.warnings) == ("UTC", "default", ())


@pytest.mark.parametrize(
    "name", ["Mars/Base", "../etc/passwd", "America", "CET-1CEST", "posix/UTC", "localtime", "a\0b"]
)
def test_a_name_that_is_no_zone_is_refused_when_typed_and_warned_of_in_the_environment(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(Usage, match="not an IANA time zone"):
        resolve(tmp_path, typed=name)
    found = resolve(tmp_path, TZ=name)
    assert found.name == "UTC"
    assert found.warnings == (f"TZ '{name}': not an IANA time zone, ignored",)


def test_the_nearest_zone_is_offered() -> None:
    with pytest.raises(Usage, match=r"--tz 'Europe/Belrin': .* did you mean 'Europe/Berlin'"):
        zones.check("Europe/Belrin")
