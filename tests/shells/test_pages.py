"""The man pages and completion files are what the application is, and pass the linter."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from agentq_process import ROOT

from agentq_cli.base import errors
from agentq_cli.config import key_readers, schema
from agentq_cli.config.configuration import LIMIT_FIELDS, TOP_FIELDS, Config
from agentq_cli.engines.local import describe
from agentq_cli.manual import config_page, mdoc, pages, state_page
from agentq_cli.manual.surface import commands
from agentq_cli.manual.template import TEMPLATES

MAN, COMPLETIONS = ROOT / "man", ROOT / "completions"


@pytest.fixture(scope="module")
def man() -> dict[str, str]:
    return dict(pages.man_pages())


def plain(source: str) -> str:
    """A page's text as it is typed: dashes are dashes again."""
    return source.replace("\\-", "-").replace("\\&", "")


def test_the_files_in_the_repository_are_what_the_generator_writes(man: dict[str, str]) -> None:
    again = "python -m agentq_cli.manual.pages man completions"
    assert pages.stale(MAN, man) == [], f"run `{again}`"
    assert pages.stale(COMPLETIONS, pages.completion_files()) == [], f"run `{again}`"


def test_check_names_what_differs_is_missing_or_left_over(tmp_path: Path) -> None:
    wanted = {"man1/a.1": "a\n", "man1/b.1": "b\n", "man5/c.5": "c\n"}
    pages.write(tmp_path, wanted)
    assert pages.stale(tmp_path, wanted) == []
    (tmp_path / "man1/a.1").write_text("other\n")
    (tmp_path / "man1/b.1").unlink()
    (tmp_path / "man1/gone.1").write_text("")
    assert pages.stale(tmp_path, wanted) == ["man1/a.1", "man1/b.1", "man1/gone.1"]
    pages.write(tmp_path, wanted)
    assert pages.stale(tmp_path, wanted) == []
    done = subprocess.run(
        [sys.executable, "-m", "agentq_cli.manual.pages", "--check", str(tmp_path), str(COMPLETIONS)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert "man1/agentq.1" in done.stderr
    assert str(COMPLETIONS) not in done.stderr.replace(f"pages {tmp_path} {COMPLETIONS}", "")


def test_the_pages_pass_the_linter(man: dict[str, str]) -> None:
    mandoc = shutil.which("mandoc")
    if mandoc is None:
        pytest.skip("mandoc is not installed")
    files = [str(MAN / name) for name in man]
    done = subprocess.run([mandoc, "-T", "lint", "-W", "warning", *files], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_option_and_example_is_on_its_page(man: dict[str, str]) -> None:
    for command in commands():
        page = plain(man[f"man1/agentq-{command.name}.1"])
        for option in command.options:
            heads = " , ".join(f"Fl {name[1:]}" for name in option.entry.names)
            assert f".It {heads}" in page, (command.name, heads)
        for example in command.page.examples:
            assert " ".join(example.line.split()) in " ".join(page.replace("\\e", "").split()), example.line
        assert f"agentq-{command.name} 1\n" in man["man1/agentq.1"]


def test_the_manual_knows_every_variable_and_exit_status_of_the_program(man: dict[str, str]) -> None:
    sources = [path for path in (ROOT / "agentq_cli").rglob("*.py") if "manual" not in path.parts]
    text = "\n".join(path.read_text() for path in sources)
    variables = {f"AGENTQ_{key.upper()}" for key in schema.TOP}
    variables |= set(re.findall(r"\bAGENTQ_[A-Z]+(?:_[A-Z]+)*\b", text))
    told = "\n".join(man.values())
    assert [name for name in sorted(variables) if not re.search(rf"\b{name}\b", told)] == []
    codes = {error.code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "code")}
    listed = man["man1/agentq.1"].partition(".Sh EXIT STATUS")[2].partition(".Sh")[0]
    assert codes | {0, 130, 143} == {
        int(code) for line in re.findall(r"^\.It (.*)", listed, re.M) for code in line.split(", ")
    }


def test_a_default_in_the_config_page_reads_back_as_the_one_of_the_code(man: dict[str, str]) -> None:
    page = plain(man["man5/agentq-config.5"])
    defaults = Config(path="")

    def told(section: str, key: str) -> str | None:
        body = page.partition(f".Ss {section}\n")[2].partition("\n.Ss ")[0]
        entry = body.partition(f".It Ic {key} ")[2].partition("\n.It ")[0]
        found = re.search(r"^Default: (.*)\.$", entry, re.M)
        return found[1] if found else None

    for key, read in schema.TOP.items():
        value = getattr(defaults, TOP_FIELDS.get(key, key))
        text = told("Top level", key)
        assert text is not None
        given = text.split(", ") if key in ("capture_env", "caches") else text
        assert (None if text == "none" else read(given, key)) == (value or None)
    for key, read in schema.LIMITS.items():
        text = told("[limits]", key)
        assert text is not None
        assert read(text, key) == getattr(defaults.limits, LIMIT_FIELDS[key])
    for keys, section in ((schema.OPTIONS, "[defaults]"), (schema.PROFILE, "[agents.NAME]")):
        assert [key for key in keys if f".It Ic {key} " not in page.partition(f".Ss {section}\n")[2]] == []


def test_the_bounds_in_the_config_page_are_those_that_are_checked() -> None:
    assert config_page.type_of(key_readers.whole(2, 7)) == "whole number from 2 to 7"
    assert config_page.type_of(key_readers.choice("a", "b")) == '"a" or "b"'
    assert config_page.type_of(key_readers.duration(zero=True)) != config_page.type_of(key_readers.duration())


def test_the_example_configs_of_the_page_are_some(tmp_path: Path, man: dict[str, str]) -> None:
    from agentq_cli.config import configuration

    examples = man["man5/agentq-config.5"].partition(".Sh EXAMPLES\n")[2].split(".Bd -literal -offset indent\n")[1:]
    found = []
    for example in examples:
        (tmp_path / "config.toml").write_text(plain(example.partition("\n.Ed")[0]))
        found.append(configuration.load({"AGENTQ_CONFIG": str(tmp_path / "config.toml"), "HOME": str(tmp_path)}))
    whole, codex = found
    assert whole.sessions["docs"]["agent"] == "codex" and whole.hooks
    assert "--add-dir" in codex.agents["codex"]["argv"][2]


def test_the_state_page_has_every_table_and_column_that_a_fresh_file_has(man: dict[str, str]) -> None:
    page = plain(man["man5/agentq-state.5"])
    for kind, title in (("index", "agentq.db"), ("inbound", "sessions/NAME/inbound.db")):
        section = page.partition(f".Sh {title}\n")[2].partition("\n.Sh ")[0]
        for table, columns in describe.tables(kind).items():
            body = section.partition(f".Ss {table}\n")[2].partition("\n.Ss ")[0]
            assert re.findall(r"^\.It Va (\S+) ", body, re.M) == [column.name for column in columns], table


def test_a_column_without_a_description_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = describe.tables

    def with_another(kind: str) -> dict[str, tuple[describe.Column, ...]]:
        return {**real(kind), "task_runs": (*real(kind).get("task_runs", ()), describe.Column("new", "", False, False))}

    monkeypatch.setattr(state_page.describe, "tables", with_another)
    with pytest.raises(ValueError, match=r"index\.task_runs\.new"):
        state_page.render()


def test_no_description_is_blank() -> None:
    for name in ("columns.toml", "config_keys.toml"):
        held = tomllib.loads((TEMPLATES / name).read_text())
        tables = [table for kind in held.values() for table in kind.values() if isinstance(table, dict)]
        texts = [text for table in tables or held.values() for text in table.values()]
        assert all(text.strip() and text.endswith(".") for text in texts)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (".Sh is no request", "\\&.Sh is no request"),
        ("'quoted' first", "\\&'quoted' first"),
        ("a \\ backslash", "a \\e backslash"),
        ("run --exec -- now", "run \\-\\-exec \\-\\- now"),
        ("well-known", "well-known"),
        ("and more…", "and more..."),
    ],
)
def test_text_is_escaped_for_the_formatter(text: str, source: str) -> None:
    assert mdoc.line(text) == source


def test_what_the_formatter_could_not_write_is_refused() -> None:
    with pytest.raises(ValueError, match="not ASCII"):
        mdoc.line("日本")
