"""Whatever a configuration file holds: values of the right types, or one Usage that names the file."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from anything import HOSTILE, depths, numbers, texts
from hypothesis import example, given
from hypothesis import strategies as st
from sampling import some

from agentq_cli.base.errors import Usage
from agentq_cli.config import configuration, schema
from agentq_cli.config.configuration import load

TABLES: dict[str, Any] = {
    "": schema.TOP,
    "defaults": schema.OPTIONS,
    "sessions.docs": schema.SESSION,
    "agents.mine": schema.PROFILE,
    "limits": schema.LIMITS,
    "hooks": schema.HOOKS,
}
KEYS = [(table, key) for table, keys in TABLES.items() for key in keys]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "config.toml"


def check(file: Path, content: bytes) -> None:
    """Read it: good values, all of which can be shown, or the one error."""
    file.write_bytes(content)
    try:
        found = load({"AGENTQ_CONFIG": str(file)})
    except Usage as error:
        assert error.message.startswith((f"{file}:", f"{file} ")), error.message
        error.message.encode("utf-8", "surrogatepass")
        return
    for setting in configuration.settings(found):
        json.dumps(setting.value)
    for name in ("docs", "another"):
        assert isinstance(found.options(name), dict)


def written(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = (character if character.isalnum() else f"\\U{ord(character):08x}" for character in value)
        return '"' + "".join(escaped) + '"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(name)} = {written(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return str(value)


scalars = (
    st.booleans() | numbers.map(lambda number: number) | texts | st.sampled_from(["5s", "1GiB", "off", "stdin", "x"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
).map(written)
bare = st.sampled_from(
    [
        "2026-03-29",
        "02:30:00",
        "2026-03-29T02:30:00+99:00",
        "nan",
        "-inf",
        "0x" + "f" * 5000,
        "9" * 5000,
        "1_0",
        '"""\n"""',
    ]
)
deep = depths.filter(lambda levels: levels < 2000).map(lambda levels: "[" * levels + "]" * levels)


@given(content=st.binary(max_size=80))
@example(content=b"\xef\xbb\xbfjobs = 1\n")
@example(content=b"jobs = 1\r\n\0")
def test_any_bytes(file: Path, content: bytes) -> None:
    check(file, content)


@given(chosen=st.lists(st.tuples(st.sampled_from(KEYS), values | bare | deep), min_size=1, max_size=3))
@example(chosen=[(("", "jobs"), "9" * 5000)])
@example(chosen=[(("", "jobs"), "0x" + "f" * 5000)])
@example(chosen=[(("defaults", "timeout"), "0x" + "f" * 5000)])
@example(chosen=[(("defaults", "cwd"), '"~no-such-user/x"')])
@example(chosen=[(("defaults", "env"), '{"A=B" = "c"}')])
@example(chosen=[(("limits", "load"), "[" * 900 + "]" * 900)])
def test_any_value_under_every_known_key(file: Path, chosen: list[tuple[tuple[str, str], str]]) -> None:
    lines = []
    for (table, key), value in sorted(chosen):
        lines.append(f"[{table}]" if table else "")
        lines.append('argv = ["x"]' if table == "agents.mine" and key != "argv" else "")
        lines.append(f"{written(key)} = {value}")
    check(file, "\n".join(lines).encode("utf-8", "surrogatepass"))


FOREIGN = [*map(written, HOSTILE), "[]", "{}", "-1", "0", "1e400", '["a", 1]', "{a = 1}", "[[]]", "true"]


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_hostile_values_under_each_key(file: Path, table: str, key: str) -> None:
    for value in some(FOREIGN, 15, f"{table}.{key}"):
        check(file, f"[{table or 'limits'}]\n".encode() * bool(table) + f"{written(key)} = {value}\n".encode())


@given(table=texts, key=texts)
def test_any_names(file: Path, table: str, key: str) -> None:
    for text in (f"{written(key)} = 1", f"[{written(table)}]", f"[sessions.{written(table)}]\n{written(key)} = 1"):
        check(file, text.encode("utf-8", "surrogatepass"))


held = texts.map(lambda text: os.fsdecode(text.encode("utf-8", "replace"))).filter(
    lambda text: text and "\0" not in text
)
"""What a variable of the environment can hold."""


@given(name=st.sampled_from([*schema.TOP]), value=held)
@example(name="jobs", value="²")
def test_any_value_in_the_environment(name: str, value: str) -> None:
    try:
        load({"XDG_CONFIG_HOME": "/nowhere", f"AGENTQ_{name.upper()}": value})
    except Usage as error:
        assert f"AGENTQ_{name.upper()}" in error.message


@given(path=held)
@example(path="~no-such-user/x")
def test_any_path_in_the_environment(path: str) -> None:
    with suppress(Usage):
        load({"AGENTQ_CONFIG": path})


def test_a_quoted_value_is_bounded(file: Path) -> None:
    file.write_text(f'jobs = "{"x" * 100_000}"\n')
    with pytest.raises(Usage) as refusal:
        load({"AGENTQ_CONFIG": str(file)})
    assert len(refusal.value.message) < 1000


def test_without_a_home_directory_the_file_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without an entry in the user data base, as containers have them."""
    monkeypatch.setattr(configuration.os.path, "expanduser", lambda path: path)
    with pytest.raises(Usage, match=re.compile("home directory: .*HOME")):
        load({})
