"""git is run with limits, and without what a repository or an environment would add."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest
from repositories import Repository

from agentq_cli.git import runner
from agentq_cli.git.runner import Git, GitFailed, GitMissing, GitTalkative, GitTimedOut


def pretended(directory: Path, script: str) -> dict[str, str]:
    """An environment whose `git` is a shell script."""
    directory.mkdir(exist_ok=True)
    program = directory / "git"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}


def test_an_answer_is_bytes_and_its_records_end_with_nul(repository: Repository) -> None:
    name = b"a\nb\xff"
    Path(os.fsdecode(os.fsencode(repository.path) + b"/" + name)).write_text("x")
    answer = repository.ours().run("ls-files", "-z", "--others", "--cached")
    assert sorted(answer.records()) == [b"README", name, b"src/a"]
    assert repository.ours().run("ls-files", "-z", "--deleted").records() == []


def test_more_is_given_on_stdin_than_fits_into_a_pipe(repository: Repository) -> None:
    content = os.urandom(1 << 20)
    name = repository.ours().run("hash-object", "-w", "--stdin", stdin=content).line()
    assert repository.ours().run("cat-file", "blob", name).out == content


def test_output_goes_into_a_descriptor(repository: Repository, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        assert repository.ours().run("show", "HEAD:README", out=file.fileno()).out == b""
    assert (tmp_path / "out").read_text() == "README\n"


def test_an_error_names_the_command_and_what_git_said_first(repository: Repository) -> None:
    with pytest.raises(GitFailed) as raised:
        repository.ours().run("cat-file", "blob", "no-such")
    assert raised.value.message == "git cat-file blob no-such: Not a valid object name no-such"
    assert (raised.value.status, raised.value.code, raised.value.kind) == (128, 1, "git")


def test_an_exit_code_can_be_an_answer(repository: Repository) -> None:
    assert repository.ours().run("show-ref", "--verify", "--quiet", "refs/heads/none", ok=(0, 1)).code == 1


def test_a_directory_that_is_gone_and_a_missing_git_are_errors(tmp_path: Path) -> None:
    with pytest.raises(GitFailed, match=f"{tmp_path}/none: No such file or directory"):
        Git(f"{tmp_path}/none", dict(os.environ)).run("version")
    with pytest.raises(GitMissing, match="no such program"):
        Git(str(tmp_path), {"PATH": str(tmp_path)}).run("version")


def test_a_git_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    environ = pretended(tmp_path / "bin", f"sleep 1000 & echo $! > {tmp_path}/pid; wait")
    with pytest.raises(GitTimedOut, match=r"git status: not done after 0.5 s"):
        Git(str(tmp_path), environ).run("status", seconds=0.5)
    assert_gone(int((tmp_path / "pid").read_text()))


def test_what_git_leaves_behind_is_not_waited_for_and_is_killed(tmp_path: Path) -> None:
    environ = pretended(tmp_path / "bin", f"sleep 1000 & echo $! > {tmp_path}/pid; echo done")
    assert Git(str(tmp_path), environ).run("status").line() == "done"
    assert_gone(int((tmp_path / "pid").read_text()))


def assert_gone(pid: int) -> None:
    """It is dead, or dying of a SIGKILL that was sent."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    assert select.select([descriptor], [], [], 30)[0]
    os.close(descriptor)


def test_output_without_end_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(GitTalkative, match="more than 100000 bytes of output"):
        Git(str(tmp_path), pretended(tmp_path / "bin", "exec yes")).run("log", most=100_000)


def test_complaints_without_end_neither_block_git_nor_fill_the_memory(tmp_path: Path) -> None:
    environ = pretended(tmp_path / "bin", "head -c 10000000 /dev/zero >&2; echo fine")
    answer = Git(str(tmp_path), environ).run("log")
    assert answer.line() == "fine"
    assert len(answer.err) == runner.MOST_ERRORS


def test_no_variable_of_another_call_reaches_git(repository: Repository, tmp_path: Path) -> None:
    names = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True)
    foreign = dict.fromkeys(names.stdout.split(), str(tmp_path / "elsewhere"))
    foreign |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.bare", "GIT_CONFIG_VALUE_0": "true"}
    foreign |= {"GIT_AUTHOR_NAME": "Eve", "GIT_TRACE": "1", "GIT_NAMESPACE": "x", "LC_ALL": "de_DE.UTF-8"}
    git = Git(str(repository.path), repository.environ | foreign)
    assert git.line("rev-parse", "--show-toplevel", "--is-bare-repository") == f"{repository.path}\nfalse"
    assert not set(runner.environment(foreign)) & (set(foreign) - {"LC_ALL"})


def test_no_hook_no_monitor_no_upkeep_and_no_signing(repository: Repository, tmp_path: Path) -> None:
    told = tmp_path / "told"
    hook = repository.path / ".git/hooks/reference-transaction"
    hook.write_text(f"#!/bin/sh\necho hook >> {told}\n")
    hook.chmod(0o755)
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\necho monitor >> {told}\n")
    monitor.chmod(0o755)
    for name, value in {
        "core.fsmonitor": str(monitor),
        "commit.gpgSign": "true",
        "gpg.program": str(monitor),
        "core.pager": str(monitor),
    }.items():
        repository.git("config", name, value)
    git = repository.ours()
    git.run("status", "--porcelain=v2", "-z")
    git.run("commit", "--allow-empty", "--message", "x")
    git.run("update-ref", "refs/heads/other", "HEAD")
    assert git.line("log", "-1", "--format=%s") == "x"
    assert not told.exists()


def test_reading_does_not_write_the_index(repository: Repository) -> None:
    os.utime(repository.path / "README", (1, 1))
    before = (repository.path / ".git/index").read_bytes()
    assert repository.ours().run("status", "--porcelain=v2", "-z").out == b""
    assert (repository.path / ".git/index").read_bytes() == before


def test_git_never_asks_on_a_terminal_or_by_a_program(repository: Repository, tmp_path: Path) -> None:
    asking = pretended(tmp_path / "ask", f"touch {tmp_path}/asked; echo me")
    repository.git("config", "core.askPass", f"{tmp_path}/ask/git")
    repository.environ |= {"SSH_ASKPASS": f"{tmp_path}/ask/git", "DISPLAY": ":0"}
    assert asking
    with pytest.raises(GitFailed, match="could not read Username"):
        repository.ours().run("credential", "fill", stdin=b"protocol=https\nhost=example.com\n\n")
    assert not (tmp_path / "asked").exists()


def test_a_lock_is_held_until_the_last_child_of_git_has_ended(tmp_path: Path) -> None:
    """Also if agentq is killed: here the child of a git that has ended left the group, so nobody kills it."""
    os.mkfifo(tmp_path / "ready")
    os.mkfifo(tmp_path / "go")
    left = f"echo > {tmp_path}/ready; cat {tmp_path}/go"
    environ = pretended(tmp_path / "bin", f"setsid sh -c '{left}' > /dev/null 2>&1 & cat {tmp_path}/ready")
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        Git(str(tmp_path), environ, inherit=(file.fileno(),)).run("worktree")
    with (tmp_path / "lock").open("w") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (tmp_path / "go").open("w").close()
        fcntl.flock(file, fcntl.LOCK_EX)


def test_an_older_git_is_refused_by_its_version(tmp_path: Path) -> None:
    environ = pretended(tmp_path / "bin", "echo git version 2.37.7")
    with pytest.raises(GitMissing, match=r"git 2\.37: too old; --worktree needs git 2\.38 or newer"):
        runner.require_git(environ)
    assert runner.require_git(dict(os.environ)) >= (2, 38)


def test_a_version_is_read_whatever_a_vendor_adds() -> None:
    assert runner.parse_version("git version 2.39.5 (Apple Git-154)") == (2, 39)
    assert runner.parse_version("git version 2.50.0.windows.1") == (2, 50)
    assert runner.parse_version("git version 3.0-rc1") == (3, 0)
    assert runner.parse_version("gut") == (0, 0)
