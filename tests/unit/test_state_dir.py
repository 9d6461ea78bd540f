"""The state dir: which directories are fit, and which names can be sessions."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agentq_cli.base.errors import NotFound, Refused, Usage
from agentq_cli.engines.local import file_systems as module
from agentq_cli.engines.local.file_systems import file_system
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.host.place import Place, is_there
from agentq_cli.model.addresses import RunId

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(str(tmp_path / "state"))


# Names


@pytest.mark.parametrize("name", ["a", "0", "A.b_c-d", "a" * 64, "x..", "default"])
def test_a_fitting_name_is_a_directory_below_sessions(state: StateDir, name: str) -> None:
    assert state.session(name) == f"{state.path}/sessions/{name}"
    assert state.inbound(name) == f"{state.path}/sessions/{name}/inbound.db"
    assert state.outbound(name) == f"{state.path}/sessions/{name}/outbound.db"
    assert Place(state.path).run_path(RunId(name, 3, 2)) == f"{state.path}/sessions/{name}/runs/3.2"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/tmp", "a/b", "a/../b", "-a", ".a", "_a", "a b", "a\n", "\na", "a\0b", "ä", "a" * 65],
)
def test_any_other_name_is_refused_before_it_becomes_a_path(state: StateDir, name: str) -> None:
    for use in (
        state.session,
        state.inbound,
        state.outbound,
        Place(state.path).inbound,
        Place(state.path).outbound,
        lambda name: Place(state.path).run_path(RunId(name, 3, 2)),
        lambda name: state.create_sessions([name]),
        state.check_session,
    ):
        with pytest.raises(Usage, match="session"):
            use(name)
    assert not os.path.exists(state.path)


def test_only_directories_with_a_fitting_name_are_sessions(state: StateDir) -> None:
    assert list(state.session_names()) == []
    state.create()
    for name in ("b", "a", ".hidden", "lost+found", "a b"):
        os.mkdir(f"{state.path}/sessions/{name}")
    assert list(state.session_names()) == ["a", "b"]


# What is made


def test_directories_are_private_whatever_the_umask(state: StateDir) -> None:
    before = os.umask(0)
    try:
        state.create()
        state.create_sessions(["a"])
    finally:
        os.umask(before)
    for path in (state.path, f"{state.path}/sessions", f"{state.path}/bells", state.session("a")):
        assert os.stat(path).st_mode & 0o7777 == 0o700, path


def test_making_it_twice_changes_nothing(state: StateDir) -> None:
    for _ in range(2):
        state.create()
        state.create_sessions(["a"])
        state.check()
        state.check_session("a")
    assert sorted(os.listdir(state.path)) == ["bells", "sessions"]


@pytest.mark.parametrize("target", ["elsewhere", "missing", "file"])
def test_a_session_directory_that_leads_elsewhere_is_refused(state: StateDir, tmp_path: Path, target: str) -> None:
    state.create()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "file").touch()
    os.symlink(tmp_path / target, state.session("a"))
    for use in (lambda name: state.create_sessions([name]), state.check_session):
        with pytest.raises(Usage, match=r"'a'.*a link or a file"):
            use("a")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "missing").exists()


def test_a_file_in_a_sessions_place_is_refused(state: StateDir) -> None:
    state.create()
    Path(state.session("a")).touch()
    with pytest.raises(Usage, match="'a'"):
        state.create_sessions(["a"])


def test_a_session_without_a_directory_is_not_found(state: StateDir) -> None:
    state.create()
    with pytest.raises(NotFound, match="'a'"):
        state.check_session("a")


def test_a_place_where_no_directory_can_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="file/state"):
        StateDir(str(tmp_path / "file" / "state")).create()


# What is fit


def test_a_file_is_no_state_dir(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Usage, match="not a directory"):
        StateDir(str(tmp_path / "file")).check()


@as_root
def test_a_directory_of_somebody_else_is_refused(state: StateDir) -> None:
    state.create()
    os.chown(state.path, 65534, 65534)
    with pytest.raises(Usage, match="belongs to user 65534"):
        state.check()
    with pytest.raises(Usage, match="belongs to user 65534"):
        state.check(allow_network_fs=True)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse", "fuseblk", "fuse.sshfs"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_network_file_system_is_refused_unless_allowed(
    state: StateDir, monkeypatch: pytest.MonkeyPatch, kind: str, exists: bool
) -> None:
    if exists:
        state.create()
    monkeypatch.setattr(module, "file_system", lambda path, mounts: kind)
    with pytest.raises(Usage, match=rf"is on {kind}.*--allow-network-fs"):
        state.check()
    state.check(allow_network_fs=True)
    assert os.path.exists(state.path) is exists


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", ""])
def test_a_local_file_system_is_fit(state: StateDir, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    state.create()
    monkeypatch.setattr(module, "file_system", lambda path, mounts: kind)
    state.check()


def test_a_link_to_a_network_file_system_does_not_hide_it(
    state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(module, "file_system", lambda path, mounts: seen.append(path) or "nfs")
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real", state.path)
    with pytest.raises(Usage, match="nfs"):
        state.check()
    assert seen == [os.path.realpath(tmp_path / "real")]


# The text of /proc/self/mountinfo


MOUNTS = r"""
21 26 0:20 / /proc rw,relatime - proc proc rw
26 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 26 0:25 / /home rw,relatime shared:2 master:3 propagate_from:4 - nfs4 server:/home rw,vers=4.2
31 30 254:1 / /home/me/local rw - xfs /dev/vdb rw
32 26 0:26 / /mnt/with\040blank rw - fuse.sshfs me@host:/ rw
33 26 0:27 / /mnt/tab\011line\012back\134slash rw - 9p host rw
34 26 0:28 / /mnt/one rw - nfs server:/one rw
35 34 254:2 / /mnt/one rw - btrfs /dev/vdc rw
36 26 0:29 / /mnt/bind rw - ext4 /dev/vda rw - nothing more
37 26 0:30 / /mnt/\134040 rw - virtiofs tag rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib", "ext4"),
        ("/home", "nfs4"),
        ("/home/me", "nfs4"),
        ("/homes", "ext4"),
        ("/home/me/local", "xfs"),
        ("/home/me/local/state/agentq", "xfs"),
        ("/home/me/locally", "nfs4"),
        ("/mnt/with blank/x", "fuse.sshfs"),
        ("/mnt/with\\040blank/x", "ext4"),
        ("/mnt/tab\tline\nback\\slash/x", "9p"),
        ("/mnt/\\040/x", "virtiofs"),
        ("/mnt/one/x", "btrfs"),
        ("/mnt/bind", "ext4"),
    ],
)
def test_the_innermost_and_newest_mount_holds_a_path(path: str, kind: str) -> None:
    assert file_system(path, MOUNTS) == kind


def test_what_cannot_be_read_is_no_file_system() -> None:
    assert file_system("/x", "") == ""
    assert file_system("/x", "nonsense\n1 2 3\n") == ""


def test_the_machines_own_mounts_are_read(tmp_path: Path) -> None:
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    assert file_system("/proc/self/fd", mounts) == "proc"
    if shutil.which("findmnt"):
        for path in ("/", "/dev/shm", str(tmp_path)):
            command = ["findmnt", "-n", "-o", "FSTYPE", "-T", path]
            found = subprocess.run(command, capture_output=True, text=True, check=False)
            # In a chroot what holds its root is not among the mounts that are seen, and findmnt finds nothing either.
            kind = found.stdout.split()[-1] if found.returncode == 0 else ""
            assert file_system(os.path.realpath(path), mounts) == kind


@as_root
def test_a_mount_made_now_is_seen(tmp_path: Path) -> None:
    place = tmp_path / "with blank\\and more"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"tmpfs cannot be mounted here: {mounted.stderr!r}")
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
        assert file_system(str(place / "state"), mounts) == "tmpfs"
    finally:
        subprocess.run(["umount", place], check=True)


def test_what_nobody_may_look_at_is_not_called_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (is_there(str(tmp_path)), is_there(str(tmp_path / "x"))) == (True, False)

    def refused(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as refusing:
        refusing.setattr(os, "stat", refused)
        try:
            found: object = is_there("/x")
        except PermissionError as error:
            found = error
    assert isinstance(found, PermissionError)
