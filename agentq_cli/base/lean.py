"""The modules `signal` and `socket` as they are in C, without their enumerations: for processes of which there are
many, each of a few megabytes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as signal
    import socket as socket
else:
    import _signal as signal  # noqa: F401
    import _socket as socket  # noqa: F401
