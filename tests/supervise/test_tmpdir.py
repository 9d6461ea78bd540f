"""The private TMPDIR, made and removed by an ordinary user, whom permissions bind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator

import pytest

from agentq_cli.host import tmpdir

NOBODY = 65534
RUN = "/state/sessions/s/runs/1.1"


def as_ordinary_user(work: Callable[[], bool]) -> bool:
    """Whether `work`, done by a child that is not root, is true."""
    pid = os.fork()
    if pid == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.fixture
def parent() -> Iterator[str]:
    """A directory that everybody may write to and reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        os.chmod(path, 0o777)
        yield path


def test_read_only_directories_in_it_are_removed_too(parent) -> None:
    def work() -> bool:
        path = tmpdir.create({"XDG_RUNTIME_DIR": parent}, RUN)
        os.makedirs(f"{path}/module/cache")
        open(f"{path}/module/cache/file", "w").close()
        os.chmod(f"{path}/module/cache", 0o500)
        os.chmod(f"{path}/module", 0)
        tmpdir.remove(path)
        return not os.path.exists(path)

    assert as_ordinary_user(work)


def test_a_runtime_directory_that_cannot_be_written_is_passed_over(parent) -> None:
    os.chmod(parent, 0o555)  # an ordinary user who runs this test owns it

    def work() -> bool:
        path = tmpdir.create({"XDG_RUNTIME_DIR": parent}, RUN)
        tmpdir.remove(path)
        return path.startswith("/tmp/agentq-")

    assert as_ordinary_user(work)


def test_a_link_in_its_place_or_in_it_leads_nowhere(parent) -> None:
    os.mkdir(f"{parent}/kept")
    open(f"{parent}/kept/file", "w").close()
    os.symlink(f"{parent}/kept", f"{parent}/agentq-0")
    tmpdir.remove(f"{parent}/agentq-0")
    os.mkdir(f"{parent}/agentq-1")
    os.symlink(f"{parent}/kept", f"{parent}/agentq-1/link")
    tmpdir.remove(f"{parent}/agentq-1")
    assert not os.path.exists(f"{parent}/agentq-1")
    assert os.listdir(f"{parent}/kept") == ["file"]


@pytest.mark.parametrize("path", ["agentq-1", "/nowhere/agentq-1", "{parent}/other", "{parent}"])
def test_a_path_that_is_not_one_is_left_alone(parent, path) -> None:
    os.mkdir(f"{parent}/other")
    os.mkdir(f"{parent}/agentq-1")
    here = os.getcwd()
    os.chdir(parent)
    try:
        tmpdir.remove(path.format(parent=parent))
    finally:
        os.chdir(here)
    assert sorted(os.listdir(parent)) == ["agentq-1", "other"]


def test_what_a_dead_keeper_left_is_found_by_the_run_alone_and_nothing_else_is(parent) -> None:
    environ = {"XDG_RUNTIME_DIR": parent}
    path = tmpdir.create(environ, RUN)
    another = tmpdir.create(environ, "/state/sessions/s/runs/1.2")
    os.mkdir(f"{parent}/agentq-0123456789ab")
    tmpdir.remove_left_behind(environ, RUN)
    assert not os.path.exists(path)
    assert os.path.isdir(another)
    assert os.path.isdir(f"{parent}/agentq-0123456789ab")


def test_a_name_that_is_taken_is_passed_over_and_a_link_there_is_not_followed(parent) -> None:
    environ = {"XDG_RUNTIME_DIR": parent}
    taken = tmpdir.create(environ, RUN)
    os.rmdir(taken)
    os.mkdir(f"{parent}/kept")
    open(f"{parent}/kept/file", "w").close()
    os.symlink(f"{parent}/kept", taken)
    other = tmpdir.create(environ, RUN)
    assert other != taken
    assert os.path.isdir(other)
    tmpdir.remove_left_behind(environ, RUN)
    assert os.listdir(f"{parent}/kept") == ["file"]
    assert os.path.islink(taken)
