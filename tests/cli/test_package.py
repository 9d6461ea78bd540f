"""The wheel and the sdist: what they hold, and that agentq works from them far away from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from agentq_process import ROOT

SHARED = {
    **{f"share/man/{path.relative_to(ROOT / 'man')}": path for path in sorted((ROOT / "man").rglob("*.[157]"))},
    "share/bash-completion/completions/agentq": ROOT / "completions/agentq.bash",
    "share/zsh/site-functions/_agentq": ROOT / "completions/_agentq",
    "share/fish/vendor_completions.d/agentq.fish": ROOT / "completions/agentq.fish",
}
"""Every file that an installation puts below its prefix, and where it comes from."""

VERSIONS = ("3.11", "3.12", "3.13")


def ran(command: Sequence[str], cwd: Path, environ: Mapping[str, str] | None = None) -> str:
    """What a command printed; it must succeed."""
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_build_takes_every_page_and_completion_file() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    shared = build["wheel"]["shared-data"]
    placed = {}
    for source, target in shared.items():
        path = ROOT / source
        found = {path: target} if path.is_file() else {each: f"{target}/{each.name}" for each in path.iterdir()}
        placed |= {target: path for path, target in found.items()}
    assert placed == SHARED
    assert {"man", "completions", "agentq_cli"} <= set(build["sdist"]["include"])
    assert build["wheel"]["force-include"] == {"completions": "agentq_cli/completions"}


def test_the_program_is_a_script_that_an_installer_gives_its_interpreter_to() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (source,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-scripts"]
    assert (ROOT / source).read_text().splitlines()[0] == "#!python"
    assert os.access(ROOT / source, os.X_OK)
    told = ran([sys.executable, str(ROOT / source), "--version"], ROOT, os.environ | {"PYTHONPATH": str(ROOT)})
    assert told == f"agentq {project['project']['version']}\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel that is built from the sdist, as `python -m build` does it."""
    base = tmp_path_factory.mktemp("built")
    venv.create(base / "venv", with_pip=True)
    python = base / "venv/bin/python"
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", *requires], capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        pytest.skip(f"the build backend is not to be had: {done.stderr.strip().splitlines()[-1]}")
    out = base / "dist"
    build = "import sys, hatchling.build as b; getattr(b, sys.argv[1])(sys.argv[2])"
    copy = base / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".[!c]*", ".c[!i]*", "__pycache__"))
    ran([str(python), "-c", build, "build_sdist", str(out)], copy)
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(base / "unpacked")
    (source,) = (base / "unpacked").iterdir()
    ran([str(python), "-c", build, "build_wheel", str(out)], source)
    return out


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_sdist_and_the_wheel_hold_the_pages_and_completions(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {str(path.relative_to(ROOT)) for path in SHARED.values()} <= inside
    assert {"README.md", "LICENSE", "tests/conftest.py"} <= inside
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        data = {name.partition(".data/data/")[2]: name for name in names if ".data/data/" in name}
        (script,) = (archive.getinfo(name) for name in names if name.endswith(".data/scripts/agentq"))
        assert script.external_attr >> 16 & 0o111 == 0o111
        assert set(data) == set(SHARED)
        for target, source in SHARED.items():
            assert archive.read(data[target]) == source.read_bytes(), target
    assert not [name for name in names if name.startswith("tests/")]
    assert {f"agentq_cli/completions/{path.name}" for path in (ROOT / "completions").iterdir()} <= set(names)


def interpreter(version: str) -> str:
    """A Python of that version which can make a virtual environment; the test is skipped without one."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    places = [*pyenv.glob(f"versions/{version}*/bin/python"), shutil.which(f"python{version}")]
    for place in places:
        if place is None:
            continue
        told = subprocess.run(
            [place, "-c", "import ensurepip, sqlite3, venv, sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if told.stdout.strip() == version:
            return str(place)
    pytest.skip(f"no Python {version} that works")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_installed_wheel_works_outside_the_checkout(built: Path, tmp_path: Path, version: str) -> None:
    environment, home, work = tmp_path / "venv", tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    ran([interpreter(version), "-m", "venv", str(environment)], tmp_path)
    (wheel,) = built.glob("*.whl")
    ran([str(environment / "bin/pip"), "install", "-q", str(wheel)], tmp_path)
    environ = {
        "HOME": str(home),
        "PATH": f"{environment}/bin:{os.defpath}",
        "LANG": "C.UTF-8",
        "AGENTQ_STATE_DIR": str(tmp_path / "state"),
    }

    def agentq(*arguments: str) -> str:
        return ran([str(environment / "bin/agentq"), *arguments], work, environ)

    assert agentq("--version").startswith("agentq ")
    assert "Usage: agentq submit" in agentq("submit", "--help")
    assert agentq("submit", "--agent", "demo", "-s", "docs", "Say hello") == "docs/1\n"
    assert agentq("submit", "--exec", "--", "echo", "from a command") == "default/1\n"
    assert agentq("__complete", "live", "") == "docs/1\ndefault/1\n"
    agentq("run", "--drain")
    assert agentq("logs", "default/1") == "from a command\n"
    assert '"status": "completed"' in agentq("show", "docs/1", "--json")
    assert agentq("schedule", "--every", "1h", "--exec", "--", "true") == "default/2\n"
    agentq("sweep")
    agentq("health")
    assert "demo" in agentq("agents")
    for shell, name in (("bash", "agentq.bash"), ("zsh", "_agentq"), ("fish", "agentq.fish")):
        assert agentq("completion", shell) == (ROOT / "completions" / name).read_text()
    for target, source in SHARED.items():
        assert (environment / target).read_bytes() == source.read_bytes(), target
    # The pages do not depend on the version of Python, and what they are made of is in the wheel.
    python = str(environment / "bin/python")
    ran(
        [python, "-m", "agentq_cli.manual.pages", "--check", str(ROOT / "man"), str(ROOT / "completions")],
        work,
        environ,
    )
    man = shutil.which("man")
    if man is not None:
        shown = ran([man, "-M", str(environment / "share/man"), "-w", "agentq-submit"], work, environ)
        assert shown.strip() == str(environment / "share/man/man1/agentq-submit.1")
    assert list(work.iterdir()) == []
