"""The private TMPDIR, made and removed by an ordinary user, whom permissions bind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator

import pytest

from agentq_cli.supervise import tmpdir

NOBODY = 65534


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
        path = tmpdir.create({"XDG_RUNTIME_DIR": parent})
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
        path = tmpdir.create({"XDG_RUNTIME_DIR": parent})
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
