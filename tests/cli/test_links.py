"""A symbolic link in place of a file or directory of the state dir: not followed, and what it leads to is as it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from driven import Driven
from sampling import in_gate

SESSION = ("inbound.db", "inbound.db-journal", "outbound.db", "outbound.db-journal", "runs", "runs/2.1")
STATE = ("agentq.db", "agentq.db-journal", "bells", "wake.lock", "supervisor.log")
PARTS = [f"sessions/a/{part}" for part in SESSION] + list(STATE)


def content(place: Path) -> dict[str, bytes | None]:
    found = [place, *sorted(place.rglob("*"))] if place.exists() else []
    return {str(path): path.read_bytes() if path.is_file() else None for path in found}


def put_link(aq: Driven, part: str, kind: str) -> Path:
    """The part is moved away (or is an empty one, or none), and a link to it is in its place; what it leads to."""
    place, foreign = aq.state_dir / part, aq.home / "foreign"
    directory = part == "bells" or "runs" in part
    if kind == "moved" and place.exists():
        shutil.move(place, foreign)
    else:
        if place.is_dir():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        if kind != "dangling":
            foreign.mkdir() if directory else foreign.touch()
    place.symlink_to(foreign)
    return foreign


COMMANDS = (
    ("submit", "-s", "a", "--exec", "true"),
    ("submit", "-s", "a", "--label", "l", "--exec", "true"),
    ("submit", "--batch", "-"),
    ("sweep", "--no-wake"),
    ("run", "--drain"),
    ("prune", "a/1", "--yes"),
    ("sweep", "--reindex", "--no-wake"),
    ("submit", "-s", "b", "--exec", "true"),
    ("sweep",),
)
BATCH = '{"session": "a", "exec": ["true"]}\n{"session": "b", "exec": ["true"]}\n'


@pytest.fixture(scope="module")
def swept(shared: Driven) -> Path:
    """A state dir in which a sweep finds nothing to do, of which each test has a copy."""
    shared.exec("true", given=("-s", "a"))
    shared.drain()
    for _ in range(2):
        shared("sweep", "--no-wake")
    return shared.state_dir


@pytest.fixture
def linked(aq: Driven, swept: Path) -> Driven:
    """Such a state dir of the test's own."""
    shutil.copytree(swept, aq.state_dir)
    return aq


@pytest.mark.parametrize(
    ("part", "kind"),
    in_gate(
        [(part, kind) for part in PARTS for kind in ("moved", "dangling")],
        *((part, "moved") for part in PARTS if not part.endswith("-journal")),
        *(
            (part, "dangling")
            for part in ("sessions/a/inbound.db", "sessions/a/runs", "agentq.db", "agentq.db-journal")
        ),
    ),
)
def test_what_a_link_leads_to_is_left_as_it_is(linked: Driven, part: str, kind: str) -> None:
    foreign = put_link(linked, part, kind)
    before = content(foreign)
    told = []
    # What a sweep that wakes a supervisor does beyond others, it does at the top.
    for command in COMMANDS[: -1 if part.startswith("sessions/") else None]:
        done = linked.agentq(*command, input=BATCH)
        assert "Traceback" not in done.stderr, done.stderr
        told.append((command[0], done.returncode, done.stdout + done.stderr))
        assert content(foreign) == before, command
    assert (linked.state_dir / part).is_symlink() or part.endswith("2.1"), "it stays for a person to look at"
    if part != "sessions/a/runs/2.1":
        assert any(code and part.rpartition("/")[2] in text for _, code, text in told), told


@pytest.mark.parametrize("part", ["sessions/a/inbound.db", "sessions/a/inbound.db-journal", "agentq.db", "bells"])
def test_a_submit_is_refused_lean_and_whole(linked: Driven, part: str) -> None:
    put_link(linked, part, "moved")
    for given in ((), ("--label", "l")):
        assert "a symbolic link" in linked.refused("submit", "-s", "a", *given, "--exec", "true", code=2)


@pytest.mark.parametrize("part", ["inbound.db", "outbound.db", "runs"])
def test_sweep_and_health_name_the_session_and_go_on_with_the_others(linked: Driven, part: str) -> None:
    put_link(linked, f"sessions/a/{part}", "moved")
    linked.exec("true", given=("-s", "b"))
    for _ in range(2):
        assert f"a/{part}': a symbolic link" in linked("sweep", "--no-wake", code=1).stdout
    assert "session a" in [issue["component"] for issue in linked.json("health", code=2)["issues"]]
    linked.drain()
    assert linked.task("b/1")["status"] == "completed"


def test_a_run_whose_directory_is_a_link_fails_and_says_why(linked: Driven) -> None:
    foreign = put_link(linked, "sessions/a/runs/2.1", "empty")
    linked.exec("true", given=("-s", "a"))
    linked.drain(code=1)
    assert "link" in linked.task("a/2")["reason"]
    assert list(foreign.iterdir()) == []


def test_a_link_among_the_bells_is_not_written_to(linked: Driven) -> None:
    precious = linked.home / "precious"
    precious.write_text("kept")
    (linked.state_dir / "bells" / "1-1").symlink_to(precious)
    linked.exec("true", given=("-s", "a"))
    linked("sweep", "--no-wake")
    assert precious.read_text() == "kept"
