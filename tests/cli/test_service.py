"""`agentq service print`: what it prints, and that systemd and a real cron daemon take it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from agentq_process import Agentq
from driven import Driven, until

NASTY = "a b%c 'q' \"d\" $HOME \\x"

CRON = """
set -e
mount -t tmpfs none /var/spool/cron/crontabs
mount -t tmpfs none /etc/cron.d
mount --bind /dev/null /etc/crontab
mount -t tmpfs none /run
cat > /var/spool/cron/crontabs/root
chmod 600 /var/spool/cron/crontabs/root
exec cron -f
"""
"""A cron daemon that sees one crontab, that on stdin, and of the machine's own none; nobody else sees it."""


@pytest.fixture
def nasty(tmp_path: Path) -> Iterator[Driven]:
    """agentq in a state dir whose name has everything that a shell, cron or systemd reads as something else."""
    home = tmp_path / NASTY
    home.mkdir()
    program = Agentq(home, home / "state")
    yield Driven(program)
    program.stop()


def test_units_are_printed_each_with_its_place_and_without_secrets(aq: Driven) -> None:
    config = aq.home / "agentq.toml"
    config.write_text("jobs = 3\n")
    env = {"AGENTQ_CONFIG": str(config), "ANTHROPIC_API_KEY": "hush", "PATH": ".:/usr/bin::/bin:/usr/bin"}
    document = aq.json("service", "print", "systemd", env=env)
    assert (document["schema"], document["kind"]) == ("agentq.service/1", "systemd")
    files = {file["name"]: file for file in document["files"]}
    assert list(files) == ["agentq.service", "agentq-sweep.service", "agentq-sweep.timer"]
    text = aq("service", "print", "systemd", env=env).stdout
    for name, file in files.items():
        assert file["path"] == f"~/.config/systemd/user/{name}"
        assert f"# {file['path']}\n{file['content']}" in text
        alone = aq("service", "print", "systemd", name, env=env).stdout
        assert alone == f"# {file['path']}\n{file['content']}"
    unit = files["agentq.service"]["content"].splitlines()
    assert {"KillMode=process", "Restart=on-failure", f"Environment=AGENTQ_CONFIG={config}"} <= set(unit)
    assert f"Environment=AGENTQ_STATE_DIR={aq.state_dir}" in unit
    assert "Environment=PATH=/usr/bin:/bin" in unit
    assert "ANTHROPIC_API_KEY" in text and "hush" not in text
    assert document["secrets"] == ["ANTHROPIC_API_KEY"]
    assert not aq.state_dir.exists()


def test_the_program_is_the_one_that_was_called(aq: Driven) -> None:
    program = Path(sys.executable).with_name("agentq")
    if not program.exists():
        pytest.skip("agentq is not installed beside this Python")
    environ = {**aq.agentq.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    del environ["PYTHONPATH"]
    done = subprocess.run(
        ["agentq", "service", "print", "cron", "--json"], env=environ, capture_output=True, check=True, cwd=aq.home
    )
    assert f" {program} sweep >/dev/null" in json.loads(done.stdout)["line"]
    text = subprocess.run(["agentq", "service", "print", "cron"], env=environ, capture_output=True, check=True).stdout
    lines = text.decode().splitlines()
    assert lines[-1] == json.loads(done.stdout)["line"]
    assert all(line.startswith("# ") for line in lines[:-1])


def test_what_is_asked_wrongly_is_refused(aq: Driven) -> None:
    assert "did you mean 'systemd'" in aq.refused("service", "print", "sytemd", code=2)
    assert "did you mean 'print'" in aq.refused("service", "prnt", "cron", code=2)
    assert "did you mean 'agentq.service'" in aq.refused("service", "print", "systemd", "agentq.servic", code=2)
    aq.refused("service", "print", "cron", "agentq.service", code=2)
    aq.refused("service", "print", "cron", code=2, env={"PATH": "/long" * 300})


def test_the_sweep_of_the_printed_line_runs_in_cron_s_environment(nasty: Driven) -> None:
    """As cron would call it, with nothing of this shell: a stand-in for the daemon, which takes a minute."""
    nasty.exec("sh", "-c", "echo done")
    line = nasty.json("service", "print", "cron")["line"]
    command = line.removeprefix("* * * * * ").replace("\\%", "%")
    environ = {"HOME": str(nasty.home), "LOGNAME": "root", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    subprocess.run(["/bin/sh", "-c", command], env=environ, check=True, capture_output=True, cwd="/")
    nasty("wait", "1")
    assert nasty.stdout(nasty.runs()["default/1.1"]) == "done\n"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_real_cron_runs_the_printed_line(nasty: Driven) -> None:
    for program in ("cron", "unshare"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/bin") is None:
            pytest.skip(f"no {program} (Debian: packages cron and util-linux)")
    if os.geteuid() != 0:
        pytest.skip("a cron daemon of one's own needs root")
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    nasty.exec("sh", "-c", "echo done")
    text = nasty("service", "print", "cron").stdout
    crontab = nasty.home / "crontab"
    crontab.write_text(text)
    with crontab.open() as stdin:
        daemon = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", CRON],
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
    try:
        until(lambda: nasty.task("default/1")["status"] == "completed" or daemon.poll(), 150, what="a run by cron")
        assert daemon.poll() is None
    finally:
        daemon.kill()
        daemon.communicate()
    assert nasty.stdout(nasty.runs()["default/1.1"]) == "done\n"
