"""The config file as it was parsed, kept in the state dir, as Python keeps what it has compiled.

The reader of TOML takes longer to load than a short command to run. What is kept is only what that reader made of the
text: its values are checked each time, and every error is found and told by reading the file itself. The copy holds for
one stamp of one file. It says nothing that the file does not say, and only its owner can read it. A file that sets
secrets for tasks is not kept.
"""

from __future__ import annotations

import os
import stat

from agentq_cli.base import environment
from agentq_cli.base.context import suppress
from agentq_cli.base.json_text import dumps, loads
from agentq_cli.config import mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.config.configuration import Config

NAME = "config.parsed"
LARGEST = 1 << 18
"""The most bytes that are kept: reading as much takes about as long as loading the reader of TOML."""

READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def find(state_dir: str | None, config: Config) -> dict[str, Any] | None:
    """The document of the file with the path and the stamp of `config`; None if the file has to be read."""
    holds = _mark(config)
    if state_dir is None or holds is None:
        return None
    try:
        descriptor = os.open(os.path.join(state_dir, NAME), READ)
        try:
            status = os.fstat(descriptor)
            private = stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077 and status.st_nlink == 1
            if not private or status.st_uid != os.geteuid() or status.st_size > LARGEST:
                return None
            of, document = loads(os.read(descriptor, LARGEST).decode())
        finally:
            os.close(descriptor)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    # An older version kept the secrets too.
    return document if of == holds and isinstance(document, dict) and not _sets_secrets(document) else None


def keep(state_dir: str | None, config: Config, document: dict[str, Any]) -> None:
    """Keep the document of the file with the path and the stamp of `config`, if that is possible."""
    if state_dir is None:
        return
    path = os.path.join(state_dir, NAME)
    if _sets_secrets(document):
        with suppress(OSError):  # most often there is none
            os.unlink(path)
        return
    holds = _mark(config)
    if holds is None or not os.path.isfile(config.path):
        return
    new = f"{path}.{os.getpid()}"
    try:
        if os.stat(state_dir).st_uid != os.geteuid():
            return
        content = dumps([holds, document]).encode()
        if len(content) > LARGEST:
            return
        descriptor = os.open(new, NEW, 0o600)
    except (OSError, ValueError, TypeError, RecursionError):
        return  # such as a disk that is full, or a date, which JSON does not have
    try:
        try:
            if os.write(descriptor, content) == len(content):
                os.rename(new, path)
                return
        finally:
            os.close(descriptor)
    except OSError:
        pass  # such as a disk that is full
    with suppress(OSError):  # the state dir may be gone
        os.unlink(new)


def _sets_secrets(document: dict[str, Any]) -> bool:
    """Whether an `env` table of a file has a variable whose name looks like a secret, or a URL has a password."""
    fleet = document.get("fleet", {})
    for url in (document.get("url"), fleet.get("listen_url", fleet.get("listen-url"))):
        if isinstance(url, str):
            from agentq_cli.base.database_url import has_password

            if has_password(url):
                return True
    secrets = document.get("secret_env", document.get("secret-env", ()))
    patterns = [secrets] if isinstance(secrets, str) else secrets
    tables = [document.get("defaults", {})]
    tables += [table for key in ("sessions", "agents") for table in document.get(key, {}).values()]
    return any(environment.is_secret(name, patterns) for table in tables for name in table.get("env", {}))


def _mark(config: Config) -> str | None:
    """What the copy holds for; None if the file may change without a new stamp."""
    stamp = config.stamp
    return mark.of(config.path, *stamp) if stamp is not None and len(stamp) == 4 else None
