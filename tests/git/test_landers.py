"""Several land on one branch, with a person who commits there too: every commit is there once, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landers import Lander, trailers
from repositories import Repository
from sampling import WIDE

from agentq_cli.git.landing import Landed, Nothing
from agentq_cli.git.merge import FF, MERGE, SQUASH

LINES = 12
ROUNDS = 3


def numbered(repository: Repository, name: str) -> None:
    repository.write(name, "".join(f"{number}\n" for number in range(LINES)))


def edit(repository: Repository, name: str, line: int, text: str) -> None:
    lines = (repository.path / name).read_text().split("\n")
    lines[line] = text
    repository.write(name, "\n".join(lines))


# Each lander has lines of its own, with others between them: whatever they do merges.
STEP = st.tuples(
    st.sampled_from([0, 1]),
    st.sampled_from(["edit", "add", "remove", "land", "land while the other lands", "land while a person commits"]),
    st.sampled_from([MERGE, SQUASH]),
)


@settings(max_examples=6 * WIDE, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(STEP, min_size=3, max_size=10))
def test_random_edits_of_two_landers_are_all_there_once(
    tmp_path: Path, environ: dict[str, str], steps: list[tuple[int, str, str]]
) -> None:
    place = tmp_path / "example"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    World(place, environ).play(steps)


class World:
    """Two landers, a person in the checkout, and what the files must be in the end."""

    def __init__(self, place: Path, environ: dict[str, str]) -> None:
        self.repository = Repository(place / "repository", environ)
        self.repository.path.mkdir()
        self.repository.git("init", "-q")
        numbered(self.repository, "shared")
        self.repository.commit()
        self.landers = [Lander(self.repository, place / name, name) for name in ("one", "two")]
        self.count = 0
        self.subjects: list[str] = []
        """Of the commits that must be there once."""
        self.expected: dict[str, str] = {}
        self.lines = {line: str(line) for line in range(LINES)}
        self.landings = 0

    def play(self, steps: list[tuple[int, str, str]]) -> None:
        for who, what, how in steps:
            self.do(self.landers[who], self.landers[1 - who], what, how)
        for lander in self.landers:
            self.land(lander)
        main = self.repository
        assert main.git("status", "--porcelain") == ""
        assert (main.path / "shared").read_text().split("\n")[:LINES] == list(self.lines.values())
        files = {each.name: each.read_text() for each in main.path.iterdir() if each.is_file()}
        assert files.pop("shared")
        assert files == self.expected
        subjects = main.git("log", "--format=%s", "main").split("\n")
        assert all(subjects.count(each) == 1 for each in self.subjects), subjects
        assert len(trailers(main)) <= self.landings
        main.git("fsck", "--strict", "--no-dangling")

    def do(self, lander: Lander, other: Lander, what: str, how: str) -> None:
        self.count += 1
        if what == "edit":
            line = 4 * (self.count % 3) + 2 * self.landers.index(lander)
            self.lines[line] = f"{lander.name} {self.count}"
            edit(lander.tree, "shared", line, self.lines[line])
        elif what == "add":
            self.expected[f"{lander.name}.{self.count}"] = lander.tree.write(f"{lander.name}.{self.count}").read_text()
        elif what == "remove":
            own = [each for each in self.expected if each.startswith(lander.name)]
            for name in own[:1]:
                del self.expected[name]
                (lander.tree.path / name).unlink()
        else:
            self.land(lander, other if "other" in what else None, how, person="person" in what)
            return
        lander.tree.git("add", "-A")
        lander.tree.git("commit", "-q", "--allow-empty", "-m", f"{lander.name} {self.count}")

    def land(self, lander: Lander, other: Lander | None = None, how: str = MERGE, person: bool = False) -> None:
        waiting = [True]

        def meanwhile() -> bool:
            if waiting and waiting.pop():
                if other is not None:
                    self.land(other)
                if person:
                    name = f"person.{self.count}"
                    self.expected[name] = self.repository.write(name).read_text()
                    self.repository.git("add", name)
                    self.repository.git("commit", "-q", "-m", f"person {name}")
                    self.subjects.append(f"person {name}")
            return True

        lander.how = how
        own = lander.tree.git("log", "--no-merges", "--format=%s", "main..HEAD").split("\n")
        outcome = lander.land(meanwhile)
        assert isinstance(outcome, Landed | Nothing), outcome
        if isinstance(outcome, Landed):
            self.landings += not outcome.already
            if how == MERGE:
                self.subjects += filter(None, own)
            lander.base = outcome.commit


def test_two_processes_land_while_a_person_commits(repository: Repository, tmp_path: Path) -> None:
    landers = [Lander(repository, tmp_path / name, name, how) for name, how in (("one", MERGE), ("two", SQUASH))]
    children = [in_a_process(lander) for lander in landers]
    for number in range(ROUNDS):
        repository.write(f"person.{number}")
        by_hand(repository, "add", f"person.{number}")
        by_hand(repository, "commit", "-q", "-m", f"person {number}")
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert repository.git("status", "--porcelain") == ""
    names = {f"{who}.{number}" for who in ("one", "two", "person") for number in range(ROUNDS)}
    assert names <= {each.name for each in repository.path.iterdir()}
    subjects = repository.git("log", "--format=%s", "main").split("\n")
    assert all(subjects.count(f"{who} {number}") == 1 for who in ("one", "person") for number in range(ROUNDS))
    assert not [each for each in subjects if each.startswith("two ")]
    assert len([each for each in trailers(repository) if each == "two/1"]) == ROUNDS
    repository.git("fsck", "--strict", "--no-dangling")


def in_a_process(lander: Lander) -> int:
    """Commit and land several times, each time again until it has landed; the number of the process."""
    child = os.fork()
    if child:
        return child
    try:
        for number in range(ROUNDS):
            lander.tree.write(f"{lander.name}.{number}")
            lander.tree.git("add", "-A")
            lander.tree.git("commit", "-q", "-m", f"{lander.name} {number}")
            for _ in range(50):
                outcome = lander.land()
                if isinstance(outcome, Landed):
                    lander.base = outcome.commit
                    break
            else:
                os.write(2, repr(outcome).encode())
                os._exit(2)
        os._exit(0)
    except BaseException as error:
        os.write(2, repr(error).encode())
    finally:
        os._exit(1)


def by_hand(repository: Repository, *words: str) -> None:
    """What a person does, who tries again while git says that another process has the index."""
    for _ in range(200):
        done = subprocess.run(
            ["git", *words], cwd=repository.path, env=repository.environ, capture_output=True, check=False
        )
        if done.returncode == 0:
            return
        assert b"index.lock" in done.stderr or b"cannot lock ref" in done.stderr, done.stderr
        time.sleep(0.05)
    raise AssertionError("the index stayed locked")


def test_fast_forwards_alone_make_one_line(repository: Repository, tmp_path: Path) -> None:
    landers = [Lander(repository, tmp_path / name, name, FF) for name in ("one", "two")]
    for lander in landers:
        lander.tree.commit(lander.name)
        lander.tree.git("rebase", "-q", "main")
        assert isinstance(lander.land(), Landed)
    assert repository.git("log", "--format=%s", "main") == "Add two\nAdd one\nAdd README, src/a"
