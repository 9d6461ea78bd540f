"""Gets the peers: what is on PATH is taken, the rest is put into a cache directory; the system is left as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

DEBIAN = {"tsp": "task-spooler", "nq": "nq", "parallel": "parallel", "xargs": "findutils"}
PYPI = {"huey": "huey==3.*", "litequeue": "litequeue", "kyoo": "kyoo"}


@dataclass(slots=True)
class Peers:
    """Where the programs are, and which could not be had, with the reason."""

    cache: Path
    allowed: bool  # to install
    say: Callable[[str], None]
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where programs are looked for: what was put into the cache, the system's, the caller's own."""
        cached = [str(self.cache / "debian/usr/bin"), str(self.cache / "cargo/bin")]
        return os.pathsep.join([*cached, "/usr/local/bin", "/usr/bin", "/bin", os.environ.get("PATH", "")])

    @property
    def python(self) -> Path:
        """The interpreter of the virtual environment that has the peers from PyPI."""
        return self.cache / "pypi/bin/python"

    @property
    def bare(self) -> Path:
        """The interpreter of a virtual environment that has nothing."""
        return self.cache / "bare/bin/python"

    def get(self, names: Collection[str]) -> None:
        """Look for these peers, and install those that are missing."""
        self.cache.mkdir(parents=True, exist_ok=True)
        environment(self.cache / "bare")
        for name in names:
            if name in DEBIAN:
                self._get(name, partial(self._has_program, name), partial(self._debian, DEBIAN[name]))
            elif name in PYPI:
                self._get(name, partial(self._has_module, name), partial(self._pypi, PYPI[name]))
            else:
                self._get(name, partial(self._has_program, "pueued"), self._cargo)

    def agentq(self, tree: Path, name: str) -> Path:
        """The program `agentq` of a source tree, installed as a user would: a virtual environment, not editable."""
        home = self.cache / name
        environment(home)
        self.say(f"installing {tree}")
        # pip installs a directory anew, whichever version is there.
        quiet([home / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", f"{tree}[fleet]"])
        return home / "bin/agentq"

    def _get(self, name: str, there: Callable[[], bool], install: Callable[[], None]) -> None:
        if there():
            return
        if not self.allowed:
            self.skipped[name] = "not there, and --no-install"
            return
        self.say(f"installing {name}")
        try:
            install()
        except (OSError, subprocess.CalledProcessError) as error:
            said = str(getattr(error, "stderr", "")).strip().splitlines()
            self.skipped[name] = f"could not be installed: {said[-1] if said else error}"
            return
        if not there():
            self.skipped[name] = "could not be installed"

    def _has_program(self, name: str) -> bool:
        return shutil.which(name, path=self.path) is not None

    def _has_module(self, name: str) -> bool:
        if not self.python.exists():
            return False
        return subprocess.run([self.python, "-c", f"import {name}"], capture_output=True).returncode == 0

    def _debian(self, package: str) -> None:
        debs = self.cache / "debs"
        debs.mkdir(exist_ok=True)
        quiet(["apt-get", "download", package], cwd=debs)
        for deb in debs.glob(f"{package}_*.deb"):
            quiet(["dpkg-deb", "-x", deb, self.cache / "debian"])

    def _pypi(self, requirement: str) -> None:
        environment(self.cache / "pypi")
        quiet([self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check", requirement])

    def _cargo(self) -> None:
        self.say("pueue is compiled: that takes minutes, once")
        quiet(["cargo", "install", "--locked", "--root", self.cache / "cargo", "pueue"])


def environment(home: Path) -> None:
    """A virtual environment of the Python that runs this, made anew where it belongs to another one."""
    made = home / "bin/python"
    if made.exists() and version(made) == version(Path(sys.executable)):
        return
    shutil.rmtree(home, ignore_errors=True)
    quiet([sys.executable, "-m", "venv", home])


def version(python: Path) -> str:
    """Which interpreter it is."""
    asked = subprocess.run(
        [python, "-c", "import sys; print(sys.base_prefix, sys.version)"], capture_output=True, text=True
    )
    return asked.stdout


def quiet(argv: list[str | Path], cwd: Path | None = None) -> None:
    """Run, and keep what it says for the error."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AGENTQ", "PIP_"))}
    subprocess.run(argv, check=True, capture_output=True, text=True, cwd=cwd, env=clean)
