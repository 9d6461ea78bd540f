"""The place of a fleet's host on its machine: `STATE/fleet/ID`, one for each database and schema."""

from __future__ import annotations

import os
from _thread import get_ident

from agentq_cli.base.errors import Refused
from agentq_cli.host.place import Place

PARENT = "fleet"


def find(state_dir: str, fleet: str, *, allow_network_fs: bool) -> Place:
    """The place in a state dir. `fleet` is the UUID of the schema. An agent's own agentq is given the place itself in
    AGENTQ_STATE_DIR, which marks its processes."""
    path = os.path.realpath(state_dir)
    name = fleet.replace("-", "")[:16]
    if not path.endswith(f"/{PARENT}/{name}"):
        path = os.path.join(path, PARENT, name)
    return Place(path, allow_network_fs, leased=True)


def create(place: Place) -> str:
    """Create the place, private to this user; returns the key of its host. Raises Refused."""
    try:
        for part in (place.path, f"{place.path}/sessions", place.bells):
            os.makedirs(part, 0o700, exist_ok=True)
        found = key(place)
        if found is None:
            import uuid

            _write(f"{place.path}/key", str(uuid.uuid4()))
            found = key(place)
    except OSError as error:
        raise Refused(f"'{place.path}': {error.strerror}") from error
    assert found is not None
    return found


def key(place: Place) -> str | None:
    """What this machine's host is known by for as long as the place exists; None if there is none."""
    try:
        with open(f"{place.path}/key", encoding="ascii") as file:
            return file.read().strip() or None
    except FileNotFoundError:
        return None


def _write(path: str, text: str) -> None:
    """Create a file whole, unless another process was faster."""
    temporary = f"{path}.{os.getpid()}.{get_ident()}"
    with open(temporary, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)
