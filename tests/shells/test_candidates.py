"""What `agentq __complete` answers: names that no shell can misread, at once, and never a word of trouble."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from agentq_process import ROOT, Agentq
from hypothesis import given
from hypothesis import strategies as st
from shell_world import HOSTILE, SAFE, World

from agentq_cli.base.names import is_name
from agentq_cli.cli import candidates
from agentq_cli.engines.local import suggestions
from agentq_cli.engines.local.queries import statements
from agentq_cli.git.runner import GitFailed


def asked(world: World, kind: str, prefix: str = "") -> list[str]:
    return candidates.candidates(kind, prefix, str(world.agentq.state_dir), world.environ)


def test_each_kind_has_its_names(world: World) -> None:
    assert asked(world, "sessions") == ["default", "docs", "site.v2"]
    assert asked(world, "sessions", "d") == ["default", "docs"]
    assert asked(world, "live") == ["docs/1", "docs/2", "site.v2/1"]
    assert asked(world, "ended") == ["default/1"]
    assert asked(world, "tasks") == ["docs/1", "docs/2", "site.v2/1", "default/1"]
    assert asked(world, "tasks", "1") == ["1"], "a bare number is a task of the session default"
    assert asked(world, "series") == []
    assert sorted(asked(world, "labels")) == sorted(SAFE)
    assert (asked(world, "keys"), asked(world, "keys", "b")) == (["a.b"], [])
    assert asked(world, "agents", "c") == ["claude", "codex"]
    assert asked(world, "prompts") == []


def test_an_agent_of_the_config_is_offered_and_a_broken_config_hides_no_other(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[agents.mine]\nargv = ["x"]\n')
    environ = {"AGENTQ_CONFIG": str(file), "HOME": str(tmp_path)}
    assert candidates.candidates("agents", "m", "", environ) == ["mine"]
    file.write_text("[agents.mine\n")
    assert candidates.candidates("agents", "", "", environ) == ["claude", "codex", "gemini", "opencode", "demo"]
    assert candidates.candidates("agents", "", "", {"HOME": str(tmp_path)})[-1] == "demo"


def test_runs_are_offered_behind_the_dot(world: World, tmp_path: Path) -> None:
    index = tmp_path / "agentq.db"
    with (
        closing(sqlite3.connect(world.agentq.state_dir / "agentq.db")) as source,
        closing(sqlite3.connect(index)) as copy,
    ):
        source.backup(copy)
        for attempt in (1, 2):
            copy.execute(
                "INSERT INTO task_runs (session, seq, attempt, trigger, argv, cwd, started_at, status, host)"
                " VALUES ('docs', 1, ?, 'submit', '[]', '/', 0, 'error', 'here')",
                (attempt,),
            )
        copy.commit()
    assert candidates.candidates("tasks", "docs/1.", str(tmp_path), {}) == ["docs/1.2", "docs/1.1"]
    assert candidates.candidates("tasks", "docs/1.1", str(tmp_path), {}) == ["docs/1.1"]
    assert candidates.candidates("ended", "docs/1.", str(tmp_path), {}) == []


def test_a_forged_index_gets_no_harmful_name_through(world: World, tmp_path: Path) -> None:
    index = tmp_path / "agentq.db"
    with (
        closing(sqlite3.connect(world.agentq.state_dir / "agentq.db")) as source,
        closing(sqlite3.connect(index)) as copy,
    ):
        source.backup(copy)
        for name in (*HOSTILE, "x" * 65, ".hidden", "é"):
            copy.execute("INSERT INTO sessions (name, created_at) VALUES (?, 0)", (name,))
            copy.execute(
                "INSERT INTO tasks SELECT ?, 1, status, agent, priority, due_at, expires_at, retry, shares, series,"
                " ended_at, labels, arriving, dep_failed, directory, ? FROM tasks WHERE session = 'docs' AND seq = 1",
                (name, name),
            )
        copy.execute(
            'UPDATE tasks SET labels = \'["fine", 7, null, {}, "\\u0000", "", "-rf"]\' WHERE session = \'docs\''
        )
        copy.commit()
    for kind in ("sessions", "live", "tasks"):
        found = candidates.candidates(kind, "", str(tmp_path), {})
        assert {name.partition("/")[0] for name in found} <= {"default", "docs", "site.v2"}, kind
        assert found
    assert candidates.candidates("keys", "", str(tmp_path), {}) == ["a.b"]
    assert "fine" in candidates.candidates("labels", "", str(tmp_path), {})
    assert "-rf" not in candidates.candidates("labels", "", str(tmp_path), {})


@given(st.text(max_size=66) | st.text("Aa0._-", max_size=66))
def test_a_name_is_what_the_contract_calls_one(text: str) -> None:
    assert is_name(text) is (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z", text) is not None)


@given(st.text(max_size=10))
def test_a_label_of_other_characters_is_left_out(text: str) -> None:
    harmless = bool(text) and text.isascii() and all(letter.isalnum() or letter in "._:@/+-" for letter in text)
    assert candidates.is_label(text) is (harmless and text[0] != "-")


def test_what_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestions, "MOST_STEPS", 10_000)
    with closing(sqlite3.connect(tmp_path / "agentq.db")) as forged:
        forged.execute(
            "CREATE VIEW sessions AS WITH RECURSIVE n(name) AS (SELECT 1 UNION ALL SELECT name + 1 FROM n)"
            " SELECT name FROM n WHERE name < 0"
        )
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        candidates.candidates("sessions", "", str(tmp_path), {})


def test_trouble_is_silent_and_nothing_is_made(agentq: Agentq, tmp_path: Path) -> None:
    silent = [agentq("__complete", "live", ""), agentq("__complete"), agentq("__complete", "junk", "x", "y", "z")]
    assert not agentq.state_dir.exists()
    assert agentq("submit", "--exec", "--", "true").returncode == 0
    index = agentq.state_dir / "agentq.db"
    with closing(sqlite3.connect(index)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        silent.append(agentq("__complete", "live", ""))
    before = {path: path.stat().st_mtime_ns for path in agentq.state_dir.rglob("*")}
    assert agentq("__complete", "live", "").stdout == "default/1\n"
    assert before == {path: path.stat().st_mtime_ns for path in agentq.state_dir.rglob("*")}
    for content in (b"junk", b"SQLite format 3\0" + bytes(5000), b""):
        index.write_bytes(content)
        silent.append(agentq("__complete", "live", ""))
        assert index.read_bytes() == content
    index.unlink()
    index.mkdir()
    silent.append(agentq("__complete", "live", ""))
    assert [(done.returncode, done.stdout, done.stderr) for done in silent] == [(0, "", "")] * len(silent)
    command = f"{sys.executable} -m agentq_cli __complete agents '' >&-"
    done = subprocess.run(["sh", "-c", command], env=agentq.environ, cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_parser_and_no_printer_is_imported(agentq: Agentq) -> None:
    assert agentq("submit", "--exec", "--", "true").returncode == 0
    spy = (
        "import sys; from agentq_cli.__main__ import main; sys.argv[1:] = ['__complete', 'labels', '']; main();"
        " sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", spy], env=agentq.environ, capture_output=True, text=True, timeout=60, cwd=agentq.home
    )
    loaded = set(done.stderr.split())
    assert "agentq_cli.cli.candidates" in loaded
    modules = {name.removeprefix("agentq_cli.") for name in loaded if name.startswith("agentq_cli.")}
    assert modules == {
        *("__main__", "base", "base.database_url", "base.defaults", "base.environment", "base.names"),
        *("cli", "cli.candidates"),
        *("engines", "engines.door", "engines.local", "engines.local.queries", "engines.local.suggestions"),
    }
    assert not loaded & {"typer", "rich", "dataclasses", "tomllib", "asyncio", "logging", "ctypes"}


def test_every_query_looks_at_a_bounded_part() -> None:
    assert all("LIMIT :" in sql for sql in statements("complete").values())


def test_refs_are_those_of_the_repository_around_and_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, env=environ, check=True
        )

    def offered(kind: str, prefix: str = "") -> list[str]:
        return candidates.candidates(kind, prefix, "", environ)

    monkeypatch.chdir(tmp_path)
    with pytest.raises(GitFailed):  # which `main` makes nothing of
        offered("refs")
    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "one")
    for name in ("feature/one", "it's", "a$(b)", "a;b"):
        git("branch", name)
    git("tag", "v1")
    git("remote", "add", "origin", "/nowhere")
    assert offered("branches") == ["feature/one", "main"]
    assert offered("refs") == ["feature/one", "main", "v1"]
    assert offered("refs", "f") == ["feature/one"]
    assert offered("remotes") == ["origin"]
